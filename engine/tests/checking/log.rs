//! A volume with a log, and what can be wrong with that.

use std::sync::Arc;

use delalloc_backends::Backend;
use delalloc_engine::meta::{MetaConfig, Metadata};
use delalloc_engine::recover::{Issue, Severity, check};
use delalloc_engine::{DiskExtent, FileRange};

use super::damage::Image;
use crate::image::{Put, open, pages, put};

/// Where the log is, and its first sectors: a batch each.
const LOG: usize = 256 << 10;
/// Bytes of a batch's header, and where in a record its file is.
const BATCH_HEADER: usize = 48;
const RECORD_FILE: usize = 16;

/// The image of before, with three batches in its log: a new file and three sectors of it; another new
/// file; two sectors of that.
pub(crate) fn logged() -> (Image, [DiskExtent; 2]) {
    let backend: Arc<dyn Backend> = Arc::new(Image::new(0).device());
    let meta = open(&backend);
    let extent = |name: &str, pages, tag| {
        let file = meta.find(name).expect("it was made");
        let what = Put {
            file,
            range: pages,
            stored_sectors: None,
            tag,
        };
        let made = put(backend.as_ref(), &meta, what).expect("room");
        meta.sync_file(file).expect("the device works");
        made[0].disk
    };
    meta.create("cc").expect("room");
    let first = extent("cc", pages(0, 3), 50);
    let last = meta.create("dd").expect("room");
    meta.sync_file(last).expect("the device works");
    let second = extent("dd", pages(2, 2), 60);
    (Image::of(backend.as_ref()), [first, second])
}

/// What comes in place of a part of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Instead {
    Bytes,
    Hole,
}

/// `image`, and in its log that something comes in place of `range` of the first file.
pub(crate) fn replaced(image: &Image, range: FileRange, by: Instead) -> Image {
    let backend: Arc<dyn Backend> = Arc::new(image.device());
    let meta = open(&backend);
    let file = meta.find("aa").expect("it was made");
    match by {
        Instead::Bytes => {
            let what = Put {
                file,
                range,
                stored_sectors: None,
                tag: 70,
            };
            put(backend.as_ref(), &meta, what).expect("room");
        }
        Instead::Hole => meta.punch(file, range, None).expect("room"),
    }
    meta.sync_file(file).expect("the device works");
    Image::of(backend.as_ref())
}

/// The image of `logged`, and in its log this page of the first file of the tree as well.
pub(crate) fn logged_page(start: u64) -> Image {
    let (mut image, _) = logged();
    let page = image.page(1, start, 1);
    image.log_more(&[page]);
    image
}

/// Where the last of the three batches is, which has one record: an extent of file `DD`.
const LAST: usize = LOG + 2 * 4096;
const CC: u64 = 3;
const DD: u64 = 4;
/// Pages of that extent.
const DD_PAGES: [u64; 2] = [2, 4];

impl Image {
    /// The record of the last batch, of another file if need be.
    fn finish(&self, file: u64) -> Vec<u8> {
        let start = LAST + BATCH_HEADER;
        let mut record = self.0[start..start + self.u16(start)].to_vec();
        record[RECORD_FILE..RECORD_FILE + 8].copy_from_slice(&file.to_le_bytes());
        record
    }

    /// A record as docs/format.md has it, of the generation of the others.
    fn record(&self, kind: u8, size: (u8, u64), file: u64, body: &[u64]) -> Vec<u8> {
        let len = u32::try_from(32 + 8 * body.len()).expect("short");
        let mut record = len.to_le_bytes().to_vec();
        record.extend_from_slice(&[kind, size.0, 0, 0]);
        record.extend_from_slice(&self.0[LAST + BATCH_HEADER + 8..][..8]);
        for word in [file, size.1].iter().chain(body) {
            record.extend_from_slice(&word.to_le_bytes());
        }
        record
    }

    fn cut(&self, file: u64, pages: [u64; 2]) -> Vec<u8> {
        self.record(6, (0, 0), file, &[pages[0] * 4096, pages[1] * 4096, 0])
    }

    /// A page with this number.
    fn page(&self, file: u64, start: u64, number: u64) -> Vec<u8> {
        let mut record = self.record(7, (1, 4096), file, &[start, number]);
        record.resize(record.len() + 4096, 7);
        let len = u32::try_from(record.len()).expect("short");
        record[..4].copy_from_slice(&len.to_le_bytes());
        record
    }

