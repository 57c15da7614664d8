//! A file of very many mappings, cut while a node cannot be read: what is left is the same for who looks now and
//! for who opens the volume later.

use std::sync::Arc;

use delalloc_backends::{Backend, FaultAction, FaultBackend, FaultOn, FaultRule, MemBackend};
use delalloc_engine::{File, FormatOptions, Result, Volume};

use crate::support::{config, open};

/// A file of so many mappings that a cut takes several steps, with more nodes than are kept in memory: opening looks at
/// all of them.
pub(crate) struct Scattered {
    device: MemBackend,
}

impl Scattered {
    pub(crate) const STEP: u64 = 8192;
    pub(crate) const PAGES: u64 = 9000;
    const KNOBS: [(&str, &str); 2] = [("thread_pool_size", "2"), ("meta.node_cache", "1MiB")];

    pub(crate) fn new() -> Self {
        let device = Arc::new(MemBackend::new(128 << 20));
        let backend: Arc<dyn Backend> = Arc::clone(&device) as Arc<dyn Backend>;
        let options = FormatOptions {
            node_bytes: 4096,
            ..FormatOptions::default()
        };
        Volume::format(&backend, &options).expect("a device can be formatted");
        let volume = open(&backend, &config(&Self::KNOBS));
        let file = volume.create("file").expect("a new file");
        for n in 0..Self::PAGES {
            file.write_at(n * Self::STEP, &Self::page(n))
                .expect("a write fits");
        }
        drop(file);
        volume.close().expect("it closes");
        Self {
            device: device.fork(),
        }
    }

    fn page(n: u64) -> [u8; 4096] {
        [u8::try_from(1 + n % 251).expect("a byte"); 4096]
    }

    /// Which pages are there; the others are zeros.
    fn present(file: &File) -> Vec<bool> {
        let size = file.size_bytes();
        let mut found = [0; 4096];
        (0..Self::PAGES)
            .take_while(|n| n * Self::STEP < size)
            .map(|n| {
                file.read_at(n * Self::STEP, &mut found).expect("a read");
                let there = found == Self::page(n);
                assert!(there || found == [0; 4096], "page {n} is of nothing");
                there
            })
            .collect()
    }

    /// Fails reads of nodes, each 29th in turn, once, while `cut` works on the file, until it meets no fault. Where
    /// the volume goes on, `looks` has a look, and what is there is the same after a sync, a crash and an opening.
    /// Answers how often `looks` saw that a part was done.
    pub(crate) fn cut_short(
        &self,
        cut: impl Fn(&File) -> Result<()>,
        looks: impl Fn(u64, &[bool]) -> bool,
    ) -> u32 {
        let (mut nth, mut in_part) = (1, 0);
        loop {
            let image: Arc<dyn Backend> = Arc::new(self.device.fork());
            let faulty = FaultBackend::new(Arc::clone(&image));
            let handle = faulty.handle();
            let faulty: Arc<dyn Backend> = Arc::new(faulty);
            let volume = open(&faulty, &config(&Self::KNOBS));
            let file = volume.open_file("file").expect("it is there");
            let before = Self::present(&file);
            assert!(before.iter().all(|there| *there));
            handle.arm(FaultRule::once(FaultOn::Read, nth, FaultAction::Error));
            if cut(&file).is_ok() {
                return in_part;
            }
            handle.disarm();
            let size = file.size_bytes();
            if file.write_at(0, &Self::page(0)).is_ok() {
                let left = Self::present(&file);
                in_part += u32::from(looks(size, &left));
                file.sync().expect("the device works again");
                drop((file, volume));
                let volume = open(&image, &config(&Self::KNOBS));
                let file = volume.open_file("file").expect("it is there");
                assert_eq!(file.size_bytes(), size, "read {nth}");
                assert!(Self::present(&file) == left, "read {nth}: another file");
            }
            nth += 29;
        }
    }
}
