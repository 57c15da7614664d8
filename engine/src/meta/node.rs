//! One tree node: search, insert, remove and split, on its own bytes.
//!
//! A node in memory is the node on the device, header apart: slots grow up from the header in key
//! order, values grow down from the end in any order. So a copy is one memcpy and writing is a copy
//! and a checksum. The alternative, decoded items in vectors, costs an allocation per item for each
//! copy-on-write.
//!
//! ```text
//!   | header | slot 0 | slot 1 | ... |   free   | value | dead | value | value |
//!   0        48                      ^slots end ^heap start                    node_bytes
//! ```
//!
//! Leaves hold items, inner nodes hold child pointers under the lowest key of the child's range.
//!
//! Invariants
//!   * Keys ascend strictly. Everything in child i is at least key i and below key i + 1.
//!   * No value is longer than a quarter of a node, so a split always makes room.
//!   * Structure is checked once, when bytes come from the device; after that it is trusted.
//!
//! Not here: which node (btree), the layout of a header and a slot (format).

use super::format::{
    self, Key, Malformed, NODE_HEADER_BYTES, NodeHeader, NodePointer, POINTER_BYTES, SLOT_BYTES,
    Slot,
};
use crate::units::{DiskOffset, Generation};

/// A tree node in memory.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    bytes: Box<[u8]>,
    address: DiskOffset,
    generation: Generation,
    level: u8,
    items: usize,
    heap_start: usize,
    dead_bytes: usize,
    /// Bytes that came at the end since anything came elsewhere; zero in a node from the device.
    appended_bytes: usize,
}

/// Where a node must be cut for an item that did not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SplitPoint {
    /// Items that stay.
    pub(crate) stay: usize,
    /// The new item goes to the right node.
    pub(crate) goes_right: bool,
}

impl Node {
    /// A node without items.
    pub(crate) fn empty(
        node_bytes: usize,
        level: u8,
        address: DiskOffset,
        generation: Generation,
    ) -> Self {
        Self {
            bytes: vec![0; node_bytes].into_boxed_slice(),
            address,
            generation,
            level,
            items: 0,
            heap_start: node_bytes,
            dead_bytes: 0,
            appended_bytes: 0,
        }
    }

    /// Takes bytes from the device for a node, if they are one and the one expected.
    pub(crate) fn from_device(
        bytes: Box<[u8]>,
        expected: NodePointer,
        level: u8,
        volume: u64,
    ) -> Result<Self, Malformed> {
        const WHAT: &str = "tree node";
        let header = format::open_node(&bytes)?;
        if header.address != expected.address {
            return Err(Malformed::new(
                WHAT,
                format!("own address {}", expected.address.0),
                header.address.0,
            ));
        }
        if header.volume != volume {
            return Err(Malformed::new(
                WHAT,
                format!("volume {volume:016x}"),
                format!("{:016x}", header.volume),
            ));
        }
        if header.generation != expected.generation {
            return Err(Malformed::new(
                WHAT,
                format!("generation {}", expected.generation.0),
                header.generation.0,
            ));
        }
        if header.level != level {
            return Err(Malformed::new(WHAT, format!("level {level}"), header.level));
        }
        let mut node = Self {
            heap_start: bytes.len(),
            bytes,
            address: header.address,
            generation: header.generation,
            level,
            items: usize::from(header.items),
            dead_bytes: 0,
            appended_bytes: 0,
        };
        node.check_structure()?;
        Ok(node)
    }

    fn check_structure(&mut self) -> Result<(), Malformed> {
        const WHAT: &str = "items of a tree node";
        let slots_end = self.slots_end();
        if slots_end > self.bytes.len() || (self.level > 0 && self.items < 2) {
            return Err(Malformed::new(
                WHAT,
                "a possible number of items",
                self.items,
            ));
        }
        let value_max = format::value_bytes_max(self.bytes.len());
        let mut last: Option<Key> = None;
        let mut value_sum = 0;
        for at in 0..self.items {
            let slot = format::decode_slot(&self.bytes, NODE_HEADER_BYTES + at * SLOT_BYTES)?;
            if last.is_some_and(|last| last >= slot.key) {
                return Err(Malformed::new(
                    WHAT,
                    "ascending keys",
                    format!("{:?}", slot.key),
                ));
            }
            last = Some(slot.key);
            let (start, bytes) = (usize::from(slot.value_at), usize::from(slot.value_bytes));
            let length_fits = if self.level > 0 {
                bytes == POINTER_BYTES
            } else {
                (1..=value_max).contains(&bytes)
            };
            if !length_fits || start < slots_end || start + bytes > self.bytes.len() {
                return Err(Malformed::new(
                    WHAT,
                    "values inside the node",
                    format!("{bytes} bytes at {start}"),
                ));
            }
            self.heap_start = self.heap_start.min(start);
            value_sum += bytes;
        }
        let heap_bytes = self.bytes.len() - self.heap_start;
        if value_sum > heap_bytes || self.values_share_bytes() {
            return Err(Malformed::new(
                WHAT,
                "values apart from each other",
                value_sum,
            ));
        }
        self.dead_bytes = heap_bytes - value_sum;
        Ok(())
    }

