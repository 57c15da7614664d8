//! What the traced processes have open: paths to files, descriptors to open files with a position.
//!
//! A file is what a path leads to until the path is unlinked, and keeps its number when it is renamed. An open file has a position,
//! which duplicated descriptors share. Threads share descriptors; a process that was forked in the trace begins with a copy of
//! its parent's. Processes whose beginning is not in the trace are taken for threads of one.
//!
//! Not here: what paths lead to (paths).

use std::collections::{BTreeMap, HashMap, HashSet};

/// More files or descriptors at a time are no trace.
pub(super) const COUNT_MAX: usize = 1 << 20;
/// Nor is more than this in the paths of the files.
pub(super) const PATH_BYTES_MAX: usize = 256 << 20;

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) paths: BTreeMap<String, u64>,
    pub(super) path_bytes: usize,
    /// Where files end, as far as that is known.
    pub(super) sizes: HashMap<u64, Size>,
    pub(super) file_count: u64,
    /// How many open files there are of each.
    pub(super) users: HashMap<u64, u32>,
    /// Those that no path leads to, for as long as they are open.
    pub(super) gone: HashSet<u64>,
    open: HashMap<u64, Open>,
    open_count: u64,
    /// Descriptors of a group of threads.
    pub(super) table: HashMap<(u32, i32), u64>,
    /// Those that a new program does not get.
    closing: HashSet<(u32, i32)>,
    groups: HashMap<u32, u32>,
    /// What the open files are that are directories.
    pub(super) directories: HashMap<u64, String>,
}

/// Where a file ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    Exactly(u64),
    /// As far as the trace knows: what was there before may reach further.
    AtLeast(u64),
}

/// An open file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Open {
    /// None for what is no file of interest: directories, devices, pipes.
    pub(super) file: Option<u64>,
    pub(super) position: u64,
    pub(super) appends: bool,
    /// Every write is durable before it returns.
    pub(super) is_through: bool,
    /// Its opening is not in the trace.
    pub(super) is_guessed: bool,
    /// Descriptors that lead to it; counted here alone.
    pub(super) references: u32,
}

impl Open {
    pub(super) fn new(file: Option<u64>) -> Self {
        Self {
            file,
            position: 0,
            appends: false,
            is_through: false,
            is_guessed: false,
            references: 0,
        }
    }
}

impl Files {
    /// The open file of a descriptor.
    pub(super) fn open_of(&mut self, pid: u32, fd: i32) -> Option<&mut Open> {
        let open = self.table.get(&(self.group(pid), fd))?;
        self.open.get_mut(open)
    }

    /// Gives a descriptor an open file; false where there are too many.
    pub(super) fn set(&mut self, pid: u32, fd: i32, open: Open) -> bool {
        if self.table.len() == COUNT_MAX {
            return false;
        }
        self.close(pid, fd);
        self.open_count += 1;
        if let Some(file) = open.file {
            *self.users.entry(file).or_default() += 1;
        }
        let references = 1;
        self.open
            .insert(self.open_count, Open { references, ..open });
        self.table.insert((self.group(pid), fd), self.open_count);
        true
    }

    /// `to` is `from` as well from now on.
    pub(super) fn duplicate(&mut self, pid: u32, from: i32, to: i32) {
        let group = self.group(pid);
        if from == to {
            return;
        }
        self.close(pid, to);
        let Some(open) = self.table.get(&(group, from)).copied() else {
            return;
        };
        if self.table.len() < COUNT_MAX {
            self.refer(open);
            self.table.insert((group, to), open);
        }
    }

    /// Gives a descriptor up; what it was.
    pub(super) fn close(&mut self, pid: u32, fd: i32) -> Option<Open> {
        let key = (self.group(pid), fd);
        self.closing.remove(&key);
        let open = self.table.remove(&key)?;
        self.release(open)
    }

    /// Is a descriptor closed when a program begins?
    pub(super) fn set_closes(&mut self, pid: u32, fd: i32, closes: bool) {
        let key = (self.group(pid), fd);
        if closes && self.table.contains_key(&key) {
            self.closing.insert(key);
        } else {
            self.closing.remove(&key);
        }
    }

    /// The descriptors of a range that are open, in order.
    pub(super) fn descriptors(&self, pid: u32, first: i32, last: i32) -> Vec<i32> {
        let group = self.group(pid);
        let open = self.table.keys();
        let mut open: Vec<i32> = open
            .filter(|(of, fd)| *of == group && (first..=last).contains(fd))
            .map(|(_, fd)| *fd)
            .collect();
        open.sort_unstable();
        open
    }

    /// A process shares its descriptors with nobody from now on.
    pub(super) fn unshare(&mut self, pid: u32) {
        let group = self.group(pid);
        let is_shared = group == 0
            || self
                .groups
                .iter()
                .any(|(other, of)| *of == group && *other != pid);
        if is_shared && group != pid {
            self.groups.insert(pid, pid);
            self.copy(group, pid);
        }
    }

