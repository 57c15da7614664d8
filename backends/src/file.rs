//! Target: a file, opened with `O_DIRECT`, preallocated and locked.
//!
//! Direct, so that the page cache of the host is neither in the way of a measurement nor a second
//! copy of the engine's. Preallocated, and its size made durable, so that a later `fdatasync` need
//! not commit the size of the host's file. Locked, so that two processes cannot open one image.
//!
//! The alignment is the kernel's own answer; an older kernel is probed by reading. Where direct I/O
//! is refused the open fails and says so: falling back in silence would measure something else.
//!
//! Not here: requests (target), queues (movers).

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{FallocateFlags, fallocate};

use crate::mover::MoverOptions;
use crate::sys::{self, DirectAlignment};
use crate::target::{DiscardBy, REQUEST_BYTES_MAX, Target};
use crate::{AlignedBuf, BUFFER_ALIGN_BYTES, BackendError, Device, Geometry};

/// Whether the file is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileOpening {
    /// It exists; its size, rounded down to a block, is the capacity.
    Existing,
    /// The same, for one that is only read and may be write-protected: writes fail.
    ReadOnly,
    /// It must not exist, and is made with this many bytes.
    CreateNew {
        /// The capacity.
        bytes: u64,
    },
    /// It is made with this many bytes if it is missing or empty; one of exactly this size is used
    /// as it is, one of another size is refused rather than cut.
    CreateOrReuse {
        /// The capacity.
        bytes: u64,
    },
}

/// What a new file is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Preallocation {
    /// A size and no blocks: quick to make; the host allocates on the way, and may run out of
    /// space later.
    Sparse,
    /// Blocks reserved but unwritten: quick to make. The first write to each range makes the host
    /// journal that it is written now, which takes about half of the bandwidth of a fast device.
    Reserved,
    /// Blocks reserved and written with zeroes: takes as long as writing the file once, and is
    /// what comes closest to a raw device, since no later write or `fdatasync` changes anything
    /// of the host's. The default, because a measurement should be of the device.
    #[default]
    Written,
}

/// Whether the host's page cache stands between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FileCaching {
    /// `O_DIRECT`.
    #[default]
    Direct,
    /// Through the page cache of the host.
    Buffered,
}

/// What a discard does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FileDiscard {
    /// Nothing: the preallocation stays whole.
    #[default]
    Ignored,
    /// A hole, which gives the space back to the host.
    PunchHole,
}

/// How to open a file.
#[derive(Debug, Clone)]
pub struct FileOptions {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it exists.
    pub opening: FileOpening,
    /// What a new one is made of.
    pub preallocation: Preallocation,
    /// Direct or through the page cache.
    pub caching: FileCaching,
    /// What a discard does.
    pub discard: FileDiscard,
    /// How requests are carried.
    pub mover: MoverOptions,
}

