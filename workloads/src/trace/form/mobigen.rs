//! Mobibench's calls of an Android program: `THREAD US CALL ARGUMENTS`, blanks between them.
//!
//! ```text
//! open PATH FLAGS FD     read|write FD BYTES      pread|pwrite FD OFFSET BYTES
//! fsync|fdatasync|close FD [0]                    unlink "PATH" 0
//! ```
//!
//! Such a file goes thread by thread, while descriptors are the program's: calls are sorted by time, as far as they are held,
//! before descriptors are followed. Paths are mostly hidden, so that a file is one opening; an unlink names none of them. A file
//! that was opened before the recording is known by its descriptor, and its position counts from 0. Source: the traces of
//! ESOS-Lab/Mobibench.

use std::collections::HashMap;

use super::super::notes::Notes;
use super::super::reorder::Reorder;
use super::super::request::{Parsed, Place, Request, RequestKind, decimal_ns};
use super::LineForm;

/// Calls held until earlier ones have come.
const HELD_MAX: usize = 1 << 20;
/// Descriptors at a time.
const OPEN_MAX: usize = 1 << 16;
/// A longer path is kept as far as this: it is a label, and a million of them may be held.
const PATH_BYTES_MAX: usize = 128;

const GUESSED: &str = "position of a descriptor opened before the trace: counted from 0";

/// The form.
#[derive(Debug)]
pub(crate) struct Mobigen {
    held: Reorder<Call>,
    open: HashMap<u32, Open>,
    file_count: u64,
}

impl Default for Mobigen {
    fn default() -> Self {
        Self {
            held: Reorder::new(HELD_MAX),
            open: HashMap::new(),
            file_count: 0,
        }
    }
}

/// An open file.
#[derive(Debug, Clone, Copy)]
struct Open {
    file: u64,
    position: u64,
    appends: bool,
    /// As far as it is known.
    size: u64,
    is_guessed: bool,
}

/// A call, understood and not yet followed.
#[derive(Debug)]
struct Call {
    at_ns: u64,
    thread: u32,
    what: What,
}

#[derive(Debug)]
enum What {
    Open {
        fd: u32,
        path: Box<str>,
        truncates: bool,
        appends: bool,
    },
    Close {
        fd: u32,
    },
    Sync {
        fd: u32,
        kind: RequestKind,
    },
    Transfer {
        fd: u32,
        kind: RequestKind,
        offset: Option<u64>,
        bytes: u64,
    },
    Unlink,
}

/// Could `line` be of this form?
pub(crate) fn looks_like(line: &str) -> bool {
    let mut fields = line.split_ascii_whitespace();
    let mut is_number = || fields.next().is_some_and(|n| n.parse::<u64>().is_ok());
    is_number()
        && is_number()
        && fields.next().is_some_and(|word| {
            word.starts_with(|c: char| c.is_ascii_lowercase())
                && word
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        })
        && fields.next().is_some()
}

