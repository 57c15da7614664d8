//! What a call comes to: it moves descriptors and names, and is requests, lost, or of no interest.
//!
//! Not here: what moves data and positions (transfer), what names lead to (naming), what descriptors are
//! (descriptors).

use super::super::super::notes::Notes;
use super::super::super::request::{Parsed, Place, Request, RequestKind};
use super::call::Call;
use super::directories::Directories;
use super::files::Files;

const FAILED: &str = "call that failed";
pub(super) const UNKNOWN: &str = "descriptor whose opening is not in the trace (record with -y)";
pub(super) const TOO_MANY: &str = "file or descriptor beyond the 2^20th at a time";

/// Follows what is open, call by call.
#[derive(Debug, Default)]
pub(super) struct Follower {
    pub(super) files: Files,
    pub(super) directories: Directories,
}

/// What a call comes to: requests, a reason for none, or a fault.
pub(super) type Outcome = Result<Vec<Request>, Parsed>;

pub(super) fn lost(reason: &'static str) -> Outcome {
    Err(Parsed::Lost(reason))
}

pub(super) fn malformed<T>(reason: &'static str) -> Result<T, Parsed> {
    Err(Parsed::Malformed(reason))
}

/// Who calls, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller {
    pub(super) pid: u32,
    pub(super) at_ns: u64,
    pub(super) took_ns: u64,
    pub(super) met: Met,
}

/// What told descriptors of a call were when it began, where others came between its halves: names may have moved since.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Met(pub(super) [Option<(i32, Option<u64>)>; 2]);

impl Met {
    /// The file of a descriptor, if that is told; inside, none for what is no file of interest.
    pub(super) fn file(self, fd: i32) -> Option<Option<u64>> {
        let mut met = self.0.into_iter().flatten();
        met.find(|(of, _)| *of == fd).map(|(_, file)| file)
    }
}

impl Caller {
    /// Of a call that has just begun.
    pub(super) fn new(pid: u32, at_ns: u64) -> Self {
        Self {
            pid,
            at_ns,
            took_ns: 0,
            met: Met::default(),
        }
    }

    pub(super) fn request(self, kind: RequestKind, file: u64) -> Request {
        Request {
            thread: self.pid,
            took_ns: self.took_ns,
            ..Request::new(self.at_ns, kind, Place::File(file))
        }
    }
}

/// What a child shares with its parent rather than begin with a copy of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sharing {
    pub(super) descriptors: bool,
    pub(super) directory: bool,
}

impl Sharing {
    /// As the arguments of a fork of this name tell.
    pub(super) fn of(name: &str, args: &[&str]) -> Self {
        let has = |flag| name.starts_with("clone") && args.iter().any(|arg| arg.contains(flag));
        Self {
            descriptors: has("CLONE_FILES"),
            directory: has("CLONE_FS"),
        }
    }
}

impl Follower {
    /// Are two processes threads of one, as far as descriptors and the directory go?
    pub(super) fn is_one(&self, a: u32, b: u32) -> bool {
        self.files.is_one(a, b) && self.directories.is_one(a, b)
    }

    /// `child` begins.
    pub(super) fn begin(&mut self, parent: u32, child: u32, sharing: Sharing) {
        self.files.begin(parent, child, sharing.descriptors);
        self.directories.begin(parent, child, sharing.directory);
    }

