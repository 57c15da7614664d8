//! Which of a client's files are there: a set that can be drawn from in constant time.

use crate::random::Dice;

/// Files `0..count`, those that are there in front.
#[derive(Debug)]
pub(crate) struct Present {
    order: Vec<u32>,
    /// Where each file stands in `order`.
    at: Vec<u32>,
    present: u32,
}

impl Present {
    /// Those of `0..count` that `is_there`.
    pub(crate) fn new(count: u32, is_there: impl Fn(u32) -> bool) -> Self {
        let mut set = Self {
            order: (0..count).collect(),
            at: (0..count).collect(),
            present: 0,
        };
        for file in (0..count).filter(|file| is_there(*file)) {
            set.insert(file);
        }
        set
    }

    pub(crate) fn contains(&self, file: u32) -> bool {
        self.at[file as usize] < self.present
    }

    pub(crate) fn insert(&mut self, file: u32) {
        if !self.contains(file) {
            self.swap(self.at[file as usize], self.present);
            self.present += 1;
        }
    }

    pub(crate) fn remove(&mut self, file: u32) {
        if self.contains(file) {
            self.present -= 1;
            self.swap(self.at[file as usize], self.present);
        }
    }

    /// One that is there; none where none is.
    pub(crate) fn pick(&self, dice: &mut Dice) -> Option<u32> {
        self.pick_from(0, self.present, dice)
    }

    /// One that is not there; none where all are.
    pub(crate) fn pick_absent(&self, dice: &mut Dice) -> Option<u32> {
        let count = u32::try_from(self.order.len()).expect("counted in u32");
        self.pick_from(self.present, count, dice)
    }

    fn pick_from(&self, start: u32, end: u32, dice: &mut Dice) -> Option<u32> {
        if start == end {
            return None;
        }
        let nth = u64::from(start) + dice.below(u64::from(end - start));
        Some(self.order[usize::try_from(nth).expect("an index below a u32")])
    }

    fn swap(&mut self, one: u32, other: u32) {
        let (one, other) = (one as usize, other as usize);
        self.order.swap(one, other);
        for at in [one, other] {
            self.at[self.order[at] as usize] = u32::try_from(at).expect("counted in u32");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn it_is_the_set_that_it_was_told() {
        let mut dice = Dice::new(&[51]);
        let mut set = Present::new(20, |file| file < 5);
        let mut oracle: BTreeSet<u32> = (0..5).collect();
        for _ in 0..10_000 {
            let file = u32::try_from(dice.below(20)).unwrap();
            if dice.below(2) == 0 {
                set.insert(file);
                oracle.insert(file);
            } else {
                set.remove(file);
                oracle.remove(&file);
            }
            assert!((0..20).all(|file| set.contains(file) == oracle.contains(&file)));
            let there = set.pick(&mut dice);
            assert!(there.map_or(oracle.is_empty(), |file| oracle.contains(&file)));
            let absent = set.pick_absent(&mut dice);
            assert!(absent.map_or(oracle.len() == 20, |file| !oracle.contains(&file)));
        }
    }
}
