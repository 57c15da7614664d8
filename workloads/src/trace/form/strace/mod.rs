//! The text of strace: what a program asked of its files.
//!
//! Record with `strace -f -ttt -T -y -s 0 -e trace=%desc,%file,close_range,sync,io_submit,fork,vfork,clone,clone3 -o FILE
//! PROGRAM`. Halves of calls that others came between are joined per process; a call counts from its beginning, and is of the
//! files that its descriptors were then. Positions of descriptors are followed through open, read, write, lseek and dup; `-y`
//! tells the paths of descriptors that were open before.
//!
//! What a replay has no word for (shared mappings, copies inside the kernel, preallocation) is lost and counted. Calls that
//! touch no file data are skipped. strace slows what it watches: for its order rather than its times, replay as fast as possible.
//!
//! Not here: whose lines wait (births), the grammar of a line (line) and of a call (call), what a call comes to (follow), what is open (files), what time
//! it is (clock), how names are quoted (quoted).

mod births;
mod call;
mod clock;
mod descriptors;
mod directories;
mod files;
mod follow;
mod line;
mod naming;
mod paths;
mod quoted;
mod transfer;

use std::collections::{HashMap, VecDeque};

use births::{Births, Fork, Standing, Waiting};
use call::Call;
use clock::Clock;
use follow::{Caller, Follower, Met, Sharing};
use line::Event;

use super::super::notes::Notes;
use super::super::reorder::Reorder;
use super::super::request::{Parsed, Request};
use super::LineForm;

/// Calls begun and not ended are at most one per process, and short.
const UNFINISHED_MAX: usize = 1 << 16;
const UNFINISHED_BYTES_MAX: usize = 4096;
/// A call is written down when it ends: so many others may have ended before.
const HELD_MAX: usize = 4096;

const NEVER: &str = "call that never returned";
const GUESSED_PARENT: &str =
    "process whose fork does not return in the trace: taken for a child of the longest one";

/// The form.
#[derive(Debug)]
pub(crate) struct Strace {
    follower: Follower,
    clock: Clock,
    /// By process.
    unfinished: HashMap<u32, Half>,
    births: Births,
    /// Lines that waited for the birth of their process and need not any longer.
    ready: VecDeque<Waiting>,
    held: Reorder<Request>,
}

/// A call that has begun.
#[derive(Debug)]
struct Half {
    at_ns: u64,
    text: String,
    met: Met,
}

impl Default for Strace {
    fn default() -> Self {
        Self {
            follower: Follower::default(),
            clock: Clock::default(),
            unfinished: HashMap::new(),
            births: Births::default(),
            ready: VecDeque::new(),
            held: Reorder::new(HELD_MAX),
        }
    }
}

/// Could `line` be of this form?
pub(crate) fn looks_like(line: &str) -> bool {
    let event = line::line(line).and_then(|line| line::event(line.rest));
    event.is_ok_and(|event| match event {
        Event::Call(text) | Event::Unfinished(text) => text
            .split_once('(')
            .is_some_and(|(name, _)| !name.is_empty() && name.chars().all(is_of_name)),
        Event::Resumed(_) | Event::Exit | Event::Superseded(_) | Event::Signal => true,
    })
}

fn is_of_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

fn is_fork(name: &str) -> bool {
    matches!(name, "fork" | "vfork" | "clone" | "clone2" | "clone3")
}

impl LineForm for Strace {
    fn dialect(&self) -> &'static str {
        "files"
    }

    fn parse(&mut self, text: &str, notes: &mut Notes) -> Parsed {
        if text.is_empty() {
            return Parsed::Skipped;
        }
        let line = match line::line(text) {
            Ok(line) => line,
            Err(reason) => return Parsed::Malformed(reason),
        };
        let pid = line.pid;
        let at_ns = match self.clock.at_ns(line.at) {
            Ok(at_ns) => at_ns,
            Err(reason) => return Parsed::Malformed(reason),
        };
        let mut requests = Vec::new();
        let follower = &self.follower;
        match self.births.standing(pid, |a, b| follower.is_one(a, b)) {
            Standing::Known => {}
            Standing::Begins(fork) => self.follower.begin(fork.parent, pid, fork.sharing),
            Standing::Waits => {
                let waiting = Waiting {
                    pid,
                    number: notes.line,
                    at_ns,
                    text: line.rest.to_owned(),
                };
                if self.births.hold(waiting) {
                    return Parsed::Skipped;
                }
                self.play(true, &mut requests, notes);
            }
        }
        let parsed = self.event(pid, at_ns, line.rest, notes);
        let is_single = requests.is_empty();
        self.play(false, &mut requests, notes);
        if is_single && requests.is_empty() {
            return parsed;
        }
        add(parsed, &mut requests, notes);
        Parsed::Several(requests)
    }

    fn end(&mut self, notes: &mut Notes) -> Option<Parsed> {
        let mut requests = Vec::new();
        self.play(true, &mut requests, notes);
        if !requests.is_empty() {
            return Some(Parsed::Several(requests));
        }
        for _ in self.unfinished.drain() {
            notes.lose("call that never returned");
        }
        self.held.pop().map(Parsed::Request)
    }
}

