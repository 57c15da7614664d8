//! The log of fio (`write_iolog`), versions 2 and 3.
//!
//! ```text
//! fio version 2 iolog                    fio version 3 iolog
//! FILE add|open|close                    US FILE add|open|close
//! FILE ACTION OFFSET LENGTH              US FILE ACTION OFFSET LENGTH
//! ```
//!
//! Actions are read, write, sync, datasync, trim and, in version 2, wait. Times of version 3 are microseconds from the start of
//! the log. Version 2 knows time by `wait` alone, about which manual and code of fio disagree ([`FioWait`]). Lengths are 32 bits
//! wide: what is longer is no log of fio's. Source: HOWTO and behaviour of fio.

use super::super::notes::Notes;
use super::super::request::{Parsed, Request, RequestKind};
use super::LineForm;
use crate::plan::FioWait;

const HEADER: &str = "fio version ";

/// The form.
#[derive(Debug)]
pub(crate) struct Iolog {
    is_stamped: bool,
    wait: FioWait,
    /// Version 2: where its waits have come to.
    now_ns: u64,
}

/// Could a file that begins with `line` be of this form?
pub(crate) fn looks_like(line: &str) -> bool {
    line.starts_with(HEADER) && line.ends_with("iolog")
}

impl Iolog {
    /// Understands the first line, or says why it cannot.
    pub(crate) fn from_header(header: &str, wait: FioWait) -> Result<Self, String> {
        let is_stamped = match header.trim_end() {
            "fio version 2 iolog" => false,
            "fio version 3 iolog" => true,
            other if other.starts_with(HEADER) => {
                return Err(format!("`{other}`: versions 2 and 3 are read"));
            }
            _ => {
                return Err(
                    "the first line is not `fio version 2 iolog` or `fio version 3 iolog`; \
                     version 1 has none and is not read"
                        .to_owned(),
                );
            }
        };
        Ok(Self {
            is_stamped,
            wait,
            now_ns: 0,
        })
    }

    fn wait(&mut self, count: u64) -> Parsed {
        let until_ns = match self.wait {
            FioWait::AbsoluteMs => count.checked_mul(1_000_000),
            FioWait::RelativeUs => count
                .checked_mul(1000)
                .and_then(|ns| self.now_ns.checked_add(ns)),
        };
        let Some(until_ns) = until_ns else {
            return Parsed::Malformed("it waits beyond the end of time");
        };
        self.now_ns = self.now_ns.max(until_ns);
        Parsed::Skipped
    }
}

impl LineForm for Iolog {
    fn dialect(&self) -> &'static str {
        "files"
    }

    fn parse(&mut self, line: &str, notes: &mut Notes) -> Parsed {
        let mut fields = line.split_ascii_whitespace();
        if self.is_stamped {
            let stamp = fields.next().map(str::parse::<u64>);
            let ns = match stamp {
                None => return Parsed::Skipped,
                Some(Ok(us)) => us.checked_mul(1000),
                Some(Err(_)) => None,
            };
            let Some(ns) = ns else {
                return Parsed::Malformed("the time is no number of microseconds");
            };
            self.now_ns = ns;
        }
        let (name, action) = match (fields.next(), fields.next()) {
            (Some(name), Some(action)) => (name, action),
            (None, _) if !self.is_stamped => return Parsed::Skipped,
            _ => return Parsed::Malformed("too few fields"),
        };
        let range = match (fields.next(), fields.next(), fields.next()) {
            (None, ..) => None,
            (Some(offset), Some(length), None) => {
                let (Ok(offset), Ok(length)) = (offset.parse::<u64>(), length.parse::<u32>())
                else {
                    return Parsed::Malformed("offset and length are no numbers, or too large");
                };
                Some((offset, u64::from(length)))
            }
            _ => return Parsed::Malformed("a line has two fields after its file, or four"),
        };
        let kind = match (action, range) {
            ("add", None) => return Parsed::Skipped,
            ("open", None) => RequestKind::Open,
            ("close", None) => RequestKind::Close,
            ("wait", Some((count, _))) if !self.is_stamped => return self.wait(count),
            ("read", Some(_)) => RequestKind::Read,
            ("write", Some(_)) => RequestKind::Write,
            ("trim", Some(_)) => RequestKind::Discard,
            ("sync", Some(_)) => RequestKind::Sync,
            ("datasync", Some(_)) => RequestKind::DataSync,
            _ => return Parsed::Malformed("the action is not known, or has not its fields"),
        };
        let request = Request::new(self.now_ns, kind, notes.file(name));
        match range {
            Some((offset, length)) if kind.has_range() => request.at(offset, length).into(),
            _ => Parsed::Request(request),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{parsed, requests};
    use super::*;

    fn iolog(version: u32, wait: FioWait) -> Iolog {
        Iolog::from_header(&format!("fio version {version} iolog"), wait).unwrap()
    }

    #[test]
    fn version_3_has_microseconds() {
        let text = "\
0 /data/f0 add
12 /data/f0 open
1530 /data/f0 write 65536 131072
2100 /data/f0 sync 0 0
9000 /data/f0 close
";
        let found = requests(&mut iolog(3, FioWait::default()), text);
        let seen: Vec<_> = found
            .iter()
            .map(|r| (r.at_ns, r.kind.name(), r.offset, r.bytes))
            .collect();
        assert_eq!(
            seen,
            [
                (12_000, "open", 0, 0),
                (1_530_000, "write", 65_536, 131_072),
                (2_100_000, "fsync", 0, 0),
                (9_000_000, "close", 0, 0),
            ]
        );
    }

    #[test]
    fn a_wait_of_version_2_is_what_was_asked_for() {
        let text = "f add\nf open\nf wait 2000 0\nf write 0 4096\nf wait 3000 0\nf trim 0 512\n";
        let times = |wait| -> Vec<u64> {
            requests(&mut iolog(2, wait), text)
                .iter()
                .map(|r| r.at_ns)
                .collect()
        };
        assert_eq!(
            times(FioWait::AbsoluteMs),
            [0, 2_000_000_000, 3_000_000_000]
        );
        assert_eq!(times(FioWait::RelativeUs), [0, 2_000_000, 5_000_000]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for header in ["fio version 1 iolog", "fio version 4 iolog", "0, 1, 2"] {
            assert!(Iolog::from_header(header, FioWait::default()).is_err());
        }
        let v2 = "f\nf sync\nf write 0\nf write 0 4294967296\nf write x 1\nf add 0 0\nf fly 0 0\nf write 0 1 2\nf wait 18446744073709551615 0\n";
        let v3 = "f write 0 1\n1 f\n1 f wait 1 0\n18446744073709551615 f sync 0 0\n1 f write 9223372036854775807 1\n";
        for (version, text) in [(2, v2), (3, v3)] {
            let (all, _) = parsed(&mut iolog(version, FioWait::default()), text);
            assert!(
                all.iter().all(|line| matches!(line, Parsed::Malformed(_))),
                "{all:?}"
            );
        }
    }
}