/// A call, or what became of a line that is none of interest.
fn call(line: &str) -> Result<Call, Parsed> {
    const NO_NUMBERS: Parsed = Parsed::Malformed("its arguments are no numbers");
    let mut fields = line.split_ascii_whitespace();
    let thread = fields.next().and_then(|text| text.parse().ok());
    let at_ns = fields.next().and_then(|text| decimal_ns(text, 1000));
    let (Some(thread), Some(at_ns)) = (thread, at_ns) else {
        return Err(Parsed::Malformed("thread and time are no numbers"));
    };
    let Some(name) = fields.next() else {
        return Err(Parsed::Malformed("it has no call"));
    };
    // What a call answers is its last number.
    if line.ends_with(" -1") {
        return Err(match name {
            "read" | "write" | "pread" | "pwrite" | "fsync" | "fdatasync" => {
                Parsed::Lost("call that failed")
            }
            _ => Parsed::Skipped,
        });
    }
    let mut number = || fields.next().and_then(|text| text.parse::<u64>().ok());
    let what = match name {
        "open" => {
            // A path may have blanks: flags and descriptor are the last.
            let mut last = line.rsplitn(3, |c: char| c.is_ascii_whitespace());
            let fd = last.next().and_then(|text| text.parse().ok());
            let (Some(fd), Some(flags), Some(before)) = (fd, last.next(), last.next()) else {
                return Err(Parsed::Malformed(
                    "it opens no path, or its descriptor is no number",
                ));
            };
            let path = before
                .split_once("open")
                .map_or("", |(_, path)| path.trim());
            What::Open {
                fd,
                path: path[..path.floor_char_boundary(PATH_BYTES_MAX)].into(),
                truncates: flags.contains("O_TRUNC"),
                appends: flags.contains("O_APPEND"),
            }
        }
        "close" | "fsync" | "fdatasync" => {
            let fd = number()
                .and_then(|fd| u32::try_from(fd).ok())
                .ok_or(NO_NUMBERS)?;
            match name {
                "close" => What::Close { fd },
                "fsync" => What::Sync {
                    fd,
                    kind: RequestKind::Sync,
                },
                _ => What::Sync {
                    fd,
                    kind: RequestKind::DataSync,
                },
            }
        }
        "read" | "write" | "pread" | "pwrite" => {
            let fd = number()
                .and_then(|fd| u32::try_from(fd).ok())
                .ok_or(NO_NUMBERS)?;
            let offset = if name.starts_with('p') {
                Some(number().ok_or(NO_NUMBERS)?)
            } else {
                None
            };
            let is_read = name.ends_with("read");
            What::Transfer {
                fd,
                kind: if is_read {
                    RequestKind::Read
                } else {
                    RequestKind::Write
                },
                offset,
                bytes: number().ok_or(NO_NUMBERS)?,
            }
        }
        "unlink" => What::Unlink,
        "stat" | "stat64" | "fstat" | "fstat64" | "lstat" | "lstat64" | "access" => {
            return Err(Parsed::Skipped);
        }
        _ => return Err(Parsed::Malformed("the call is not known")),
    };
    Ok(Call {
        at_ns,
        thread,
        what,
    })
}

impl Mobigen {
    fn follow(&mut self, call: Call, notes: &mut Notes) -> Parsed {
        let request =
            |kind, file| Request::new(call.at_ns, kind, Place::File(file)).by(call.thread);
        match call.what {
            What::Open {
                fd,
                path,
                truncates,
                appends,
            } => {
                if self.open.len() >= OPEN_MAX && !self.open.contains_key(&fd) {
                    return Parsed::Lost("descriptor beyond the 2^16th at a time");
                }
                self.file_count += 1;
                let file = self.file_count;
                notes.named(Place::File(file), &format!("{path}#{file}"));
                let open = Open {
                    file,
                    position: 0,
                    appends,
                    size: 0,
                    is_guessed: false,
                };
                self.open.insert(fd, open);
                let kind = if truncates {
                    RequestKind::Create
                } else {
                    RequestKind::Open
                };
                Parsed::Request(request(kind, file))
            }
            What::Close { fd } => match self.open.remove(&fd) {
                Some(open) => Parsed::Request(request(RequestKind::Close, open.file)),
                None => Parsed::Lost("close of a descriptor that was not used"),
            },
            What::Sync { fd, kind } => match self.open_at(fd, notes) {
                Some(open) => {
                    let file = open.file;
                    Parsed::Request(request(kind, file))
                }
                None => Parsed::Lost("descriptor beyond the 2^16th at a time"),
            },
            What::Transfer {
                fd,
                kind,
                offset,
                bytes,
            } => {
                let Some(open) = self.open_at(fd, notes) else {
                    return Parsed::Lost("descriptor beyond the 2^16th at a time");
                };
                let is_guessed = open.is_guessed && offset.is_none();
                let at = match offset {
                    Some(offset) => offset,
                    None if open.appends && kind == RequestKind::Write => open.size,
                    None => open.position,
                };
                let parsed = Parsed::from(request(kind, open.file).at(at, bytes));
                if let Parsed::Request(_) = parsed {
                    if offset.is_none() {
                        open.position = at + bytes;
                        open.is_guessed = false;
                    }
                    if kind == RequestKind::Write {
                        open.size = open.size.max(at + bytes);
                    }
                }
                if is_guessed {
                    notes.mend(GUESSED);
                }
                parsed
            }
            What::Unlink => Parsed::Lost("unlink of a path that no open file is known by"),
        }
    }