    /// Values that share a byte would be fine to read, and a change of one would change the other.
    fn values_share_bytes(&self) -> bool {
        let mut taken = vec![0_u64; self.bytes.len() / 64];
        (0..self.items).any(|item| {
            let (mut at, bytes) = format::slot_value(self.slot(item));
            let end = at + bytes;
            let mut shared = 0;
            while at < end {
                let word_end = end.min((at / 64 + 1) * 64);
                let mask = (u64::MAX >> (64 - (word_end - at))) << (at % 64);
                shared |= taken[at / 64] & mask;
                taken[at / 64] |= mask;
                at = word_end;
            }
            shared != 0
        })
    }

    /// Writes the sealed node into `out`, whose tail beyond the node becomes zero.
    pub(crate) fn image(&self, volume: u64, out: &mut [u8]) {
        let node_bytes = self.bytes.len();
        let (node, tail) = out.split_at_mut(node_bytes);
        node.copy_from_slice(&self.bytes);
        tail.fill(0);
        let items = u16::try_from(self.items).expect("a node has below 65536 items");
        format::seal_node(
            node,
            &NodeHeader {
                address: self.address,
                generation: self.generation,
                volume,
                level: self.level,
                items,
            },
        );
    }

    /// The same items at another address in another generation.
    pub(crate) fn copied_to(&self, address: DiskOffset, generation: Generation) -> Self {
        Self {
            address,
            generation,
            ..self.clone()
        }
    }

    pub(crate) fn pointer(&self) -> NodePointer {
        NodePointer {
            address: self.address,
            generation: self.generation,
        }
    }

    pub(crate) fn level(&self) -> u8 {
        self.level
    }

    pub(crate) fn items(&self) -> usize {
        self.items
    }

    pub(crate) fn key(&self, at: usize) -> Key {
        format::slot_key(self.slot(at))
    }

    pub(crate) fn value(&self, at: usize) -> &[u8] {
        let (start, bytes) = format::slot_value(self.slot(at));
        &self.bytes[start..start + bytes]
    }

    pub(crate) fn value_mut(&mut self, at: usize) -> &mut [u8] {
        let (start, bytes) = format::slot_value(self.slot(at));
        &mut self.bytes[start..start + bytes]
    }

    /// The child of an inner node.
    pub(crate) fn child(&self, at: usize) -> NodePointer {
        debug_assert!(self.level > 0);
        format::decode_pointer(self.value(at))
    }

    pub(crate) fn set_child(&mut self, at: usize, pointer: NodePointer) {
        debug_assert!(self.level > 0);
        self.value_mut(at)
            .copy_from_slice(&format::encode_pointer(pointer));
    }

