//! The check finds what it says it finds: each inconsistency is planted in an image by its documented
//! bytes (docs/format.md), sealed again where a checksum would give it away, and looked for. What is
//! found is exactly that, and what follows from it. A match over all variants keeps a new one from
//! going without a plant.

mod checking;
mod image;

use std::collections::BTreeSet;
use std::sync::Arc;

use checking::damage::{Image, Kind, NODE_BYTES, SUPERBLOCKS};
use checking::log::{
    Instead, damages_of_the_log, impossible_logs, logged, logged_page, possible_logs, replaced,
};
use checking::plants::{PLANTS, TWO_LEVELS};
use delalloc_backends::{
    Backend, FaultAction, FaultBackend, FaultOn, FaultRule, FaultSpan, MemBackend, MeterBackend,
    OsClock, RequestKind,
};
use delalloc_engine::meta::{CODEC_RAW, FormatOptions, MetaConfig, Metadata, NewExtent};
use delalloc_engine::recover::{CheckReport, Entry, Issue, Severity, check, check_with};
use delalloc_engine::{DiskExtent, DiskOffset, EngineConfig, FileId, FileRange, Volume};
use image::{PAGE, check_spotless, fill, format, open, pages};
use proptest::prelude::*;

/// One number for each variant. A variant that is not here does not compile, and one that is here
/// and that nothing plants fails.
fn number(issue: &Issue) -> usize {
    match issue {
        Issue::SuperblockUnusable { .. } => 0,
        Issue::SuperblocksDiffer { .. } => 1,
        Issue::SuperblockMisplaced { .. } => 2,
        Issue::SuperblockStale { .. } => 3,
        Issue::NoSuperblock { .. } => 4,
        Issue::NodeUnusable { .. } => 5,
        Issue::NodeFromFuture { .. } => 6,
        Issue::NodeTwice { .. } => 7,
        Issue::KeysOutOfRange { .. } => 8,
        Issue::ItemMalformed { .. } => 10,
        Issue::SpaceOwnedTwice { .. } => 11,
        Issue::SpaceOutside { .. } => 12,
        Issue::FileFromFuture { .. } => 13,
        Issue::InodeFromFuture { .. } => 14,
        Issue::NameTwice { .. } => 15,
        Issue::MappingWithoutFile { .. } => 16,
        Issue::MappingsOverlap { .. } => 17,
        Issue::MappingFromFuture { .. } => 18,
        Issue::MappingBeforeFile { .. } => 19,
        Issue::MappingPastSize { .. } => 20,
        Issue::CodecUnknown { .. } => 21,
        Issue::StoredMissing { .. } => 22,
        Issue::StoredDisputed { .. } => 23,
        Issue::StoredUnused { .. } => 24,
        Issue::RefsDiffer { .. } => 25,
        Issue::LiveBytesDiffer { .. } => 26,
        Issue::DataUnreadable { .. } => 27,
        Issue::DataChecksum { .. } => 28,
        Issue::DataUndecodable { .. } => 29,
        Issue::LogUnusable { .. } => 30,
        Issue::LogEndDropped { .. } => 31,
        Issue::LogRecordUnfit { .. } => 9,
    }
}
const VARIANTS: usize = 32;

#[test]
fn a_log_is_checked_as_an_open_would_take_it() {
    let (image, _) = logged();
    let report = check_spotless(&image.device());
    assert_eq!((report.log_batches, report.log_records), (3, 4));
    assert_eq!(report.logged_bytes, 5 * PAGE);
    assert_eq!(report.area_bytes, area_bytes(&report));
    assert_eq!(report.sectors_verified, 4 + 2 + 3 + 3 + 2);
    let device: Arc<dyn Backend> = Arc::new(image.device());
    let meta = open(&device);
    let found = meta.find("dd").and_then(|file| meta.extents(file).ok());
    assert_eq!(found.map(|extents| extents.len()), Some(1));
    let report = check_spotless(device.as_ref());
    assert_eq!((report.log_batches, report.files), (0, 4), "replayed");

    let kinds = damages_of_the_log().map(|(issue, severity)| {
        assert_eq!(issue.severity(), severity, "{issue}");
        issue.kind()
    });
    let wanted = [
        "log_unusable",
        "log_end_dropped",
        "data_checksum",
        "log_record_unfit",
    ];
    assert_eq!(kinds, wanted);
}

