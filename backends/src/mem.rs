//! Stand-in: bytes in memory, as quick as copying.
//!
//! Chunks of 64 KiB appear when they are first written, so that a large device costs what was
//! written to it; what was never written reads as zeroes. A fork shares its chunks with the
//! original until one of them writes: a thousand crash images of one device cost what differs.
//! Every request completes before `submit` returns, on the caller's thread.
//!
//! A request that spans chunks is not atomic against one beside it, as on a real device.
//! Discarded bytes read as `MemBackend::DISCARDED_BYTE`, which is not zero on purpose: whoever
//! counts on discarded bytes being zero is found out here.
//!
//! Locks: one per chunk, leaves. `open` is held shared for the length of a request and its
//! callback, exclusively by `close`.

use std::sync::Arc;

use parking_lot::RwLock;

use crate::mover::Job;
use crate::{Backend, BackendError, Completion, Done, Geometry, Request};

const CHUNK_BYTES: usize = 64 << 10;

type Chunk = RwLock<Option<Arc<[u8]>>>;

/// A device in memory.
#[derive(Debug)]
pub struct MemBackend {
    geometry: Geometry,
    chunks: Arc<Bytes>,
    open: RwLock<bool>,
}

struct Bytes(Vec<Chunk>);

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} chunks", self.0.len())
    }
}

impl MemBackend {
    /// What discarded bytes read as.
    pub const DISCARDED_BYTE: u8 = 0xD5;

    /// `capacity_bytes` of zeroes in blocks of 4096 bytes.
    ///
    /// # Panics
    /// If the capacity is not a multiple of the block.
    pub fn new(capacity_bytes: u64) -> Self {
        Self::with_block(capacity_bytes, 4096)
    }

    /// `capacity_bytes` of zeroes in blocks of `block_bytes`.
    ///
    /// # Panics
    /// If the block is not a power of two from 512 to 4096, or the capacity not a multiple of it.
    pub fn with_block(capacity_bytes: u64, block_bytes: u32) -> Self {
        assert!(block_bytes.is_power_of_two() && (512..=4096).contains(&block_bytes));
        assert!(
            capacity_bytes > 0 && capacity_bytes.is_multiple_of(u64::from(block_bytes)),
            "a capacity of {capacity_bytes} bytes is not a multiple of {block_bytes}"
        );
        let chunk_count = usize::try_from(capacity_bytes.div_ceil(CHUNK_BYTES as u64))
            .expect("the chunks of a device in memory can be counted");
        let mut chunks = Vec::new();
        chunks.resize_with(chunk_count, Chunk::default);
        Self {
            geometry: Geometry {
                capacity_bytes,
                block_bytes,
                memory_align_bytes: 1,
                request_bytes_max: 1 << 30,
                flushes: true,
                discards: true,
            },
            chunks: Arc::new(Bytes(chunks)),
            open: RwLock::new(true),
        }
    }

    /// A device that holds `image`, in blocks of `block_bytes`.
    ///
    /// # Panics
    /// As `with_block`.
    pub fn from_image(image: &[u8], block_bytes: u32) -> Self {
        let backend = Self::with_block(image.len() as u64, block_bytes);
        backend.write(0, image);
        backend
    }

    /// The same bytes under a new, open device: what opening a disk again is to a real one.
    #[must_use]
    pub fn reopen(&self) -> Self {
        Self {
            geometry: self.geometry,
            chunks: Arc::clone(&self.chunks),
            open: RwLock::new(true),
        }
    }

    /// An independent copy of the bytes as they are now, under a new, open device.
    #[must_use]
    pub fn fork(&self) -> Self {
        let copy = |chunk: &Chunk| RwLock::new(chunk.read().clone());
        Self {
            geometry: self.geometry,
            chunks: Arc::new(Bytes(self.chunks.0.iter().map(copy).collect())),
            open: RwLock::new(true),
        }
    }

    /// A copy of all bytes as they are now.
    pub fn image(&self) -> Vec<u8> {
        let capacity_bytes =
            usize::try_from(self.geometry.capacity_bytes).expect("an image fits the address space");
        let mut image = vec![0; capacity_bytes];
        self.read(0, &mut image);
        image
    }

    fn run(&self, open: bool, request: &mut Request) -> Result<(), BackendError> {
        self.geometry.check(request)?;
        if !open {
            return Err(BackendError::Closed);
        }
        match request {
            Request::Read { offset, buf } => self.read(*offset, buf),
            Request::Write { offset, buf, .. } => self.write(*offset, buf),
            Request::Flush => {}
            Request::Discard { offset, bytes } => self.discard(*offset, *bytes),
        }
        Ok(())
    }