    /// The open file of a descriptor, a new one where its opening was not seen.
    fn open_at(&mut self, fd: u32, notes: &mut Notes) -> Option<&mut Open> {
        if !self.open.contains_key(&fd) {
            if self.open.len() >= OPEN_MAX {
                return None;
            }
            self.file_count += 1;
            let file = self.file_count;
            notes.named(Place::File(file), &format!("descriptor {fd}#{file}"));
            let open = Open {
                file,
                position: 0,
                appends: false,
                size: 0,
                is_guessed: true,
            };
            self.open.insert(fd, open);
        }
        self.open.get_mut(&fd)
    }
}

impl LineForm for Mobigen {
    fn dialect(&self) -> &'static str {
        "files"
    }

    fn parse(&mut self, line: &str, notes: &mut Notes) -> Parsed {
        if line.is_empty() {
            return Parsed::Skipped;
        }
        match call(line) {
            Err(parsed) => parsed,
            Ok(call) => match self.held.push(call.at_ns, call) {
                Some(call) => self.follow(call, notes),
                None => Parsed::Skipped,
            },
        }
    }

    fn end(&mut self, notes: &mut Notes) -> Option<Parsed> {
        let call = self.held.pop()?;
        Some(self.follow(call, notes))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{parsed, requests};
    use super::*;

    #[test]
    fn threads_are_merged_by_time_before_descriptors_are_followed() {
        let text = "\
1 0 open /data/data O_WRONLY|O_CREAT|O_TRUNC|O_LARGEFILE 36
1 5 write 36 4
1 30 write 36 4
1 40 close 36 0
2 10 pwrite 36 4096 512
2 20 stat64 \"/x\" 0
2 25 fsync 36 0
2 50 read 36 7
2 60 unlink \"/data/data/a\" 0
";
        let found = requests(&mut Mobigen::default(), text);
        let seen: Vec<_> = found
            .iter()
            .map(|r| (r.at_ns, r.thread, r.kind.name(), r.place, r.offset, r.bytes))
            .collect();
        let (first, second) = (Place::File(1), Place::File(2));
        assert_eq!(
            seen,
            [
                (0, 1, "create", first, 0, 0),
                (5000, 1, "write", first, 0, 4),
                (10_000, 2, "write", first, 4096, 512),
                (25_000, 2, "fsync", first, 0, 0),
                (30_000, 1, "write", first, 4, 4),
                (40_000, 1, "close", first, 0, 0),
                (50_000, 2, "read", second, 0, 7),
            ]
        );
        let (all, notes) = parsed(&mut Mobigen::default(), text);
        assert!(matches!(all.last(), Some(Parsed::Lost(_))));
        assert_eq!(notes.mended[GUESSED].count, 1);
    }

    #[test]
    fn what_failed_is_lost_where_it_was_to_move_data() {
        let text = "1 0 read 5 -1\n1 0 open /x O_RDONLY -1\n";
        let (all, _) = parsed(&mut Mobigen::default(), text);
        assert_eq!(all, [Parsed::Lost("call that failed"), Parsed::Skipped]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(looks_like("1 0 open /data/data O_WRONLY 36"));
        assert!(!looks_like("0 0 0 1 1"));
        let text = "x 0 read 1 1\n1 x read 1 1\n1 0\n1 0 read 1\n1 0 pwrite 1 1\n1 0 fly 1\n1 0 open x\n1 0 read -1 1\n";
        let (all, _) = parsed(&mut Mobigen::default(), text);
        assert!(
            all.iter().all(|line| matches!(line, Parsed::Malformed(_))),
            "{all:?}"
        );
    }
}