#[test]
fn a_log_that_nobody_writes_does_not_open_and_the_check_knows() {
    for (what, issue) in impossible_logs() {
        assert_eq!(issue.severity(), Severity::Fatal, "{what}: {issue}");
    }
    for image in possible_logs() {
        check_spotless(&image.device());
        let device: Arc<dyn Backend> = Arc::new(image.device());
        open(&device);
        check_spotless(device.as_ref());
    }
}

/// A volume with one of these would be damaged by what is written next, however it came about.
const NEVER_OPENED: [&str; 8] = [
    "stored_disputed",
    "live_bytes_differ",
    "mappings_overlap",
    "file_from_future",
    "keys_out_of_range",
    "node_twice",
    "item_malformed",
    "mapping_without_file",
];

/// What a log takes away is taken from a stored extent, which has to be there and to count what is taken. Where
/// both of its counts are too large, neither is the first at zero.
#[test]
fn a_log_that_changes_what_is_damaged_does_not_open_and_the_check_knows() {
    type Damage = fn(&mut Image);
    let (whole, punched) = (Image::new(0), Image::punched());
    let missing: Damage = |image| image.drop_item(Kind::Stored, 1);
    let refs: Damage = |image| image.patch(Kind::Stored, 0, |image, at| image.set_u32(at + 12, 2));
    let live: Damage =
        |image| image.patch(Kind::Stored, 0, |image, at| image.set_u32(at + 8, 3 * 4096));
    let both: Damage = |image| {
        image.patch(Kind::Stored, 0, |image, at| {
            image.set_u32(at + 8, 3 * 4096);
            image.set_u32(at + 12, 3);
        });
    };
    let cases = [
        (&whole, missing, pages(9, 1), Severity::Fatal),
        (&whole, missing, pages(0, 8), Severity::Error),
        (&whole, refs, pages(0, 4), Severity::Fatal),
        (&whole, refs, pages(1, 1), Severity::Error),
        (&punched, live, pages(0, 4), Severity::Fatal),
        (&punched, live, pages(0, 1), Severity::Error),
        (&punched, both, pages(0, 4), Severity::Error),
    ];
    for (number, (image, damage, range, severity)) in cases.into_iter().enumerate() {
        for by in [Instead::Bytes, Instead::Hole] {
            let mut image = replaced(image, range, by);
            check_spotless(&image.device());
            damage(&mut image);
            assert_opens(&image, severity, &format!("case {number}, {by:?}"));
        }
    }
    // Pages that only the log has are written home by an open.
    for (page, severity) in [(9, Severity::Fatal), (5, Severity::Error)] {
        let mut image = logged_page(page * PAGE);
        check_spotless(&image.device());
        missing(&mut image);
        assert_opens(&image, severity, &format!("page {page}"));
    }
}

/// A check finds this and nothing worse, and the volume opens unless that is fatal.
fn assert_opens(image: &Image, worst: Severity, what: &str) {
    let report = check(&image.device());
    assert_eq!(report.worst(), Some(worst), "{what}: {:#?}", report.issues);
    let says_why = report.issues[0].to_string().contains("a replay stops");
    assert_eq!(says_why, worst == Severity::Fatal, "{what}");
    let opened = Metadata::open(Arc::new(image.device()), MetaConfig::default());
    let opens = worst < Severity::Fatal;
    assert_eq!(opened.is_ok(), opens, "{what}: {opened:?}");
}

