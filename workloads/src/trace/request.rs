//! One line of a recording, understood.

/// What a line asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RequestKind {
    Read,
    Write,
    /// Of one file.
    Sync,
    /// Of everything.
    Flush,
    Discard,
    Truncate,
    Open,
    Create,
    Remove,
    Rename,
}

impl RequestKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Sync => "fsync",
            Self::Flush => "flush",
            Self::Discard => "discard",
            Self::Truncate => "truncate",
            Self::Open => "open",
            Self::Create => "create",
            Self::Remove => "remove",
            Self::Rename => "rename",
        }
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
    pub(crate) bytes: u64,
    /// Everything before it is durable first.
    pub(crate) flush_before: bool,
    /// It is durable itself before it is done.
    pub(crate) through: bool,
}

/// What became of a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    Request(Request),
    /// Understood and not replayed, and why.
    Lost(&'static str),
    /// Not a request and not meant to be one.
    Skipped,
    /// Not understood.
    Malformed(&'static str),
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
    fn fractions_are_exact() {
        assert_eq!(decimal_ns("1.85", 1000), Some(1850));
        assert_eq!(decimal_ns("0.000001850", 1_000_000_000), Some(1850));
        assert_eq!(decimal_ns("17", 1), Some(17));
        assert_eq!(decimal_ns("", 1), None);
        assert_eq!(decimal_ns("-1", 1), None);
        assert_eq!(decimal_ns("1.x", 1000), None);
    }
}
