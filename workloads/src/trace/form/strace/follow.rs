//! What a call comes to: it moves descriptors and names, and is requests, lost, or of no interest.

use super::super::super::notes::Notes;
use super::super::super::request::{MOVED_BYTES_MAX, Parsed, Place, Request, RequestKind};
use super::call::Call;
use super::files::{Files, Open};

/// The kernel moves no more in one call.
const CALL_BYTES_MAX: u64 = 0x7fff_f000;
const _: () = assert!(CALL_BYTES_MAX <= 2 * MOVED_BYTES_MAX);

const FAILED: &str = "call that failed";
pub(super) const UNKNOWN: &str = "descriptor whose opening is not in the trace (record with -y)";
const AT_END: &str = "read at the end of a file: no bytes";
const TOO_MANY: &str = "file or descriptor beyond the 2^20th at a time";
pub(super) const GUESSED_POSITION: &str =
    "position of a descriptor opened before the trace: counted from 0";
pub(super) const GUESSED_SIZE: &str =
    "append to a file of unknown size: placed behind what the trace knows of it";

/// Follows what is open, call by call.
#[derive(Debug, Default)]
pub(super) struct Follower {
    files: Files,
}

/// What a call comes to: requests, a reason for none, or a fault.
pub(super) type Outcome = Result<Vec<Request>, Parsed>;

fn lost(reason: &'static str) -> Outcome {
    Err(Parsed::Lost(reason))
}

fn malformed<T>(reason: &'static str) -> Result<T, Parsed> {
    Err(Parsed::Malformed(reason))
}

/// Who calls, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller {
    pub(super) pid: u32,
    pub(super) at_ns: u64,
    pub(super) took_ns: u64,
}

impl Caller {
    fn request(self, kind: RequestKind, file: u64) -> Request {
        Request {
            thread: self.pid,
            took_ns: self.took_ns,
            ..Request::new(self.at_ns, kind, Place::File(file))
        }
    }
}

impl Follower {
    /// A process is gone.
    pub(super) fn end(&mut self, pid: u32) {
        self.files.end(pid);
    }