/// Their number is what this is about: a search for each took minutes, and no bound in time is asserted.
#[test]
fn very_many_names_in_a_log_are_looked_up() {
    const FILES: u64 = 40_000;
    let backend: Arc<dyn Backend> = Arc::new(MemBackend::new(64 << 20));
    let options = FormatOptions {
        log_bytes: Some(16 << 20),
        ..FormatOptions::default()
    };
    Metadata::format(backend.as_ref(), &options).expect("the device works");
    let meta = open(&backend);
    let mut last = None;
    for n in 0..FILES {
        let file = meta.create(&format!("{n}")).expect("room");
        if n % 4 == 3 {
            let name = format!("{}", n - 1);
            let holder = meta.find(&name);
            meta.rename(file, &name, holder).expect("room");
        }
        last = Some(file);
    }
    meta.sync_file(last.expect("many"))
        .expect("the device works");
    let report = check_spotless(backend.as_ref());
    let found = (report.files, report.log_batches, report.log_records);
    assert_eq!(found, (0, 1, FILES + FILES / 4), "one batch has them all");
}

/// A parent has room to name one child a hundred times.
#[test]
fn a_node_is_read_once_however_often_it_is_pointed_to() {
    let mut image = Image::new(1000);
    let root = image.root();
    let (children, level) = (image.u16(root + 32), image.0[root + 34]);
    assert!(level == 1 && children > 30, "{children} of level {level}");
    let first = image.value(root, 0);
    for n in 1..children {
        let pointer = image.value(root, n);
        image.0.copy_within(first..first + 16, pointer);
    }
    image.seal_node(root);
    let meter = MeterBackend::new(Arc::new(image.device()), Arc::new(OsClock::new()));
    let report = check(&meter);
    let kinds = report.issues.iter().map(Issue::kind);
    let twice = kinds.filter(|&kind| kind == "node_twice").count();
    assert_eq!((report.nodes, twice), (2, children - 1));
    assert_eq!(report.worst(), Some(Severity::Fatal));
    // Superblocks, the log, the root and one leaf.
    let reads = meter.snapshot().kind(RequestKind::Read).started;
    assert!(reads < 12, "{reads} reads");
    let opened = Metadata::open(Arc::new(image.device()), MetaConfig::default());
    let error = opened.expect_err("two parents").to_string();
    assert!(error.contains("one parent"), "{error}");
}

#[test]
fn each_planted_inconsistency_is_found_and_ranked_and_nothing_else_is() {
    let mut seen = BTreeSet::new();
    for plant in PLANTS {
        let mut image = Image::new(plant.files);
        (plant.damage)(&mut image);
        let report = check(&image.device());
        let found: BTreeSet<&str> = report.issues.iter().map(Issue::kind).collect();
        let mut wanted: BTreeSet<&str> = plant.also.iter().copied().collect();
        wanted.insert(plant.kind);
        assert_eq!(found, wanted, "{}: {:#?}", plant.what, report.issues);
        for issue in &report.issues {
            if issue.kind() == plant.kind {
                assert_eq!(issue.severity(), plant.severity, "{}", plant.what);
                seen.insert(number(issue));
            }
        }
        let ranks: Vec<Severity> = report.issues.iter().map(Issue::severity).collect();
        assert!(ranks.is_sorted_by(|one, next| one >= next), "{ranks:?}");
        assert_eq!(report.is_clean(), report.worst() == Some(Severity::Warning));
        let opened = Metadata::open(Arc::new(image.device()), MetaConfig::default());
        if report.worst() < Some(Severity::Fatal) {
            assert!(opened.is_ok(), "{}: {opened:?}", plant.what);
        }
        if NEVER_OPENED.contains(&plant.kind) {
            assert!(opened.is_err(), "{}: what is written next", plant.what);
        }
    }
    seen.extend(unreadable().1.issues.iter().map(number));
    seen.extend(damages_of_the_log().iter().map(|(issue, _)| number(issue)));
    let all: BTreeSet<usize> = (0..VARIANTS).collect();
    assert_eq!(
        seen, all,
        "variants that nothing plants, or too few of them"
    );
}