    /// Where `key` is, or where it would be inserted.
    pub(crate) fn search(&self, key: &Key) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.items);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.key(middle).cmp(key) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    /// The child whose range holds `key`.
    pub(crate) fn child_of(&self, key: &Key) -> usize {
        match self.search(key) {
            Ok(at) => at,
            Err(at) => at.saturating_sub(1),
        }
    }

    /// Puts an item at `at`; false, and nothing changes, where it does not fit.
    #[must_use]
    pub(crate) fn insert(&mut self, at: usize, key: &Key, value: &[u8]) -> bool {
        assert!(at <= self.items && value.len() <= format::value_bytes_max(self.bytes.len()));
        let wanted_bytes = SLOT_BYTES + value.len();
        if wanted_bytes > self.free_bytes() {
            return false;
        }
        if wanted_bytes > self.heap_start - self.slots_end() {
            self.compact();
        }
        self.heap_start -= value.len();
        self.bytes[self.heap_start..self.heap_start + value.len()].copy_from_slice(value);
        let slot_start = NODE_HEADER_BYTES + at * SLOT_BYTES;
        let slots_end = self.slots_end();
        self.bytes
            .copy_within(slot_start..slots_end, slot_start + SLOT_BYTES);
        self.appended_bytes = if at == self.items {
            self.appended_bytes + wanted_bytes
        } else {
            0
        };
        self.items += 1;
        self.put_slot(at, key, self.heap_start, value.len());
        true
    }

    /// Takes an item out.
    pub(crate) fn remove(&mut self, at: usize) {
        assert!(at < self.items);
        let (start, bytes) = format::slot_value(self.slot(at));
        if start == self.heap_start {
            self.heap_start += bytes;
        } else {
            self.dead_bytes += bytes;
        }
        let slot_start = NODE_HEADER_BYTES + at * SLOT_BYTES;
        let slots_end = self.slots_end();
        self.bytes
            .copy_within(slot_start + SLOT_BYTES..slots_end, slot_start);
        self.items -= 1;
    }

    /// Gives a child another lowest key.
    pub(crate) fn set_key(&mut self, at: usize, key: &Key) {
        let (start, bytes) = format::slot_value(self.slot(at));
        self.put_slot(at, key, start, bytes);
    }

    /// Where to cut for an item of `value_bytes` at `at` that did not fit: in the middle by bytes, or at
    /// the end, so that ascending inserts leave full nodes behind. Something that comes last is no proof
    /// that keys ascend, unless nothing can be behind it (`is_last`: of all nodes of its level) or all of
    /// the node came like this. Cut at the end for less, a full node would give away a new one for each
    /// of the descending keys behind it; this way each node that is left full was paid for by what
    /// filled it.
    pub(crate) fn split_point(&self, at: usize, value_bytes: usize, is_last: bool) -> SplitPoint {
        let ascends = is_last || self.appended_bytes >= self.used_bytes();
        if at == self.items && ascends {
            let moved = usize::from(self.level > 0);
            return SplitPoint {
                stay: self.items - moved,
                goes_right: true,
            };
        }
        let half_bytes = (self.used_bytes() + SLOT_BYTES + value_bytes) / 2;
        let (mut left_bytes, mut stay) = (0, 0);
        let mut seen_new = false;
        while left_bytes < half_bytes {
            if stay == at && !seen_new {
                seen_new = true;
                left_bytes += SLOT_BYTES + value_bytes;
            } else {
                left_bytes += SLOT_BYTES + self.value(stay).len();
                stay += 1;
            }
        }
        SplitPoint {
            stay,
            goes_right: !seen_new,
        }
    }

    /// Moves the items from `at` on to the end of `right`.
    pub(crate) fn move_tail(&mut self, at: usize, right: &mut Self) {
        for from in at..self.items {
            right.push(&self.key(from), self.value(from));
        }
        right.appended_bytes = right.appended_bytes.min(self.appended_bytes);
        self.appended_bytes = 0;
        self.keep(0..at);
    }

    /// Moves the first `count` items of `right` to the end of this node.
    pub(crate) fn take_head(&mut self, right: &mut Self, count: usize) {
        for from in 0..count {
            self.push(&right.key(from), right.value(from));
        }
        self.appended_bytes = 0;
        right.keep(count..right.items);
    }

    /// Moves the items from `at` on to the front of `right`.
    pub(crate) fn give_tail(&mut self, at: usize, right: &mut Self) {
        for from in (at..self.items).rev() {
            let fits = right.insert(0, &self.key(from), self.value(from));
            assert!(fits, "a sibling has room for what evens them out");
        }
        self.appended_bytes = 0;
        self.keep(0..at);
    }

    /// How many of the first items have `bytes` together; at least one, and not all.
    pub(crate) fn items_within(&self, bytes: usize) -> usize {
        let mut sum_bytes = 0;
        (0..self.items)
            .take_while(|&at| {
                sum_bytes += SLOT_BYTES + self.value(at).len();
                sum_bytes <= bytes
            })
            .count()
            .clamp(1, self.items - 1)
    }

    /// Bytes of slots and values.
    pub(crate) fn used_bytes(&self) -> usize {
        self.capacity_bytes() - self.free_bytes()
    }

    /// Bytes for slots and values.
    pub(crate) fn capacity_bytes(&self) -> usize {
        self.bytes.len() - NODE_HEADER_BYTES
    }

    fn free_bytes(&self) -> usize {
        self.heap_start - self.slots_end() + self.dead_bytes
    }

    fn push(&mut self, key: &Key, value: &[u8]) {
        let fits = self.insert(self.items, key, value);
        assert!(fits, "a node has room for what is moved to it");
    }

    fn keep(&mut self, kept: std::ops::Range<usize>) {
        let start = NODE_HEADER_BYTES + kept.start * SLOT_BYTES;
        let end = NODE_HEADER_BYTES + kept.end * SLOT_BYTES;
        self.bytes.copy_within(start..end, NODE_HEADER_BYTES);
        self.items = kept.len();
        self.compact();
    }

    fn compact(&mut self) {
        let old = self.bytes.clone();
        self.heap_start = self.bytes.len();
        for at in 0..self.items {
            let (start, bytes) = format::slot_value(self.slot(at));
            self.heap_start -= bytes;
            let key = self.key(at);
            self.bytes[self.heap_start..self.heap_start + bytes]
                .copy_from_slice(&old[start..start + bytes]);
            self.put_slot(at, &key, self.heap_start, bytes);
        }
        self.dead_bytes = 0;
    }

    fn slots_end(&self) -> usize {
        NODE_HEADER_BYTES + self.items * SLOT_BYTES
    }

    fn slot(&self, at: usize) -> &[u8; SLOT_BYTES] {
        debug_assert!(at < self.items);
        let start = NODE_HEADER_BYTES + at * SLOT_BYTES;
        self.bytes[start..]
            .first_chunk()
            .expect("slots are inside the node")
    }

    fn put_slot(&mut self, at: usize, key: &Key, value_at: usize, value_bytes: usize) {
        let slot = Slot {
            key: *key,
            value_at: u16::try_from(value_at).expect("a node is at most 64 KiB"),
            value_bytes: u16::try_from(value_bytes).expect("a node is at most 64 KiB"),
        };
        let start = NODE_HEADER_BYTES + at * SLOT_BYTES;
        self.bytes[start..start + SLOT_BYTES].copy_from_slice(&format::encode_slot(&slot));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::FileId;

    fn key(n: u64) -> Key {
        Key::file_extent(FileId(1), n)
    }

    fn leaf() -> Node {
        Node::empty(1024, 0, DiskOffset(1 << 20), Generation(7))
    }

    #[test]
    fn items_are_found_in_order_whatever_the_order_of_insertion() {
        let mut node = leaf();
        for n in [5, 1, 9, 3, 7] {
            let at = node.search(&key(n)).expect_err("not there yet");
            assert!(node.insert(at, &key(n), &[u8::try_from(n).expect("small"); 20]));
        }
        let found: Vec<u64> = (0..5).map(|at| node.key(at).offset).collect();
        assert_eq!(found, [1, 3, 5, 7, 9]);
        assert_eq!(node.search(&key(9)), Ok(4));
        assert_eq!(node.value(3), [7; 20]);
    }

    #[test]
    fn removed_values_make_room_again() {
        let mut node = leaf();
        let mut n = 0;
        while node.insert(node.items(), &key(n), &[1; 100]) {
            n += 1;
        }
        node.remove(2);
        let at = node.search(&key(2)).expect_err("removed");
        assert!(node.insert(at, &key(2), &[9; 100]));
        assert!(!node.insert(0, &key(0), &[9; 100]));
        assert_eq!(
            (node.value(2), node.value(3)),
            (&[9; 100][..], &[1; 100][..])
        );
    }

    #[test]
    fn an_image_comes_back_and_a_changed_one_does_not() {
        let mut node = leaf();
        assert!(node.insert(0, &key(4), b"four"));
        let mut image = vec![0; 4096];
        node.image(99, &mut image);
        assert!(image[1024..].iter().all(|&byte| byte == 0));
        let read = |bytes: &[u8], volume, generation| {
            let pointer = NodePointer {
                address: DiskOffset(1 << 20),
                generation: Generation(generation),
            };
            Node::from_device(bytes[..1024].into(), pointer, 0, volume)
        };
        let back = read(&image, 99, 7).expect("whole");
        assert_eq!((back.key(0), back.value(0)), (key(4), &b"four"[..]));
        assert!(read(&image, 98, 7).is_err());
        assert!(read(&image, 99, 8).is_err());
        for at in (0..1024).step_by(13) {
            let mut torn = image.clone();
            torn[at] ^= 0x10;
            assert!(read(&torn, 99, 7).is_err(), "byte {at}");
        }
    }

    #[test]
    fn values_that_share_bytes_are_refused() {
        let mut node = leaf();
        for n in 0..3 {
            assert!(node.insert(node.items(), &key(n), &[7; 40]));
        }
        let mut image = vec![0; 1024];
        node.image(1, &mut image);
        let read = |bytes: &[u8]| Node::from_device(bytes.into(), node.pointer(), 0, 1);
        assert!(read(&image).is_ok());
        // The second value moves onto the first; the sum of all lengths still fits.
        let value_at = NODE_HEADER_BYTES + SLOT_BYTES + 20;
        image[value_at..value_at + 2].copy_from_slice(&980_u16.to_le_bytes());
        let header = NodeHeader {
            address: node.pointer().address,
            generation: node.pointer().generation,
            volume: 1,
            level: 0,
            items: 3,
        };
        format::seal_node(&mut image, &header);
        assert!(read(&image).is_err());
    }

    #[test]
    fn sealed_nonsense_is_refused_without_a_panic() {
        let header = NodeHeader {
            address: DiskOffset(1 << 20),
            generation: Generation(7),
            volume: 1,
            level: 0,
            items: 30,
        };
        for fill in 0..=255_u8 {
            let mut bytes = vec![fill; 1024];
            format::seal_node(&mut bytes, &header);
            let pointer = NodePointer {
                address: header.address,
                generation: header.generation,
            };
            assert!(Node::from_device(bytes.into(), pointer, 0, 1).is_err());
        }
    }
}