    fn read(&self, offset: u64, into: &mut [u8]) {
        for (chunk, start, part) in pieces(offset, into.len()) {
            let into = &mut into[part.clone()];
            match &*self.chunks.0[chunk].read() {
                Some(bytes) => into.copy_from_slice(&bytes[start..start + part.len()]),
                None => into.fill(0),
            }
        }
    }

    pub(crate) fn write(&self, offset: u64, from: &[u8]) {
        for (chunk, start, part) in pieces(offset, from.len()) {
            let mut chunk = self.chunks.0[chunk].write();
            let bytes = Arc::make_mut(chunk.get_or_insert_with(empty_chunk));
            bytes[start..start + part.len()].copy_from_slice(&from[part]);
        }
    }

    pub(crate) fn discard(&self, offset: u64, bytes: u64) {
        let len_bytes = usize::try_from(bytes).expect("a discard inside memory fits it");
        for (chunk, start, part) in pieces(offset, len_bytes) {
            // A chunk that was never written has nothing to give back.
            if let Some(bytes) = &mut *self.chunks.0[chunk].write() {
                let bytes = Arc::make_mut(bytes);
                bytes[start..start + part.len()].fill(Self::DISCARDED_BYTE);
            }
        }
    }
}

impl Backend for MemBackend {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn submit(&self, request: Request, done: Done) {
        let mut job = Job::new(request, done);
        // Held over the callback: a close waits for it too.
        let open = self.open.read();
        let result = self.run(*open, &mut job.request);
        job.finish(result);
    }

    fn execute(&self, mut request: Request) -> Completion {
        let result = self.run(*self.open.read(), &mut request);
        Completion {
            result,
            buf: request.into_buf(),
        }
    }

    fn close(&self) -> Result<(), BackendError> {
        *self.open.write() = false;
        Ok(())
    }

    fn describe(&self) -> String {
        format!("memory: {} bytes", self.geometry.capacity_bytes)
    }
}

fn empty_chunk() -> Arc<[u8]> {
    Arc::from([0; CHUNK_BYTES])
}

/// Cuts a range at chunk borders: which chunk, where in it, which part of the range.
fn pieces(
    offset: u64,
    len_bytes: usize,
) -> impl Iterator<Item = (usize, usize, std::ops::Range<usize>)> {
    let first = usize::try_from(offset).expect("an offset inside memory fits it");
    let mut at = 0;
    std::iter::from_fn(move || {
        if at == len_bytes {
            return None;
        }
        let position = first + at;
        let start = position % CHUNK_BYTES;
        let end = len_bytes.min(at + CHUNK_BYTES - start);
        let piece = (position / CHUNK_BYTES, start, at..end);
        at = end;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AlignedBuf, BackendExt, Durability};

    #[test]
    fn bytes_survive_a_reopen_and_a_closed_device_refuses() {
        let first = MemBackend::new(1 << 20);
        let buf = AlignedBuf::copy_of(&[7; 8192]);
        let border = CHUNK_BYTES as u64 - 4096;
        first
            .write_blocking(border, buf, Durability::Cached)
            .expect("writes");
        first.close().expect("closes");
        let error = first.read_blocking(0, 4096).expect_err("is closed");
        assert!(matches!(error, BackendError::Closed));
        let again = first.reopen();
        let read = again.read_blocking(border, 8192).expect("reads");
        assert!(read.iter().all(|&byte| byte == 7));
        assert_eq!(again.image()[CHUNK_BYTES - 1], 7);
    }

    #[test]
    fn a_fork_and_its_original_do_not_see_each_other() {
        let original = MemBackend::new(1 << 20);
        original.write(0, &[1; 100]);
        let fork = original.fork();
        original.write(50, &[2; 100]);
        fork.discard(0, 10);
        assert_eq!((original.image()[0], original.image()[60]), (1, 2));
        let discarded = MemBackend::DISCARDED_BYTE;
        assert_eq!((fork.image()[0], fork.image()[60]), (discarded, 1));
    }

    #[test]
    fn pieces_cover_a_range_without_gaps() {
        let cut: Vec<_> = pieces(CHUNK_BYTES as u64 - 10, CHUNK_BYTES + 20).collect();
        assert_eq!(
            cut,
            [
                (0, CHUNK_BYTES - 10, 0..10),
                (1, 0, 10..CHUNK_BYTES + 10),
                (2, 0, CHUNK_BYTES + 10..CHUNK_BYTES + 20)
            ]
        );
    }
}
