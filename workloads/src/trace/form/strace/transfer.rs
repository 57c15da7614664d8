//! Calls that move data, positions and ends of files.
//!
//! A position that was never told is counted as a guess with every request that rests on it; so is an append to a file whose end the
//! trace does not know.
//!
//! Not here: what is open (files), which call does what (follow).

use super::super::super::notes::Notes;
use super::super::super::request::{END_MAX, MOVED_BYTES_MAX, Place, Request, RequestKind};
use super::call::Call;
use super::files::{Open, Size};
use super::follow::{Caller, Follower, Outcome, UNKNOWN, lost, malformed};

/// The kernel moves no more in one call.
const CALL_BYTES_MAX: u64 = 0x7fff_f000;
const _: () = assert!(CALL_BYTES_MAX <= 2 * MOVED_BYTES_MAX);

const AT_END: &str = "read at the end of a file: no bytes";
pub(super) const GUESSED_POSITION: &str =
    "position of a descriptor opened before the trace: counted from 0";
pub(super) const GUESSED_SIZE: &str =
    "append to a file of unknown size: placed behind what the trace knows of it";
const COPY: &str = "copy inside the kernel";

impl Follower {
    pub(super) fn transfer(
        &mut self,
        call: &Call<'_>,
        caller: Caller,
        kind: RequestKind,
        offset: Option<i64>,
        bytes: u64,
        notes: &mut Notes,
    ) -> Outcome {
        let Some((fd, path)) = call.descriptor(0) else {
            return malformed("its descriptor is no number");
        };
        let is_positioned = call.name.starts_with('p');
        let offset = match (is_positioned, offset) {
            (false, _) => None,
            // The second version of the vector calls means the position by -1.
            (true, Some(-1)) if call.name.ends_with("v2") => None,
            (true, Some(offset)) if offset >= 0 => Some(offset.unsigned_abs()),
            (true, _) => return malformed("its offset is no number"),
        };
        let Some(open) = self.open_at(caller, fd, path.as_ref(), notes).copied() else {
            return lost(UNKNOWN);
        };
        let Some(file) = open.file else {
            return Ok(Vec::new());
        };
        let appends =
            kind == RequestKind::Write && (open.appends || call.arg(4).contains("RWF_APPEND"));
        let (at, guess) = match offset {
            Some(offset) if !appends => (offset, None),
            _ if appends => self.end_of(file, open),
            _ => (open.position, open.is_guessed.then_some(GUESSED_POSITION)),
        };
        let request = Request {
            through: kind == RequestKind::Write
                && (open.is_through
                    || call.arg(4).contains("RWF_DSYNC")
                    || call.arg(4).contains("RWF_SYNC")),
            ..caller.request(kind, file)
        };
        let requests = pieces(request, at, bytes).or_else(malformed)?;
        if offset.is_none()
            && let Some(open) = self.files.open_of(caller.pid, fd)
        {
            open.position = at + bytes;
            open.is_guessed = guess.is_some();
        }
        if bytes == 0 {
            return if kind == RequestKind::Read {
                lost(AT_END)
            } else {
                Ok(Vec::new())
            };
        }
        if let Some(guess) = guess {
            notes.mend(guess);
        }
        if kind == RequestKind::Write {
            self.files.reach(file, at + bytes);
        }
        Ok(requests)
    }

    /// Where an append to `file` goes, and whether that is a guess.
    fn end_of(&self, file: u64, open: Open) -> (u64, Option<&'static str>) {
        match self.files.size(file) {
            Some(Size::Exactly(end)) => (end, None),
            Some(Size::AtLeast(end)) => (end, Some(GUESSED_SIZE)),
            None => (open.position, Some(GUESSED_SIZE)),
        }
    }

    /// A descriptor was moved to `position`.
    pub(super) fn sought(
        &mut self,
        call: &Call<'_>,
        caller: Caller,
        position: Option<u64>,
        notes: &mut Notes,
    ) -> Outcome {
        let Some(position) = position else {
            return malformed("it moves to no number");
        };
        let Some((fd, path)) = call.descriptor(0) else {
            return malformed("its descriptor is no number");
        };
        let Some(open) = self.open_at(caller, fd, path.as_ref(), notes) else {
            return Ok(Vec::new());
        };
        open.position = position;
        open.is_guessed = false;
        if let Some(file) = open.file
            && (call.arg(2) == "SEEK_END" || call.arg(3) == "SEEK_END")
            && let Some(end) = call
                .number(1)
                .and_then(|from_end| position.checked_add_signed(from_end.checked_neg()?))
        {
            self.files.set_size(file, Size::Exactly(end));
        }
        Ok(Vec::new())
    }

    /// A file was asked how long it is.
    pub(super) fn measured(
        &mut self,
        call: &Call<'_>,
        caller: Caller,
        answer: &str,
        notes: &mut Notes,
    ) -> Outcome {
        let bytes = answer.split_once("st_size=").and_then(|(_, rest)| {
            let end = rest.find(|c: char| !c.is_ascii_digit());
            rest[..end.unwrap_or(rest.len())].parse().ok()
        });
        if let (Some(bytes), Some((fd, path))) = (bytes, call.descriptor(0))
            && let Some(open) = self.open_at(caller, fd, path.as_ref(), notes)
            && let Some(file) = open.file
        {
            self.files.set_size(file, Size::Exactly(bytes));
        }
        Ok(Vec::new())
    }