/// Two mappings show one extent, and what they say of it is not the same.
#[test]
fn mappings_that_disagree_about_their_extent_are_not_opened() {
    type Damage = fn(&mut Image, usize);
    let damages: [(&str, Damage); 3] = [
        ("where in the file it begins", |image, at| {
            image.set_u32(at + 20, 2 * 4096)
        }),
        ("its stored bytes", |image, at| {
            image.set_u32(at + 16, 5 * 4096);
            image.set_u32(at + 28, 5 * 4096);
        }),
        ("its codec", |image, at| image.0[at + 32] = 1),
    ];
    for (what, damage) in damages {
        let mut image = Image::punched();
        image.patch(Kind::Mapping, 1, damage);
        let report = check(&image.device());
        let found: Vec<&str> = report.issues.iter().map(Issue::kind).collect();
        assert_eq!(found, ["stored_disputed"], "{what}");
        assert!(report.issues[0].to_string().contains(what), "{report:?}");
        let opened = Metadata::open(Arc::new(image.device()), MetaConfig::default());
        assert!(opened.is_err(), "{what}");
    }
}

#[test]
fn another_version_is_refused_and_named() {
    let mut image = Image::new(0);
    for at in SUPERBLOCKS {
        image.0[at + 8] ^= 0x40;
        image.seal_superblock(at);
    }
    let report = check(&image.device());
    assert!(
        report
            .issues
            .iter()
            .any(|issue| issue.kind() == "no_superblock")
    );
    let opened = Metadata::open(Arc::new(image.device()), MetaConfig::default());
    let error = opened.expect_err("not this version").to_string();
    assert!(error.contains("version"), "{error}");
}

/// Too few, and a write frees what a file shows; too many, and it is never freed.
#[test]
fn an_extent_that_counts_too_little_is_not_written_to() {
    let counts: [(u32, u32, &[&str], Severity); 4] = [
        (1, 1, &["refs_differ", "live_bytes_differ"], Severity::Fatal),
        (1, 2, &["live_bytes_differ"], Severity::Fatal),
        (2, 1, &["refs_differ"], Severity::Fatal),
        (3, 3, &["refs_differ", "live_bytes_differ"], Severity::Error),
    ];
    for (live_pages, refs, kinds, severity) in counts {
        let mut image = Image::punched();
        image.patch(Kind::Stored, 0, |image, at| {
            image.set_u32(at + 8, live_pages * 4096);
            image.set_u32(at + 12, refs);
        });
        let report = check(&image.device());
        let found: Vec<&str> = report.issues.iter().map(Issue::kind).collect();
        assert_eq!((&found[..], report.worst()), (kinds, Some(severity)));
        let opened = Metadata::open(Arc::new(image.device()), MetaConfig::default());
        assert_eq!(opened.is_ok(), severity < Severity::Fatal, "{opened:?}");
    }
}

/// Where the next open would drop what it cannot, it leaves that alone, and opens all the same.
#[test]
fn what_cannot_be_put_right_is_left_alone() {
    let damages: [fn(&mut Image); 2] = [
        |image| image.drop_item(Kind::Stored, 0),
        |image| image.patch(Kind::Stored, 0, |image, at| image.set_u32(at + 12, 3)),
    ];
    for damage in damages {
        for is_orphan in [true, false] {
            let mut image = Image::punched();
            damage(&mut image);
            image.patch(Kind::Inode, 0, |image, at| {
                if is_orphan {
                    image.0[at + 16] = 1;
                } else {
                    image.set_u64(at + 8, 0);
                }
            });
            assert_eq!(check(&image.device()).worst(), Some(Severity::Error));
            let device: Arc<dyn Backend> = Arc::new(image.device());
            let (clock, config) = (Arc::new(OsClock::new()), EngineConfig::default());
            let volume = Volume::open(Arc::clone(&device), clock, config).expect("it opens");
            let left: Vec<FileId> = volume.left_alone().iter().map(|left| left.file).collect();
            assert_eq!(left, [FileId(1)]);
            let new = volume.create("cc").expect("room");
            new.write_at(0, &[7; 8192]).expect("room");
            new.sync().expect("the device works");
            drop(new);
            assert_eq!(volume.read_only(), None);
            let second = volume.open_file("bb").expect("it is there");
            let mut out = [0; 4096];
            second
                .read_at(0, &mut out)
                .expect("nothing is wrong with it");
            drop(second);
            volume.close().expect("the device works");
            assert_eq!(check(device.as_ref()).worst(), Some(Severity::Error));
        }
    }
}

