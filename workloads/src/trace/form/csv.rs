//! The comma-separated form: a header, then one request per line.
//!
//! The header says which dialect it is:
//!
//! | columns | what is addressed |
//! |---|---|
//! | `ts_us,op,dev,offset,len[,...]` | devices |
//! | `ts_ns,op,dev_offset,len,...,file,file_name,file_offset,...` | files; a blank `file` is the device under them (metadata, log) |
//! | `ts_us,op,thread,file,offset,len,...` | files |
//!
//! A column `rwbs`, where there is one, adds the flags of blktrace, `thread` who asked and `took_ns` how long it took. One called
//! `has_opens`, whose fields may be missing, says that opens are there wherever a file was opened. Columns that mean nothing here may hold anything, commas
//! included as long as they come last.

use super::super::notes::Notes;
use super::super::request::{Parsed, Place, Request, RequestKind, decimal_ns, name_hash};
use super::LineForm;
use super::blkparse::Flags;

/// More columns than any dialect needs.
const COLUMNS_MAX: usize = 24;

/// Where the fields stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Csv {
    dialect: &'static str,
    time: usize,
    unit_ns: u64,
    op: usize,
    len: usize,
    address: Address,
    rwbs: Option<usize>,
    thread: Option<usize>,
    took_ns: Option<usize>,
    has_opens: bool,
    /// What people call the file.
    file_name: Option<usize>,
    /// Lines have at least so many fields.
    columns_min: usize,
}

/// What offsets count from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Address {
    Device {
        name: usize,
        offset: usize,
    },
    File {
        name: usize,
        offset: usize,
    },
    FileOrDevice {
        file: usize,
        file_offset: usize,
        device_offset: usize,
    },
}

impl Csv {
    /// Understands a header, or says why it is none.
    pub(crate) fn from_header(header: &str) -> Result<Self, String> {
        let columns: Vec<&str> = header.split(',').map(str::trim).collect();
        let find = |name: &str| columns.iter().position(|column| *column == name);
        let need =
            |name: &str| find(name).ok_or_else(|| format!("the header has no column `{name}`"));
        let (time, unit_ns) = match (find("ts_us"), find("ts_ns")) {
            (Some(time), _) => (time, 1000),
            (None, Some(time)) => (time, 1),
            (None, None) => {
                return Err(
                    "the first line is no header: it names neither ts_us nor ts_ns".to_owned(),
                );
            }
        };
        let (dialect, address) = if let Some(device_offset) = find("dev_offset") {
            let address = Address::FileOrDevice {
                file: need("file")?,
                file_offset: need("file_offset")?,
                device_offset,
            };
            ("files on a device", address)
        } else if let Some(name) = find("file") {
            let offset = need("offset")?;
            ("files", Address::File { name, offset })
        } else {
            let (name, offset) = (need("dev")?, need("offset")?);
            ("devices", Address::Device { name, offset })
        };
        let op = need("op")?;
        let len = need("len")?;
        let last = match address {
            Address::Device { name, offset } | Address::File { name, offset } => name.max(offset),
            Address::FileOrDevice {
                file,
                file_offset,
                device_offset,
            } => file.max(file_offset).max(device_offset),
        };
        let columns_min = last.max(time).max(op).max(len) + 1;
        if columns_min > COLUMNS_MAX {
            return Err(format!("the header has more than {COLUMNS_MAX} columns"));
        }
        Ok(Self {
            dialect,
            time,
            unit_ns,
            op,
            len,
            address,
            rwbs: find("rwbs").filter(|at| *at < COLUMNS_MAX),
            thread: find("thread").filter(|at| *at < COLUMNS_MAX),
            took_ns: find("took_ns").filter(|at| *at < COLUMNS_MAX),
            has_opens: find("has_opens").is_some(),
            file_name: find("file_name").filter(|at| *at < COLUMNS_MAX),
            columns_min,
        })
    }

