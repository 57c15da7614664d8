//! Preamble, header, block header and trailer: where their numbers lie, and what is refused.
//!
//! Little-endian. Each ends with or carries an XXH3 of what is before it.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// How a file begins, and its trailer ends.
pub(super) const MAGIC: [u8; 8] = *b"DELALTRC";
const END_MAGIC: [u8; 8] = *b"DELALEND";
/// The version that is written. The one before it knows no fdatasync, and is read.
const VERSION: u16 = 2;
const VERSION_FIRST: u16 = 1;

pub(super) const PREAMBLE_BYTES: usize = 24;
pub(super) const BLOCK_HEADER_BYTES: usize = 48;
pub(super) const TRAILER_BYTES: usize = 40;

pub(super) const HEADER_BYTES_MAX: u32 = 64 << 10;
/// What a block holds, unpacked.
pub(super) const PLAIN_BYTES_MAX: u32 = 4 << 20;
/// Packing never makes it longer than this.
const PACKED_BYTES_MAX: u32 = PLAIN_BYTES_MAX + (64 << 10);
/// Operations of a block.
pub(super) const ITEMS_MAX: u32 = 1 << 16;

/// Where a recording is from and what its numbers mean: the header of a file, as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TraceHeader {
    /// What it was made from: the name of a file, or what was run.
    pub source: String,
    /// The form of that file.
    pub source_format: Option<String>,
    /// SHA-256 of that file, in hexadecimal digits.
    pub source_sha256: Option<String>,
    /// Who made it.
    pub made_by: String,
    /// Whatever has a time, an offset or a length has it in these.
    pub units: Units,
    /// Opens are recorded wherever a program opened a file; otherwise a replay opens what it meets.
    pub has_opens: bool,
    /// What of the source is not in it, by reason.
    pub lost: std::collections::BTreeMap<String, u64>,
}

/// Units of the numbers in a recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Units {
    /// Of times.
    pub time: String,
    /// Of offsets and lengths.
    pub range: String,
}

impl Default for Units {
    fn default() -> Self {
        Self {
            time: "ns".to_owned(),
            range: "bytes".to_owned(),
        }
    }
}

/// Why a file is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("it does not begin as a trace of delalloc's own")]
    Magic,
    #[error("version {0} of the form; versions {VERSION_FIRST} and {VERSION} are read")]
    Version(u16),
    #[error("the header is damaged")]
    Header,
    #[error("it counts in {0}; nanoseconds and bytes are read")]
    Units(String),
    #[error("the block at byte {0} is damaged")]
    Block(u64),
    #[error("the index is damaged")]
    Index,
    #[error("it has no end: it was cut short, or its writer did not finish")]
    NoEnd,
}

impl From<Refused> for std::io::Error {
    fn from(refused: Refused) -> Self {
        Self::new(std::io::ErrorKind::InvalidData, refused)
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("within the bytes")
}

pub(super) fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(bytes, at))
}

pub(super) fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

/// The preamble and the header behind it.
pub(super) fn encode_header(header: &TraceHeader) -> Vec<u8> {
    let text = serde_json::to_vec(header).expect("a header is plain data");
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(0_u16.to_le_bytes());
    bytes.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend(xxh3_64(&text).to_le_bytes());
    bytes.extend(text);
    bytes
}

/// What a preamble says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Preamble {
    pub(super) version: u16,
    /// Of the header behind it.
    pub(super) header_bytes: usize,
    pub(super) header_sum: u64,
}

pub(super) fn decode_preamble(bytes: &[u8; PREAMBLE_BYTES]) -> Result<Preamble, Refused> {
    if !bytes.starts_with(&MAGIC) {
        return Err(Refused::Magic);
    }
    let version = u16::from_le_bytes(array(bytes, 8));
    if !(VERSION_FIRST..=VERSION).contains(&version) {
        return Err(Refused::Version(version));
    }
    let len = word(bytes, 12);
    if len > HEADER_BYTES_MAX || array::<2>(bytes, 10) != [0; 2] {
        return Err(Refused::Header);
    }
    Ok(Preamble {
        version,
        header_bytes: usize::try_from(len).expect("64 KiB"),
        header_sum: long(bytes, 16),
    })
}