    pub(super) fn requests(
        &mut self,
        call: &Call<'_>,
        caller: Caller,
        notes: &mut Notes,
    ) -> Outcome {
        let is_data = matches!(
            call.name,
            "read"
                | "readv"
                | "pread64"
                | "pread"
                | "preadv"
                | "preadv2"
                | "write"
                | "writev"
                | "pwrite64"
                | "pwrite"
                | "pwritev"
                | "pwritev2"
                | "fsync"
                | "fdatasync"
                | "ftruncate"
                | "ftruncate64"
                | "truncate"
                | "truncate64"
                | "fallocate"
        );
        let result = match call.result {
            Some(result) if result >= 0 => result.unsigned_abs(),
            _ if is_data => return lost(FAILED),
            _ => return Ok(Vec::new()),
        };
        match call.name {
            "open" => self.opened(call, caller, (call.path(0), None), call.arg(1), notes),
            "creat" => self.opened(call, caller, (call.path(0), None), "O_CREAT|O_TRUNC", notes),
            "openat" | "openat2" => {
                let path = (call.path(1), call.directory(0));
                self.opened(call, caller, path, call.arg(2), notes)
            }
            "close" => self.closed(call, caller),
            "dup" | "dup2" | "dup3" | "fcntl" | "fcntl64" => {
                self.descriptor_moved(call, caller.pid, result)
            }
            "lseek" | "_llseek" => {
                if let Some((fd, path)) = call.descriptor(0)
                    && let Some(open) = self.open_at(caller.pid, fd, path, notes)
                {
                    open.position = result;
                    open.is_guessed = false;
                }
                Ok(Vec::new())
            }
            "read" | "readv" => self.transfer(call, caller, RequestKind::Read, None, result, notes),
            "write" | "writev" => {
                self.transfer(call, caller, RequestKind::Write, None, result, notes)
            }
            "pread64" | "pread" | "preadv" | "preadv2" => self.transfer(
                call,
                caller,
                RequestKind::Read,
                call.number(3),
                result,
                notes,
            ),
            "pwrite64" | "pwrite" | "pwritev" | "pwritev2" => self.transfer(
                call,
                caller,
                RequestKind::Write,
                call.number(3),
                result,
                notes,
            ),
            "fsync" | "fdatasync" => self.on_descriptor(call, caller, RequestKind::Sync, notes),
            "sync" | "syncfs" => Ok(vec![Request {
                place: Place::File(0),
                ..caller.request(RequestKind::Flush, 0)
            }]),
            "ftruncate" | "ftruncate64" => {
                let request = self.on_descriptor(call, caller, RequestKind::Truncate, notes)?;
                self.truncated(request, call.number(1))
            }
            "truncate" | "truncate64" => {
                let Some(path) = call.path(0).filter(|path| is_of_interest(path)) else {
                    return Ok(Vec::new());
                };
                let Some(file) = self.files.file(path) else {
                    return lost(TOO_MANY);
                };
                notes.named(Place::File(file), path);
                self.truncated(
                    vec![caller.request(RequestKind::Truncate, file)],
                    call.number(1),
                )
            }
            "fallocate" => self.allocated(call, caller, notes),
            "rename" => self.renamed(caller, (call.path(0), None), (call.path(1), None), notes),
            "renameat" | "renameat2" => {
                if call.arg(4).contains("RENAME_EXCHANGE") {
                    return lost("exchange of two names");
                }
                let (from, to) = (
                    (call.path(1), call.directory(0)),
                    (call.path(3), call.directory(2)),
                );
                self.renamed(caller, from, to, notes)
            }
            "unlink" => Ok(self.unlinked(caller, (call.path(0), None))),
            "unlinkat" if call.arg(2).contains("AT_REMOVEDIR") => Ok(Vec::new()),
            "unlinkat" => Ok(self.unlinked(caller, (call.path(1), call.directory(0)))),
            "fork" | "vfork" | "clone" | "clone2" | "clone3" => {
                let shares = call.name.starts_with("clone")
                    && (0..6).any(|nth| call.arg(nth).contains("CLONE_FILES"));
                if let Ok(child) = u32::try_from(result) {
                    self.files.begin(caller.pid, child, shares);
                }
                Ok(Vec::new())
            }
            "mmap" | "mmap2"
                if call.arg(3).contains("MAP_SHARED")
                    && call.arg(2).contains("PROT_WRITE")
                    && call.number(4) != Some(-1) =>
            {
                lost("writable shared mapping: what goes through it is not in the trace")
            }
            "sendfile" | "sendfile64" | "copy_file_range" | "splice" => {
                lost("copy inside the kernel")
            }
            "io_submit" | "io_uring_enter" => lost("asynchronous requests: not in the trace"),
            "sync_file_range" => lost("sync_file_range: promises nothing"),
            "link" | "linkat" => lost("hard link"),
            _ => Ok(Vec::new()),
        }
    }

