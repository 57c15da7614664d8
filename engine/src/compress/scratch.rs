//! Codec contexts, kept for the next extent: setting one up may cost as much as using
//! it on a small extent.
//!
//! An encoder or decoder holds a context of each codec it was asked for. `compress` and `decompress`
//! borrow one from a shelf of the process, or make one if the shelf is empty: there are as many as are
//! used at once, at most `SHELF_MAX` rest, and nobody waits for one. Writers and readers have a shelf
//! each, so a burst of writes leaves readers theirs. Refused: one per thread, which leaves a context
//! behind in every thread that ever read.
//!
//! Locks and threads: a shelf's lock is held for a push or a pop. The last one put back is the next one
//! taken, warm in the cache.

use parking_lot::Mutex;

use super::codec::{Codec, CodecError};
use super::{lz4, zlib, zstd};

/// Contexts that rest on a shelf. Above that many at once, the rest are made and freed each time. For
/// extents of 128 KiB an encoder of zstd 1 holds 0.5 MiB, of zstd 15 and above 2.8 MiB, and 0.2 MiB more
/// once it served lz4 or zlib; a decoder holds 0.1 MiB.
const SHELF_MAX: usize = 32;

static ENCODERS: Mutex<Vec<Encoder>> = Mutex::new(Vec::new());
static DECODERS: Mutex<Vec<Decoder>> = Mutex::new(Vec::new());

/// Compresses `plain` into `out` with a context from the shelf: see [`Encoder::compress`].
pub fn compress(
    codec: Codec,
    level: i32,
    plain: &[u8],
    out: &mut [u8],
) -> Result<Option<usize>, CodecError> {
    borrow(&ENCODERS, |encoder| {
        encoder.compress(codec, level, plain, out)
    })
}

/// Decompresses `stored` into `out` with a context from the shelf: see [`Decoder::decompress`].
pub fn decompress(codec: Codec, stored: &[u8], out: &mut [u8]) -> Result<(), CodecError> {
    borrow(&DECODERS, |decoder| decoder.decompress(codec, stored, out))
}

fn borrow<T: Default, R>(shelf: &Mutex<Vec<T>>, with: impl FnOnce(&mut T) -> R) -> R {
    let resting = shelf.lock().pop();
    let mut context = resting.unwrap_or_default();
    let result = with(&mut context);
    let mut shelf = shelf.lock();
    let spare = if shelf.len() < SHELF_MAX {
        shelf.push(context);
        None
    } else {
        Some(context)
    };
    drop(shelf);
    drop(spare);
    result
}

/// Contexts of a writer.
#[derive(Default)]
pub struct Encoder {
    lz4: Option<lz4::Writer>,
    zlib: Option<zlib::Writer>,
    zstd: Option<zstd::Writer>,
    /// Output of codecs that ask for room for the worst case.
    spill: Vec<u8>,
}

impl Encoder {
    /// Compresses `plain` into the front of `out`. Returns the stored length, or None where it does not
    /// fit: the length of `out` is the limit, and nothing behind it is touched. Always None with
    /// [`Codec::None`], which gains nothing.
    ///
    /// # Errors
    /// On a level the codec does not have, and where the codec itself fails.
    pub fn compress(
        &mut self,
        codec: Codec,
        level: i32,
        plain: &[u8],
        out: &mut [u8],
    ) -> Result<Option<usize>, CodecError> {
        if !codec.levels().contains(&level) {
            return Err(CodecError::Level { codec, level });
        }
        match codec {
            Codec::None => Ok(None),
            Codec::Lz4 => {
                let lz4 = self.lz4.get_or_insert_with(lz4::Writer::new);
                let room = lz4::Writer::room(plain.len());
                with_room(room, &mut self.spill, out, |out| lz4.compress(plain, out))
            }
            Codec::Zlib => {
                let zlib = self.zlib.get_or_insert_with(zlib::Writer::new);
                let room = zlib::Writer::room(plain.len());
                let level = level.unsigned_abs();
                with_room(room, &mut self.spill, out, |out| {
                    zlib.compress(level, plain, out)
                })
            }
            Codec::Zstd => self
                .zstd
                .get_or_insert_with(zstd::Writer::new)
                .compress(level, plain, out),
        }
    }
}

/// Lets a codec that wants `room` write to `out`, or else to `spill`, and copies what fits. A copy costs a
/// hundredth or two of what these codecs do.
fn with_room(
    room: usize,
    spill: &mut Vec<u8>,
    out: &mut [u8],
    compress: impl FnOnce(&mut [u8]) -> Result<usize, CodecError>,
) -> Result<Option<usize>, CodecError> {
    if out.len() >= room {
        return compress(out).map(Some);
    }
    if spill.len() < room {
        spill.resize(room, 0);
    }
    let stored = compress(spill)?;
    Ok(out.get_mut(..stored).map(|out| {
        out.copy_from_slice(&spill[..stored]);
        stored
    }))
}

/// Contexts of a reader.
#[derive(Default)]
pub struct Decoder {
    zlib: Option<zlib::Reader>,
    zstd: Option<zstd::Reader>,
}

impl Decoder {
    /// Decompresses what is at the front of `stored` into `out`, whose length is the plain length. What
    /// follows the stored bytes is not looked at.
    ///
    /// # Errors
    /// On bytes that are not this codec's, or not of this length. `out` may hold anything then.
    pub fn decompress(
        &mut self,
        codec: Codec,
        stored: &[u8],
        out: &mut [u8],
    ) -> Result<(), CodecError> {
        match codec {
            Codec::None => {
                let Some(plain) = stored.get(..out.len()) else {
                    return codec.expect_length(out.len(), stored.len() as u64);
                };
                out.copy_from_slice(plain);
                Ok(())
            }
            Codec::Lz4 => lz4::decompress(stored, out),
            Codec::Zlib => self
                .zlib
                .get_or_insert_with(zlib::Reader::new)
                .decompress(stored, out),
            Codec::Zstd => self
                .zstd
                .get_or_insert_with(zstd::Reader::new)
                .decompress(stored, out),
        }
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shelf_keeps_so_many_and_gives_the_last_first() {
        fn nest(shelf: &Mutex<Vec<Vec<usize>>>, depth: usize) {
            borrow(shelf, |context| {
                context.push(depth);
                if depth > 0 {
                    nest(shelf, depth - 1);
                }
            });
        }
        let shelf = Mutex::new(Vec::new());
        nest(&shelf, SHELF_MAX + 5);
        assert_eq!(shelf.lock().len(), SHELF_MAX);
        let last = borrow(&shelf, |context| context[0]);
        assert_eq!(last, SHELF_MAX - 1, "later ones found the shelf full");
    }
}
