//! The tree against `BTreeMap`, on nodes so small that a few hundred items make it deep.
//!
//! Every few operations the tree is written and starts a new generation with a cache of a few nodes,
//! so that copies, early frees and reads from the device all happen. The sums of the space are
//! asserted inside; here it is checked that the tree's nodes are all that is allocated.

use std::collections::BTreeMap;
use std::sync::Arc;

use delalloc_backends::MemBackend;
use delalloc_engine::EngineError;
use delalloc_engine::alloc::Reserve;
use delalloc_engine::meta::{Change, ItemKind, Key, Tree};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Op {
    Insert { key: Key, value: Vec<u8> },
    Remove { nth: usize },
    RemoveRun { nth: usize, count: usize },
    Update { nth: usize, byte: u8 },
    Seek { key: Key, steps: Vec<bool> },
    Checkpoint,
}

fn key() -> impl Strategy<Value = Key> {
    let kind = prop_oneof![Just(ItemKind::Inode), Just(ItemKind::FileExtent)];
    (0..4_u64, kind, 0..200_u64).prop_map(|(object, kind, offset)| Key {
        object,
        kind,
        offset,
    })
}

fn op() -> impl Strategy<Value = Op> {
    let value = proptest::collection::vec(any::<u8>(), 1..=88);
    prop_oneof![
        40 => (key(), value).prop_map(|(key, value)| Op::Insert { key, value }),
        15 => any::<usize>().prop_map(|nth| Op::Remove { nth }),
        3 => (any::<usize>(), 1..80_usize).prop_map(|(nth, count)| Op::RemoveRun { nth, count }),
        5 => (any::<usize>(), any::<u8>()).prop_map(|(nth, byte)| Op::Update { nth, byte }),
        10 => (key(), proptest::collection::vec(any::<bool>(), 0..12))
            .prop_map(|(key, steps)| Op::Seek { key, steps }),
        3 => Just(Op::Checkpoint),
    ]
}

#[derive(Debug)]
struct Model {
    tree: Tree,
    oracle: BTreeMap<Key, Vec<u8>>,
}

impl Model {
    fn new(node_bytes: u32) -> Self {
        let backend = Arc::new(MemBackend::new(8 << 20));
        Self {
            tree: Tree::empty_on(backend, node_bytes, 0),
            oracle: BTreeMap::new(),
        }
    }

    fn nth_key(&self, nth: usize) -> Option<Key> {
        let nth = nth.checked_rem(self.oracle.len())?;
        self.oracle.keys().nth(nth).copied()
    }

    /// Room for one item; where copies took it all, a checkpoint makes some.
    fn change(&mut self, inserts: u64) -> Change<'_> {
        if self.tree.change(1, inserts, Reserve::All).is_none() {
            self.tree.checkpoint().expect("the device works");
        }
        let change = self.tree.change(1, inserts, Reserve::All);
        change.expect("a checkpoint makes room")
    }

    fn remove(&mut self, key: &Key) {
        let mut change = self.change(0);
        let removed = change.remove(key).expect("the device works");
        assert_eq!(removed, self.oracle.remove(key).is_some());
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Insert { key, value } => {
                let mut change = self
                    .tree
                    .change(1, 1, Reserve::Kept)
                    .expect("there is room");
                change.insert(&key, &value).expect("the device works");
                self.oracle.insert(key, value);
            }
            Op::Remove { nth } => {
                let key = self.nth_key(nth).unwrap_or(Key::LOWEST);
                self.remove(&key);
            }
            Op::RemoveRun { nth, count } => {
                let Some(first) = self.nth_key(nth) else {
                    return;
                };
                let keys: Vec<Key> = self.oracle.range(first..).map(|(k, _)| *k).collect();
                for key in keys.iter().take(count) {
                    self.remove(key);
                }
            }
            Op::Update { nth, byte } => {
                let Some(key) = self.nth_key(nth) else {
                    return;
                };
                let mut change = self.change(0);
                let found = change.update(&key, |value| value[0] = byte);
                assert!(found.expect("the device works"));
                self.oracle.get_mut(&key).expect("chosen from there")[0] = byte;
            }
            Op::Seek { key, steps } => self.walk(&key, &steps),
            Op::Checkpoint => self.tree.checkpoint().expect("the device works"),
        }
    }

    fn walk(&self, key: &Key, steps: &[bool]) {
        let all: Vec<(&Key, &Vec<u8>)> = self.oracle.iter().collect();
        let mut at = all.partition_point(|(k, _)| *k < key);
        let mut cursor = self.tree.seek(key).expect("the device works");
        for &forward in steps {
            let (seen, expected) = if forward {
                let expected = all.get(at);
                at = (at + 1).min(all.len());
                (cursor.next(), expected)
            } else {
                let expected = at.checked_sub(1).map(|before| &all[before]);
                at = at.saturating_sub(1);
                (cursor.prev(), expected)
            };
            let seen = seen.expect("the device works");
            assert_eq!(
                seen.map(|(key, value)| (key, value.to_vec())),
                expected.map(|(key, value)| (**key, (*value).clone())),
            );
        }
    }

    fn check_all(&mut self) {
        let mut cursor = self.tree.seek(&Key::LOWEST).expect("the device works");
        for (key, value) in &self.oracle {
            let seen = cursor.next().expect("the device works");
            assert_eq!(seen, Some((*key, value.as_slice())));
        }
        assert_eq!(cursor.next().expect("the device works"), None);
        for (key, value) in &self.oracle {
            let seen = self.tree.get(key).expect("the device works");
            assert_eq!(seen.as_ref(), Some(value));
        }
        self.tree.checkpoint().expect("the device works");
        let numbers = self.tree.space().numbers();
        assert_eq!(numbers.allocated_bytes, self.tree.nodes() * 4096);
        assert_eq!(numbers.node_bytes, numbers.allocated_bytes);
        assert_eq!(
            (numbers.pinned_bytes, numbers.reserved_bytes),
            (0, 0),
            "nothing is left over"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_tree_is_an_ordered_map(ops in proptest::collection::vec(op(), 1..1200)) {
        let mut model = Model::new(512);
        for op in ops {
            model.apply(op);
        }
        model.check_all();
    }
}

#[test]
fn a_deep_tree_shrinks_back_to_one_leaf() {
    let mut model = Model::new(512);
    let keys = (0..6000_u64).map(|n| Key {
        object: 1,
        kind: ItemKind::FileExtent,
        offset: n.wrapping_mul(0x9E37_79B9_7F4A_7C15),
    });
    for key in keys {
        model.apply(Op::Insert {
            key,
            value: vec![1; 40],
        });
    }
    assert!(model.tree.levels() >= 4, "{} levels", model.tree.levels());
    model.check_all();
    let mut seed = 1_usize;
    while !model.oracle.is_empty() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        model.apply(Op::Remove { nth: seed >> 33 });
    }
    assert_eq!((model.tree.levels(), model.tree.nodes()), (1, 1));
    model.check_all();
}

