//! Where the bytes of a file or block device live: a descriptor, its geometry, and one request
//! carried out on the calling thread.
//!
//! Both movers share this room: the thread mover runs everything here, the ring sends here what a
//! ring cannot do (a device's discard), and a blocking caller comes here directly.
//!
//! Not here: opening and refusing (file, block), queues (movers).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use nix::fcntl::{FallocateFlags, FcntlArg, OFlag, fallocate, fcntl};

use crate::{BackendError, Durability, Geometry, Request, sys};

/// Largest single request in bytes. One system call moves up to 2 GiB less a page; this leaves
/// room and still covers any extent.
pub(crate) const REQUEST_BYTES_MAX: u32 = 1 << 30;

/// What a discard does to the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DiscardBy {
    /// Nothing: accepted and ignored.
    Nothing,
    /// A hole in the file.
    Hole,
    /// The device's own discard command.
    Device,
}

/// An open file or block device.
#[derive(Debug)]
pub(crate) struct Target {
    file: File,
    geometry: Geometry,
    discard_by: DiscardBy,
    path: String,
}

impl Target {
    pub(crate) fn new(file: File, geometry: Geometry, discard_by: DiscardBy, path: String) -> Self {
        assert!(geometry.block_bytes.is_power_of_two());
        assert!((512..=4096).contains(&geometry.block_bytes));
        assert!(
            geometry
                .capacity_bytes
                .is_multiple_of(u64::from(geometry.block_bytes))
        );
        assert_eq!(geometry.discards, discard_by != DiscardBy::Nothing);
        Self {
            file,
            geometry,
            discard_by,
            path,
        }
    }

    /// The same bytes with the same right to them, through a descriptor of its own, which holds neither the
    /// file's lock nor the device's claim.
    pub(crate) fn reopen(&self) -> io::Result<File> {
        let flags = OFlag::from_bits_retain(fcntl(&self.file, FcntlArg::F_GETFL)?);
        OpenOptions::new()
            .read(true)
            .write(flags & OFlag::O_ACCMODE != OFlag::O_RDONLY)
            .custom_flags((flags & OFlag::O_DIRECT).bits())
            .open(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
    }

    pub(crate) fn geometry(&self) -> Geometry {
        self.geometry
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Carries out one request that was checked against the geometry, and waits for it.
    pub(crate) fn run(&self, request: &mut Request) -> Result<(), BackendError> {
        let (kind, offset, bytes) = request.shape();
        let outcome = match request {
            Request::Read { offset, buf } => self.file.read_exact_at(buf, *offset),
            Request::Write {
                offset,
                buf,
                durability: Durability::Cached,
            } => self.file.write_all_at(buf, *offset),
            Request::Write {
                offset,
                buf,
                durability: Durability::Fua,
            } => self.write_durable(buf, *offset),
            Request::Flush => self.file.sync_data(),
            Request::Discard { offset, bytes } => self.discard(*offset, *bytes),
        };
        outcome.map_err(|source| BackendError::Io {
            kind,
            offset,
            bytes,
            source,
        })
    }

    fn write_durable(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match sys::pwrite_dsync(&self.file, bytes, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(moved) => {
                    bytes = &bytes[moved..];
                    offset += moved as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn discard(&self, offset: u64, bytes: u64) -> io::Result<()> {
        match self.discard_by {
            DiscardBy::Nothing => Ok(()),
            DiscardBy::Device => sys::discard(&self.file, offset, bytes),
            DiscardBy::Hole => {
                let hole =
                    FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
                let out_of_range = |_| io::Error::from(io::ErrorKind::InvalidInput);
                fallocate(
                    &self.file,
                    hole,
                    i64::try_from(offset).map_err(out_of_range)?,
                    i64::try_from(bytes).map_err(out_of_range)?,
                )?;
                Ok(())
            }
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // Closing is not enough at once: a child that another thread is just starting holds a copy
        // of the descriptor, and with it of the lock, until it runs its program. A device's claim
        // cannot be given back apart, and a target without a lock has nothing to unlock.
        let _not_locked = self.file.unlock();
    }
}
