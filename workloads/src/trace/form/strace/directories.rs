//! Working directories: what relative names are relative to.
//!
//! Threads share one, a fork begins with its parent's; processes whose beginning is not in the trace share one too. It is told
//! by `-y` and by getcwd, moves with chdir and fchdir, and is taken from where a relative name was opened. Until it is told, names
//! are relative to where the recording began, and stay so.
//!
//! A path is normal: no `.`, no empty part, and `..` only in front of one that is relative. Links are not followed.

use std::collections::HashMap;

/// More processes at a time are no trace.
const COUNT_MAX: usize = 1 << 20;

/// Which processes are where.
#[derive(Debug, Default)]
pub(super) struct Directories {
    /// By group; none of a group is where the recording began.
    at: HashMap<u32, Directory>,
    groups: HashMap<u32, u32>,
    /// Where the recording began, once that is told.
    start: Option<String>,
}

/// A directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Directory {
    /// Where the recording began, and the way from there.
    From(String),
    /// As told.
    Told(String),
    /// As it follows from names that may have been links.
    Inferred(String),
    #[default]
    Unknown,
}

/// Where a name leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Resolved {
    pub(super) path: String,
    /// That there is such a file is not sure unless its path was met.
    pub(super) is_doubtful: bool,
}

impl Directory {
    /// Where `name` leads from here.
    pub(super) fn resolve(&self, name: &str) -> Option<Resolved> {
        let (path, is_doubtful) = match self {
            _ if name.starts_with('/') => (normal("", name), false),
            Self::Told(path) => (normal(path, name), false),
            Self::From(path) | Self::Inferred(path) => (normal(path, name), true),
            Self::Unknown => return None,
        };
        Some(Resolved { path, is_doubtful })
    }

    /// What it is after `from` became `to`; none where it lies elsewhere.
    fn relocated(&self, from: &str, to: &str) -> Option<Self> {
        let (Self::From(path) | Self::Told(path) | Self::Inferred(path)) = self else {
            return None;
        };
        let path = moved(path, from, to)?;
        Some(match (self, path.starts_with('/')) {
            (_, false) => Self::From(path),
            (Self::Told(_), true) => Self::Told(path),
            (_, true) => Self::Inferred(path),
        })
    }
}

impl Directories {
    /// The directory of a process.
    pub(super) fn of(&self, pid: u32) -> Directory {
        let at = self.at.get(&self.group(pid));
        at.cloned().unwrap_or_else(|| match &self.start {
            Some(start) => Directory::Inferred(start.clone()),
            None => Directory::From(String::new()),
        })
    }

    /// A process is here now. Where names so far began at an unknown place, and this tells it: that place.
    pub(super) fn tell(&mut self, pid: u32, path: &str) -> Option<String> {
        if matches!(self.at.get(&self.group(pid)), Some(Directory::Told(at)) if at == path) {
            return None;
        }
        let path = normal("", path);
        let start = match self.of(pid) {
            Directory::From(way) if way.is_empty() => Some(path.clone()),
            Directory::From(way) => path
                .strip_suffix(way.as_str())
                .filter(|start| start.ends_with('/'))
                .map(|start| normal("", start)),
            _ => None,
        };
        if let Some(start) = &start {
            self.start = Some(start.clone());
            for at in self.at.values_mut() {
                if let Directory::From(way) = at {
                    *at = Directory::Inferred(normal(start, way));
                }
            }
        }
        self.set(pid, Directory::Told(path));
        start
    }

    /// A process is there now.
    pub(super) fn set(&mut self, pid: u32, directory: Directory) {
        let group = self.group(pid);
        if self.at.len() < COUNT_MAX || self.at.contains_key(&group) {
            self.at.insert(group, directory);
        }
    }

    /// A process went from where it was.
    pub(super) fn change(&mut self, pid: u32, name: &str) {
        let directory = match (self.of(pid), name.starts_with('/')) {
            (Directory::From(way), false) => Directory::From(normal(&way, name)),
            (before, _) => before
                .resolve(name)
                .map_or(Directory::Unknown, |to| Directory::Inferred(to.path)),
        };
        self.set(pid, directory);
    }

    /// A directory has another name now, and with it all who are in it; was anybody?
    pub(super) fn relocate(&mut self, from: &str, to: &str) -> bool {
        let mut is_any = false;
        if let Some(start) = &mut self.start
            && let Some(path) = moved(start, from, to)
        {
            *start = path;
            is_any = true;
        }
        for at in self.at.values_mut() {
            if let Some(there) = at.relocated(from, to) {
                *at = there;
                is_any = true;
            }
        }
        is_any
    }

