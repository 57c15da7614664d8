//! A full volume: everything promised is kept, removals go on, and what is removed can be filled again.

mod image;

use std::sync::Arc;

use delalloc_backends::{Backend, MemBackend};
use delalloc_engine::alloc::Reservation;
use delalloc_engine::meta::{CODEC_RAW, FileExtent, Metadata, NewExtent};
use delalloc_engine::{EngineError, FileId};
use image::{Oracle, PAGE, Put, check_spotless, fill, format, is_no_space, open, pages, put};

struct Volume {
    backend: Arc<dyn Backend>,
    meta: Arc<Metadata>,
    tag: u64,
}

impl Volume {
    fn new(bytes: u64, node_bytes: u32) -> Self {
        let device = MemBackend::new(bytes);
        format(&device, node_bytes);
        let backend: Arc<dyn Backend> = Arc::new(device);
        let meta = open(&backend);
        Self {
            backend,
            meta,
            tag: 0,
        }
    }

    fn put(
        &mut self,
        file: FileId,
        page: u64,
        count: u64,
    ) -> delalloc_engine::Result<Vec<FileExtent>> {
        self.tag += 1;
        let what = Put {
            file,
            range: pages(page, count),
            stored_sectors: None,
            tag: self.tag,
        };
        put(self.backend.as_ref(), &self.meta, what)
    }

    /// Appends extents of `count` pages until the volume refuses; returns the pages written.
    fn fill(&mut self, file: FileId, from_page: u64, count: u64, oracle: &mut Oracle) -> u64 {
        let mut page = from_page;
        loop {
            match self.put(file, page, count) {
                Ok(extents) => oracle.put(file, &extents),
                Err(EngineError::NoSpace { .. }) => return page,
                Err(error) => panic!("{error}"),
            }
            page += count;
        }
    }

    fn settle(&self, oracle: &Oracle) {
        oracle.compare(&self.meta);
        self.meta.commit().expect("the device works");
        let report = check_spotless(self.backend.as_ref());
        let numbers = self.meta.space().numbers();
        assert_eq!(report.free_bytes, numbers.free_bytes);
        assert_eq!((numbers.pinned_bytes, numbers.reserved_bytes), (0, 0));
    }
}

#[test]
fn filling_overwriting_removing_and_filling_again_ends_where_it_began() {
    for (node_bytes, count) in [(1024, 1), (4096, 8), (16 << 10, 1), (16 << 10, 32)] {
        let mut volume = Volume::new(8 << 20, node_bytes);
        let empty = volume.meta.space().numbers();
        let file = volume.meta.create("full").expect("room");
        let mut filled_pages = Vec::new();
        for round in 0..3 {
            let mut oracle = Oracle::default();
            let end = volume.fill(file, 0, count, &mut oracle);
            filled_pages.push(end);
            assert!(
                end * PAGE > 5 << 20,
                "only {end} pages of {node_bytes}-byte nodes"
            );
            // On a full volume an overwrite is refused or works; space never runs out in the middle.
            for page in (0..end).step_by(7) {
                match volume.put(file, page, 1) {
                    Ok(extents) => oracle.put(file, &extents),
                    refused => assert!(is_no_space(&refused), "{refused:?}"),
                }
            }
            volume.settle(&oracle);
            if round == 1 {
                volume
                    .meta
                    .punch(file, pages(3, end - 5), None)
                    .expect("a punch goes on");
                oracle.punch(file, pages(3, end - 5));
                volume.settle(&oracle);
            }
            volume
                .meta
                .truncate(file, 0, 0)
                .expect("a truncate goes on");
            oracle.truncate(file, 0);
            volume.settle(&oracle);
        }
        assert!(
            filled_pages.iter().all(|&end| end == filled_pages[0]),
            "{filled_pages:?} pages went in"
        );
        volume.meta.remove_file(file).expect("a removal goes on");
        volume.meta.commit().expect("the device works");
        assert_eq!(volume.meta.space().numbers(), empty);
    }
}

#[test]
fn files_are_refused_on_a_full_volume_and_removed_from_it() {
    let mut volume = Volume::new(4 << 20, 4096);
    let file = volume.meta.create("full").expect("room");
    let mut oracle = Oracle::default();
    volume.fill(file, 0, 4, &mut oracle);
    let mut names = Vec::new();
    let refused = loop {
        let name = format!("file {} {}", names.len(), "x".repeat(200));
        match volume.meta.create(&name) {
            Ok(file) => names.push(file),
            refused => break refused,
        }
    };
    assert!(is_no_space(&refused), "{refused:?}");
    for file in names {
        volume.meta.remove_file(file).expect("a removal goes on");
    }
    volume.settle(&oracle);
}

