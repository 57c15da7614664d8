//! What a recording reads before it writes it, as writes that come before its replay.
//!
//! A recording begins in the middle: most of what it reads was written before, and where a replay starts from nothing, those
//! reads find nothing. This goes through the recording once, as one client replays it, and then writes each 4 KiB that a read met
//! before any write had covered it, in order, in pieces of at most 1 MiB. What was punched out, cut off, removed or made afresh
//! reads as nothing by right.
//!
//! Memory is two bits per 4 KiB that the recording touches, while it is gone through, and one of them while it is written, in leaves of
//! 2 MiB: the footprint's and not the operations'. It is bounded by a number of leaves, beyond which this is an error. Pages are whole: where a read met a part of one, all of it is written.
//!
//! Not here: how a recording becomes operations (`stream`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::footprint::{Footprint, LEAF_PAGES, PAGE_BYTES};
use super::stream::TraceStream;
use super::told::TraceEar;
use crate::op::{FileSlot, Op, TimedOp};
use crate::plan::TracePlan;
use crate::stream::{Parts, Share, StreamError, Versions};

/// The longest write, 1 MiB: half a leaf.
const PIECE_PAGES: u64 = 256;
/// Leaves of either kind, about 4 GB in all.
const LEAVES_MAX: usize = 1 << 24;
const _: () = assert!(LEAF_PAGES.is_multiple_of(PIECE_PAGES));

/// The writes.
pub(crate) struct FillStream {
    /// The recording, until it has been gone through.
    trace: Option<Box<TraceStream>>,
    path: PathBuf,
    reads: FirstReads,
    versions: Versions,
}

impl FillStream {
    pub(crate) fn open(plan: &TracePlan, parts: Parts) -> Result<Self, StreamError> {
        let versions = parts.versions.clone();
        let share = Share {
            client: 0,
            clients: 1,
        };
        let parts = Parts { share, ..parts };
        let trace = TraceStream::open(plan, parts, TraceEar::default())?;
        Ok(Self {
            trace: Some(Box::new(trace)),
            path: plan.path.clone(),
            reads: FirstReads::default(),
            versions,
        })
    }

    fn go_through(&mut self, trace: &mut TraceStream) -> Result<(), StreamError> {
        let mut known = Footprint::default();
        for timed in trace {
            self.reads.note(&timed?.op, &mut known);
            if self.reads.0.len() + known.leaf_count() > LEAVES_MAX {
                return Err(StreamError::Trace {
                    path: self.path.clone(),
                    reason: format!(
                        "it touches more than {LEAVES_MAX} pieces of 2 MiB, which is too scattered to be filled: `fold:` it, or leave `filled` out"
                    ),
                });
            }
        }
        Ok(())
    }
}

impl Iterator for FillStream {
    type Item = Result<TimedOp, StreamError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(mut trace) = self.trace.take()
            && let Err(error) = self.go_through(&mut trace)
        {
            self.reads = FirstReads::default();
            return Some(Err(error));
        }
        let (file, page, count) = self.reads.take_piece()?;
        let op = Op::Write {
            file,
            offset: page * PAGE_BYTES,
            bytes: count * PAGE_BYTES,
            version: self.versions.next(),
        };
        Some(Ok(TimedOp {
            op,
            due_ns: None,
            think_ns: 0,
        }))
    }
}

/// The pages that were read first.
#[derive(Debug, Default)]
struct FirstReads(BTreeMap<(FileSlot, u64), [u64; 8]>);

impl FirstReads {
    /// Notes an operation; `known` is what of the files no longer is what it was, or was read already.
    fn note(&mut self, op: &Op, known: &mut Footprint) {
        match (*op, op.place()) {
            (Op::Read { .. }, Some((file, offset, bytes))) => {
                self.read(file, offset, offset.saturating_add(bytes), known);
                known.touch(file, offset, bytes);
            }
            (_, Some((file, offset, bytes))) => {
                cover(known, file, offset, offset.saturating_add(bytes));
            }
            (Op::Truncate { file, bytes }, None) => cover(known, file, bytes, u64::MAX),
            (Op::Create { file } | Op::Remove { file }, None) => cover(known, file, 0, u64::MAX),
            (_, None) => {}
        }
    }