    /// `child` begins: with the directory of its parent, or with one of its own that is the same.
    pub(super) fn begin(&mut self, parent: u32, child: u32, shares: bool) {
        let (group, at) = (self.group(parent), self.of(parent));
        self.end(child);
        if self.groups.len() >= COUNT_MAX {
            return;
        }
        if shares {
            self.groups.insert(child, group);
        } else {
            self.groups.insert(child, child);
            self.set(child, at);
        }
    }

    /// A process is gone.
    pub(super) fn end(&mut self, pid: u32) {
        let Some(group) = self.groups.remove(&pid) else {
            return;
        };
        if group != 0 && !self.groups.values().any(|other| *other == group) {
            self.at.remove(&group);
        }
    }

    /// Do they share one?
    pub(super) fn is_one(&self, a: u32, b: u32) -> bool {
        self.group(a) == self.group(b)
    }

    fn group(&self, pid: u32) -> u32 {
        self.groups.get(&pid).copied().unwrap_or(0)
    }
}

/// `name` from `directory`.
pub(super) fn normal(directory: &str, name: &str) -> String {
    let directory = if name.starts_with('/') { "" } else { directory };
    let is_absolute = directory.starts_with('/') || name.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in directory.split('/').chain(name.split('/')) {
        match (part, parts.last()) {
            ("" | ".", _) => {}
            ("..", None) if is_absolute => {}
            ("..", Some(last)) if *last != ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    let root = if is_absolute { "/" } else { "" };
    root.to_owned() + &parts.join("/")
}

/// Where `path` leads to after the directory `from` became `to`; none where it does not lie in it.
pub(super) fn moved(path: &str, from: &str, to: &str) -> Option<String> {
    let way = path.strip_prefix(from).filter(|_| !from.is_empty())?;
    (way.is_empty() || way.starts_with('/')).then(|| normal(to, way.trim_start_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normal() {
        for (directory, name, path) in [
            ("/d", "a", "/d/a"),
            ("/d", ".//a/./b", "/d/a/b"),
            ("/d/e", "../../../a", "/a"),
            ("/d", "/a//b/", "/a/b"),
            ("/", "a", "/a"),
            ("/d", ".", "/d"),
            ("", "a", "a"),
            ("", "../../a", "../../a"),
            ("s", "../../a", "../a"),
            ("s", "..", ""),
        ] {
            assert_eq!(normal(directory, name), path, "{directory} {name}");
        }
    }

    #[test]
    fn what_lies_in_a_directory_moves_with_it() {
        for (path, from, to, expected) in [
            ("/d/x", "/d/x", "/d/y", Some("/d/y")),
            ("/d/x/s", "/d/x", "/e", Some("/e/s")),
            ("/d/x.s", "/d/x", "/e", None),
            ("/d", "/d/x", "/e", None),
            ("x/s", "x", "/e", Some("/e/s")),
            ("/x", "", "/e", None),
        ] {
            assert_eq!(moved(path, from, to).as_deref(), expected, "{path}");
        }
        let mut directories = Directories::default();
        directories.change(1, "x/s");
        assert!(directories.relocate("x", "z"));
        assert_eq!(directories.of(1), Directory::From("z/s".to_owned()));
        assert!(!directories.relocate("x", "y"));
        assert!(directories.relocate("z", "/e"));
        assert_eq!(directories.of(1), Directory::Inferred("/e/s".to_owned()));
        directories.tell(2, "/d");
        directories.relocate("/d", "/f");
        assert_eq!(directories.of(2), Directory::Told("/f".to_owned()));
    }

    #[test]
    fn where_a_recording_began_is_told_late() {
        let mut directories = Directories::default();
        directories.change(1, "s");
        directories.begin(1, 2, false);
        directories.change(2, "t");
        assert_eq!(directories.of(2), Directory::From("s/t".to_owned()));
        assert_eq!(directories.tell(1, "/d/s"), Some("/d".to_owned()));
        assert_eq!(directories.of(1), Directory::Told("/d/s".to_owned()));
        assert_eq!(directories.of(2), Directory::Inferred("/d/s/t".to_owned()));
        assert_eq!(directories.tell(2, "/d/s/t"), None);
        directories.end(2);
        assert_eq!(directories.at.len(), 1);
    }
}
