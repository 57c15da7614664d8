//! Which places a job has: block-sized slots of the regions of its files, numbered through the files in order.
//!
//! ```text
//!   alike:    file 0: |0|1|2|3|   file 1: |4|5|6|7|      one region for all, the last place may be short
//!   varied:   file 0: |0|1|       file 1: |2|3|4|5|6|    the whole of each file
//! ```
//!
//! A job that goes to no place in a file (a mix of whole-file operations) has one place for each file.
//!
//! Not here: in which order places are visited (`order`).

use std::sync::Arc;

use crate::op::FileSlot;
use crate::plan::{AccessPlan, FilePlan, FileSpan, PatternPlan};

/// A piece of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) file: FileSlot,
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
}

/// The places of a job. No more than 2^64 are counted, and those beyond are not visited.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    files: FileSpan,
    region_start: u64,
    step: Pitch,
    regions: Regions,
}

/// From place to place, in bytes. Most steps are powers of two and need no division, which every operation would pay for.
#[derive(Debug, Clone, Copy)]
struct Pitch {
    bytes: u64,
    shift: Option<u32>,
}

impl Pitch {
    fn new(bytes: u64) -> Self {
        let shift = bytes.is_power_of_two().then(|| bytes.trailing_zeros());
        Self { bytes, shift }
    }

    /// Whole steps in `bytes`.
    fn whole_in(self, bytes: u64) -> u64 {
        match self.shift {
            Some(shift) => bytes >> shift,
            None => bytes / self.bytes,
        }
    }

    /// Steps that `bytes` take, the last one perhaps in part.
    fn covering(self, bytes: u64) -> u64 {
        let whole = self.whole_in(bytes);
        whole + u64::from(whole * self.bytes < bytes)
    }
}

#[derive(Debug, Clone)]
enum Regions {
    Alike {
        region_bytes: u64,
        per_file: u64,
    },
    Varied {
        /// Of each file.
        bytes: Arc<[u64]>,
        /// Places of the files up to and with each.
        upto: Arc<[u64]>,
    },
}

impl Layout {
    /// The places of `access`; `files` are those of the load.
    pub(crate) fn new(access: &AccessPlan, files: &[FilePlan]) -> Self {
        let step = access.block.align_bytes;
        let regions = if access.region_bytes == 0 {
            Regions::Alike {
                region_bytes: step,
                per_file: 1,
            }
        } else if access.whole_files {
            let own = &files[access.files.indices()];
            let size = |file: &FilePlan| file.size_bytes.expect("files that vary have sizes");
            let mut sum = 0;
            Regions::Varied {
                bytes: own.iter().map(size).collect(),
                upto: own
                    .iter()
                    .map(|file| {
                        sum = u64::saturating_add(sum, size(file).div_ceil(step));
                        sum
                    })
                    .collect(),
            }
        } else {
            Regions::Alike {
                region_bytes: access.region_bytes,
                per_file: access.region_bytes.div_ceil(step),
            }
        };
        Self {
            files: access.files,
            region_start: access.region_start,
            step: Pitch::new(step),
            regions,
        }
    }

    /// From place to place.
    pub(crate) fn step(&self) -> u64 {
        self.step.bytes
    }

    /// How many places `bytes` cover.
    pub(crate) fn covering(&self, bytes: u64) -> u64 {
        self.step.covering(bytes)
    }

    pub(crate) fn files(&self) -> FileSpan {
        self.files
    }

    /// How many places there are.
    pub(crate) fn places(&self) -> u64 {
        match &self.regions {
            Regions::Alike { per_file, .. } => per_file.saturating_mul(u64::from(self.files.count)),
            Regions::Varied { upto, .. } => *upto.last().expect("a span has at least one file"),
        }
    }

    /// The piece of `bytes` at `place`, cut off at the end of the region.
    #[inline]
    pub(crate) fn spot(&self, place: u64, bytes: u64) -> Spot {
        let (nth, within) = self.locate(place);
        self.piece(nth, within * self.step.bytes, bytes)
    }

