//! The extent-state map against the obvious thing: one state per page in an array.
//!
//! Every answer is compared, and after every step the whole map: same states, totals that add up,
//! and no more intervals than the array has runs, so merging is proved and not assumed.

use delalloc_engine::extent::{State, StateBytes, StateMap};
use delalloc_engine::{FileRange, PAGE_BYTES};
use proptest::prelude::*;

const PAGES: usize = 48;

#[derive(Debug, Clone)]
enum Op {
    Set(usize, usize, State),
    Clear(usize, usize, State),
    All(usize, usize, State),
    Any(usize, usize, State),
    Find((usize, usize), State, State, usize),
    Iter(usize, usize),
}

fn bits() -> impl Strategy<Value = State> {
    (0_u8..16).prop_map(State::from_bits_truncate)
}

fn some_bits() -> impl Strategy<Value = State> {
    (1_u8..16).prop_map(State::from_bits_truncate)
}

fn span() -> impl Strategy<Value = (usize, usize)> {
    (0..=PAGES, 0..=PAGES).prop_map(|(a, b)| (a.min(b), a.max(b)))
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (span(), bits()).prop_map(|((a, b), bits)| Op::Set(a, b, bits)),
        4 => (span(), bits()).prop_map(|((a, b), bits)| Op::Clear(a, b, bits)),
        1 => (span(), some_bits()).prop_map(|((a, b), bits)| Op::All(a, b, bits)),
        1 => (span(), bits()).prop_map(|((a, b), bits)| Op::Any(a, b, bits)),
        2 => (span(), some_bits(), bits(), 1..=PAGES)
            .prop_map(|(within, with, without, max)| Op::Find(within, with, without, max)),
        1 => span().prop_map(|(a, b)| Op::Iter(a, b)),
    ]
}

fn bytes_of(pages: usize) -> u64 {
    pages as u64 * PAGE_BYTES
}

fn range(start: usize, end: usize) -> FileRange {
    FileRange::new(bytes_of(start), bytes_of(end))
}

/// One state per page.
struct Model([State; PAGES]);

impl Model {
    /// Maps the states of some pages and counts what changed, bit by bit.
    fn edit(&mut self, start: usize, end: usize, change: impl Fn(State) -> State) -> StateBytes {
        let mut changed = StateBytes::default();
        for state in &mut self.0[start..end] {
            let was = std::mem::replace(state, change(*state));
            count(&mut changed, was ^ *state);
        }
        changed
    }

    fn find(
        &self,
        from: usize,
        to: usize,
        with: State,
        without: State,
        max: usize,
    ) -> Option<FileRange> {
        let good =
            |page: &usize| self.0[*page].contains(with) && !self.0[*page].intersects(without);
        let start = (from..to).find(good)?;
        let end = (start..to).take(max).take_while(good).last()?;
        Some(range(start, end + 1))
    }

    /// Longest runs of equal states with a bit, within some pages.
    fn runs(&self, start: usize, end: usize) -> Vec<(FileRange, State)> {
        let mut at = start;
        let mut runs = Vec::new();
        for run in self.0[start..end].chunk_by(|left, right| left == right) {
            if !run[0].is_empty() {
                runs.push((range(at, at + run.len()), run[0]));
            }
            at += run.len();
        }
        runs
    }

    /// Longest runs of what the device has not and the log has not either.
    fn unsynced(&self) -> Vec<FileRange> {
        let is_unsynced = |page: &usize| {
            let state = self.0[*page];
            state.intersects(State::DIRTY | State::WRITEBACK) && !state.contains(State::SYNCED)
        };
        let mut runs = Vec::new();
        let mut at = 0;
        while let Some(start) = (at..PAGES).find(is_unsynced) {
            at = (start..PAGES)
                .find(|page| !is_unsynced(page))
                .unwrap_or(PAGES);
            runs.push(range(start, at));
        }
        runs
    }

    fn totals(&self) -> StateBytes {
        let mut totals = StateBytes::default();
        for state in self.0 {
            count(&mut totals, state);
        }
        totals
    }
}

fn count(bytes: &mut StateBytes, bits: State) {
    let page = |bit| if bits.contains(bit) { PAGE_BYTES } else { 0 };
    bytes.dirty += page(State::DIRTY);
    bytes.delalloc += page(State::DELALLOC);
    bytes.writeback += page(State::WRITEBACK);
    bytes.synced += page(State::SYNCED);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_map_is_the_array(ops in prop::collection::vec(op(), 1..60)) {
        let mut map = StateMap::new();
        let mut model = Model([State::empty(); PAGES]);
        for op in ops {
            match op {
                Op::Set(a, b, bits) => prop_assert_eq!(
                    map.set(range(a, b), bits),
                    model.edit(a, b, |state| state | bits)
                ),
                Op::Clear(a, b, bits) => prop_assert_eq!(
                    map.clear(range(a, b), bits),
                    model.edit(a, b, |state| state - bits)
                ),
                Op::All(a, b, bits) => prop_assert_eq!(
                    map.all(range(a, b), bits),
                    model.0[a..b].iter().all(|state| state.contains(bits))
                ),
                Op::Any(a, b, bits) => prop_assert_eq!(
                    map.any(range(a, b), bits),
                    model.0[a..b].iter().any(|state| state.intersects(bits))
                ),
                Op::Find((a, b), with, without, max) => prop_assert_eq!(
                    map.find_first(range(a, b), with, without, bytes_of(max)),
                    model.find(a, b, with, without, max)
                ),
                Op::Iter(a, b) => prop_assert_eq!(
                    map.iter(range(a, b)).collect::<Vec<_>>(),
                    model.runs(a, b)
                ),
            }
            let runs = model.runs(0, PAGES);
            prop_assert_eq!(map.interval_count(), runs.len(), "not minimal");
            prop_assert_eq!(map.iter(range(0, PAGES)).collect::<Vec<_>>(), runs);
            prop_assert_eq!(map.totals(), model.totals());
            prop_assert_eq!(map.unsynced().collect::<Vec<_>>(), model.unsynced());
        }
    }
}
