//! One line or record of a recording, understood.

/// What a line asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RequestKind {
    Read,
    Write,
    /// Of one file.
    Sync,
    /// Of one file's bytes and size: fdatasync.
    DataSync,
    /// Of everything.
    Flush,
    Discard,
    Truncate,
    Open,
    Create,
    Remove,
    Rename,
    Close,
}

impl RequestKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Sync => "fsync",
            Self::DataSync => "fdatasync",
            Self::Flush => "flush",
            Self::Discard => "discard",
            Self::Truncate => "truncate",
            Self::Open => "open",
            Self::Create => "create",
            Self::Remove => "remove",
            Self::Rename => "rename",
            Self::Close => "close",
        }
    }

    /// Has it an offset and a length?
    pub(crate) fn has_range(self) -> bool {
        matches!(self, Self::Read | Self::Write | Self::Discard)
    }
}

/// What offsets count from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// A device, by a hash of its name: it is there from the start and nobody removes it.
    Device(u64),
    /// A file, by a hash of what the recording calls it.
    File(u64),
}

/// A request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Request {
    /// As recorded; the first need not be 0.
    pub(crate) at_ns: u64,
    pub(crate) kind: RequestKind,
    pub(crate) place: Place,
    pub(crate) offset: u64,
    /// Of a truncation: the size afterwards.
    pub(crate) bytes: u64,
    /// Everything before it is durable first.
    pub(crate) flush_before: bool,
    /// It is durable itself before it is done.
    pub(crate) through: bool,
    /// Who asked; 0 where the recording does not tell.
    pub(crate) thread: u32,
    /// From the request to its answer; 0 where the recording does not tell.
    pub(crate) took_ns: u64,
}

/// The most that an offset and a length come to.
pub(crate) const END_MAX: u64 = i64::MAX as u64;
/// What is said of a request beyond it.
pub(crate) const TOO_FAR: &str = "it ends beyond the largest offset";
/// The most that one request reads or writes: a client has a buffer of this size, and no job has larger blocks.
pub(crate) const MOVED_BYTES_MAX: u64 = 1 << 30;
/// What is said of a request beyond it.
pub(crate) const TOO_LONG: &str = "it moves more than 1 GiB at once";

impl Request {
    /// One without a range.
    pub(crate) fn new(at_ns: u64, kind: RequestKind, place: Place) -> Self {
        Self {
            at_ns,
            kind,
            place,
            offset: 0,
            bytes: 0,
            flush_before: false,
            through: false,
            thread: 0,
            took_ns: 0,
        }
    }

    /// The same with a range, or what is wrong with the range.
    pub(crate) fn at(self, offset: u64, bytes: u64) -> Result<Self, &'static str> {
        let moves = matches!(self.kind, RequestKind::Read | RequestKind::Write);
        if moves && bytes > MOVED_BYTES_MAX {
            return Err(TOO_LONG);
        }
        match offset.checked_add(bytes) {
            Some(end) if end <= END_MAX => Ok(Self {
                offset,
                bytes,
                ..self
            }),
            _ => Err(TOO_FAR),
        }
    }

    /// The same with a range in sectors of 512 bytes.
    pub(crate) fn at_sectors(self, sector: u64, count: u64) -> Result<Self, &'static str> {
        let bytes = |sectors: u64| sectors.checked_mul(SECTOR_BYTES).ok_or(TOO_FAR);
        self.at(bytes(sector)?, bytes(count)?)
    }

    /// The same by `thread`.
    pub(crate) fn by(self, thread: u32) -> Self {
        Self { thread, ..self }
    }
}

/// The sector of the block layer and of every form that counts in sectors.
pub(crate) const SECTOR_BYTES: u64 = 512;

/// What became of a line or record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    Request(Request),
    /// Several, in this order.
    Several(Vec<Request>),
    /// Understood and not kept, and why.
    Lost(&'static str),
    /// Not a request and not meant to be one, or one that is held back.
    Skipped,
    /// Not understood.
    Malformed(&'static str),
}

impl From<Result<Request, &'static str>> for Parsed {
    fn from(result: Result<Request, &'static str>) -> Self {
        match result {
            Ok(request) => Self::Request(request),
            Err(reason) => Self::Malformed(reason),
        }
    }
}

/// The identity of a name.
pub(crate) fn name_hash(name: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(name.as_bytes())
}

/// Nanoseconds of a decimal number of units; digits below a nanosecond are dropped.
pub(crate) fn decimal_ns(text: &str, unit_ns: u64) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole: u64 = whole.parse().ok()?;
    let mut ns = whole.checked_mul(unit_ns)?;
    let mut digit_ns = unit_ns;
    for digit in fraction.bytes() {
        if !digit.is_ascii_digit() {
            return None;
        }
        digit_ns /= 10;
        ns = ns.checked_add(u64::from(digit - b'0') * digit_ns)?;
    }
    Some(ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_moved_is_bounded_and_what_is_not_is_not() {
        let longest = |kind, bytes| Request::new(0, kind, Place::Device(0)).at(0, bytes);
        for kind in [RequestKind::Read, RequestKind::Write] {
            assert!(longest(kind, MOVED_BYTES_MAX).is_ok());
            assert_eq!(longest(kind, MOVED_BYTES_MAX + 1), Err(TOO_LONG));
        }
        assert!(longest(RequestKind::Discard, END_MAX).is_ok());
        assert!(longest(RequestKind::Truncate, END_MAX).is_ok());
        assert_eq!(longest(RequestKind::Discard, END_MAX + 1), Err(TOO_FAR));
    }

    #[test]
    fn fractions_are_exact() {
        assert_eq!(decimal_ns("1.85", 1000), Some(1850));
        assert_eq!(decimal_ns("0.000001850", 1_000_000_000), Some(1850));
        assert_eq!(decimal_ns("17", 1), Some(17));
        assert_eq!(decimal_ns("", 1), None);
        assert_eq!(decimal_ns("-1", 1), None);
        assert_eq!(decimal_ns("1.x", 1000), None);
    }
}