    /// The recording names no file here, though its dialect addresses files.
    fn is_nameless(&self, fields: &[&str; COLUMNS_MAX]) -> bool {
        match self.address {
            Address::File { name, .. } => fields[name].is_empty(),
            Address::FileOrDevice { file, .. } => fields[file].is_empty(),
            Address::Device { .. } => false,
        }
    }

    fn address(
        &self,
        fields: &[&str; COLUMNS_MAX],
        kind: RequestKind,
        notes: &mut Notes,
    ) -> Option<(Place, u64)> {
        let offset = |at: usize| {
            let offset = number(fields[at])?;
            let is_missing = fields[at].is_empty() && kind.has_range();
            (!is_missing).then_some(offset)
        };
        match self.address {
            Address::Device { name, offset: at } => Some((notes.device(fields[name]), offset(at)?)),
            Address::File { name, offset: at } => Some((notes.file(fields[name]), offset(at)?)),
            Address::FileOrDevice {
                file,
                file_offset,
                device_offset,
            } => {
                if fields[file].is_empty() {
                    Some((notes.device(""), offset(device_offset)?))
                } else {
                    let offset = offset(file_offset)?;
                    let place = Place::File(name_hash(fields[file]));
                    let told = self.file_name.map_or("", |at| fields[at]);
                    let name = if told.is_empty() { fields[file] } else { told };
                    Some((notes.named(place, name), offset))
                }
            }
        }
    }
}

impl LineForm for Csv {
    fn dialect(&self) -> &'static str {
        self.dialect
    }

    fn has_opens(&self) -> bool {
        self.has_opens
    }

    fn parse(&mut self, line: &str, notes: &mut Notes) -> Parsed {
        if line.is_empty() {
            return Parsed::Skipped;
        }
        let mut fields = [""; COLUMNS_MAX];
        let mut count = 0;
        for (field, text) in fields.iter_mut().zip(line.split(',')) {
            *field = text;
            count += 1;
        }
        if count < self.columns_min {
            return Parsed::Malformed("too few fields");
        }
        let Some(at_ns) = decimal_ns(fields[self.time], self.unit_ns) else {
            return Parsed::Malformed("the time is no number");
        };
        let kind = match fields[self.op] {
            "R" | "read" => RequestKind::Read,
            "W" | "write" => RequestKind::Write,
            "F" | "flush" => RequestKind::Flush,
            "D" | "discard" => RequestKind::Discard,
            "fsync" => RequestKind::Sync,
            "fdatasync" => RequestKind::DataSync,
            "truncate" => RequestKind::Truncate,
            "open" => RequestKind::Open,
            "create" => RequestKind::Create,
            "delete" | "unlink" => RequestKind::Remove,
            "moveto" => RequestKind::Rename,
            "movefrom" => return Parsed::Skipped,
            "close" => RequestKind::Close,
            _ => return Parsed::Malformed("the operation is not known"),
        };
        let bytes = match number(fields[self.len]) {
            Some(bytes) => bytes,
            None if kind.has_range() => return Parsed::Malformed("the length is no number"),
            None => 0,
        };
        if kind.has_range() && fields[self.len].is_empty() {
            return Parsed::Malformed("there is no length");
        }
        if kind == RequestKind::Remove && self.is_nameless(&fields) {
            return Parsed::Lost("unlink of a path that no open file is known by");
        }
        let Some((place, offset)) = self.address(&fields, kind, notes) else {
            return Parsed::Malformed("the offset is no number");
        };
        let flags = self
            .rwbs
            .map_or_else(Flags::default, |at| Flags::parse(fields[at]));
        let thread = self.thread.and_then(|at| fields[at].parse().ok());
        let took_ns = self.took_ns.and_then(|at| fields[at].parse().ok());
        let request = Request {
            flush_before: flags.flush_before && kind != RequestKind::Flush,
            through: flags.through && kind == RequestKind::Write,
            thread: thread.unwrap_or(0),
            took_ns: took_ns.unwrap_or(0),
            ..Request::new(at_ns, kind, place)
        };
        request.at(offset, bytes).into()
    }
}

