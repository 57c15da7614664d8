//! Whether a batch of the log is whole, for any number of headers at the price of summing the log twice.
//!
//! A header can claim all that is behind it, and each sector can hold one: sums over what they claim would grow
//! with the square of the log. A CRC is linear, so that of a piece follows from that of all before its beginning
//! and that of all before its end. These are kept for each sector, as far as somebody asked: a sound log has no
//! header to ask about. What is left for each header is less than two sectors, and some steps for each bit of its length.
//!
//! Nothing here relies on the mask, which keeps headers out of the inside of a batch: batches from before there was
//! one are judged like all others.
//!
//! Not here: which headers are asked about (log_scan).

use std::ops::Range;

use crate::log::format::{self, BatchHeader};
use crate::meta::format::SECTOR_LEN;

/// Checksums of the bytes of a log.
pub(super) struct LogSums<'l> {
    bytes: &'l [u8],
    /// Of all before the sector of this number.
    before: Vec<u32>,
    /// Bytes that went through a checksum.
    pub(super) summed_bytes: u64,
}

impl<'l> LogSums<'l> {
    /// `bytes` are whole sectors.
    pub(super) fn new(bytes: &'l [u8]) -> Self {
        Self {
            bytes,
            before: vec![crc32c::crc32c(&[])],
            summed_bytes: 0,
        }
    }

    /// Does the checksum of the batch hold that begins at `at` with `header`?
    pub(super) fn is_whole(&mut self, at: usize, header: &BatchHeader) -> bool {
        let batch = &self.bytes[at..];
        let Some(sealed) = header.sealed().filter(|sealed| sealed.end <= batch.len()) else {
            return false;
        };
        let before = self.up_to(at + sealed.start);
        let through = self.up_to(at + sealed.end);
        crc32c::crc32c_combine(before, through, sealed.len()) == format::checksum_of(batch)
    }

    /// The checksum of all before `at`.
    fn up_to(&mut self, at: usize) -> u32 {
        let sector = at / SECTOR_LEN;
        for number in self.before.len() - 1..sector {
            let start = number * SECTOR_LEN;
            let sum = self.append(self.before[number], start..start + SECTOR_LEN);
            self.before.push(sum);
        }
        self.append(self.before[sector], sector * SECTOR_LEN..at)
    }

    fn append(&mut self, sum: u32, range: Range<usize>) -> u32 {
        self.summed_bytes += range.len() as u64;
        crc32c::crc32c_append(sum, &self.bytes[range])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{DiskOffset, Generation};

    #[test]
    fn a_batch_is_whole_where_its_own_sum_says_so() {
        let len = 8 * SECTOR_LEN;
        for (sector, payload_bytes) in [(0, 0), (1, 8), (2, 4048), (3, 4056), (5, 3 * 4096 - 48)] {
            let mut bytes: Vec<u8> = (0..=250).cycle().take(len).collect();
            let at = sector * SECTOR_LEN;
            let header = BatchHeader {
                volume: 3,
                sequence: 4,
                address: DiskOffset(at as u64),
                payload_bytes,
                records: 1,
                generation: Generation(9),
                mask: 0,
            };
            format::seal_batch(&mut bytes[at..], &header);
            assert!(LogSums::new(&bytes).is_whole(at, &header), "{sector}");
            let end = at + format::HEADER_BYTES + payload_bytes as usize;
            for changed in [at, at + 4, end - 1] {
                let mut torn = bytes.clone();
                torn[changed] ^= 0x10;
                assert!(!LogSums::new(&torn).is_whole(at, &header), "{changed}");
            }
            // What lies around it has no say.
            for changed in [at.checked_sub(1), Some(end)].into_iter().flatten() {
                if let Some(byte) = bytes.get_mut(changed) {
                    *byte ^= 0x10;
                }
            }
            assert!(LogSums::new(&bytes).is_whole(at, &header), "{sector}");
            let longer = BatchHeader {
                payload_bytes: u32::MAX,
                ..header
            };
            assert!(
                !LogSums::new(&bytes).is_whole(at, &longer),
                "it ends before"
            );
        }
    }
}