#[test]
fn without_decoding_only_what_decoding_shows_is_missed() {
    for plant in PLANTS {
        let mut image = Image::new(plant.files);
        (plant.damage)(&mut image);
        let report = check_with(&image.device(), false, &mut |_| ());
        let missed = plant.kind == "data_undecodable";
        assert_eq!(report.issues.is_empty(), missed, "{}", plant.what);
        assert_eq!(report.extents_decoded, 0);
    }
}

/// What the area should be made up of.
fn area_bytes(report: &CheckReport) -> u64 {
    let tree_bytes = report.node_bytes + report.stored_bytes;
    tree_bytes + report.log_bytes + report.logged_bytes + report.free_bytes
}

#[test]
fn a_capacity_that_is_not_whole_sectors_is_refused() {
    let mut image = Image::new(0);
    for at in SUPERBLOCKS {
        let capacity_bytes = image.u64(at + 40);
        image.set_u64(at + 40, capacity_bytes - 512);
        image.seal_superblock(at);
    }
    let report = check(&image.device());
    assert_eq!(report.worst(), Some(Severity::Fatal));
    let opened = Metadata::open(Arc::new(image.device()), MetaConfig::default());
    let error = opened.expect_err("its last sector is half one").to_string();
    assert!(error.contains("whole sectors"), "{error}");
}

#[test]
fn what_is_stored_is_listed_and_adds_up() {
    let image = Image::new(3);
    let backend: Arc<dyn Backend> = Arc::new(image.device());
    let meta = open(&backend);
    let first = meta.find("aa").expect("it was made");
    // The middle of the raw extent goes: a bookend on each side.
    meta.punch(first, pages(1, 2), None).expect("room");
    meta.commit().expect("the device works");
    let (mut files, mut extents) = (Vec::new(), Vec::new());
    let report = check_with(backend.as_ref(), true, &mut |entry| match entry {
        Entry::File(file) => {
            assert!(extents.is_empty(), "files come first");
            files.push(file.clone());
        }
        Entry::Extent(extent) => extents.push(extent.clone()),
    });
    assert!(report.issues.is_empty(), "{:#?}", report.issues);
    assert_eq!(report.extents_decoded, 1);
    assert_eq!(report.area_bytes, area_bytes(&report));
    assert_eq!((report.bookends, report.dead_bytes()), (1, 2 * PAGE));
    assert_eq!(meta.stats().extents.dead_bytes(), 2 * PAGE);

    assert_eq!(files.len(), 5);
    let aa = &files[0];
    assert_eq!((aa.inode.name.as_str(), aa.mappings), ("aa", 3));
    assert_eq!(
        (aa.inode.size_bytes, aa.mapped_bytes),
        (12 * PAGE, 6 * PAGE)
    );
    // Two of four raw sectors, and two sectors of a compressed extent.
    assert_eq!(aa.stored_bytes, 4 * PAGE);
    assert_eq!((files[2].mappings, files[2].stored_bytes), (0, 0));

    let numbers: Vec<_> = extents
        .iter()
        .map(|extent| {
            (
                extent.plain_bytes,
                extent.live_bytes,
                extent.refs,
                extent.codec,
            )
        })
        .collect();
    assert_eq!(
        numbers,
        [
            (4 * PAGE, 2 * PAGE, 2, 0),
            (4 * PAGE, 4 * PAGE, 1, 1),
            (3 * PAGE, 3 * PAGE, 1, 0)
        ]
    );
    assert_eq!(extents[0].file, first);
    let stored_bytes: u64 = extents.iter().map(|extent| extent.disk.bytes).sum();
    assert_eq!(stored_bytes, report.stored_bytes);
}