impl FileOptions {
    /// An existing file, direct, with the default mover.
    pub fn existing(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            opening: FileOpening::Existing,
            preallocation: Preallocation::default(),
            caching: FileCaching::default(),
            discard: FileDiscard::default(),
            mover: MoverOptions::default(),
        }
    }

    /// A new file of `bytes`, preallocated, direct, with the default mover.
    pub fn create_new(path: impl Into<PathBuf>, bytes: u64) -> Self {
        Self {
            opening: FileOpening::CreateNew { bytes },
            ..Self::existing(path)
        }
    }

    /// A file of `bytes`, made if missing, direct, with the default mover.
    pub fn create_or_reuse(path: impl Into<PathBuf>, bytes: u64) -> Self {
        Self {
            opening: FileOpening::CreateOrReuse { bytes },
            ..Self::existing(path)
        }
    }

    /// Opens the file, locks it, makes it if asked to, and starts the mover.
    pub fn open(&self) -> Result<Device, BackendError> {
        self.mover.validate(&self.path_text())?;
        let (file, birth) = self.open_or_create()?;
        // Before anything is undone on an error: a file that another process was quicker to lock
        // is that process's.
        self.lock(&file)?;
        let newborn = match birth {
            Some(Birth::Made { bytes }) => Some(Newborn::made(bytes, &self.path)),
            Some(Birth::Found { bytes }) => self.found(&file, bytes)?,
            None => None,
        };
        if let Some(newborn) = &newborn {
            self.fill(&file, newborn.bytes)?;
        }
        let alignment = self.alignment(&file)?;
        let target = self.target(file, alignment)?;
        let device = Device::start(target, &self.mover, self.kind())?;
        if let Some(newborn) = newborn {
            newborn.keep();
        }
        Ok(device)
    }

    /// Opens what is there, or makes an empty file.
    fn open_or_create(&self) -> Result<(File, Option<Birth>), BackendError> {
        let (bytes, reuse) = match self.opening {
            FileOpening::Existing | FileOpening::ReadOnly => {
                return Ok((self.open_existing()?, None));
            }
            FileOpening::CreateNew { bytes } => (bytes, false),
            FileOpening::CreateOrReuse { bytes } => (bytes, true),
        };
        match self.base_options().create_new(true).open(&self.path) {
            Ok(file) => Ok((file, Some(Birth::Made { bytes }))),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && reuse => {
                Ok((self.open_existing()?, Some(Birth::Found { bytes })))
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(self.refuse("it exists already", "remove it, or reuse it"))
            }
            Err(error) => {
                if error.raw_os_error() == Some(libc::EINVAL) {
                    // The kernel makes the file before it refuses to open it directly, and makes
                    // none where there was one.
                    drop(Newborn::made(bytes, &self.path));
                }
                Err(self.open_error(&error))
            }
        }
    }

    /// What is there, looked at under its lock, before which another process may have made it: empty, it is new.
    fn found(&self, file: &File, bytes: u64) -> Result<Option<Newborn>, BackendError> {
        match self.length_bytes(file)? {
            0 => Ok(Some(Newborn {
                bytes,
                removes: None,
            })),
            found_bytes if found_bytes == bytes => Ok(None),
            found_bytes => Err(self.refuse(
                format!("it exists with {found_bytes} bytes, not {bytes}"),
                "remove it, or give its size",
            )),
        }
    }

    fn open_existing(&self) -> Result<File, BackendError> {
        let kind = fs::metadata(&self.path).map_err(|error| self.open_error(&error))?;
        if !kind.is_file() {
            return Err(self.refuse(
                "it is not a regular file",
                "name a file, or open a block device as one",
            ));
        }
        self.base_options()
            .open(&self.path)
            .map_err(|error| self.open_error(&error))
    }

    fn base_options(&self) -> OpenOptions {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(self.opening != FileOpening::ReadOnly);
        if self.caching == FileCaching::Direct {
            options.custom_flags(libc::O_DIRECT);
        }
        options
    }

    fn open_error(&self, error: &io::Error) -> BackendError {
        if error.raw_os_error() == Some(libc::EINVAL) && self.caching == FileCaching::Direct {
            return self.direct_refused();
        }
        self.refuse(
            error.to_string(),
            match error.kind() {
                io::ErrorKind::NotFound => "check the path, or create the file",
                io::ErrorKind::PermissionDenied if self.opening == FileOpening::ReadOnly => {
                    "ask for the right to read it"
                }
                io::ErrorKind::PermissionDenied => "ask for the right to read and write it",
                _ => "check the path and the filesystem it is on",
            },
        )
    }

    fn direct_refused(&self) -> BackendError {
        self.refuse(
            "its filesystem refuses O_DIRECT",
            "choose a path on another filesystem, or ask for buffered I/O, \
             which measures the host's page cache too",
        )
    }

    fn lock(&self, file: &File) -> Result<(), BackendError> {
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => self.refuse(
                "another process or device has it open and locked",
                "close the other one first",
            ),
            TryLockError::Error(error) => self.refuse(
                format!("it cannot be locked: {error}"),
                "choose a filesystem that supports flock",
            ),
        })
    }

    /// Gives a new file its size and blocks, durably.
    fn fill(&self, file: &File, bytes: u64) -> Result<(), BackendError> {
        if bytes == 0 || !bytes.is_multiple_of(BUFFER_ALIGN_BYTES as u64) {
            return Err(self.refuse(
                format!("{bytes} bytes is not a size for it"),
                "choose a multiple of 4096",
            ));
        }
        // It is not as long as it shall be before it is what it shall be: one whose making was cut short is
        // refused, not taken for whole.
        let made = match self.preallocation {
            Preallocation::Sparse => Ok(()),
            Preallocation::Reserved => reserve(file, bytes),
            Preallocation::Written => reserve(file, bytes).and_then(|()| write_zeroes(file, bytes)),
        };
        made.and_then(|()| file.set_len(bytes))
            .and_then(|()| file.sync_all())
            .and_then(|()| sync_folder_of(&self.path))
            .map_err(|error| {
                let remedy = match error.raw_os_error() {
                    Some(libc::ENOSPC) => "free space there, or choose a smaller size",
                    Some(libc::EOPNOTSUPP) => "ask for a sparse file: no fallocate there",
                    _ => "check the filesystem it is on",
                };
                self.refuse(
                    format!("{bytes} bytes cannot be allocated: {error}"),
                    remedy,
                )
            })
    }

    fn alignment(&self, file: &File) -> Result<DirectAlignment, BackendError> {
        if self.caching == FileCaching::Buffered {
            return Ok(DirectAlignment {
                memory_bytes: 1,
                offset_bytes: 512,
            });
        }
        let asked = sys::direct_alignment(file).map_err(|error| self.open_error(&error))?;
        let alignment = asked.map_or_else(|| probe_alignment(file), Some);
        match alignment {
            Some(found)
                if found.offset_bytes > 0
                    && found.offset_bytes <= 4096
                    && found.memory_bytes as usize <= BUFFER_ALIGN_BYTES =>
            {
                Ok(found)
            }
            Some(found) if found.offset_bytes > 0 => Err(self.refuse(
                format!(
                    "O_DIRECT wants an alignment of {} bytes there",
                    found.offset_bytes.max(found.memory_bytes)
                ),
                "choose a filesystem with blocks of at most 4096 bytes",
            )),
            _ => Err(self.direct_refused()),
        }
    }

    fn target(&self, file: File, alignment: DirectAlignment) -> Result<Target, BackendError> {
        let block_bytes = alignment.offset_bytes.max(512);
        let length_bytes = self.length_bytes(&file)?;
        let capacity_bytes = length_bytes - length_bytes % u64::from(block_bytes);
        if capacity_bytes == 0 {
            return Err(self.refuse(
                format!("it is empty ({length_bytes} bytes)"),
                "remove it and create it with a size",
            ));
        }
        let discard_by = match self.discard {
            FileDiscard::Ignored => DiscardBy::Nothing,
            FileDiscard::PunchHole => DiscardBy::Hole,
        };
        let geometry = Geometry {
            capacity_bytes,
            block_bytes,
            memory_align_bytes: alignment.memory_bytes.max(1).next_power_of_two(),
            request_bytes_max: REQUEST_BYTES_MAX,
            flushes: true,
            discards: discard_by != DiscardBy::Nothing,
        };
        Ok(Target::new(file, geometry, discard_by, self.path_text()))
    }

    fn length_bytes(&self, file: &File) -> Result<u64, BackendError> {
        let metadata = file.metadata().map_err(|error| self.open_error(&error))?;
        Ok(metadata.len())
    }

    fn kind(&self) -> &'static str {
        match self.caching {
            FileCaching::Direct => "file (O_DIRECT)",
            FileCaching::Buffered => "file (buffered)",
        }
    }

    fn path_text(&self) -> String {
        self.path.display().to_string()
    }

    fn refuse(&self, reason: impl Into<String>, remedy: &str) -> BackendError {
        BackendError::Open {
            path: self.path_text(),
            reason: reason.into(),
            remedy: remedy.to_owned(),
        }
    }
}