/// The header whose checksum is known.
pub(super) fn decode_header(text: &[u8], sum: u64) -> Result<TraceHeader, Refused> {
    if xxh3_64(text) != sum {
        return Err(Refused::Header);
    }
    let header: TraceHeader = serde_json::from_slice(text).map_err(|_| Refused::Header)?;
    if header.units != Units::default() {
        return Err(Refused::Units(format!(
            "{} and {}",
            header.units.time, header.units.range
        )));
    }
    Ok(header)
}

/// What a block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BlockKind {
    Names = 1,
    Operations = 2,
    Index = 3,
}

/// The header of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockHeader {
    pub(super) kind: BlockKind,
    pub(super) items: u32,
    pub(super) plain_bytes: u32,
    pub(super) packed_bytes: u32,
    /// Number of its first operation, from 0.
    pub(super) first_op: u64,
    /// The latest time before it: its times count from there.
    pub(super) clock_ns: u64,
}

const BLOCK_MAGIC: u32 = u32::from_le_bytes(*b"DTBK");
/// What of a block's header its checksum covers.
const SUMMED_BYTES: usize = 40;

impl BlockHeader {
    /// The header of a block of these packed bytes.
    pub(super) fn encode(&self, packed: &[u8]) -> [u8; BLOCK_HEADER_BYTES] {
        let mut bytes = [0; BLOCK_HEADER_BYTES];
        bytes[0..4].copy_from_slice(&BLOCK_MAGIC.to_le_bytes());
        bytes[4] = self.kind as u8;
        bytes[8..12].copy_from_slice(&self.items.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.plain_bytes.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.packed_bytes.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first_op.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.clock_ns.to_le_bytes());
        let sum = block_sum(&bytes, packed);
        bytes[40..48].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Lengths are within their bounds; whether the bytes are right is `matches`.
    pub(super) fn decode(bytes: &[u8; BLOCK_HEADER_BYTES]) -> Option<Self> {
        let kind = match bytes[4] {
            1 => BlockKind::Names,
            2 => BlockKind::Operations,
            3 => BlockKind::Index,
            _ => return None,
        };
        let header = Self {
            kind,
            items: word(bytes, 8),
            plain_bytes: word(bytes, 12),
            packed_bytes: word(bytes, 16),
            first_op: long(bytes, 24),
            clock_ns: long(bytes, 32),
        };
        let is_sound = word(bytes, 0) == BLOCK_MAGIC
            && bytes[5..8] == [0; 3]
            && word(bytes, 20) == 0
            && header.items <= ITEMS_MAX
            && header.plain_bytes <= PLAIN_BYTES_MAX
            && header.packed_bytes <= PACKED_BYTES_MAX;
        is_sound.then_some(header)
    }
}

fn block_sum(header: &[u8; BLOCK_HEADER_BYTES], packed: &[u8]) -> u64 {
    let mut sum = xxhash_rust::xxh3::Xxh3::new();
    sum.update(&header[..SUMMED_BYTES]);
    sum.update(packed);
    sum.digest()
}

/// Are these the packed bytes that belong to the header?
pub(super) fn matches(header: &[u8; BLOCK_HEADER_BYTES], packed: &[u8]) -> bool {
    long(header, SUMMED_BYTES) == block_sum(header, packed)
}

/// What the end of a file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trailer {
    pub(super) index_offset: u64,
    pub(super) ops: u64,
    /// The latest time.
    pub(super) clock_ns: u64,
}

impl Trailer {
    pub(super) fn encode(&self) -> [u8; TRAILER_BYTES] {
        let mut bytes = [0; TRAILER_BYTES];
        bytes[0..8].copy_from_slice(&self.index_offset.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.ops.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.clock_ns.to_le_bytes());
        let sum = xxh3_64(&bytes[..24]);
        bytes[24..32].copy_from_slice(&sum.to_le_bytes());
        bytes[32..40].copy_from_slice(&END_MAGIC);
        bytes
    }

    pub(super) fn decode(bytes: &[u8; TRAILER_BYTES]) -> Result<Self, Refused> {
        if !bytes.ends_with(&END_MAGIC) || long(bytes, 24) != xxh3_64(&bytes[..24]) {
            return Err(Refused::NoEnd);
        }
        Ok(Self {
            index_offset: long(bytes, 0),
            ops: long(bytes, 8),
            clock_ns: long(bytes, 16),
        })
    }
}