    /// Puts these records behind those of the last batch.
    fn log_more(&mut self, records: &[Vec<u8>]) {
        let mut payload_bytes = self.u16(LAST + 32);
        for record in records {
            let at = LAST + BATCH_HEADER + payload_bytes;
            self.0[at..at + record.len()].copy_from_slice(record);
            payload_bytes += record.len();
        }
        let payload_bytes = u32::try_from(payload_bytes).expect("a few pages");
        self.set_u32(LAST + 32, payload_bytes);
        self.seal_batch(LAST);
    }

    fn seal_batch(&mut self, at: usize) {
        let end = at + BATCH_HEADER + self.u16(at + 32);
        let crc = crc32c::crc32c(&self.0[at + 4..end]);
        self.set_u32(at, crc);
    }

    fn change_data(&mut self, disk: DiskExtent) {
        self.0[usize::try_from(disk.start.0).expect("small") + 9] ^= 1;
    }
}

/// Damages a log; returns what is found, after a look at whether the volume opens.
fn damaged_log(what: &str, opens: bool, damage: impl Fn(&mut Image, [DiskExtent; 2])) -> Issue {
    let (mut image, disks) = logged();
    damage(&mut image, disks);
    let report = check(&image.device());
    assert_eq!(report.issues.len(), 1, "{what}: {:#?}", report.issues);
    let opened = Metadata::open(Arc::new(image.device()), MetaConfig::default());
    assert_eq!(opened.is_ok(), opens, "{what}: {opened:?}");
    report.issues[0].clone()
}

/// Logs that nobody writes, sealed: what is found, after a look that none of them opens.
pub(crate) fn impossible_logs() -> Vec<(&'static str, Issue)> {
    type Records = fn(&Image) -> Vec<Vec<u8>>;
    let cases: [(&str, Records); 7] = [
        ("one address for two files", |image| vec![image.finish(CC)]),
        ("one address for two places in a file", |image| {
            let mut moved = image.finish(DD);
            moved[32..40].copy_from_slice(&(8 * 4096_u64).to_le_bytes());
            vec![moved]
        }),
        ("an extent again after it was cut", |image| {
            let (cut, finish) = (image.cut(DD, DD_PAGES), image.finish(DD));
            vec![cut.clone(), finish, cut]
        }),
        ("an extent again after a part of it was cut", |image| {
            vec![image.cut(DD, [3, 4]), image.finish(DD)]
        }),
        ("a file removed with what it shows", |image| {
            let bare = |kind| image.record(kind, (0, 0), CC, &[]);
            vec![bare(3), bare(4)]
        }),
        ("a file of the tree removed with what it shows", |image| {
            let bare = |kind| image.record(kind, (0, 0), 1, &[]);
            vec![bare(3), image.cut(1, [0, 9]), bare(4)]
        }),
        ("pages too far from each other", |image| {
            vec![image.page(CC, 4096, 1), image.page(CC, 0, 1 << 40)]
        }),
    ];
    let damaged = |(what, records): (&'static str, Records)| {
        let found = damaged_log(what, false, |image, _| {
            let records = records(image);
            image.log_more(&records);
        });
        (what, found)
    };
    cases.into_iter().map(damaged).collect()
}

/// Logs that only look like those: they are sound.
pub(crate) fn possible_logs() -> Vec<Image> {
    type Records = fn(&Image) -> Vec<Vec<u8>>;
    let cases: [Records; 3] = [
        |image| vec![image.finish(DD)],
        |image| {
            vec![
                image.cut(DD, [4, 5]),
                image.finish(DD),
                image.cut(DD, [3, 4]),
            ]
        },
        |image| {
            let bare = |kind| image.record(kind, (0, 0), 1, &[]);
            vec![bare(3), image.cut(1, [0, 12]), bare(4)]
        },
    ];
    let logged = |records: Records| {
        let (mut image, _) = logged();
        let records = records(&image);
        image.log_more(&records);
        image
    };
    cases.into_iter().map(logged).collect()
}

pub(crate) fn damages_of_the_log() -> [(Issue, Severity); 4] {
    [
        (
            damaged_log("a batch before others", false, |image, _| {
                image.0[LOG + BATCH_HEADER + 3] ^= 1;
            }),
            Severity::Fatal,
        ),
        (
            damaged_log("data of the last batch", true, |image, [_, last]| {
                image.change_data(last);
            }),
            Severity::Warning,
        ),
        (
            damaged_log(
                "data of a batch before others",
                true,
                |image, [first, _]| {
                    image.change_data(first);
                },
            ),
            Severity::Error,
        ),
        (
            damaged_log("a record of a file that is not there", false, |image, _| {
                let batch = LOG + 2 * 4096;
                image.set_u64(batch + BATCH_HEADER + RECORD_FILE, 77);
                image.seal_batch(batch);
            }),
            Severity::Fatal,
        ),
    ]
}
