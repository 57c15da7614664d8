//! Calls that open, close and duplicate descriptors, and what a descriptor is.
//!
//! A descriptor is what the trace made of it, unless `-y` tells otherwise: then it was opened before the trace, or its opening was not
//! seen.
//!
//! Not here: the tables (files), what data goes through a descriptor (transfer).

use super::super::super::notes::Notes;
use super::super::super::request::{Place, RequestKind};
use super::call::{Call, Told};
use super::files::{Open, Size};
use super::follow::{Caller, Follower, Met, Outcome, TOO_MANY, is_of_interest, lost, malformed};
use super::naming::{NameAt, UNKNOWN_DIRECTORY};

impl Follower {
    pub(super) fn opened(
        &mut self,
        call: &Call<'_>,
        caller: Caller,
        (directory, nth): NameAt,
        flags: &str,
        notes: &mut Notes,
    ) -> Outcome {
        let Some(fd) = call.result.and_then(|fd| i32::try_from(fd).ok()) else {
            return malformed("the descriptor is no number");
        };
        let has = |flag: &str| {
            flags
                .split(['|', '=', '{', ',', ' '])
                .any(|word| word == flag)
        };
        let closes = has("O_CLOEXEC");
        let path = match &call.result_path {
            Some(told) => {
                let never_links = has("O_NOFOLLOW") || (has("O_CREAT") && has("O_EXCL"));
                self.infer_directory(call, caller.pid, (directory, nth), never_links);
                told.path.clone().into_owned()
            }
            None => {
                let Some(name) = call.path(nth) else {
                    return malformed("it opens no path");
                };
                match self
                    .directory_of(call, caller.pid, directory)
                    .resolve(&name)
                {
                    Some(resolved) => resolved.path,
                    None => {
                        self.files.set(caller.pid, fd, Open::new(None));
                        return lost(UNKNOWN_DIRECTORY);
                    }
                }
            }
        };
        let is_directory = has("O_DIRECTORY")
            || call
                .path(nth)
                .is_some_and(|name| matches!(name.rsplit('/').next(), Some("" | "." | "..")));
        let is_nameless =
            has("O_TMPFILE") || call.result_path.as_ref().is_some_and(|told| told.is_gone);
        if (is_directory || has("O_PATH") || !is_of_interest(&path)) && !has("O_TMPFILE") {
            self.files.set(caller.pid, fd, Open::new(None));
            self.files.set_closes(caller.pid, fd, closes);
            self.files.name_directory(caller.pid, fd, path);
            return Ok(Vec::new());
        }
        let is_exclusive = has("O_CREAT") && has("O_EXCL");
        if is_exclusive {
            // What had the name before is gone, unseen.
            self.files.unlink(&path);
        }
        let file = if is_nameless {
            Some(self.files.nameless())
        } else {
            self.files.file(&path)
        };
        let Some(file) = file else {
            return lost(TOO_MANY);
        };
        notes.named(Place::File(file), &path);
        let open = Open {
            appends: has("O_APPEND"),
            is_through: has("O_SYNC") || has("O_DSYNC"),
            ..Open::new(Some(file))
        };
        if !self.files.set(caller.pid, fd, open) {
            return lost(TOO_MANY);
        }
        self.files.set_closes(caller.pid, fd, closes);
        let is_empty = has("O_TRUNC") || has("O_TMPFILE") || is_exclusive;
        let kind = if is_empty {
            self.files.set_size(file, Size::Exactly(0));
            RequestKind::Create
        } else {
            RequestKind::Open
        };
        Ok(vec![caller.request(kind, file)])
    }

    pub(super) fn closed(&mut self, call: &Call<'_>, caller: Caller) -> Outcome {
        let Some((fd, _)) = call.descriptor(0) else {
            return malformed("it closes no descriptor");
        };
        let open = self.files.close(caller.pid, fd);
        Ok(open
            .and_then(|open| open.file)
            .map(|file| caller.request(RequestKind::Close, file))
            .into_iter()
            .collect())
    }

    pub(super) fn range_closed(&mut self, call: &Call<'_>, caller: Caller) -> Outcome {
        let bound = |nth| {
            call.number(nth)
                .map(|fd| i32::try_from(fd).unwrap_or(i32::MAX))
        };
        let (Some(first), Some(last)) = (bound(0), bound(1)) else {
            return malformed("its descriptors are no numbers");
        };
        if call.arg(2).contains("CLOSE_RANGE_UNSHARE") {
            self.files.unshare(caller.pid);
        }
        let mut requests = Vec::new();
        for fd in self.files.descriptors(caller.pid, first, last) {
            if call.arg(2).contains("CLOSE_RANGE_CLOEXEC") {
                self.files.set_closes(caller.pid, fd, true);
            } else if let Some(file) = self.files.close(caller.pid, fd).and_then(|open| open.file) {
                requests.push(caller.request(RequestKind::Close, file));
            }
        }
        Ok(requests)
    }

