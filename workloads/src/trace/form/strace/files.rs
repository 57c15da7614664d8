//! What the traced processes have open: paths to files, descriptors to open files with a position.
//!
//! A file is what a path leads to until the path is unlinked, and keeps its number when it is renamed. An open file has a position,
//! which duplicated descriptors share. Threads share descriptors; a process that was forked in the trace begins with a copy of
//! its parent's. Processes whose beginning is not in the trace are taken for threads of one.

use std::collections::HashMap;

/// More files or descriptors at a time are no trace.
const COUNT_MAX: usize = 1 << 20;
/// Nor is more than this in the paths of the files.
const PATH_BYTES_MAX: usize = 256 << 20;

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Files {
    paths: HashMap<String, u64>,
    path_bytes: usize,
    /// Where files end, where that is known.
    sizes: HashMap<u64, u64>,
    file_count: u64,
    open: HashMap<u64, Open>,
    open_count: u64,
    /// Descriptors of a group of threads.
    table: HashMap<(u32, i32), u64>,
    groups: HashMap<u32, u32>,
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
    /// Has this path been met?
    pub(super) fn known(&self, path: &str) -> Option<u64> {
        self.paths.get(path).copied()
    }

    /// The file of a path; none where there are too many.
    pub(super) fn file(&mut self, path: &str) -> Option<u64> {
        if let Some(file) = self.paths.get(path) {
            return Some(*file);
        }
        if self.paths.len() >= COUNT_MAX || self.path_bytes + path.len() > PATH_BYTES_MAX {
            return None;
        }
        self.file_count += 1;
        self.link(path, self.file_count);
        Some(self.file_count)
    }

    /// Forgets a path; the file it led to.
    pub(super) fn unlink(&mut self, path: &str) -> Option<u64> {
        let file = self.paths.remove(path)?;
        self.path_bytes -= path.len();
        self.sizes.remove(&file);
        Some(file)
    }

    /// A path that leads nowhere leads to `file` now.
    pub(super) fn link(&mut self, path: &str, file: u64) {
        if self.paths.insert(path.to_owned(), file).is_none() {
            self.path_bytes += path.len();
        }
    }

    /// Where a file ends, where that is known.
    pub(super) fn size(&self, file: u64) -> Option<u64> {
        self.sizes.get(&file).copied()
    }

    /// A file ends here.
    pub(super) fn set_size(&mut self, file: u64, bytes: u64) {
        if self.sizes.len() < COUNT_MAX || self.sizes.contains_key(&file) {
            self.sizes.insert(file, bytes);
        }
    }

    /// A file reaches to here at least.
    pub(super) fn reach(&mut self, file: u64, end: u64) {
        let size = self.size(file).unwrap_or(0).max(end);
        self.set_size(file, size);
    }

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
        let open = self.table.remove(&(self.group(pid), fd))?;
        self.release(open)
    }

    /// `child` begins: as a thread, or with a copy of the descriptors.
    pub(super) fn begin(&mut self, parent: u32, child: u32, shares: bool) {
        if self.groups.len() >= COUNT_MAX || self.groups.contains_key(&child) {
            return;
        }
        let group = self.group(parent);
        if shares {
            self.groups.insert(child, group);
            return;
        }
        self.groups.insert(child, child);
        let copied: Vec<(i32, u64)> = self
            .table
            .iter()
            .filter(|((of, _), _)| *of == group)
            .map(|((_, fd), open)| (*fd, *open))
            .take(COUNT_MAX.saturating_sub(self.table.len()))
            .collect();
        for (fd, open) in copied {
            self.refer(open);
            self.table.insert((child, fd), open);
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
            if let Some(open) = self.table.remove(&key) {
                self.release(open);
            }
        }
    }

    /// Group 0 has all whose beginning was not seen.
    fn group(&self, pid: u32) -> u32 {
        self.groups.get(&pid).copied().unwrap_or(0)
    }

    fn refer(&mut self, open: u64) {
        if let Some(open) = self.open.get_mut(&open) {
            open.references += 1;
        }
    }

    fn release(&mut self, open: u64) -> Option<Open> {
        let found = self.open.get_mut(&open)?;
        found.references -= 1;
        let was = *found;
        if was.references == 0 {
            self.open.remove(&open);
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
    fn a_path_that_is_unlinked_leads_to_another_file_next_time() {
        let mut files = Files::default();
        let first = files.file("/a").unwrap();
        files.reach(first, 100);
        files.reach(first, 50);
        assert_eq!(files.size(first), Some(100));
        assert_eq!(files.unlink("/a"), Some(first));
        assert_ne!(files.file("/a"), Some(first));
        files.link("/b", first);
        assert_eq!(files.known("/b"), Some(first));
    }
}