    fn opened(
        &mut self,
        call: &Call<'_>,
        caller: Caller,
        (path, directory): (Option<&str>, Option<&str>),
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
        let path = match call.result_path {
            Some(path) => path.to_owned(),
            None => match path {
                Some(path) => joined(directory, path),
                None => return malformed("it opens no path"),
            },
        };
        if has("O_DIRECTORY") || has("O_PATH") || has("O_TMPFILE") || !is_of_interest(&path) {
            self.files.set(caller.pid, fd, Open::new(None));
            return if has("O_TMPFILE") {
                lost("temporary file without a name")
            } else {
                Ok(Vec::new())
            };
        }
        let is_new = self.files.known(&path).is_none();
        let Some(file) = self.files.file(&path) else {
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
        let is_empty = has("O_TRUNC") || (is_new && has("O_CREAT") && has("O_EXCL"));
        let kind = if is_empty {
            self.files.set_size(file, 0);
            RequestKind::Create
        } else {
            RequestKind::Open
        };
        Ok(vec![caller.request(kind, file)])
    }

    fn closed(&mut self, call: &Call<'_>, caller: Caller) -> Outcome {
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

    fn descriptor_moved(&mut self, call: &Call<'_>, pid: u32, result: u64) -> Outcome {
        let Some((from, _)) = call.descriptor(0) else {
            return Ok(Vec::new());
        };
        let is_control = call.name.starts_with("fcntl");
        if is_control && call.arg(1) == "F_SETFL" {
            if let Some(open) = self.files.open_of(pid, from) {
                open.appends = call.arg(2).contains("O_APPEND");
            }
        } else if !is_control || call.arg(1).starts_with("F_DUPFD") {
            let to = i32::try_from(result);
            to.into_iter()
                .for_each(|to| self.files.duplicate(pid, from, to));
        }
        Ok(Vec::new())
    }

    /// The open file of a descriptor: as followed, or as `-y` tells it.
    fn open_at(
        &mut self,
        pid: u32,
        fd: i32,
        path: Option<&str>,
        notes: &mut Notes,
    ) -> Option<&mut Open> {
        let told = path.filter(|path| !path.ends_with("(deleted)"));
        let known = self.files.open_of(pid, fd).copied();
        let is_as_told = match (known, told) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(open), Some(path)) if is_of_interest(path) => open.file == self.files.known(path),
            (Some(open), Some(_)) => open.file.is_none(),
        };
        if !is_as_told {
            let file = match told? {
                path if is_of_interest(path) => {
                    let file = self.files.file(path)?;
                    notes.named(Place::File(file), path);
                    Some(file)
                }
                _ => None,
            };
            let open = Open {
                is_guessed: true,
                ..Open::new(file)
            };
            self.files.set(pid, fd, open);
        }
        self.files.open_of(pid, fd)
    }

    fn transfer(
        &mut self,
        call: &Call<'_>,
        caller: Caller,
        kind: RequestKind,
        offset: Option<i64>,
        bytes: u64,
        notes: &mut Notes,
    ) -> Outcome {
        let Some((fd, path)) = call.descriptor(0) else {
            return malformed("its descriptor is no number");
        };
        let is_positioned = call.name.starts_with('p');
        let offset = match (is_positioned, offset) {
            (false, _) => None,
            // The second version of the vector calls means the position by -1.
            (true, Some(-1)) if call.name.ends_with("v2") => None,
            (true, Some(offset)) if offset >= 0 => Some(offset.unsigned_abs()),
            (true, _) => return malformed("its offset is no number"),
        };
        let Some(open) = self.open_at(caller.pid, fd, path, notes).copied() else {
            return lost(UNKNOWN);
        };
        let Some(file) = open.file else {
            return Ok(Vec::new());
        };
        let appends =
            kind == RequestKind::Write && (open.appends || call.arg(4).contains("RWF_APPEND"));
        let at = match offset {
            Some(offset) if !appends => offset,
            _ if appends => match self.files.size(file) {
                Some(size) => size,
                None => {
                    notes.mend(GUESSED_SIZE);
                    open.position
                }
            },
            _ => {
                if open.is_guessed {
                    notes.mend(GUESSED_POSITION);
                }
                open.position
            }
        };
        let request = Request {
            through: kind == RequestKind::Write
                && (open.is_through
                    || call.arg(4).contains("RWF_DSYNC")
                    || call.arg(4).contains("RWF_SYNC")),
            ..caller.request(kind, file)
        };
        let requests = pieces(request, at, bytes).or_else(malformed)?;
        if offset.is_none()
            && let Some(open) = self.files.open_of(caller.pid, fd)
        {
            open.position = at + bytes;
            open.is_guessed = false;
        }
        if bytes == 0 {
            return if kind == RequestKind::Read {
                lost(AT_END)
            } else {
                Ok(Vec::new())
            };
        }
        if kind == RequestKind::Write {
            self.files.reach(file, at + bytes);
        }
        Ok(requests)
    }

    fn on_descriptor(
        &mut self,
        call: &Call<'_>,
        caller: Caller,
        kind: RequestKind,
        notes: &mut Notes,
    ) -> Outcome {
        let Some((fd, path)) = call.descriptor(0) else {
            return malformed("its descriptor is no number");
        };
        let Some(open) = self.open_at(caller.pid, fd, path, notes) else {
            return lost(UNKNOWN);
        };
        Ok(open
            .file
            .map(|file| caller.request(kind, file))
            .into_iter()
            .collect())
    }