#[test]
fn the_worst_issue_is_kept_however_many_come_before_it() {
    let device = MemBackend::new(16 << 20);
    format(&device, 4096);
    let backend: Arc<dyn Backend> = Arc::new(device);
    let meta = open(&backend);
    let file = meta.create("short").expect("room");
    let mut last = None;
    for page in 0..1100 {
        let mut reservation = meta.reserve(PAGE).expect("room");
        let disk = meta
            .space()
            .allocate_contiguous(&mut reservation, PAGE, None)
            .expect("room");
        let extent = NewExtent {
            // Apart from each other and past the size, which stays 0.
            range: FileRange::new(2 * page * PAGE, (2 * page + 1) * PAGE),
            disk,
            ram_bytes: PAGE,
            codec: CODEC_RAW,
            checksums: fill(backend.as_ref(), disk, page),
        };
        meta.finish_extent(file, &extent, None).expect("room");
        last = Some(disk);
    }
    meta.commit().expect("the device works");
    let report = check(backend.as_ref());
    assert_eq!((report.issues.len(), report.issues_more), (1000, 100));
    assert!(report.is_clean(), "warnings alone");
    let disk: DiskExtent = last.expect("many");
    fill(backend.as_ref(), disk, 5_000_000);
    let report = check(backend.as_ref());
    assert_eq!((report.issues.len(), report.issues_more), (1000, 101));
    assert_eq!(report.issues[0].kind(), "data_checksum");
    assert!(!report.is_clean());
}

/// A check of an image one sector of which cannot be read, and where that is.
fn unreadable() -> (u64, CheckReport) {
    let image = Image::new(0);
    let start = image.stored_at(0) as u64;
    let faulty = FaultBackend::new(Arc::new(image.device()));
    faulty.handle().arm(FaultRule {
        on: FaultOn::Read,
        within: Some(start..start + 1),
        nth: 1,
        span: FaultSpan::Persistent,
        action: FaultAction::Error,
    });
    (start, check(&faulty))
}

#[test]
fn unreadable_data_is_an_issue_and_not_the_end() {
    let (start, report) = unreadable();
    assert_eq!(report.worst(), Some(Severity::Error));
    assert_eq!(report.sectors_verified, 5);
    let Issue::DataUnreadable { extent, .. } = &report.issues[0] else {
        panic!("{:?}", report.issues);
    };
    assert_eq!(extent.start, DiskOffset(start));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever a node's bytes are, sealed so that they are believed: no panic, from the check, from
    /// opening, from using what opened.
    #[test]
    fn hostile_nodes_are_refused_or_survived(
        changes in proptest::collection::vec((4..NODE_BYTES, any::<u8>()), 1..12),
        near_slots in any::<bool>(),
        two_levels in any::<bool>(),
    ) {
        let mut image = Image::new(if two_levels { TWO_LEVELS } else { 0 });
        let root = image.root();
        for (at, byte) in changes {
            let at = if near_slots { 32 + at % 400 } else { at };
            image.0[root + at] = byte;
        }
        image.seal_node(root);
        let report = check(&image.device());
        if let Ok(meta) = Metadata::open(Arc::new(image.device()), MetaConfig::default())
            && report.worst() < Some(Severity::Fatal)
        {
            for inode in meta.inodes().expect("in memory") {
                // Any answer but a panic.
                let _ = meta.extents(inode.file);
                let _ = meta.lookup(inode.file, 5000);
                let _ = meta.remove_file(inode.file);
            }
            let _ = meta.commit();
        }
    }
}