#[test]
fn ascending_keys_leave_full_nodes_behind() {
    let mut model = Model::new(4096);
    for offset in 0..20_000 {
        let key = Key {
            object: 1,
            kind: ItemKind::FileExtent,
            offset,
        };
        model.apply(Op::Insert {
            key,
            value: vec![2; 40],
        });
    }
    let item_bytes = 20_000 * 64;
    assert!(model.tree.nodes() * 4096 < item_bytes * 11 / 10);
    model.check_all();
}

/// A tree of two full leaves and more, with gaps between its keys; the key that the second leaf begins with.
fn spaced() -> (Model, u64) {
    const GAP: u64 = 100_000;
    let mut model = Model::new(4096);
    let mut second_leaf = None;
    while model.tree.nodes() < 6 {
        let offset = model.oracle.len() as u64 * GAP;
        model.apply(insertion(offset));
        if model.tree.nodes() > 1 {
            second_leaf.get_or_insert(offset);
        }
    }
    (model, second_leaf.expect("there are more leaves"))
}

fn insertion(offset: u64) -> Op {
    Op::Insert {
        key: Key {
            object: 1,
            kind: ItemKind::FileExtent,
            offset,
        },
        value: vec![2; 40],
    }
}

/// What goes before the second leaf's first key comes last in the first leaf, every time.
#[test]
fn descending_keys_behind_a_full_leaf_share_new_ones() {
    let (mut model, second_leaf) = spaced();
    let nodes = model.tree.nodes();
    for down in 1..=200 {
        model.apply(insertion(second_leaf - down));
    }
    // 64 bytes each fill three nodes, or six by half.
    let more = model.tree.nodes() - nodes;
    assert!(more <= 8, "{more} more nodes for 200 items");
    model.check_all();
}

#[test]
fn ascending_keys_behind_a_full_leaf_leave_full_nodes_behind() {
    let (mut model, second_leaf) = spaced();
    let nodes = model.tree.nodes();
    for up in 0..20_000 {
        model.apply(insertion(second_leaf - 30_000 + up));
    }
    let more = model.tree.nodes() - nodes;
    assert!(more * 4096 < 20_000 * 64 * 11 / 10, "{more} more nodes");
    model.check_all();
}

/// A change that touches more than it asked for, as one does whose bound an image with emptier nodes made wrong, is refused with an
/// error and not with a panic, whether it runs out at a copy or at a new node.
#[test]
fn a_change_beyond_its_bound_is_an_error() {
    let at = |offset: u64| Key {
        object: 1,
        kind: ItemKind::FileExtent,
        offset,
    };
    let mut model = Model::new(1024);
    for offset in 0..400 {
        model.apply(Op::Insert {
            key: at(offset * 10),
            value: vec![7; 88],
        });
    }
    model.tree.checkpoint().expect("the device works");
    let refused = |result: Result<(), EngineError>| {
        matches!(result, Err(EngineError::Corrupt { what: "tree", .. }))
    };
    {
        let mut change = model.change(0);
        let mut offsets = (0..400).map(|offset| offset * 10);
        assert!(offsets.any(|offset| refused(change.update(&at(offset), |_| {}).map(drop))));
    }
    let mut model = Model::new(1024);
    let mut change = model.change(1);
    assert!((0..4000).any(|offset| refused(change.insert(&at(offset), &[7; 88]))));
}