/// Adds what became of a line that waited, or that others waited for.
fn add(parsed: Parsed, requests: &mut Vec<Request>, notes: &mut Notes) {
    match parsed {
        Parsed::Request(request) => requests.push(request),
        Parsed::Several(several) => requests.extend(several),
        Parsed::Lost(reason) | Parsed::Malformed(reason) => notes.lose(reason),
        Parsed::Skipped => {}
    }
}

impl Strace {
    /// Follows the lines that need not wait any longer; all of them where they wait in vain.
    fn play(&mut self, in_vain: bool, requests: &mut Vec<Request>, notes: &mut Notes) {
        let line = notes.line;
        loop {
            while let Some(waiting) = self.ready.pop_front() {
                notes.line = waiting.number;
                let parsed = self.event(waiting.pid, waiting.at_ns, &waiting.text, notes);
                add(parsed, requests, notes);
            }
            let Some((pid, fork)) = self.births.give_up(in_vain) else {
                break;
            };
            self.release(pid, fork, notes);
        }
        notes.line = line;
    }

    /// A process waits no longer; a fork without proof is a guess.
    fn release(&mut self, pid: u32, fork: Option<Fork>, notes: &mut Notes) {
        if let Some(fork) = fork {
            notes.mend(GUESSED_PARENT);
            self.follower.begin(fork.parent, pid, fork.sharing);
        }
        self.ready.extend(self.births.take(pid));
    }

    fn event(&mut self, pid: u32, at_ns: u64, text: &str, notes: &mut Notes) -> Parsed {
        let event = match line::event(text) {
            Ok(event) => event,
            Err(reason) => return Parsed::Malformed(reason),
        };
        match event {
            Event::Signal => Parsed::Skipped,
            Event::Exit => {
                // What it has open goes with it: its child begins before.
                if let Some((child, fork)) = self.births.orphan(pid) {
                    self.release(child, Some(fork), notes);
                }
                self.follower.end(pid);
                self.births.forget(pid);
                match self.unfinished.remove(&pid) {
                    Some(_) => Parsed::Lost(NEVER),
                    None => Parsed::Skipped,
                }
            }
            Event::Superseded(thread) => {
                self.follower.end(thread);
                self.births.forget(thread);
                let begun = self.unfinished.remove(&thread);
                match begun.and_then(|begun| self.unfinished.insert(pid, begun)) {
                    Some(_) => Parsed::Lost(NEVER),
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
                if let Some((name, args)) = begun.split_once('(')
                    && is_fork(name)
                {
                    self.births.begin(Fork {
                        parent: pid,
                        sharing: Sharing::of(name, &[args]),
                    });
                }
                let half = Half {
                    at_ns,
                    text: begun.to_owned(),
                    met: self.met(begun, pid, at_ns, notes),
                };
                match self.unfinished.insert(pid, half) {
                    Some(_) => Parsed::Lost(NEVER),
                    None => Parsed::Skipped,
                }
            }
            Event::Resumed(rest) => match self.unfinished.remove(&pid) {
                Some(Half { at_ns, text, met }) => {
                    let caller = Caller {
                        met,
                        ..Caller::new(pid, at_ns)
                    };
                    let parsed = self.call(&(text + rest), caller, notes);
                    self.births.end(pid);
                    parsed
                }
                None => Parsed::Lost("end of a call whose beginning is not in the trace"),
            },
            Event::Call(text) => self.call(text, Caller::new(pid, at_ns), notes),
        }
    }

    /// What the descriptors of half a call are: what is not written yet is not needed for that.
    fn met(&mut self, begun: &str, pid: u32, at_ns: u64, notes: &mut Notes) -> Met {
        let caller = Caller::new(pid, at_ns);
        match Call::parse(&format!("{begun}) = 0")) {
            Ok(call) => self.follower.meet(&call, caller, notes),
            Err(_) => Met::default(),
        }
    }

    fn call(&mut self, text: &str, caller: Caller, notes: &mut Notes) -> Parsed {
        let call = match Call::parse(text) {
            Ok(call) => call,
            Err(reason) => return Parsed::Malformed(reason),
        };
        if is_fork(call.name) {
            let child = call.result.and_then(|child| u32::try_from(child).ok());
            if let Some(child) = child.filter(|child| *child > 0) {
                if !self.births.claim(child) {
                    let sharing = Sharing::of(call.name, &call.args);
                    self.follower.begin(caller.pid, child, sharing);
                }
                self.ready.extend(self.births.take(child));
            }
            return Parsed::Skipped;
        }
        let caller = Caller {
            took_ns: call.took_ns,
            ..caller
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
