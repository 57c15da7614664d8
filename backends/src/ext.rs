//! Blocking conveniences over any backend, for superblocks, checks and tests.
//!
//! They go through `Backend::execute`, so a single request costs what the system call costs: no
//! queue, no other thread.

use crate::{AlignedBuf, Backend, BackendError, Durability, Request};

/// One request at a time, answered before the call returns.
pub trait BackendExt: Backend {
    /// Reads `len_bytes` from `offset` into a new buffer.
    fn read_blocking(&self, offset: u64, len_bytes: usize) -> Result<AlignedBuf, BackendError> {
        self.read_into_blocking(offset, AlignedBuf::zeroed(len_bytes))
    }

    /// Fills `buf` from `offset` and gives it back.
    fn read_into_blocking(&self, offset: u64, buf: AlignedBuf) -> Result<AlignedBuf, BackendError> {
        let completion = self.execute(Request::Read { offset, buf });
        completion.result?;
        Ok(completion.buf.expect("a read gives its buffer back"))
    }

    /// Writes the whole of `buf` at `offset` and gives it back.
    fn write_blocking(
        &self,
        offset: u64,
        buf: AlignedBuf,
        durability: Durability,
    ) -> Result<AlignedBuf, BackendError> {
        let completion = self.execute(Request::Write {
            offset,
            buf,
            durability,
        });
        completion.result?;
        Ok(completion.buf.expect("a write gives its buffer back"))
    }

    /// Makes every completed write durable.
    fn flush_blocking(&self) -> Result<(), BackendError> {
        self.execute(Request::Flush).result
    }

    /// Says that these bytes are not needed any more.
    fn discard_blocking(&self, offset: u64, bytes: u64) -> Result<(), BackendError> {
        self.execute(Request::Discard { offset, bytes }).result
    }
}

impl<B: Backend + ?Sized> BackendExt for B {}
