//! A volume with a log, and what can be wrong with that.

use std::sync::Arc;

use delalloc_backends::{Backend, BackendExt};
use delalloc_engine::DiskExtent;
use delalloc_engine::meta::{MetaConfig, Metadata};
use delalloc_engine::recover::{Issue, Severity, check};

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
    let mut bytes = Vec::new();
    while bytes.len() < 4 << 20 {
        let part = backend.read_blocking(bytes.len() as u64, 1 << 20);
        bytes.extend_from_slice(&part.expect("memory"));
    }
    (Image(bytes), [first, second])
}

impl Image {
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
