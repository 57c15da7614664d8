//! Lines of processes whose fork has not returned to their parent.
//!
//! A child may speak before its parent is told its number: until then nobody knows whose descriptors it has. Its lines wait for
//! the fork that claims them. They do not wait where every fork on the way makes a thread of the same process. Where too many
//! wait, or the recording ends, they are taken for children of the fork that is on its way longest.
//!
//! Not here: what a fork shares (follow), halves of other calls (mod).

use std::collections::{HashMap, HashSet, VecDeque};

use super::follow::Sharing;

/// More processes at a time are no trace.
const COUNT_MAX: usize = 1 << 20;
/// A child does little before it begins a program, and its parent waits for no more than that.
pub(super) const LINES_MAX: usize = 1 << 16;
const BYTES_MAX: usize = 16 << 20;

/// Who was born, and who may have been.
#[derive(Debug, Default)]
pub(super) struct Births {
    /// Forks begun and not ended, the oldest first.
    forking: VecDeque<Fork>,
    /// Processes that are no riddle.
    known: HashSet<u32>,
    /// Those that were begun before their fork returned.
    early: HashSet<u32>,
    waiting: HashMap<u32, Vec<Waiting>>,
    /// In the order in which they came to wait.
    order: VecDeque<u32>,
    line_count: usize,
    bytes: usize,
}

/// A fork that has not returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fork {
    pub(super) parent: u32,
    pub(super) sharing: Sharing,
}

/// A line that waits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) pid: u32,
    pub(super) number: u64,
    pub(super) at_ns: u64,
    pub(super) text: String,
}

/// What to do with a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its process is known.
    Known,
    /// Its process begins with it.
    Begins(Fork),
    /// It has to wait.
    Waits,
}

impl Births {
    /// Whose line is it? `is_one` tells whether two processes are threads of one.
    pub(super) fn standing(&mut self, pid: u32, is_one: impl Fn(u32, u32) -> bool) -> Standing {
        if self.known.contains(&pid) {
            return Standing::Known;
        }
        let Some(oldest) = self.forking.front().copied() else {
            self.know(pid);
            return Standing::Known;
        };
        if self.waiting.contains_key(&pid) || self.known.len() >= COUNT_MAX {
            return Standing::Waits;
        }
        let is_thread = |fork: &Fork| {
            fork.sharing.descriptors && fork.sharing.directory && is_one(fork.parent, oldest.parent)
        };
        if self.forking.iter().all(is_thread) {
            self.know(pid);
            self.early.insert(pid);
            return Standing::Begins(oldest);
        }
        Standing::Waits
    }

    /// A line waits; false where there is no room.
    pub(super) fn hold(&mut self, line: Waiting) -> bool {
        if self.line_count >= LINES_MAX || self.bytes + line.text.len() > BYTES_MAX {
            return false;
        }
        self.line_count += 1;
        self.bytes += line.text.len();
        let pid = line.pid;
        let lines = self.waiting.entry(pid).or_default();
        if lines.is_empty() {
            self.order.push_back(pid);
        }
        lines.push(line);
        true
    }

    /// A fork is on its way.
    pub(super) fn begin(&mut self, fork: Fork) {
        self.forking.push_back(fork);
    }

    /// The fork of a process is over.
    pub(super) fn end(&mut self, parent: u32) {
        self.forking.retain(|fork| fork.parent != parent);
    }

    /// A fork returned this child: was it begun before?
    pub(super) fn claim(&mut self, child: u32) -> bool {
        self.know(child);
        self.early.remove(&child)
    }

    /// The lines of a child that was claimed.
    pub(super) fn take(&mut self, child: u32) -> Vec<Waiting> {
        let lines = self.waiting.remove(&child).unwrap_or_default();
        if !lines.is_empty() {
            self.order.retain(|pid| *pid != child);
        }
        self.line_count -= lines.len();
        self.bytes -= lines.iter().map(|line| line.text.len()).sum::<usize>();
        lines
    }

    /// The next process whose lines nobody will claim, or, where `anyhow`, that has to go on without: and the fork that it is taken for a
    /// child of.
    pub(super) fn give_up(&mut self, anyhow: bool) -> Option<(u32, Option<Fork>)> {
        let fork = self.forking.front().copied();
        if fork.is_some() && !anyhow {
            return None;
        }
        let pid = *self.order.front()?;
        self.know(pid);
        if fork.is_some() {
            self.early.insert(pid);
        }
        Some((pid, fork))
    }

    /// A process is about to be gone: a fork that it is in, and who of those that wait is taken for its child. A fork has one,
    /// and the oldest that wait are those of the oldest forks.
    pub(super) fn orphan(&mut self, parent: u32) -> Option<(u32, Fork)> {
        let nth = self.forking.iter().position(|of| of.parent == parent)?;
        let child = self.order.get(nth).or_else(|| self.order.back()).copied()?;
        self.know(child);
        self.early.insert(child);
        Some((child, self.forking[nth]))
    }

    /// A process is gone.
    pub(super) fn forget(&mut self, pid: u32) {
        self.known.remove(&pid);
        self.early.remove(&pid);
        self.end(pid);
    }

    fn know(&mut self, pid: u32) {
        if self.known.len() < COUNT_MAX {
            self.known.insert(pid);
        }
    }
}