#[test]
fn a_fragmented_volume_keeps_places_for_nodes() {
    // 8 MiB beside the log.
    let mut volume = Volume::new((8 << 20) + (128 << 10), 16 << 10);
    let (odd, even) = (
        volume.meta.create("odd").expect("room"),
        volume.meta.create("even").expect("room"),
    );
    let mut oracle = Oracle::default();
    // Sectors alternate between two files; removing one leaves only single free sectors.
    let mut page = 0;
    loop {
        let file = if page % 2 == 0 { even } else { odd };
        match volume.put(file, page, 1) {
            Ok(extents) => oracle.put(file, &extents),
            Err(EngineError::NoSpace { .. }) => break,
            Err(error) => panic!("{error}"),
        }
        page += 1;
    }
    volume.meta.truncate(odd, 0, 0).expect("a truncate goes on");
    oracle.truncate(odd, 0);
    volume.settle(&oracle);
    // What goes in goes in pieces, and stops where the items it needs would have no nodes left: single
    // pages need the fewest.
    let end = volume.fill(odd, 0, 2, &mut oracle);
    let extents = volume.meta.extents(odd).expect("the device works");
    assert!(end >= 2 && extents.len() as u64 > end / 2, "in pieces");
    let end = volume.fill(odd, end, 1, &mut oracle);
    assert!(
        end * 10 > page / 2 * 7,
        "{end} of {page} pages went in again"
    );
    volume.settle(&oracle);
    volume.meta.remove_file(even).expect("a removal goes on");
    oracle.files.remove(&even);
    volume.settle(&oracle);
}

#[test]
fn promises_are_kept_apart_and_given_back() {
    let volume = Volume::new(4 << 20, 4096);
    let space = volume.meta.space();
    let before = space.numbers();
    let mut all = space
        .reserve(before.available_bytes)
        .expect("what is available");
    assert!(is_no_space(&space.reserve(PAGE)));
    assert!(!space.commit_would_help(PAGE));
    let part = all.split(10 * PAGE);
    assert_eq!(part.bytes(), 10 * PAGE);
    drop(part);
    let again = space.reserve(10 * PAGE).expect("given back");
    all.merge(again);
    assert_eq!(all.bytes(), before.available_bytes);
    // Everything promised can be allocated.
    let bytes = all.bytes();
    let pieces = space
        .allocate_pieces(&mut all, bytes, 512 << 10, None)
        .expect("promised");
    assert_eq!(pieces.iter().map(|piece| piece.bytes).sum::<u64>(), bytes);
    assert_eq!(all.bytes(), 0);
    for piece in pieces {
        space.free_unpublished(piece);
    }
    drop(all);
    assert_eq!(space.numbers(), before);
}

/// The file's items go behind a leaf that is full, each before the last one.
#[test]
fn promised_pages_are_finished_from_the_last_to_the_first() {
    for (node_bytes, bytes) in [(4096, 4 << 20), (4096, 8 << 20), (16 << 10, 16 << 20)] {
        let mut volume = Volume::new(bytes, node_bytes);
        let mut files = Vec::new();
        while volume.meta.stats().tree_nodes == 1 {
            let name = format!("{:0>60}", files.len());
            files.push(volume.meta.create(&name).expect("room"));
        }
        let file = files[files.len() - 2];
        let (mut reservation, count) = reserve_all(&volume.meta);
        for page in (0..count).rev() {
            let disks = volume
                .meta
                .allocate_pieces(&mut reservation, PAGE, PAGE, None)
                .expect("a promise is kept");
            volume.tag += 1;
            let extent = NewExtent {
                range: pages(2 * page, 1),
                disk: disks[0],
                ram_bytes: PAGE,
                codec: CODEC_RAW,
                checksums: fill(volume.backend.as_ref(), disks[0], volume.tag),
            };
            let finished = volume.meta.finish_extent(file, &extent, None);
            finished.unwrap_or_else(|error| {
                panic!("page {page} of {count}, nodes of {node_bytes}: {error}")
            });
        }
    }
}

/// A promise of as many pages as there are to have, and how many.
fn reserve_all(meta: &Metadata) -> (Reservation, u64) {
    let (mut had, mut refused) = (0, meta.space().numbers().free_bytes / PAGE);
    while had + 1 < refused {
        let count = (had + refused) / 2;
        match meta.reserve(count * PAGE) {
            Ok(_given_back) => had = count,
            Err(_) => refused = count,
        }
    }
    (meta.reserve(had * PAGE).expect("it was there before"), had)
}
