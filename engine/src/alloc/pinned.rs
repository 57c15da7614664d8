//! Freed, and not reusable until the generation that freed it is durable.
//!
//! Until then a crash goes back to a tree that still points there. Extents wait in the order they
//! were freed, a list per generation; nothing is ever taken out of the middle.
//!
//! Not here: the free bytes they become (free_map).

use std::collections::BTreeMap;

use crate::units::{DiskExtent, Generation};

/// Freed extents by the generation that freed them.
#[derive(Debug, Default)]
pub(crate) struct Pinned {
    lists: BTreeMap<Generation, Vec<DiskExtent>>,
    bytes: u64,
}

impl Pinned {
    /// Adds an extent freed in `generation`.
    pub(crate) fn push(&mut self, extent: DiskExtent, generation: Generation) {
        self.lists.entry(generation).or_default().push(extent);
        self.bytes += extent.bytes;
    }

    /// Takes up to `count_max` extents that `generation` or an earlier one freed.
    pub(crate) fn take_through(
        &mut self,
        generation: Generation,
        count_max: usize,
    ) -> Vec<DiskExtent> {
        let Some(mut entry) = self.lists.first_entry() else {
            return Vec::new();
        };
        if *entry.key() > generation {
            return Vec::new();
        }
        let list = entry.get_mut();
        let taken = list.split_off(list.len().saturating_sub(count_max));
        if list.is_empty() {
            entry.remove();
        }
        self.bytes -= taken.iter().map(|extent| extent.bytes).sum::<u64>();
        taken
    }

    /// All pinned bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::DiskOffset;

    #[test]
    fn only_durable_generations_come_out() {
        let extent = |n: u64| DiskExtent {
            start: DiskOffset(n * 4096),
            bytes: 4096,
        };
        let mut pinned = Pinned::default();
        for n in 0..5 {
            pinned.push(extent(n), Generation(3));
        }
        pinned.push(extent(9), Generation(4));
        assert!(pinned.take_through(Generation(2), 10).is_empty());
        assert_eq!(pinned.take_through(Generation(3), 3).len(), 3);
        assert_eq!(pinned.take_through(Generation(3), 3).len(), 2);
        assert!(pinned.take_through(Generation(3), 3).is_empty());
        assert_eq!(pinned.bytes(), 4096);
    }
}
