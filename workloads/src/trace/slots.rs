//! From what a recording calls its files to slots.
//!
//! A place gets the next slot when it is first seen and loses it when the file is removed; slots are never used again, so a
//! write of an old file cannot be taken for one of a new file that got its name.

use std::collections::HashMap;

use super::request::Place;
use crate::op::FileSlot;

/// More files than any recording has, and few enough that their slots are numbers.
const SLOT_COUNT_MAX: u32 = 1 << 24;

/// The places that exist.
#[derive(Debug)]
pub(crate) struct Slots {
    first: FileSlot,
    step: u32,
    count: u32,
    known: HashMap<Place, Slot>,
}

/// A place's slot and what has become of it so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) file: FileSlot,
    /// This stream has opened it.
    pub(crate) is_open: bool,
    pub(crate) renames: u32,
}

impl Slots {
    pub(crate) fn new(first: FileSlot, step: u32) -> Self {
        Self {
            first,
            step,
            count: 0,
            known: HashMap::new(),
        }
    }

    /// The slot of `place`, a new one if it has none; none if there are no more.
    pub(crate) fn of(&mut self, place: Place) -> Option<&mut Slot> {
        if !self.known.contains_key(&place) {
            if self.count == SLOT_COUNT_MAX {
                return None;
            }
            let file = FileSlot(
                self.first
                    .0
                    .checked_add(self.count.checked_mul(self.step)?)?,
            );
            self.count += 1;
            let fresh = Slot {
                file,
                is_open: false,
                renames: 0,
            };
            self.known.insert(place, fresh);
        }
        self.known.get_mut(&place)
    }

    /// Forgets `place`; what it had, if it had any.
    pub(crate) fn remove(&mut self, place: Place) -> Option<Slot> {
        self.known.remove(&place)
    }

    /// How many slots were ever given out.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }
}
