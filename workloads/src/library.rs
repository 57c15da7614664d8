//! The workloads that come with delalloc, by name: `delalloc replay NAME` needs no file.
//!
//! They are the files beside this crate's sources and the starter at the top of the repository,
//! compiled in, so that what is read in the repository is what runs.

/// Name and text of each, the starter first.
pub fn library() -> &'static [(&'static str, &'static str)] {
    &[("starter", "version: 1\n")]
}

/// The text of `name`.
pub fn find(name: &str) -> Option<&'static str> {
    library()
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, text)| *text)
}
