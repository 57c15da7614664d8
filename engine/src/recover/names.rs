//! Which file has which name, while a check passes the files of the tree and then the records of the log.
//!
//! A name finds its file as in an open volume, so a record costs a look-up, whatever number of files there
//! is. Files of a damaged tree may share a name: it finds the last of them then, as after an open.
//!
//! A change that does not fit is made as far as it can be, so that what follows from it is not told again.
//!
//! Not here: what is wrong with one that does not fit (check, check_log).

use std::collections::HashMap;

use crate::units::FileId;

/// Files and their names.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Every file and its name, if it has one.
    files: HashMap<FileId, Option<String>>,
    /// The file that a name finds.
    holders: HashMap<String, FileId>,
}

impl Names {
    /// A file of the tree, with a name or without one. Returns whom the name found before.
    pub(super) fn add(&mut self, file: FileId, name: Option<&str>) -> Option<FileId> {
        self.files.insert(file, name.map(str::to_owned));
        name.and_then(|name| self.holders.insert(name.to_owned(), file))
    }

    /// Is there such a file?
    pub(super) fn knows(&self, file: FileId) -> bool {
        self.files.contains_key(&file)
    }

    /// A new file; false where its number or its name is taken.
    pub(super) fn create(&mut self, file: FileId, name: &str) -> bool {
        let is_free = !self.knows(file) && !self.holders.contains_key(name);
        self.add(file, Some(name));
        is_free
    }

    /// Another name, and whoever had it has none; false where the file has none that changes.
    pub(super) fn rename(&mut self, file: FileId, name: &str) -> bool {
        let old = self.take_name(file);
        if let Some(&holder) = self.holders.get(name) {
            self.files.insert(holder, None);
        }
        self.add(file, Some(name));
        old.is_some_and(|old| old != name)
    }

    /// The name is gone; false where the file has none.
    pub(super) fn orphan(&mut self, file: FileId) -> bool {
        let had_name = self.take_name(file).is_some();
        self.files.insert(file, None);
        had_name
    }

    /// The file is gone; false where there is none, or it has a name.
    pub(super) fn remove(&mut self, file: FileId) -> bool {
        let had_name = self.take_name(file).is_some();
        self.files.remove(&file).is_some() && !had_name
    }

    fn take_name(&mut self, file: FileId) -> Option<String> {
        let name = self.files.get_mut(&file)?.take()?;
        self.holders.remove(&name);
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: FileId = FileId(1);
    const B: FileId = FileId(2);
    const C: FileId = FileId(3);

    /// Two files of the tree.
    fn names() -> Names {
        let mut names = Names::default();
        assert_eq!(names.add(A, Some("a")), None);
        assert_eq!(names.add(B, Some("b")), None);
        names
    }

    #[test]
    fn a_number_and_a_name_are_taken_once() {
        let mut names = names();
        assert!(!names.create(C, "a"), "the name is taken");
        let mut names = self::names();
        assert!(!names.create(A, "c"), "the number is taken");
        let mut names = self::names();
        assert!(names.create(C, "c"));
        assert!(names.knows(C) && !names.knows(FileId(4)));
        assert!(!names.create(FileId(4), "c"), "taken by a new file, too");
    }

    #[test]
    fn whoever_is_renamed_over_has_no_name_and_the_old_name_is_free() {
        let mut names = names();
        assert!(names.rename(A, "b"));
        assert!(!names.orphan(B), "it has no name any more");
        assert!(names.remove(B));
        assert!(names.create(C, "a"), "nobody is called that now");
        assert!(!names.rename(C, "a"), "no change");
        assert!(!names.rename(B, "x"), "there is none");
    }

    #[test]
    fn a_name_that_was_given_up_is_given_again() {
        let mut names = names();
        assert!(names.orphan(A));
        assert!(names.create(C, "a"));
        assert!(!names.orphan(A), "the name is another file's now");
        assert!(names.remove(A));
        assert!(!names.knows(A));
        assert!(!names.create(FileId(4), "a"), "the other file has it still");
    }

    #[test]
    fn a_file_goes_once_and_without_a_name() {
        let mut names = names();
        assert_eq!(names.add(C, None), None);
        assert!(names.remove(C));
        assert!(!names.remove(C), "it is gone");
        assert!(!names.remove(A), "it has a name");
        assert!(names.create(A, "a"), "and that went with it");
    }

    #[test]
    fn of_two_files_of_one_name_it_finds_the_last() {
        let mut names = names();
        assert_eq!(names.add(C, Some("a")), Some(A));
        assert!(names.rename(B, "a"));
        assert!(names.remove(C), "it was renamed over");
        assert!(!names.remove(A), "it was not");
    }
}