    /// How many places there are before `place` in its file.
    pub(crate) fn before_in_file(&self, place: u64) -> u64 {
        self.locate(place).1
    }

    /// The bytes of every piece that `access` takes here, where all are alike: one size of block, and none cut off.
    pub(crate) fn only_piece(&self, access: &AccessPlan) -> Option<u64> {
        let bytes = access.block.only()?;
        if access.write_block.is_some() || !access.mix.is_empty() {
            return None;
        }
        let step = self.step.bytes;
        let is_whole = match (&access.pattern, &self.regions) {
            (pattern, Regions::Alike { region_bytes, .. }) if pattern.is_drawn() => {
                bytes <= *region_bytes
            }
            (PatternPlan::Stride { stride_bytes, .. }, _) => {
                bytes == step && stride_bytes.is_multiple_of(step) && self.has_room(bytes)
            }
            (PatternPlan::Shuffle, _) => self.has_room(bytes),
            (pattern, _) if pattern.is_drawn() => self.has_room(bytes),
            // Shares of clients end between places, and a piece of several is cut off there.
            _ => bytes == step && self.has_room(bytes),
        };
        is_whole.then_some(bytes)
    }

    /// Every place has room for `bytes`.
    fn has_room(&self, bytes: u64) -> bool {
        let in_region = |region_bytes: u64| {
            let last = self.step.covering(region_bytes).saturating_sub(1) * self.step.bytes;
            bytes <= region_bytes - last
        };
        match &self.regions {
            Regions::Alike { region_bytes, .. } => in_region(*region_bytes),
            Regions::Varied { bytes, .. } => bytes.iter().all(|bytes| in_region(*bytes)),
        }
    }

    /// Bytes of all regions.
    pub(crate) fn bytes(&self) -> u64 {
        match &self.regions {
            Regions::Alike { region_bytes, .. } => {
                region_bytes.saturating_mul(u64::from(self.files.count))
            }
            Regions::Varied { bytes, .. } => bytes
                .iter()
                .fold(0, |sum, bytes| u64::saturating_add(sum, *bytes)),
        }
    }

    /// How many places have room for `bytes`. Where files vary every place counts, and pieces are cut off.
    pub(crate) fn fitting(&self, bytes: u64) -> u64 {
        match &self.regions {
            Regions::Alike { region_bytes, .. } => {
                let per_file = self.step.whole_in(region_bytes.saturating_sub(bytes)) + 1;
                per_file.saturating_mul(u64::from(self.files.count))
            }
            Regions::Varied { .. } => self.places(),
        }
    }

    /// The piece of `bytes` at the `place`-th of those that [`Self::fitting`] counts for `room_bytes`.
    #[inline]
    pub(crate) fn fitting_spot(&self, place: u64, room_bytes: u64, bytes: u64) -> Spot {
        match &self.regions {
            Regions::Alike { region_bytes, .. } => {
                let per_file = self.step.whole_in(region_bytes.saturating_sub(room_bytes)) + 1;
                let (nth, within) = in_alike(place, per_file);
                self.piece(nth, within * self.step.bytes, bytes)
            }
            Regions::Varied { .. } => self.spot(place, bytes),
        }
    }

    /// The piece of `bytes` behind `spot` in its file; none where there is no room for all of it.
    pub(crate) fn behind(&self, spot: Spot, bytes: u64) -> Option<Spot> {
        let nth = spot.file.0 - self.files.first.0;
        let end = (spot.offset - self.region_start).saturating_add(spot.bytes);
        let within = end.checked_next_multiple_of(self.step.bytes)?;
        let room = self.region_bytes(nth).checked_sub(within)?;
        (bytes <= room).then(|| self.piece(nth, within, bytes))
    }