/// Where a file comes from that may be without bytes, and how many it shall have.
#[derive(Debug, Clone, Copy)]
enum Birth {
    /// It was made here.
    Made { bytes: u64 },
    /// It was there.
    Found { bytes: u64 },
}

/// A file on its way to its size. Dropped before it is kept, it removes the file again, if it was
/// made here.
struct Newborn {
    bytes: u64,
    removes: Option<PathBuf>,
}

impl Newborn {
    fn made(bytes: u64, path: &Path) -> Self {
        Self {
            bytes,
            removes: Some(path.to_owned()),
        }
    }

    fn keep(mut self) {
        self.removes = None;
    }
}

impl Drop for Newborn {
    fn drop(&mut self) {
        if let Some(path) = self.removes.take() {
            // The error that brought us here is the one to tell; a leftover is found by its name.
            let _left_over = fs::remove_file(path);
        }
    }
}

/// Takes the blocks; the length stays.
fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    let bytes = i64::try_from(bytes).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    fallocate(file, FallocateFlags::FALLOC_FL_KEEP_SIZE, 0, bytes)?;
    Ok(())
}

fn write_zeroes(file: &File, bytes: u64) -> io::Result<()> {
    const STEP_BYTES: usize = 1 << 20;
    let zeroes = AlignedBuf::zeroed(STEP_BYTES);
    for offset in (0..bytes).step_by(STEP_BYTES) {
        let left_bytes = usize::try_from(bytes - offset).unwrap_or(STEP_BYTES);
        file.write_all_at(&zeroes[..left_bytes.min(STEP_BYTES)], offset)?;
    }
    Ok(())
}

/// The name of a new file is durable only when its folder is.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

/// Finds the smallest block that a direct read accepts, on a kernel that does not tell.
fn probe_alignment(file: &File) -> Option<DirectAlignment> {
    let mut page = AlignedBuf::zeroed(BUFFER_ALIGN_BYTES);
    [512_u32, 1024, 2048, 4096].into_iter().find_map(|bytes| {
        let read = file.read_at(&mut page[..bytes as usize], u64::from(bytes));
        read.ok().map(|_| DirectAlignment {
            memory_bytes: 4096,
            offset_bytes: bytes,
        })
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn blocks_are_there_before_the_length_says_so() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = File::create(folder.path().join("image")).expect("a file");
        match reserve(&file, 1 << 20) {
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
                return eprintln!("SKIPPED: no fallocate on the filesystem of temporary files");
            }
            outcome => outcome.expect("room for a mebibyte"),
        }
        let metadata = file.metadata().expect("it is open");
        assert_eq!(metadata.len(), 0, "who is killed now leaves no whole file");
        assert_eq!(metadata.blocks() * 512, 1 << 20);
    }
}
