//! What is noted beside the requests of a recording: what was lost or mended, and what places are called.
//!
//! Names are kept for a conversion alone: a replay knows places by their hash.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::request::{Place, name_hash};

/// More names than there are slots are not kept.
const NAMES_MAX: usize = 1 << 24;
/// A longer name is kept as far as this.
pub(crate) const NAME_BYTES_MAX: usize = 4096;

/// How often something happened, and where first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// How often.
    pub count: u64,
    /// The line (record, operation) where it happened first, from 1.
    pub first_line: u64,
}

/// Reasons and how often each was met.
pub(crate) type Tallies = BTreeMap<&'static str, Tally>;

/// The notes of one reader.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// The line that is being read.
    pub(crate) line: u64,
    /// What the form could not keep.
    pub(crate) lost: Tallies,
    /// What was kept by a guess.
    pub(crate) mended: Tallies,
    /// Lines that are no requests and are not meant to be.
    pub(crate) skipped: u64,
    names: Option<Box<Names>>,
}

#[derive(Debug, Default)]
struct Names {
    /// The hash of what each place was called last.
    known: HashMap<Place, u64>,
    fresh: Vec<(Place, String)>,
}

impl Notes {
    /// From now on names are kept until they are taken.
    pub(crate) fn keep_names(&mut self) {
        self.names.get_or_insert_default();
    }

    /// Counts something that is not kept.
    pub(crate) fn lose(&mut self, reason: &'static str) {
        let line = self.line;
        note(&mut self.lost, reason, line);
    }

    /// Counts something that is kept by a guess.
    pub(crate) fn mend(&mut self, reason: &'static str) {
        let line = self.line;
        note(&mut self.mended, reason, line);
    }

    /// The device of this name.
    pub(crate) fn device(&mut self, name: &str) -> Place {
        self.named(Place::Device(name_hash(name)), name)
    }

    /// The file of this name.
    pub(crate) fn file(&mut self, name: &str) -> Place {
        self.named(Place::File(name_hash(name)), name)
    }

    /// `place`, which is called `name` from now on.
    pub(crate) fn named(&mut self, place: Place, name: &str) -> Place {
        if let Some(names) = &mut self.names {
            let hash = name_hash(name);
            let is_known = names.known.get(&place) == Some(&hash);
            if !is_known && (names.known.len() < NAMES_MAX || names.known.contains_key(&place)) {
                names.known.insert(place, hash);
                let end = name.floor_char_boundary(NAME_BYTES_MAX);
                names.fresh.push((place, name[..end].to_owned()));
            }
        }
        place
    }

    /// `place` is no more: its next name is a new one.
    pub(crate) fn forget(&mut self, place: Place) {
        if let Some(names) = &mut self.names {
            names.known.remove(&place);
        }
    }

    /// The names met since they were taken last.
    pub(crate) fn take_names(&mut self) -> Vec<(Place, String)> {
        self.names
            .as_mut()
            .map_or_else(Vec::new, |names| std::mem::take(&mut names.fresh))
    }
}

/// Counts `reason`, met in `line`.
pub(crate) fn note(tallies: &mut Tallies, reason: &'static str, line: u64) {
    let first = Tally {
        count: 0,
        first_line: line,
    };
    tallies.entry(reason).or_insert(first).count += 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_counted_with_its_first_line() {
        let mut notes = Notes::default();
        for line in [7, 9] {
            notes.line = line;
            notes.lose("a reason");
        }
        let tally = Tally {
            count: 2,
            first_line: 7,
        };
        assert_eq!(notes.lost["a reason"], tally);
        assert!(notes.mended.is_empty());
    }

    #[test]
    fn a_name_is_told_when_it_is_new_and_only_where_it_is_wanted() {
        let mut notes = Notes::default();
        notes.device("8:0");
        assert!(notes.take_names().is_empty());
        notes.keep_names();
        let place = notes.device("8:0");
        notes.device("8:0");
        notes.named(place, "sda");
        let told = notes.take_names();
        assert_eq!(told, [(place, "8:0".to_owned()), (place, "sda".to_owned())]);
        assert!(notes.take_names().is_empty());
    }
}
