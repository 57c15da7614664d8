//! The text of strace: what a program asked of its files.
//!
//! Record with `strace -f -ttt -T -y -s 0 -e trace=%desc,%file,fork,vfork,clone,clone3 -o FILE PROGRAM`. Halves of calls
//! that others came between are joined per process; a call counts from its beginning. Positions of descriptors are followed
//! through open, read, write, lseek and dup; `-y` tells the paths of descriptors that were open before.
//!
//! What a replay has no word for (shared mappings, copies inside the kernel, preallocation) is lost and counted. Calls that
//! touch no file data are skipped. strace slows what it watches: for its order rather than its times, replay as fast as possible.
//!
//! Not here: the grammar of a line (call), what a call comes to (follow), what is open (files), what day it is (day).

mod call;
mod day;
mod files;
mod follow;

use std::collections::HashMap;

use call::{Call, Event};
use day::Days;
use follow::{Caller, Follower};

use super::super::notes::Notes;
use super::super::reorder::Reorder;
use super::super::request::{Parsed, Request};
use super::LineForm;

/// Calls begun and not ended are at most one per process, and short.
const UNFINISHED_MAX: usize = 1 << 16;
const UNFINISHED_BYTES_MAX: usize = 4096;
/// A call is written down when it ends: so many others may have ended before.
const HELD_MAX: usize = 4096;

/// The form.
#[derive(Debug)]
pub(crate) struct Strace {
    follower: Follower,
    days: Days,
    /// By process: when it began, and its text so far.
    unfinished: HashMap<u32, (u64, String)>,
    held: Reorder<Request>,
}

impl Default for Strace {
    fn default() -> Self {
        Self {
            follower: Follower::default(),
            days: Days::default(),
            unfinished: HashMap::new(),
            held: Reorder::new(HELD_MAX),
        }
    }
}

/// Could `line` be of this form?
pub(crate) fn looks_like(line: &str) -> bool {
    call::line(line).is_ok_and(|line| match line.event {
        Event::Call(text) | Event::Unfinished(text) => text
            .split_once('(')
            .is_some_and(|(name, _)| !name.is_empty() && name.chars().all(is_of_name)),
        Event::Resumed(_) | Event::Exit | Event::Signal => true,
    })
}

fn is_of_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

impl LineForm for Strace {
    fn dialect(&self) -> &'static str {
        "files"
    }

    fn parse(&mut self, text: &str, notes: &mut Notes) -> Parsed {
        if text.is_empty() {
            return Parsed::Skipped;
        }
        let line = match call::line(text) {
            Ok(line) => line,
            Err(reason) => return Parsed::Malformed(reason),
        };
        let (pid, at_ns) = (line.pid, self.days.at_ns(line.at));
        match line.event {
            Event::Signal => Parsed::Skipped,
            Event::Exit => {
                self.follower.end(pid);
                match self.unfinished.remove(&pid) {
                    Some(_) => Parsed::Lost("call that never returned"),
                    None => Parsed::Skipped,
                }
            }
            Event::Unfinished(begun) => {
                if self.unfinished.len() >= UNFINISHED_MAX {
                    return Parsed::Malformed("more than 65536 calls have begun and not ended");
                }
                if begun.len() > UNFINISHED_BYTES_MAX {
                    return Parsed::Malformed(
                        "half a call of more than 4 KiB: record with strace -s 0",
                    );
                }
                self.unfinished.insert(pid, (at_ns, begun.to_owned()));
                Parsed::Skipped
            }
            Event::Resumed(rest) => match self.unfinished.remove(&pid) {
                Some((at_ns, begun)) => self.call(&(begun + rest), pid, at_ns, notes),
                None => Parsed::Lost("end of a call whose beginning is not in the trace"),
            },
            Event::Call(text) => self.call(text, pid, at_ns, notes),
        }
    }

    fn end(&mut self, notes: &mut Notes) -> Option<Parsed> {
        for _ in self.unfinished.drain() {
            notes.lose("call that never returned");
        }
        self.held.pop().map(Parsed::Request)
    }
}

impl Strace {
    fn call(&mut self, text: &str, pid: u32, at_ns: u64, notes: &mut Notes) -> Parsed {
        let call = match Call::parse(text) {
            Ok(call) => call,
            Err(reason) => return Parsed::Malformed(reason),
        };
        let caller = Caller {
            pid,
            at_ns,
            took_ns: call.took_ns,
        };
        match self.follower.requests(&call, caller, notes) {
            Err(parsed) => parsed,
            Ok(requests) => {
                let held = &mut self.held;
                let mut ready: Vec<Request> = requests
                    .into_iter()
                    .filter_map(|request| held.push(request.at_ns, request))
                    .collect();
                match (ready.len(), ready.pop()) {
                    (1, Some(request)) => Parsed::Request(request),
                    (_, Some(last)) => {
                        ready.push(last);
                        Parsed::Several(ready)
                    }
                    (_, None) => Parsed::Skipped,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
