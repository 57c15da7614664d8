//! What paths lead to, and where files end.
//!
//! A directory that moves takes its files and what is open in it along; paths that begin at a place that is told late are moved
//! there. A file that is unlinked has an end for as long as it is open.

use super::directories::{moved, normal};
use super::files::{COUNT_MAX, Files, PATH_BYTES_MAX, Size};

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

    /// A file that no path leads to.
    pub(super) fn nameless(&mut self) -> u64 {
        self.file_count += 1;
        self.gone.insert(self.file_count);
        self.file_count
    }

    /// Forgets a path; the file it led to.
    pub(super) fn unlink(&mut self, path: &str) -> Option<u64> {
        let file = self.paths.remove(path)?;
        self.path_bytes -= path.len();
        if self.users.contains_key(&file) {
            self.gone.insert(file);
        } else {
            self.sizes.remove(&file);
        }
        Some(file)
    }

    /// What a path leads to has another path now.
    pub(super) fn relocate(&mut self, from: &str, to: &str) {
        if let Some(file) = self.paths.remove(from) {
            self.path_bytes -= from.len();
            self.link(to, file);
        }
    }

    /// What lies in a directory lies in another one now: the files and their new paths.
    pub(super) fn move_directory(&mut self, from: &str, to: &str) -> Vec<(u64, String)> {
        let beginning = format!("{from}/");
        let moved: Vec<(String, u64)> = self
            .paths
            .range(beginning.clone()..)
            .take_while(|(path, _)| path.starts_with(&beginning))
            .map(|(path, file)| (path.clone(), *file))
            .collect();
        self.relink(moved, |path| normal(to, &path[beginning.len()..]))
    }

    /// Open directories that are or lie in a directory that moved have new paths; are there any?
    pub(super) fn move_open_directories(&mut self, from: &str, to: &str) -> bool {
        self.rename_directories(|path| moved(path, from, to))
    }

    fn rename_directories(&mut self, new: impl Fn(&str) -> Option<String>) -> bool {
        let mut is_any = false;
        for path in self.directories.values_mut() {
            if let Some(there) = new(path) {
                self.path_bytes = self.path_bytes - path.len() + there.len();
                *path = there;
                is_any = true;
            }
        }
        is_any
    }

    /// Paths that began at an unknown place begin at `start`: the files and their new paths.
    pub(super) fn set_start(&mut self, start: &str) -> Vec<(u64, String)> {
        let moved: Vec<(String, u64)> = self
            .paths
            .iter()
            .filter(|(path, _)| !path.starts_with('/'))
            .map(|(path, file)| (path.clone(), *file))
            .collect();
        self.rename_directories(|path| (!path.starts_with('/')).then(|| normal(start, path)));
        self.relink(moved, |path| normal(start, path))
    }

    fn relink(
        &mut self,
        moved: Vec<(String, u64)>,
        new: impl Fn(&str) -> String,
    ) -> Vec<(u64, String)> {
        let relinked = moved.into_iter().map(|(old, file)| {
            if self.paths.remove(&old).is_some() {
                self.path_bytes -= old.len();
            }
            let path = new(&old);
            self.link(&path, file);
            (file, path)
        });
        relinked.collect()
    }

    /// A descriptor is a directory.
    pub(super) fn name_directory(&mut self, pid: u32, fd: i32, path: String) {
        if let Some(open) = self.table.get(&(self.group(pid), fd))
            && self.directories.len() < COUNT_MAX
            && self.path_bytes + path.len() <= PATH_BYTES_MAX
        {
            self.path_bytes += path.len();
            self.directories.insert(*open, path);
        }
    }

    /// The directory that a descriptor is.
    pub(super) fn directory(&self, pid: u32, fd: i32) -> Option<&str> {
        let open = self.table.get(&(self.group(pid), fd))?;
        self.directories.get(open).map(String::as_str)
    }

    /// A path that leads nowhere leads to `file` now.
    pub(super) fn link(&mut self, path: &str, file: u64) {
        if self.paths.insert(path.to_owned(), file).is_none() {
            self.path_bytes += path.len();
        }
    }

    /// Where a file ends, where anything is known of it.
    pub(super) fn size(&self, file: u64) -> Option<Size> {
        self.sizes.get(&file).copied()
    }

    /// A file ends here.
    pub(super) fn set_size(&mut self, file: u64, size: Size) {
        if self.sizes.len() < COUNT_MAX || self.sizes.contains_key(&file) {
            self.sizes.insert(file, size);
        }
    }

    /// A file reaches to here at least.
    pub(super) fn reach(&mut self, file: u64, end: u64) {
        let size = match self.size(file) {
            None => Size::AtLeast(end),
            Some(Size::AtLeast(size)) => Size::AtLeast(size.max(end)),
            Some(Size::Exactly(size)) => Size::Exactly(size.max(end)),
        };
        self.set_size(file, size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_unlinked_leads_to_another_file_next_time() {
        let mut files = Files::default();
        let first = files.file("/a").unwrap();
        files.reach(first, 100);
        files.reach(first, 50);
        assert_eq!(files.size(first), Some(Size::AtLeast(100)));
        files.set_size(first, Size::Exactly(10));
        files.reach(first, 20);
        assert_eq!(files.size(first), Some(Size::Exactly(20)));
        assert_eq!(files.unlink("/a"), Some(first));
        assert_eq!(files.size(first), None, "nobody has it open");
        assert_ne!(files.file("/a"), Some(first));
        files.link("/b", first);
        assert_eq!(files.known("/b"), Some(first));
    }
}