    /// A copy inside the kernel: each end is a descriptor and, perhaps, an offset that takes the place of its position.
    pub(super) fn copied(
        &mut self,
        call: &Call<'_>,
        caller: Caller,
        [source, target]: [(usize, Option<usize>); 2],
        bytes: u64,
        notes: &mut Notes,
    ) -> Outcome {
        if bytes > CALL_BYTES_MAX {
            return malformed("it moves more than a call can");
        }
        let mut is_of_files = false;
        for ((nth, offset), is_target) in [(source, false), (target, true)] {
            let Some((fd, path)) = call.descriptor(nth) else {
                return malformed("its descriptor is no number");
            };
            let Some(open) = self.open_at(caller, fd, path.as_ref(), notes).copied() else {
                is_of_files = true;
                continue;
            };
            let Some(file) = open.file else {
                continue;
            };
            is_of_files = true;
            let told = offset.and_then(|nth| call.bracketed(nth));
            let at = match told {
                Some(at) => at,
                None if is_target && open.appends => self.end_of(file, open).0,
                None => open.position,
            };
            let end = at.saturating_add(bytes).min(END_MAX);
            if is_target && bytes > 0 {
                self.files.reach(file, end);
            }
            if told.is_none()
                && let Some(open) = self.files.open_of(caller.pid, fd)
            {
                open.position = end;
            }
        }
        if is_of_files {
            lost(COPY)
        } else {
            Ok(Vec::new())
        }
    }

    pub(super) fn on_descriptor(
        &mut self,
        call: &Call<'_>,
        caller: Caller,
        kind: RequestKind,
        notes: &mut Notes,
    ) -> Outcome {
        let Some((fd, path)) = call.descriptor(0) else {
            return malformed("its descriptor is no number");
        };
        let Some(open) = self.open_at(caller, fd, path.as_ref(), notes) else {
            return lost(UNKNOWN);
        };
        Ok(open
            .file
            .map(|file| caller.request(kind, file))
            .into_iter()
            .collect())
    }

    pub(super) fn truncated(&mut self, requests: Vec<Request>, bytes: Option<i64>) -> Outcome {
        let Some(bytes) = bytes.and_then(|bytes| u64::try_from(bytes).ok()) else {
            return malformed("the new size is no number");
        };
        requests
            .into_iter()
            .map(|request| {
                if let Place::File(file) = request.place {
                    self.files.set_size(file, Size::Exactly(bytes));
                }
                request.at(0, bytes).or_else(malformed)
            })
            .collect()
    }

    pub(super) fn allocated(
        &mut self,
        call: &Call<'_>,
        caller: Caller,
        notes: &mut Notes,
    ) -> Outcome {
        let (Some(offset), Some(bytes)) = (call.number(2), call.number(3)) else {
            return malformed("offset and length are no numbers");
        };
        let (Ok(offset), Ok(bytes)) = (u64::try_from(offset), u64::try_from(bytes)) else {
            return malformed("offset or length is negative");
        };
        let requests = self.on_descriptor(call, caller, RequestKind::Discard, notes)?;
        let Some(request) = requests.first().copied() else {
            return Ok(requests);
        };
        let request = request.at(offset, bytes).or_else(malformed)?;
        let has = |flag: &str| call.arg(1).contains(flag);
        if has("FALLOC_FL_PUNCH_HOLE") {
            return Ok(vec![request]);
        }
        if let Place::File(file) = request.place {
            let moved = |size: u64| {
                if has("FALLOC_FL_COLLAPSE_RANGE") {
                    size.saturating_sub(bytes)
                } else {
                    size.saturating_add(bytes).min(END_MAX)
                }
            };
            if has("FALLOC_FL_COLLAPSE_RANGE") || has("FALLOC_FL_INSERT_RANGE") {
                match self.files.size(file) {
                    Some(Size::Exactly(size)) => {
                        self.files.set_size(file, Size::Exactly(moved(size)));
                    }
                    Some(Size::AtLeast(size)) => {
                        self.files.set_size(file, Size::AtLeast(moved(size)));
                    }
                    None => {}
                }
            } else if !has("FALLOC_FL_KEEP_SIZE") {
                self.files.reach(file, offset + bytes);
            }
        }
        lost("fallocate: a replay preallocates nothing")
    }
}

/// What a call moved, in requests as large as one may be; only the last of them has its time and its durability.
fn pieces(request: Request, at: u64, bytes: u64) -> Result<Vec<Request>, &'static str> {
    if bytes > CALL_BYTES_MAX {
        return Err("it moves more than a call can");
    }
    let Some(rest) = bytes.checked_sub(MOVED_BYTES_MAX).filter(|rest| *rest > 0) else {
        return Ok(vec![request.at(at, bytes)?]);
    };
    let first = Request {
        through: false,
        took_ns: 0,
        ..request
    };
    let last = request.at(at.saturating_add(MOVED_BYTES_MAX), rest)?;
    Ok(vec![first.at(at, MOVED_BYTES_MAX)?, last])
}