    /// `bytes` of the `nth` file, `within` its region, cut off at the region's end.
    #[inline]
    pub(crate) fn piece(&self, nth: u32, within: u64, bytes: u64) -> Spot {
        debug_assert!(nth < self.files.count, "file {nth} is beyond the job's");
        Spot {
            file: self.files.slot(nth),
            offset: self.region_start + within,
            bytes: bytes.min(self.region_bytes(nth) - within),
        }
    }

    /// What `spot` is in the `nth` file: the same place, or the start where the file ends before.
    pub(crate) fn moved(&self, spot: Spot, nth: u32) -> Spot {
        let within = spot.offset - self.region_start;
        let fits = within < self.region_bytes(nth);
        self.piece(nth, if fits { within } else { 0 }, spot.bytes)
    }

    /// Bytes of the region of the `nth` file.
    pub(crate) fn region_bytes(&self, nth: u32) -> u64 {
        match &self.regions {
            Regions::Alike { region_bytes, .. } => *region_bytes,
            Regions::Varied { bytes, .. } => bytes[nth as usize],
        }
    }

    #[inline]
    fn locate(&self, place: u64) -> (u32, u64) {
        match &self.regions {
            Regions::Alike { per_file, .. } => in_alike(place, *per_file),
            Regions::Varied { upto, .. } => {
                let nth = upto.partition_point(|upto| *upto <= place);
                let before = if nth == 0 { 0 } else { upto[nth - 1] };
                let nth = u32::try_from(nth).expect("files are counted in u32");
                (nth, place - before)
            }
        }
    }
}

/// In which of files with `per_file` places each `place` is, and which of its places it is.
fn in_alike(place: u64, per_file: u64) -> (u32, u64) {
    if place < per_file {
        return (0, place);
    }
    let nth = u32::try_from(place / per_file).expect("a place is in one of the files");
    (nth, place % per_file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{BlockPlan, BlockSize, SyncEveryPlan, Verb};

    #[test]
    fn a_step_divides_whether_it_is_a_power_of_two_or_not() {
        for step in [1, 512, 3000, 4096, 4097] {
            for bytes in [0, 1, 511, 2999, 3000, 4096, 4097, 12_288, u64::MAX] {
                let pitch = Pitch::new(step);
                assert_eq!(pitch.whole_in(bytes), bytes / step, "{bytes} by {step}");
                assert_eq!(pitch.covering(bytes), bytes.div_ceil(step));
            }
        }
    }

    #[test]
    fn files_that_vary_are_numbered_through_and_cut_off() {
        let sizes = [5000_u64, 4096, 9000];
        let files: Vec<FilePlan> = sizes
            .iter()
            .map(|&bytes| FilePlan {
                name: String::new(),
                size_bytes: Some(bytes),
                content: None,
            })
            .collect();
        let access = AccessPlan {
            files: FileSpan {
                first: FileSlot(0),
                count: 3,
            },
            verb: Verb::Write,
            pattern: PatternPlan::Sequential,
            block: BlockPlan {
                sizes: vec![BlockSize {
                    bytes: 4096,
                    weight: 1.0,
                }],
                step_bytes: None,
                align_bytes: 4096,
            },
            region_start: 0,
            region_bytes: 9000,
            syncs: SyncEveryPlan::default(),
            write_block: None,
            whole_files: true,
            mix: Vec::new(),
        };
        let layout = Layout::new(&access, &files);
        let spots: Vec<(u32, u64, u64)> = (0..layout.places())
            .map(|place| layout.spot(place, 4096))
            .map(|spot| (spot.file.0, spot.offset, spot.bytes))
            .collect();
        assert_eq!(
            spots,
            [
                (0, 0, 4096),
                (0, 4096, 904),
                (1, 0, 4096),
                (2, 0, 4096),
                (2, 4096, 4096),
                (2, 8192, 808),
            ]
        );
        let spot = layout.spot(4, 4096);
        assert_eq!(layout.moved(spot, 0).bytes, 904);
        assert_eq!(layout.moved(spot, 1).offset, 0);
    }
}
