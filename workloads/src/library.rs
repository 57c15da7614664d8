//! The workloads that come with delalloc, by name: `delalloc replay NAME` needs no file.
//!
//! They are the files beside this crate's sources and the starter at the top of the repository,
//! compiled in, so that what is read in the repository is what runs.

macro_rules! workloads {
    ($(($name:literal, $file:literal)),* $(,)?) => {
        &[$(($name, include_str!($file))),*]
    };
}

/// Name and text of each, the starter first.
pub fn library() -> &'static [(&'static str, &'static str)] {
    workloads![
        ("starter", "../../workload.yaml"),
        ("sequential-ingest", "../sequential-ingest.yaml"),
        ("database-pages", "../database-pages.yaml"),
        ("log-append", "../log-append.yaml"),
        ("append-sync", "../append-sync.yaml"),
        ("sync-beside-bulk", "../sync-beside-bulk.yaml"),
        ("mixed-rate", "../mixed-rate.yaml"),
        ("cold-read", "../cold-read.yaml"),
        ("incompressible", "../incompressible.yaml"),
        ("many-files", "../many-files.yaml"),
        ("codecs", "../codecs.yaml"),
        ("content-cost", "../content-cost.yaml"),
        ("heuristic", "../heuristic.yaml"),
        ("order-scope", "../order-scope.yaml"),
        ("device-models", "../device-models.yaml"),
        ("mail-spool", "../mail-spool.yaml"),
        ("bursts-over-base", "../bursts-over-base.yaml"),
        ("steady-mix", "../steady-mix.yaml"),
        ("trace-rocksdb", "../trace-rocksdb.yaml"),
        ("engine-vs-kernel", "../engine-vs-kernel.yaml"),
    ]
}

/// The text of `name`.
pub fn find(name: &str) -> Option<&'static str> {
    library()
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, text)| *text)
}
