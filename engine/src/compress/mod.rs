//! From plain bytes of an extent to stored ones, and back.
//!
//! ```text
//!   plain --> all zero? --> backing off? --> sample, echo --> probe --> codec --> a sector saved?
//!              hole          raw              raw              raw       stored      else raw
//! ```
//!
//! Each extent gets a verdict of its own (unit.rs), from cheap to dear. What a file remembers is a
//! back-off that soon tries again (backoff.rs): a file with an incompressible head is not lost.
//!
//! Everything here is pure but for the reuse of contexts (scratch.rs), and runs on whatever thread calls
//! it. Stored bytes are self-delimiting: zeros that fill the last sector may follow them.
//!
//! Not here: checksums over stored bytes, and where they go.

mod backoff;
mod codec;
mod echo;
mod lz4;
mod sample;
mod scratch;
mod unit;
mod zero;
mod zlib;
mod zstd;

pub use backoff::{Attempt, Backoff};
pub use codec::{Codec, CodecError};
pub use sample::{SkipReason, TryReason, Worth, worth};
pub use scratch::{Decoder, Encoder, compress, decompress};
pub use unit::{Compression, Encoded, WhyRaw, encode, stored_bytes_max};
pub use zero::is_zero;