    /// A process is gone.
    pub(super) fn end(&mut self, pid: u32) {
        self.files.end(pid);
        self.directories.end(pid);
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
        self.tell_directory(call, caller.pid, notes);
        let result = match call.result {
            Some(result) if result >= 0 => result.unsigned_abs(),
            _ if is_data => return lost(FAILED),
            _ => return Ok(Vec::new()),
        };
        match call.name {
            "open" => self.opened(call, caller, (None, 0), call.arg(1), notes),
            "creat" => self.opened(call, caller, (None, 0), "O_CREAT|O_TRUNC", notes),
            "openat" | "openat2" => self.opened(call, caller, (Some(0), 1), call.arg(2), notes),
            "close" => self.closed(call, caller),
            "dup" | "dup2" | "dup3" | "fcntl" | "fcntl64" => {
                self.descriptor_moved(call, caller, result, notes)
            }
            "lseek" => self.sought(call, caller, Some(result), notes),
            "_llseek" => self.sought(call, caller, call.bracketed(2), notes),
            "fstat" | "fstat64" => self.measured(call, caller, call.arg(1), notes),
            "newfstatat" | "fstatat64" if call.arg(1) == "\"\"" => {
                self.measured(call, caller, call.arg(2), notes)
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
            "fsync" => self.on_descriptor(call, caller, RequestKind::Sync, notes),
            "fdatasync" => self.on_descriptor(call, caller, RequestKind::DataSync, notes),
            "sync" | "syncfs" => Ok(vec![Request {
                place: Place::File(0),
                ..caller.request(RequestKind::Flush, 0)
            }]),
            "ftruncate" | "ftruncate64" => {
                let request = self.on_descriptor(call, caller, RequestKind::Truncate, notes)?;
                self.truncated(request, call.number(1))
            }
            "truncate" | "truncate64" => {
                let requests =
                    self.by_name(call, caller, (None, 0), RequestKind::Truncate, notes)?;
                self.truncated(requests, call.number(1))
            }
            "fallocate" => self.allocated(call, caller, notes),
            "rename" => self.renamed(call, caller, (None, 0), (None, 1), notes),
            "renameat" | "renameat2" => {
                if call.arg(4).contains("RENAME_EXCHANGE") {
                    return self.exchanged(call, caller, (Some(0), 1), (Some(2), 3), notes);
                }
                self.renamed(call, caller, (Some(0), 1), (Some(2), 3), notes)
            }
            "unlink" => self.by_name(call, caller, (None, 0), RequestKind::Remove, notes),
            "unlinkat" if call.arg(2).contains("AT_REMOVEDIR") => Ok(Vec::new()),
            "unlinkat" => self.by_name(call, caller, (Some(0), 1), RequestKind::Remove, notes),
            "chdir" => {
                if let Some(path) = call.path(0) {
                    self.directories.change(caller.pid, &path);
                }
                Ok(Vec::new())
            }
            "fchdir" => {
                let to = self.directory_of(call, caller.pid, Some(0));
                self.directories.set(caller.pid, to);
                Ok(Vec::new())
            }
            "execve" | "execveat" => {
                self.files.execute(caller.pid);
                Ok(Vec::new())
            }
            "close_range" => self.range_closed(call, caller),
            "mmap" | "mmap2"
                if call.arg(3).contains("MAP_SHARED")
                    && call.arg(2).contains("PROT_WRITE")
                    && call.number(4) != Some(-1) =>
            {
                lost("writable shared mapping: what goes through it is not in the trace")
            }
            "sendfile" | "sendfile64" => {
                self.copied(call, caller, [(1, Some(2)), (0, None)], result, notes)
            }
            "copy_file_range" | "splice" => {
                self.copied(call, caller, [(0, Some(1)), (2, Some(3))], result, notes)
            }
            "io_submit" | "io_uring_enter" => lost("asynchronous requests: not in the trace"),
            "sync_file_range" => lost("sync_file_range: promises nothing"),
            "link" | "linkat" => lost("hard link"),
            _ => Ok(Vec::new()),
        }
    }
}

/// A file, as far as its path tells: no device, no file of the kernel's, no pipe or socket.
pub(super) fn is_of_interest(path: &str) -> bool {
    let is_kernels = ["/dev/", "/proc/", "/sys/", "/memfd:"]
        .iter()
        .any(|root| path.starts_with(root));
    !path.is_empty() && !is_kernels && !path.contains(":[") && !path.starts_with("anon_inode:")
}
