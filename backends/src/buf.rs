//! Buffers a device can take: owned, aligned to 4 KiB, and recycled.
//!
//! `O_DIRECT` wants memory at an alignment that `Vec<u8>` does not promise. A buffer is owned by
//! whoever holds it; a request takes it and its completion gives it back, which is the form that
//! io_uring makes necessary and that every other mover can live with. The bytes are always
//! initialised.
//!
//! Not here: who may hold how many bytes (the engine's budget).

use std::alloc::{self, Layout};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;
use std::{fmt, slice};

use parking_lot::Mutex;

/// Alignment of every buffer in bytes: a page, which satisfies every device seen.
pub const BUFFER_ALIGN_BYTES: usize = 4096;

/// A block of initialised memory aligned to `BUFFER_ALIGN_BYTES`.
pub struct AlignedBuf {
    start: NonNull<u8>,
    len_bytes: usize,
    capacity_bytes: usize,
    home: Option<Arc<BufPool>>,
}

// SAFETY: the memory is owned by this value alone; moving it between threads moves the only owner.
unsafe impl Send for AlignedBuf {}
// SAFETY: a shared reference gives out `&[u8]` only.
unsafe impl Sync for AlignedBuf {}

impl AlignedBuf {
    /// `len_bytes` zero bytes. The capacity is rounded up to `BUFFER_ALIGN_BYTES`.
    pub fn zeroed(len_bytes: usize) -> Self {
        let capacity_bytes = len_bytes.max(1).next_multiple_of(BUFFER_ALIGN_BYTES);
        let layout = Self::layout(capacity_bytes);
        // SAFETY: `layout` has a non-zero size.
        let raw = unsafe { alloc::alloc_zeroed(layout) };
        let Some(start) = NonNull::new(raw) else {
            alloc::handle_alloc_error(layout)
        };
        Self {
            start,
            len_bytes,
            capacity_bytes,
            home: None,
        }
    }

    /// A buffer that holds `bytes`.
    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut buf = Self::zeroed(bytes.len());
        buf.copy_from_slice(bytes);
        buf
    }

    /// Bytes that `set_len` may reach.
    pub fn capacity(&self) -> usize {
        self.capacity_bytes
    }

    /// Changes the length. Bytes that come into view are whatever was there before: initialised, stale.
    ///
    /// # Panics
    /// Past the capacity.
    pub fn set_len(&mut self, len_bytes: usize) {
        assert!(
            len_bytes <= self.capacity_bytes,
            "a buffer cannot grow past its capacity"
        );
        self.len_bytes = len_bytes;
    }

    fn layout(capacity_bytes: usize) -> Layout {
        Layout::from_size_align(capacity_bytes, BUFFER_ALIGN_BYTES)
            .expect("a buffer's size fits the address space")
    }
}

impl Deref for AlignedBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `len_bytes <= capacity_bytes`, all of it allocated and initialised, and borrowed with `self`.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len_bytes) }
    }
}

impl DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; `&mut self` makes the borrow unique.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.len_bytes) }
    }
}

impl Drop for AlignedBuf {
    fn drop(&mut self) {
        if let Some(home) = self.home.take() {
            let again = Self {
                start: self.start,
                len_bytes: self.capacity_bytes,
                capacity_bytes: self.capacity_bytes,
                home: None,
            };
            home.put(again);
            return;
        }
        // SAFETY: allocated in `zeroed` with this very layout, and given back only here.
        unsafe { alloc::dealloc(self.start.as_ptr(), Self::layout(self.capacity_bytes)) }
    }
}

impl fmt::Debug for AlignedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "AlignedBuf({} of {} bytes)",
            self.len_bytes, self.capacity_bytes
        )
    }
}

/// Recycles buffers of one capacity, so that the write path does not ask the allocator (and the
/// kernel, for fresh zero pages) for every extent.
#[derive(Debug)]
pub struct BufPool {
    buffer_bytes: usize,
    idle_max: usize,
    idle: Mutex<Vec<AlignedBuf>>,
}

impl BufPool {
    /// Keeps at most `idle_max` unused buffers of `buffer_bytes` each.
    pub fn new(buffer_bytes: usize, idle_max: usize) -> Arc<Self> {
        let buffer_bytes = buffer_bytes.max(1).next_multiple_of(BUFFER_ALIGN_BYTES);
        Arc::new(Self {
            buffer_bytes,
            idle_max,
            idle: Mutex::new(Vec::new()),
        })
    }

    /// A buffer of `len_bytes`; its bytes are stale. A length above the pool's own is allocated apart.
    pub fn take(self: &Arc<Self>, len_bytes: usize) -> AlignedBuf {
        if len_bytes > self.buffer_bytes {
            return AlignedBuf::zeroed(len_bytes);
        }
        let idle = self.idle.lock().pop();
        let mut buf = idle.unwrap_or_else(|| AlignedBuf::zeroed(self.buffer_bytes));
        buf.home = Some(Arc::clone(self));
        buf.set_len(len_bytes);
        buf
    }

    fn put(&self, buf: AlignedBuf) {
        let mut idle = self.idle.lock();
        if idle.len() < self.idle_max {
            idle.push(buf);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_aligned_zero_and_of_its_length() {
        let buf = AlignedBuf::zeroed(5000);
        assert_eq!(buf.as_ptr().addr() % BUFFER_ALIGN_BYTES, 0);
        assert_eq!((buf.len(), buf.capacity()), (5000, 8192));
        assert!(buf.iter().all(|&byte| byte == 0));
    }

    #[test]
    fn a_pool_gives_the_same_memory_again_and_keeps_no_more_than_it_may() {
        let pool = BufPool::new(4096, 1);
        let (first, second) = (pool.take(4096), pool.take(100));
        let address = second.as_ptr().addr();
        drop(second);
        drop(first);
        let again = pool.take(7);
        assert_eq!((again.as_ptr().addr(), again.len()), (address, 7));
        assert_eq!(pool.idle.lock().len(), 0);
    }

    #[test]
    #[should_panic(expected = "past its capacity")]
    fn a_buffer_does_not_grow_past_its_capacity() {
        AlignedBuf::zeroed(10).set_len(4097);
    }
}
