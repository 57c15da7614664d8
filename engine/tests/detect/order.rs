//! A file is placed on the device in its own order, although some of its items take longer than others.

use std::sync::Arc;

use delalloc_backends::Backend;
use delalloc_engine::meta::{MetaConfig, Metadata};

use super::case;
use crate::support::{Dice, config, formatted, open};

/// Items that take long are followed by some that do not; places rise with the offset in the file.
pub(crate) fn a_file_is_placed_in_its_order() {
    const ITEM: usize = 512 << 10;
    for seed in 0..4 {
        case();
        let base = formatted(32 << 20);
        let knobs = [
            ("compression.level", "15"),
            ("compression.backoff_extents_max", "0"),
            ("thread_pool_size", "3"),
            ("pool.kind", "plain"),
        ];
        let volume = open(&base, &config(&knobs));
        let file = volume.create("file").expect("a new file");
        let mut dice = Dice::new(seed);
        let mut bytes = Vec::new();
        for item in 0..8 {
            bytes.extend(match item % 2 {
                0 => dice.text(ITEM),
                _ => dice.noise(ITEM),
            });
        }
        file.write_at(0, &bytes).expect("a write fits");
        volume.close().expect("a close");
        let backend: Arc<dyn Backend> = Arc::clone(&base);
        let meta = Metadata::open(backend, MetaConfig::default()).expect("a volume");
        let id = meta.find("file").expect("it was made");
        let extents = meta.extents(id).expect("memory");
        assert!(extents.len() > 8, "seed {seed}: too few to have an order");
        let rising = extents.is_sorted_by_key(|extent| extent.disk.start);
        assert!(rising, "seed {seed}: a file lies about in disorder");
    }
}
