//! The filter that is recommended records every call that is followed.

use std::collections::BTreeSet;
use std::path::Path;

/// The calls that are followed and that strace counts among those of descriptors (`%desc`) or of names (`%file`).
const IN_CLASSES: &[&str] = &[
    "chdir",
    "close",
    "copy_file_range",
    "creat",
    "dup",
    "dup2",
    "dup3",
    "execve",
    "execveat",
    "fallocate",
    "fchdir",
    "fcntl",
    "fcntl64",
    "fdatasync",
    "fstat",
    "fstat64",
    "fstatat64",
    "fsync",
    "ftruncate",
    "ftruncate64",
    "io_uring_enter",
    "link",
    "linkat",
    "lseek",
    "_llseek",
    "mmap",
    "mmap2",
    "newfstatat",
    "open",
    "openat",
    "openat2",
    "pread",
    "pread64",
    "preadv",
    "preadv2",
    "pwrite",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "read",
    "readv",
    "rename",
    "renameat",
    "renameat2",
    "sendfile",
    "sendfile64",
    "splice",
    "sync_file_range",
    "syncfs",
    "truncate",
    "truncate64",
    "unlink",
    "unlinkat",
    "write",
    "writev",
];

/// Forks that are followed; clone2 is of one architecture alone, and others refuse its name.
const FORKS: &[&str] = &["fork", "vfork", "clone", "clone3"];

/// The names that the follower matches.
fn followed() -> BTreeSet<&'static str> {
    let source = include_str!("../follow.rs");
    let (_, arms) = source.split_once("match call.name {").unwrap();
    let (arms, _) = arms.split_once("_ => Ok(Vec::new()),").unwrap();
    let is_name = |word: &&str| {
        !word.is_empty()
            && word
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    // Only patterns have names without a blank between quotes.
    arms.split('"').filter(is_name).collect()
}

/// What a text gives strace to record.
fn filter(text: &str) -> BTreeSet<&str> {
    let (_, rest) = text.split_once("-e trace=").unwrap();
    rest.split([' ', '\n']).next().unwrap().split(',').collect()
}

#[test]
fn the_filter_records_what_is_followed() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/trace-format.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    let recorded = filter(&docs);
    assert_eq!(recorded, filter(include_str!("../mod.rs")));
    assert!(recorded.contains("%desc") && recorded.contains("%file"));
    let followed = followed();
    for name in ["fsync", "sync", "execveat", "io_submit", "_llseek"] {
        assert!(followed.contains(name), "{name} is not found");
    }
    for name in IN_CLASSES {
        assert!(followed.contains(name), "{name} is followed no longer");
    }
    for name in followed.iter().chain(FORKS) {
        assert!(
            IN_CLASSES.contains(name) || recorded.contains(name),
            "{name} is not recorded"
        );
    }
}