    fn truncated(&mut self, requests: Vec<Request>, bytes: Option<i64>) -> Outcome {
        let Some(bytes) = bytes.and_then(|bytes| u64::try_from(bytes).ok()) else {
            return malformed("the new size is no number");
        };
        requests
            .into_iter()
            .map(|request| {
                if let Place::File(file) = request.place {
                    self.files.set_size(file, bytes);
                }
                request.at(0, bytes).or_else(malformed)
            })
            .collect()
    }

    fn allocated(&mut self, call: &Call<'_>, caller: Caller, notes: &mut Notes) -> Outcome {
        if !call.arg(1).contains("FALLOC_FL_PUNCH_HOLE") {
            return lost("fallocate: a replay preallocates nothing");
        }
        let (Some(offset), Some(bytes)) = (call.number(2), call.number(3)) else {
            return malformed("offset and length are no numbers");
        };
        let (Ok(offset), Ok(bytes)) = (u64::try_from(offset), u64::try_from(bytes)) else {
            return malformed("offset or length is negative");
        };
        let requests = self.on_descriptor(call, caller, RequestKind::Discard, notes)?;
        requests
            .into_iter()
            .map(|request| request.at(offset, bytes).or_else(malformed))
            .collect()
    }

    fn renamed(
        &mut self,
        caller: Caller,
        from: (Option<&str>, Option<&str>),
        to: (Option<&str>, Option<&str>),
        notes: &mut Notes,
    ) -> Outcome {
        let (Some(from_path), Some(to_path)) = (from.0, to.0) else {
            return malformed("it renames no path");
        };
        let (from, to) = (joined(from.1, from_path), joined(to.1, to_path));
        let Some(file) = self.files.known(&from).or_else(|| {
            is_of_interest(&from)
                .then(|| self.files.file(&from))
                .flatten()
        }) else {
            return Ok(Vec::new());
        };
        if from == to {
            return Ok(Vec::new());
        }
        let size = self.files.size(file);
        self.files.unlink(&from);
        let replaced = self.files.unlink(&to);
        self.files.link(&to, file);
        size.into_iter()
            .for_each(|size| self.files.set_size(file, size));
        notes.named(Place::File(file), &to);
        let replaced = replaced.map(|file| caller.request(RequestKind::Remove, file));
        let renamed = caller.request(RequestKind::Rename, file);
        Ok(replaced.into_iter().chain([renamed]).collect())
    }

    fn unlinked(
        &mut self,
        caller: Caller,
        (path, directory): (Option<&str>, Option<&str>),
    ) -> Vec<Request> {
        let file = path.and_then(|path| {
            let path = joined(directory, path);
            let known = self.files.unlink(&path);
            known.or_else(|| {
                is_of_interest(&path)
                    .then(|| self.files.file(&path))
                    .flatten()
            })
        });
        file.map(|file| caller.request(RequestKind::Remove, file))
            .into_iter()
            .collect()
    }
}

/// What a call moved, in requests as large as one may be; only the last of them has its time and its durability.
fn pieces(request: Request, at: u64, bytes: u64) -> Result<Vec<Request>, &'static str> {
    if bytes > CALL_BYTES_MAX {
        return Err("it moves more than a call can");
    }
    let Some(rest) = bytes.checked_sub(MOVED_BYTES_MAX).filter(|rest| *rest > 0) else {
        return Ok(vec![request.at(at, bytes)?]);
    };
    let first = Request {
        through: false,
        took_ns: 0,
        ..request
    };
    let last = request.at(at.saturating_add(MOVED_BYTES_MAX), rest)?;
    Ok(vec![first.at(at, MOVED_BYTES_MAX)?, last])
}

/// A path relative to a directory that `-y` tells.
fn joined(directory: Option<&str>, path: &str) -> String {
    match directory {
        Some(directory) if !path.starts_with('/') => format!("{directory}/{path}"),
        _ => path.to_owned(),
    }
}

/// A file, as far as its path tells: no device, no file of the kernel's, no pipe or socket.
fn is_of_interest(path: &str) -> bool {
    let is_kernels = ["/dev/", "/proc/", "/sys/"]
        .iter()
        .any(|root| path.starts_with(root));
    !path.is_empty() && !is_kernels && !path.contains(":[") && !path.starts_with("anon_inode:")
}