    fn read(&mut self, file: FileSlot, offset: u64, end: u64, known: &Footprint) {
        let (first, end) = (offset / PAGE_BYTES, end.div_ceil(PAGE_BYTES));
        for leaf in first / LEAF_PAGES..end.div_ceil(LEAF_PAGES) {
            let seen = known.of_leaf(file, leaf);
            let from = first.max(leaf * LEAF_PAGES);
            for page in from..end.min((leaf + 1) * LEAF_PAGES) {
                let (word, bit) = place(page);
                if seen[word] & bit == 0 {
                    self.0.entry((file, leaf)).or_default()[word] |= bit;
                }
            }
        }
    }

    /// Takes the first pages that belong together: of which file, which is the first, how many.
    fn take_piece(&mut self) -> Option<(FileSlot, u64, u64)> {
        let mut entry = self.0.first_entry()?;
        let (file, leaf) = *entry.key();
        let words = entry.get_mut();
        let is_set = |words: &[u64; 8], page| {
            let (word, bit) = place(page);
            words[word] & bit != 0
        };
        let mut pages = leaf * LEAF_PAGES..(leaf + 1) * LEAF_PAGES;
        let first = pages.find(|&page| is_set(words, page));
        let first = first.expect("a leaf that is kept has a page");
        let end = (first / PIECE_PAGES + 1) * PIECE_PAGES;
        let count = (first..end).take_while(|&page| is_set(words, page)).count() as u64;
        for page in first..first + count {
            let (word, bit) = place(page);
            words[word] &= !bit;
        }
        if *words == [0; 8] {
            entry.remove();
        }
        Some((file, first, count))
    }
}

/// Pages that lie in a range as a whole are no longer what they were.
fn cover(known: &mut Footprint, file: FileSlot, offset: u64, end: u64) {
    let first = offset.div_ceil(PAGE_BYTES) * PAGE_BYTES;
    let end = end / PAGE_BYTES * PAGE_BYTES;
    known.touch(file, first, end.saturating_sub(first));
}

/// The word and the bit of a page in its leaf.
fn place(page: u64) -> (usize, u64) {
    let bit = page % LEAF_PAGES;
    let word = usize::try_from(bit / 64).expect("below 8");
    (word, 1 << (bit % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: FileSlot = FileSlot(3);

    fn read(offset: u64, bytes: u64) -> Op {
        Op::Read {
            file: FILE,
            offset,
            bytes,
        }
    }

    fn write(offset: u64, bytes: u64) -> Op {
        Op::Write {
            file: FILE,
            offset,
            bytes,
            version: 1,
        }
    }

    /// Pieces as first page and count.
    fn pieces(ops: &[Op]) -> Vec<(u64, u64)> {
        let (mut reads, mut known) = (FirstReads::default(), Footprint::default());
        for op in ops {
            reads.note(op, &mut known);
        }
        let mut pieces = Vec::new();
        while let Some((file, page, count)) = reads.take_piece() {
            assert_eq!(file, FILE);
            pieces.push((page, count));
        }
        pieces
    }

    #[test]
    fn what_is_written_first_is_not_filled_and_a_part_of_a_page_is_not_the_page() {
        assert_eq!(pieces(&[write(0, 8192), read(0, 16_384)]), [(2, 2)]);
        assert_eq!(pieces(&[write(0, 4095), read(0, 10)]), [(0, 1)]);
        assert_eq!(pieces(&[read(4000, 200), write(0, 8192)]), [(0, 2)]);
        assert_eq!(pieces(&[read(0, 4096), read(0, 4096)]), [(0, 1)]);
        assert_eq!(pieces(&[write(0, 4096), read(0, 4096)]), []);
    }

    #[test]
    fn what_was_cut_off_or_made_afresh_reads_as_nothing_by_right() {
        let cut = Op::Truncate {
            file: FILE,
            bytes: 5000,
        };
        assert_eq!(pieces(&[cut, read(0, 1 << 20)]), [(0, 2)]);
        for fresh in [Op::Create { file: FILE }, Op::Remove { file: FILE }] {
            assert_eq!(pieces(&[fresh, read(0, 1 << 30)]), []);
        }
        let device = Op::PunchHole {
            file: FILE,
            offset: 0,
            bytes: i64::MAX as u64,
        };
        assert_eq!(pieces(&[read(0, 4096), device, read(0, 8192)]), [(0, 1)]);
    }

    #[test]
    fn long_reads_are_filled_in_pieces() {
        assert_eq!(
            pieces(&[read(4096, 5 << 20)]),
            [
                (1, 255),
                (256, 256),
                (512, 256),
                (768, 256),
                (1024, 256),
                (1280, 1)
            ]
        );
    }
}