    pub(super) fn descriptor_moved(
        &mut self,
        call: &Call<'_>,
        caller: Caller,
        result: u64,
        notes: &mut Notes,
    ) -> Outcome {
        let pid = caller.pid;
        let Some((from, path)) = call.descriptor(0) else {
            return Ok(Vec::new());
        };
        let is_control = call.name.starts_with("fcntl");
        let control = if is_control { call.arg(1) } else { "" };
        // What was open before the trace is met here perhaps.
        if control != "F_SETFD" {
            self.open_at(caller, from, path.as_ref(), notes);
        }
        match control {
            "F_SETFL" => {
                if let Some(open) = self.files.open_of(pid, from) {
                    open.appends = call.arg(2).contains("O_APPEND");
                }
            }
            "F_SETFD" => {
                let closes = call.arg(2).contains("FD_CLOEXEC");
                self.files.set_closes(pid, from, closes);
            }
            "" | "F_DUPFD" | "F_DUPFD_CLOEXEC" => {
                if let Ok(to) = i32::try_from(result) {
                    self.files.duplicate(pid, from, to);
                    let closes = control == "F_DUPFD_CLOEXEC" || call.arg(2).contains("O_CLOEXEC");
                    if from != to {
                        self.files.set_closes(pid, to, closes);
                    }
                }
            }
            _ => {}
        }
        Ok(Vec::new())
    }

    /// Meets the descriptors of a call that has begun, while the paths that `-y` tells are true.
    pub(super) fn meet(&mut self, call: &Call<'_>, caller: Caller, notes: &mut Notes) -> Met {
        let nths: &[usize] = match call.name {
            "sendfile" | "sendfile64" => &[0, 1],
            "copy_file_range" | "splice" => &[0, 2],
            "fcntl" | "fcntl64" if call.arg(1) == "F_SETFD" => &[],
            "read" | "readv" | "pread64" | "pread" | "preadv" | "preadv2" | "write" | "writev"
            | "pwrite64" | "pwrite" | "pwritev" | "pwritev2" | "fsync" | "fdatasync"
            | "ftruncate" | "ftruncate64" | "fallocate" | "lseek" | "_llseek" | "fstat"
            | "fstat64" | "dup" | "dup2" | "dup3" | "fcntl" | "fcntl64" => &[0],
            _ => &[],
        };
        let mut met = Met::default();
        for (nth, met) in nths.iter().zip(&mut met.0) {
            if let Some((fd, Some(told))) = call.descriptor(*nth)
                && !told.is_gone
                && let Some(open) = self.open_at(caller, fd, Some(&told), notes)
            {
                *met = Some((fd, open.file));
            }
        }
        met
    }

    /// The open file of a descriptor: as followed, or as `-y` tells it.
    pub(super) fn open_at(
        &mut self,
        caller: Caller,
        fd: i32,
        told: Option<&Told<'_>>,
        notes: &mut Notes,
    ) -> Option<&mut Open> {
        // A path that is gone may lead to another file by now; what has no name in a directory is no file.
        let told = told
            .filter(|told| !told.is_gone || !is_of_interest(&told.path))
            .map(|told| told.path.as_ref());
        let pid = caller.pid;
        let met = caller.met.file(fd);
        let known = self.files.open_of(pid, fd).copied();
        let is_as_told = match (known, told) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(open), Some(_)) if met.is_some() => met == Some(open.file),
            (Some(open), Some(path)) if is_of_interest(path) => open.file == self.files.known(path),
            (Some(open), Some(_)) => open.file.is_none(),
        };
        if !is_as_told {
            let file = match (met, told?) {
                (Some(file), _) => file,
                (None, path) if is_of_interest(path) => {
                    let file = self.files.file(path)?;
                    notes.named(Place::File(file), path);
                    Some(file)
                }
                (None, _) => None,
            };
            let open = Open {
                is_guessed: true,
                ..Open::new(file)
            };
            self.files.set(pid, fd, open);
        }
        self.files.open_of(pid, fd)
    }
}