    /// A program begins in a process. One whose beginning was not seen stays with its like: threads that come later are taken
    /// for its own.
    pub(super) fn execute(&mut self, pid: u32) {
        if self.groups.contains_key(&pid) {
            self.unshare(pid);
        }
        let group = self.group(pid);
        let closing: Vec<i32> = self
            .closing
            .iter()
            .filter(|(of, _)| *of == group)
            .map(|(_, fd)| *fd)
            .collect();
        for fd in closing {
            self.close(pid, fd);
        }
    }

    /// Do they share their descriptors?
    pub(super) fn is_one(&self, a: u32, b: u32) -> bool {
        self.group(a) == self.group(b)
    }

    /// `child` begins: as a thread, or with a copy of the descriptors.
    pub(super) fn begin(&mut self, parent: u32, child: u32, shares: bool) {
        let group = self.group(parent);
        if child == parent || child == group {
            return;
        }
        // Its number may have been that of another, whose end was not told.
        self.end(child);
        if self.groups.len() >= COUNT_MAX {
            return;
        }
        if shares {
            self.groups.insert(child, group);
            return;
        }
        self.groups.insert(child, child);
        self.copy(group, child);
    }

    fn copy(&mut self, from: u32, to: u32) {
        let copied: Vec<(i32, u64)> = self
            .table
            .iter()
            .filter(|((of, _), _)| *of == from)
            .map(|((_, fd), open)| (*fd, *open))
            .take(COUNT_MAX.saturating_sub(self.table.len()))
            .collect();
        for (fd, open) in copied {
            self.refer(open);
            self.table.insert((to, fd), open);
            if self.closing.contains(&(from, fd)) {
                self.closing.insert((to, fd));
            }
        }
    }

    /// A process is gone; its descriptors go with the last of its group.
    pub(super) fn end(&mut self, pid: u32) {
        let Some(group) = self.groups.remove(&pid) else {
            return;
        };
        if group == 0 || self.groups.values().any(|other| *other == group) {
            return;
        }
        let gone: Vec<(u32, i32)> = self
            .table
            .keys()
            .filter(|(of, _)| *of == group)
            .copied()
            .collect();
        for key in gone {
            self.closing.remove(&key);
            if let Some(open) = self.table.remove(&key) {
                self.release(open);
            }
        }
    }

    /// Group 0 has all whose beginning was not seen.
    pub(super) fn group(&self, pid: u32) -> u32 {
        self.groups.get(&pid).copied().unwrap_or(0)
    }

    fn refer(&mut self, open: u64) {
        if let Some(open) = self.open.get_mut(&open) {
            open.references += 1;
        }
    }

    /// There is one open file less of it.
    fn leave(&mut self, file: u64) {
        let Some(users) = self.users.get_mut(&file) else {
            return;
        };
        *users -= 1;
        if *users == 0 {
            self.users.remove(&file);
            if self.gone.remove(&file) {
                self.sizes.remove(&file);
            }
        }
    }

    fn release(&mut self, open: u64) -> Option<Open> {
        let found = self.open.get_mut(&open)?;
        found.references -= 1;
        let was = *found;
        if was.references == 0 {
            self.open.remove(&open);
            if let Some(path) = self.directories.remove(&open) {
                self.path_bytes -= path.len();
            }
            if let Some(file) = was.file {
                self.leave(file);
            }
        }
        Some(was)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_share_a_position_and_copies_of_a_fork_do_too() {
        let mut files = Files::default();
        let file = files.file("/a");
        assert!(files.set(1, 3, Open::new(file)));
        files.duplicate(1, 3, 4);
        files.open_of(1, 3).unwrap().position = 10;
        assert_eq!(files.open_of(1, 4).unwrap().position, 10);
        files.begin(1, 2, false);
        files.begin(1, 9, true);
        files.close(1, 3);
        assert!(
            files.open_of(9, 3).is_none(),
            "a thread shares what is closed"
        );
        assert_eq!(files.open_of(2, 3).unwrap().position, 10);
        files.open_of(2, 3).unwrap().position = 20;
        assert_eq!(files.open_of(1, 4).unwrap().position, 20, "one open file");
        files.end(2);
        assert!(files.table.keys().all(|(group, _)| *group == 0));
        files.close(1, 4);
        assert!(files.open.is_empty());
    }

    #[test]
    fn a_file_that_is_open_has_its_size_until_it_is_closed() {
        let mut files = Files::default();
        let file = files.file("/a").unwrap();
        assert!(files.set(1, 3, Open::new(Some(file))));
        files.begin(1, 2, false);
        files.set_size(file, Size::Exactly(9));
        files.unlink("/a");
        files.close(1, 3);
        assert_eq!(files.size(file), Some(Size::Exactly(9)));
        files.end(2);
        assert_eq!(files.size(file), None);
        let nameless = files.nameless();
        assert!(files.set(1, 3, Open::new(Some(nameless))));
        files.reach(nameless, 5);
        files.close(1, 3);
        assert!(files.sizes.is_empty() && files.gone.is_empty() && files.users.is_empty());
    }
}
