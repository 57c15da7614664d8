//! Records that are in no batch yet, and which records are durable.
//!
//! ```text
//!   records, by number (Lsn):
//!   0 ......... durable ......... cut ......... end
//!   | on the device | in a batch   | pending     | the next one
//! ```
//!
//! Records that were given up (too many for the log, a failed batch) leave a gap that only a commit
//! closes: `lost_through`. Until `durable` has passed it no batch may be cut, or the log would not be a
//! prefix of the volume's history. What is changed behind a gap in the same generation is given up with
//! it: the same commit makes both durable.
//!
//! Invariants
//!   * Pending records are those from `cut` to `end`, all of them, in order, unless they were given up.
//!   * `last_of` knows every file with a record that is not durable.
//!
//! Pure. Not here: where batches go (ring).

use std::collections::{HashMap, VecDeque};

use super::format;
use super::record::Record;
use crate::units::{FileId, Generation};

/// The number of a record, counted since the volume was opened; as a bound, the records before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Lsn(u64);

/// Records of one generation.
#[derive(Debug)]
struct Section {
    generation: Generation,
    bytes: Vec<u8>,
    records: u32,
}

/// The records of an open volume.
#[derive(Debug)]
pub(crate) struct Pending {
    /// More than this is given up; 0 keeps nothing.
    bytes_max: usize,
    generation: Generation,
    /// Records of this generation are given up: only its commit makes them durable.
    given_up: Option<Generation>,
    sections: VecDeque<Section>,
    bytes: usize,
    end: Lsn,
    durable: Lsn,
    lost_through: Lsn,
    last_of: HashMap<FileId, Lsn>,
}

/// All that was pending.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) bytes: Vec<u8>,
    pub(crate) records: u32,
    /// Durable up to here, once it is written and flushed.
    pub(crate) end: Lsn,
}

impl Pending {
    /// Nothing pending; changes go into `generation`.
    pub(crate) fn new(bytes_max: usize, generation: Generation) -> Self {
        Self {
            bytes_max,
            generation,
            given_up: (bytes_max == 0).then_some(generation),
            sections: VecDeque::new(),
            bytes: 0,
            end: Lsn(0),
            durable: Lsn(0),
            lost_through: Lsn(0),
            last_of: HashMap::new(),
        }
    }

    /// A change was made.
    pub(crate) fn push(&mut self, record: &Record<'_>) {
        self.end.0 += 1;
        self.last_of.insert(record.file(), self.end);
        let generation = self.generation;
        if self.given_up == Some(generation) {
            self.lost_through = self.end;
            return;
        }
        if self
            .sections
            .back()
            .is_none_or(|last| last.generation != generation)
        {
            self.sections.push_back(Section {
                generation,
                bytes: Vec::new(),
                records: 0,
            });
        }
        let section = self.sections.back_mut().expect("just made");
        let before = section.bytes.len();
        format::encode(record, generation, &mut section.bytes);
        section.records += 1;
        self.bytes += section.bytes.len() - before;
        if self.bytes > self.bytes_max {
            self.give_up();
        }
    }

    /// Something of `file` has to be in the next batch that is no record of a change.
    pub(crate) fn touch(&mut self, file: FileId) {
        self.end.0 += 1;
        self.last_of.insert(file, self.end);
    }

    /// Gives up every record that is not durable: those pending, and those in a batch that failed.
    pub(crate) fn give_up(&mut self) {
        self.sections.clear();
        self.bytes = 0;
        // A number of its own, so that a failed batch without pending records leaves a gap as well.
        self.end.0 += 1;
        self.lost_through = self.end;
        self.given_up = Some(self.generation);
    }

    /// The generation that changes go into.
    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    /// May a batch be cut?
    pub(crate) fn is_whole(&self) -> bool {
        self.bytes_max > 0 && self.lost_through <= self.durable
    }

    /// Bytes of pending records.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes everything that is pending.
    ///
    /// # Panics
    /// Where there is a gap.
    pub(crate) fn cut(&mut self) -> Cut {
        assert!(self.is_whole(), "a batch is cut behind a gap");
        self.bytes = 0;
        let mut cut = Cut {
            bytes: Vec::new(),
            records: 0,
            end: self.end,
        };
        for section in self.sections.drain(..) {
            cut.bytes.extend_from_slice(&section.bytes);
            cut.records += section.records;
        }
        cut
    }

    /// Records up to `end` are on the device.
    pub(crate) fn made_durable(&mut self, end: Lsn) {
        self.durable = self.durable.max(end);
    }