/// A number; nothing is 0.
fn number(text: &str) -> Option<u64> {
    if text.is_empty() {
        return Some(0);
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(csv: &mut Csv, line: &str) -> Parsed {
        csv.parse(line, &mut Notes::default())
    }

    fn request(parsed: Parsed) -> Request {
        match parsed {
            Parsed::Request(request) => request,
            other => panic!("a request was expected: {other:?}"),
        }
    }

    #[test]
    fn a_device_dialect_is_read() {
        let mut csv = Csv::from_header("ts_us,op,dev,offset,len,process,rwbs").unwrap();
        let write = request(parse(&mut csv, "1.85,W,8:16,4096,512,a,WFS"));
        assert_eq!(write.at_ns, 1850);
        assert_eq!(write.place, Place::Device(name_hash("8:16")));
        assert_eq!((write.offset, write.bytes), (4096, 512));
        assert!(write.through && !write.flush_before);
        assert_eq!(
            request(parse(&mut csv, "2,F,8:16,0,0,a,F")).kind,
            RequestKind::Flush
        );
    }

    #[test]
    fn a_blank_file_is_the_device_under_the_files() {
        let header = "ts_ns,op,dev_offset,len,flags,ioclass,file,file_name,file_offset,file_size";
        let mut csv = Csv::from_header(header).unwrap();
        let data = request(parse(
            &mut csv,
            "35081,W,846106624,131072,,19,76.0,14.sst,131072,9",
        ));
        assert_eq!(data.place, Place::File(name_hash("76.0")));
        assert_eq!(data.offset, 131_072);
        let log = request(parse(&mut csv, "66617357,W,187541861376,5120,,1,,,,"));
        assert_eq!(log.place, Place::Device(name_hash("")));
        assert_eq!(log.offset, 187_541_861_376);
        assert_eq!(
            request(parse(&mut csv, "9,create,,,,,80.1,M,,")).kind,
            RequestKind::Create
        );
    }

    #[test]
    fn a_file_dialect_is_read() {
        let mut csv = Csv::from_header("ts_us,op,thread,file,offset,len,note").unwrap();
        assert_eq!(
            request(parse(&mut csv, "82472,fsync,7,10,,,")).kind,
            RequestKind::Sync
        );
        assert_eq!(
            request(parse(&mut csv, "82473,fdatasync,7,10,,,")).kind,
            RequestKind::DataSync
        );
        let mut timed = Csv::from_header("ts_ns,op,thread,file,offset,len,took_ns").unwrap();
        let write = request(parse(&mut timed, "1,write,7,a,0,512,350"));
        assert_eq!((write.thread, write.took_ns), (7, 350));
        let close = request(parse(&mut csv, "97404,close,7,9,,,"));
        assert_eq!((close.kind, close.thread), (RequestKind::Close, 7));
        assert!(matches!(
            parse(&mut csv, "1,unlink,24,,,,/x"),
            Parsed::Lost(_)
        ));
    }

    #[test]
    fn what_is_not_understood_is_malformed() {
        let mut csv = Csv::from_header("ts_us,op,dev,offset,len").unwrap();
        for line in [
            "1,R,0",
            "x,R,0,0,512",
            "1,Q,0,0,512",
            "1,R,0,-1,512",
            "1,R,0,0,",
            "1,R,0,,512",
            "1,R,0,18446744073709551615,512",
        ] {
            assert!(
                matches!(parse(&mut csv, line), Parsed::Malformed(_)),
                "{line}"
            );
        }
        assert!(Csv::from_header("0,R,0,0,512").is_err());
        assert!(
            Csv::from_header("ts_us,op,offset,len")
                .unwrap_err()
                .contains("`dev`")
        );
    }
}
