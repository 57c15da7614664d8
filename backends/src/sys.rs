//! System calls that neither the standard library nor nix wraps, each behind a safe function.
//!
//! Not here: the ring (uring), policy about the answers (file, block).

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// What `O_DIRECT` wants of a request on one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DirectAlignment {
    /// Buffers start at a multiple of this.
    pub(crate) memory_bytes: u32,
    /// Offsets and lengths are multiples of this.
    pub(crate) offset_bytes: u32,
}

/// Asks the kernel for the alignment of direct I/O. `None` where it does not say; zeroes, which
/// mean that direct I/O is not possible, come through as they are.
pub(crate) fn direct_alignment(file: &File) -> io::Result<Option<DirectAlignment>> {
    let mut answer = std::mem::MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: the path is an empty C string, the descriptor is open, and `answer` is a whole
    // `statx` that the kernel fills.
    let status = unsafe {
        libc::statx(
            file.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            libc::STATX_DIOALIGN,
            answer.as_mut_ptr(),
        )
    };
    if status != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: zeroes are a valid `statx`, and the call filled it.
    let answer = unsafe { answer.assume_init() };
    Ok(
        (answer.stx_mask & libc::STATX_DIOALIGN != 0).then_some(DirectAlignment {
            memory_bytes: answer.stx_dio_mem_align,
            offset_bytes: answer.stx_dio_offset_align,
        }),
    )
}

/// Writes a part of `bytes` at `offset` and returns when it is durable, as `O_DSYNC` would.
pub(crate) fn pwrite_dsync(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    let offset = i64::try_from(offset).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let part = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: one iovec over a live slice that the kernel only reads.
    let moved = unsafe {
        libc::pwritev2(
            file.as_raw_fd(),
            &raw const part,
            1,
            offset,
            libc::RWF_DSYNC,
        )
    };
    usize::try_from(moved).map_err(|_| io::Error::last_os_error())
}

mod raw {
    nix::ioctl_read!(device_bytes, 0x12, 114, u64);
    nix::ioctl_read_bad!(logical_block_bytes, libc::BLKSSZGET, libc::c_int);
    nix::ioctl_read_bad!(physical_block_bytes, libc::BLKPBSZGET, libc::c_uint);
    nix::ioctl_write_ptr_bad!(discard, nix::request_code_none!(0x12, 119), [u64; 2]);
}

/// Size of a block device in bytes.
pub(crate) fn device_bytes(file: &File) -> io::Result<u64> {
    let mut bytes = 0;
    // SAFETY: the call stores a `u64`.
    unsafe { raw::device_bytes(file.as_raw_fd(), &raw mut bytes) }?;
    Ok(bytes)
}

/// The smallest unit a block device addresses.
pub(crate) fn logical_block_bytes(file: &File) -> io::Result<u32> {
    let mut bytes = 0;
    // SAFETY: the call stores a C `int`.
    unsafe { raw::logical_block_bytes(file.as_raw_fd(), &raw mut bytes) }?;
    u32::try_from(bytes).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
}

/// The unit a block device writes without reading first.
pub(crate) fn physical_block_bytes(file: &File) -> io::Result<u32> {
    let mut bytes = 0;
    // SAFETY: the call stores a C `unsigned int`.
    unsafe { raw::physical_block_bytes(file.as_raw_fd(), &raw mut bytes) }?;
    Ok(bytes)
}

/// Tells a block device that a range is not needed.
pub(crate) fn discard(file: &File, offset: u64, bytes: u64) -> io::Result<()> {
    let range = [offset, bytes];
    // SAFETY: the call reads two `u64`: start and length.
    unsafe { raw::discard(file.as_raw_fd(), &raw const range) }?;
    Ok(())
}

/// Lets the calling thread's sleeps end on time, rather than up to 50 microseconds later.
pub(crate) fn sleep_exactly() {
    // SAFETY: takes one number and touches no memory of ours. A refusal leaves the slack as it is.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_u64, 0_u64, 0_u64, 0_u64) };
}

/// Wakes a thread that waits inside the kernel: a counter that reads as soon as it was rung.
#[derive(Debug)]
pub(crate) struct Bell(OwnedFd);

impl Bell {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: takes two numbers.
        let descriptor = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and nobody else's.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(descriptor) }))
    }

    pub(crate) fn ring(&self) {
        // SAFETY: an open eventfd; the call writes its own eight bytes.
        let status = unsafe { libc::eventfd_write(self.0.as_raw_fd(), 1) };
        assert_eq!(status, 0, "a bell can always be rung");
    }
}

impl AsRawFd for Bell {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