    /// From here on changes go into the next generation. Returns what the commit makes durable.
    pub(crate) fn begin_commit(&mut self) -> Lsn {
        self.generation = Generation(self.generation.0 + 1);
        if self.bytes_max == 0 {
            self.given_up = Some(self.generation);
        }
        self.end
    }

    /// A commit of `generation` is durable, and with it the records up to `end`.
    pub(crate) fn end_commit(&mut self, generation: Generation, end: Lsn) {
        self.made_durable(end);
        self.sections
            .retain(|section| section.generation > generation);
        self.bytes = self
            .sections
            .iter()
            .map(|section| section.bytes.len())
            .sum();
        let durable = self.durable;
        self.last_of.retain(|_, last| *last > durable);
    }

    /// What `file` still needs to be durable; `None` where it is.
    pub(crate) fn wanted(&self, file: FileId) -> Option<Lsn> {
        self.last_of
            .get(&file)
            .copied()
            .filter(|last| *last > self.durable)
    }

    /// May so many more bytes be pending?
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.is_whole() && self.bytes + bytes <= self.bytes_max
    }

    /// Everything up to `end` is durable.
    pub(crate) fn is_durable(&self, end: Lsn) -> bool {
        end <= self.durable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(pending: &mut Pending, file: u64) {
        pending.push(&Record::Orphan { file: FileId(file) });
    }

    fn pending() -> Pending {
        Pending::new(1000, Generation(2))
    }

    #[test]
    fn a_flushed_batch_makes_its_files_durable_and_no_others() {
        let mut pending = pending();
        touch(&mut pending, 1);
        let cut = pending.cut();
        assert_eq!((cut.records, cut.bytes.len()), (1, 32));
        touch(&mut pending, 2);
        assert!(pending.wanted(FileId(1)).is_some(), "not flushed yet");
        pending.made_durable(cut.end);
        assert_eq!(pending.wanted(FileId(1)), None);
        assert!(pending.wanted(FileId(2)).is_some());
        assert_eq!(pending.wanted(FileId(3)), None);
    }

    #[test]
    fn a_commit_makes_durable_what_its_generation_had() {
        let mut pending = pending();
        touch(&mut pending, 1);
        let end = pending.begin_commit();
        touch(&mut pending, 2);
        pending.end_commit(Generation(2), end);
        assert_eq!(pending.wanted(FileId(1)), None);
        assert!(pending.wanted(FileId(2)).is_some());
        assert_eq!(pending.cut().records, 1, "only what came after");
    }

    #[test]
    fn a_batch_during_a_commit_has_both_generations() {
        let mut pending = pending();
        touch(&mut pending, 1);
        let end = pending.begin_commit();
        touch(&mut pending, 2);
        let cut = pending.cut();
        let records = format::decode_all(&cut.bytes).expect("encoded above");
        let generations: Vec<u64> = records.iter().map(|(generation, _)| generation.0).collect();
        assert_eq!(generations, [2, 3]);
        pending.made_durable(cut.end);
        pending.end_commit(Generation(2), end);
        assert_eq!(pending.wanted(FileId(2)), None);
    }

    #[test]
    fn a_gap_is_closed_by_the_commit_that_has_it_and_by_no_earlier_one() {
        let mut pending = pending();
        let earlier = pending.begin_commit();
        for file in 0..40 {
            touch(&mut pending, file);
        }
        assert!(!pending.is_whole(), "1280 bytes are more than 1000");
        touch(&mut pending, 50);
        pending.end_commit(Generation(2), earlier);
        assert!(!pending.is_whole());
        let end = pending.begin_commit();
        touch(&mut pending, 51);
        pending.end_commit(Generation(3), end);
        assert!(pending.is_whole());
        assert_eq!(pending.wanted(FileId(50)), None);
        assert_eq!(pending.cut().records, 1);
    }

    #[test]
    fn a_failed_batch_leaves_a_gap_even_if_it_had_nothing_pending() {
        let mut pending = pending();
        let cut = pending.cut();
        assert_eq!(cut.records, 0);
        pending.give_up();
        assert!(!pending.is_whole());
        let end = pending.begin_commit();
        pending.end_commit(Generation(2), end);
        assert!(pending.is_whole());
    }

    #[test]
    fn a_log_that_keeps_nothing_still_knows_what_is_durable() {
        let mut pending = Pending::new(0, Generation(2));
        touch(&mut pending, 1);
        assert!(!pending.is_whole());
        assert!(pending.wanted(FileId(1)).is_some());
        let end = pending.begin_commit();
        pending.end_commit(Generation(2), end);
        assert_eq!(pending.wanted(FileId(1)), None);
        assert!(!pending.is_whole());
    }
}
