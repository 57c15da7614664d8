//! Stored bytes against their checksums and their codec, a batch at a time.
//!
//! Many reads are under way at once; a batch is verified when it is full, and then forgotten. A right
//! checksum says that the bytes are those which were written, not that they are what a codec wrote: so
//! what passes is decoded too. That costs about as much as reading the files, and can be left out.
//!
//! Memory: one batch of stored bytes, and the plain bytes of one extent.
//!
//! Not here: which extents there are (check).

use delalloc_backends::Backend;

use super::issue::Issue;
use super::read_many::read_many;
use crate::compress::{Codec, Decoder};
use crate::meta::CODEC_RAW;
use crate::meta::format::SECTOR_LEN;
use crate::units::{DiskExtent, DiskOffset, FileId, SECTOR_BYTES};

/// Stored bytes read at once.
const BATCH_BYTES: u64 = 8 << 20;

/// An extent whose bytes are to be verified.
#[derive(Debug)]
pub(super) struct StoredData {
    pub(super) extent: DiskExtent,
    pub(super) checksums: Vec<u32>,
    /// How it is decoded, where a file shows it.
    pub(super) shown: Option<ShownAs>,
}

/// What a file takes an extent for.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShownAs {
    pub(super) file: FileId,
    pub(super) codec: u8,
    pub(super) plain_bytes: u64,
}

/// What verifying adds up to.
#[derive(Debug, Default)]
pub(super) struct Verified {
    pub(super) sectors: u64,
    pub(super) extents_decoded: u64,
    pub(super) issues: Vec<Issue>,
}

/// Extents that wait to be verified.
#[derive(Debug)]
pub(super) struct DataQueue<'c> {
    backend: &'c dyn Backend,
    decode: bool,
    decoder: Decoder,
    waiting: Vec<StoredData>,
    waiting_bytes: u64,
}

impl<'c> DataQueue<'c> {
    pub(super) fn new(backend: &'c dyn Backend, decode: bool) -> Self {
        Self {
            backend,
            decode,
            decoder: Decoder::default(),
            waiting: Vec::new(),
            waiting_bytes: 0,
        }
    }

    /// Adds an extent; verifies all that wait once they fill a batch.
    pub(super) fn push(&mut self, data: StoredData) -> Verified {
        self.waiting_bytes += data.extent.bytes;
        self.waiting.push(data);
        if self.waiting_bytes < BATCH_BYTES {
            return Verified::default();
        }
        self.drain()
    }

    /// Verifies all that wait.
    pub(super) fn drain(&mut self) -> Verified {
        self.waiting_bytes = 0;
        let mut verified = Verified::default();
        let waiting = std::mem::take(&mut self.waiting);
        let wanted: Vec<(u64, usize)> = waiting
            .iter()
            .map(|data| (data.extent.start.0, data.checksums.len() * SECTOR_LEN))
            .collect();
        for (data, answer) in waiting.iter().zip(read_many(self.backend, &wanted)) {
            match answer {
                Ok(bytes) => self.verify(data, &bytes, &mut verified),
                Err(error) => verified.issues.push(Issue::DataUnreadable {
                    extent: data.extent,
                    error,
                }),
            }
        }
        verified
    }

    fn verify(&mut self, data: &StoredData, bytes: &[u8], verified: &mut Verified) {
        let mut at = data.extent.start;
        let mut whole = true;
        for (sector, &expected) in bytes.chunks_exact(SECTOR_LEN).zip(&data.checksums) {
            let found = crc32c::crc32c(sector);
            if found == expected {
                verified.sectors += 1;
            } else {
                whole = false;
                verified.issues.push(Issue::DataChecksum {
                    at,
                    expected,
                    found,
                });
            }
            at = DiskOffset(at.0 + SECTOR_BYTES);
        }
        let Some(shown) = data.shown else { return };
        if !self.decode || !whole || shown.codec == CODEC_RAW {
            return;
        }
        let Some(codec) = Codec::from_number(shown.codec) else {
            return;
        };
        let plain_len = usize::try_from(shown.plain_bytes).expect("an extent fits memory");
        let mut plain = vec![0; plain_len];
        verified.extents_decoded += 1;
        if let Err(error) = self.decoder.decompress(codec, bytes, &mut plain) {
            verified.issues.push(Issue::DataUndecodable {
                file: shown.file,
                extent: data.extent,
                codec,
                error,
            });
        }
    }
}
