//! Calls that name files: what the name leads to, and what becomes of it.
//!
//! A name is resolved from the directory it is relative to. Where that is not sure, only a path that was met is taken: another
//! would be a file that never was.

use super::super::super::notes::Notes;
use super::super::super::request::{Place, Request, RequestKind};
use super::call::Call;
use super::directories::{Directory, Resolved};
use super::follow::{Caller, Follower, Outcome, TOO_MANY, is_of_interest, lost, malformed};

pub(super) const UNKNOWN_DIRECTORY: &str =
    "name relative to a directory that is not in the trace (record with -y)";

/// Which arguments are a directory and a name relative to it; without the first it is the working directory.
pub(super) type NameAt = (Option<usize>, usize);

impl Follower {
    /// Learns from a call where its process is.
    pub(super) fn tell_directory(&mut self, call: &Call<'_>, pid: u32, notes: &mut Notes) {
        let told = match call.name {
            "getcwd" if call.result.is_some_and(|result| result > 0) => call.path(0),
            _ => (0..3)
                .find(|nth| call.arg(*nth).starts_with("AT_FDCWD<"))
                .and_then(|nth| call.directory(nth)),
        };
        if let Some(path) = told.filter(|path| path.starts_with('/'))
            && let Some(start) = self.directories.tell(pid, &path)
        {
            for (file, path) in self.files.set_start(&start) {
                notes.named(Place::File(file), &path);
            }
        }
    }

    /// A name of one part was opened: it lies in the working directory, unless it is a link.
    pub(super) fn infer_directory(
        &mut self,
        call: &Call<'_>,
        pid: u32,
        (directory, nth): NameAt,
        never_links: bool,
    ) {
        let is_working = directory.is_none_or(|nth| call.arg(nth) == "AT_FDCWD");
        let (Some(name), Some(told)) = (call.path(nth), &call.result_path) else {
            return;
        };
        if !is_working || name.contains('/') || told.is_gone {
            return;
        }
        let parent = told
            .path
            .strip_suffix(name.as_ref())
            .and_then(|parent| parent.strip_suffix('/'));
        let Some(parent) = parent.filter(|_| told.path.starts_with('/') && !name.is_empty()) else {
            return;
        };
        let parent = if parent.is_empty() { "/" } else { parent };
        if never_links {
            self.directories
                .set(pid, Directory::Told(parent.to_owned()));
        } else if !matches!(self.directories.of(pid), Directory::Told(_)) {
            self.directories
                .set(pid, Directory::Inferred(parent.to_owned()));
        }
    }

    /// The directory that the `nth` argument is; the working directory without.
    pub(super) fn directory_of(&self, call: &Call<'_>, pid: u32, nth: Option<usize>) -> Directory {
        let Some(nth) = nth else {
            return self.directories.of(pid);
        };
        if let Some(path) = call.directory(nth) {
            return Directory::Told(path.into_owned());
        }
        if call.arg(nth) == "AT_FDCWD" {
            return self.directories.of(pid);
        }
        let known = call
            .descriptor(nth)
            .and_then(|(fd, _)| self.files.directory(pid, fd));
        match known {
            Some(path) if path.starts_with('/') => Directory::Told(path.to_owned()),
            Some(way) => Directory::From(way.to_owned()),
            None => Directory::Unknown,
        }
    }

    fn resolved(&self, call: &Call<'_>, pid: u32, (directory, nth): NameAt) -> Option<Resolved> {
        let name = call.path(nth)?;
        self.directory_of(call, pid, directory).resolve(&name)
    }

    /// The file that a name leads to, met before or not.
    fn file_at(&mut self, resolved: &Resolved) -> Result<Option<u64>, &'static str> {
        if let Some(file) = self.files.known(&resolved.path) {
            return Ok(Some(file));
        }
        if resolved.is_doubtful {
            return Err(UNKNOWN_DIRECTORY);
        }
        if !is_of_interest(&resolved.path) {
            return Ok(None);
        }
        self.files.file(&resolved.path).map(Some).ok_or(TOO_MANY)
    }

    /// A file is truncated or removed by its name.
    pub(super) fn by_name(
        &mut self,
        call: &Call<'_>,
        caller: Caller,
        name: NameAt,
        kind: RequestKind,
        notes: &mut Notes,
    ) -> Outcome {
        if call.path(name.1).is_none() {
            return malformed("it names no path");
        }
        let Some(resolved) = self.resolved(call, caller.pid, name) else {
            return lost(UNKNOWN_DIRECTORY);
        };
        let file = match self.file_at(&resolved) {
            Ok(Some(file)) => file,
            Ok(None) => return Ok(Vec::new()),
            Err(reason) => return lost(reason),
        };
        if kind == RequestKind::Remove {
            self.files.unlink(&resolved.path);
        } else {
            notes.named(Place::File(file), &resolved.path);
        }
        Ok(vec![caller.request(kind, file)])
    }

    pub(super) fn renamed(
        &mut self,
        call: &Call<'_>,
        caller: Caller,
        from: NameAt,
        to: NameAt,
        notes: &mut Notes,
    ) -> Outcome {
        if call.path(from.1).is_none() || call.path(to.1).is_none() {
            return malformed("it renames no path");
        }
        let (Some(from), Some(to)) = (
            self.resolved(call, caller.pid, from),
            self.resolved(call, caller.pid, to),
        ) else {
            return lost(UNKNOWN_DIRECTORY);
        };
        if from.path == to.path {
            return Ok(Vec::new());
        }
        // A directory may have been opened like a file: its name moves like that of one, too.
        if self.directory_renamed(&from.path, &to.path, notes)
            && self.files.known(&from.path).is_none()
        {
            return Ok(Vec::new());
        }
        let file = match self.file_at(&from) {
            Ok(Some(file)) => file,
            Ok(None) => return Ok(Vec::new()),
            Err(reason) => return lost(reason),
        };
        let replaced = self.files.unlink(&to.path);
        self.files.relocate(&from.path, &to.path);
        notes.named(Place::File(file), &to.path);
        let replaced = replaced.map(|file| caller.request(RequestKind::Remove, file));
        let renamed: Request = caller.request(RequestKind::Rename, file);
        Ok(replaced.into_iter().chain([renamed]).collect())
    }

    /// Moves what lies in a directory, and who is there; false where nothing is known of one.
    fn directory_renamed(&mut self, from: &str, to: &str, notes: &mut Notes) -> bool {
        let files = self.files.move_directory(from, to);
        let is_open = self.files.move_open_directories(from, to);
        let is_lived_in = self.directories.relocate(from, to);
        let is_any = !files.is_empty() || is_open || is_lived_in;
        for (file, path) in files {
            notes.named(Place::File(file), &path);
        }
        is_any
    }

    /// Two names change places: a replay has no word for it, and what is open keeps its file.
    pub(super) fn exchanged(
        &mut self,
        call: &Call<'_>,
        caller: Caller,
        a: NameAt,
        b: NameAt,
        notes: &mut Notes,
    ) -> Outcome {
        if let (Some(a), Some(b)) = (
            self.resolved(call, caller.pid, a),
            self.resolved(call, caller.pid, b),
        ) {
            let files = (self.files.known(&a.path), self.files.known(&b.path));
            self.files.relocate(&a.path, "");
            self.files.relocate(&b.path, &a.path);
            self.files.relocate("", &b.path);
            for (file, path) in [(files.0, &b.path), (files.1, &a.path)] {
                if let Some(file) = file {
                    notes.named(Place::File(file), path);
                }
            }
        }
        lost("exchange of two names")
    }
}
