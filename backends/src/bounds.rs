//! Does a request fit the device? One routine, asked by every backend before anything moves.
//!
//! A request that does not fit is a programmer's error above, so the answer is `Misaligned` with
//! the rule that was broken, and never reaches the kernel: each kernel has its own idea of which
//! odd request to refuse, to round or to serve slowly.

use crate::{BackendError, Geometry, Request};

impl Geometry {
    /// Refuses a request whose offset, length or buffer does not fit this device.
    pub fn check(&self, request: &Request) -> Result<(), BackendError> {
        let (kind, offset, bytes) = request.shape();
        match self.broken_rule(request) {
            None => Ok(()),
            Some(reason) => Err(BackendError::Misaligned {
                kind,
                offset,
                bytes,
                reason,
            }),
        }
    }

    fn broken_rule(&self, request: &Request) -> Option<&'static str> {
        let block_bytes = u64::from(self.block_bytes);
        let (offset, bytes, buf) = match request {
            Request::Flush => return None,
            Request::Read { offset, buf } | Request::Write { offset, buf, .. } => {
                (*offset, buf.len() as u64, Some(buf))
            }
            Request::Discard { offset, bytes } => (*offset, *bytes, None),
        };
        if bytes == 0 {
            return Some("a request moves at least one block");
        }
        if !offset.is_multiple_of(block_bytes) {
            return Some("the offset is not a multiple of the device's block");
        }
        if !bytes.is_multiple_of(block_bytes) {
            return Some("the length is not a multiple of the device's block");
        }
        if offset
            .checked_add(bytes)
            .is_none_or(|end| end > self.capacity_bytes)
        {
            return Some("the request reaches past the end of the device");
        }
        if let Some(buf) = buf {
            if bytes > u64::from(self.request_bytes_max) {
                return Some("the request is longer than the device takes");
            }
            if !(buf.as_ptr().addr() as u64).is_multiple_of(u64::from(self.memory_align_bytes)) {
                return Some("the buffer's address is not aligned for the device");
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AlignedBuf, Durability};

    const GEOMETRY: Geometry = Geometry {
        capacity_bytes: 1 << 20,
        block_bytes: 512,
        memory_align_bytes: 512,
        request_bytes_max: 64 << 10,
        flushes: true,
        discards: true,
    };

    fn read(offset: u64, len_bytes: usize) -> Request {
        Request::Read {
            offset,
            buf: AlignedBuf::zeroed(len_bytes),
        }
    }

    #[test]
    fn what_fits_passes() {
        for request in [
            read(0, 512),
            read((1 << 20) - 512, 512),
            read(512, 64 << 10),
            Request::Flush,
            Request::Discard {
                offset: 0,
                bytes: 1 << 20,
            },
        ] {
            GEOMETRY.check(&request).expect("fits");
        }
    }

    #[test]
    fn what_does_not_fit_names_the_rule() {
        let write = Request::Write {
            offset: 0,
            buf: AlignedBuf::zeroed(0),
            durability: Durability::Cached,
        };
        for (request, word) in [
            (read(1, 512), "offset"),
            (read(0, 511), "length"),
            (write, "at least one"),
            (read(1 << 20, 512), "past the end"),
            (read(0xFFFF_FFFF_FFFF_FE00, 512), "past the end"),
            (read(0, 65 << 10), "longer"),
            (
                Request::Discard {
                    offset: 512,
                    bytes: 1 << 20,
                },
                "past the end",
            ),
        ] {
            let error = GEOMETRY.check(&request).expect_err("does not fit");
            assert!(
                matches!(&error, BackendError::Misaligned { reason, .. } if reason.contains(word)),
                "{request:?}: {error}"
            );
        }
    }
}
