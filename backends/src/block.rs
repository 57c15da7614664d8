//! Target: a raw block device, and the interlock in front of it.
//!
//! Opening a device here is a step before overwriting it, so the open refuses what looks like
//! somebody's: a device that is mounted or otherwise in use, always; a device with a foreign
//! signature, unless the caller names the device a second time. Naming it twice guards against the
//! wrong path in a file that was edited late at night; a plain yes would not.
//!
//! The kernel's own exclusive open is the lock: mounts, RAID, LVM, swap and other devices of this
//! kind hold it. The mount table is read only to say where it is mounted, and to catch what the
//! kernel did not.
//!
//! Not here: the magics (signature), requests (target), queues (movers).

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::sys::stat::{major, minor};

use crate::mover::MoverOptions;
use crate::signature::{self, Ends, Owner, Signature};
use crate::target::{DiscardBy, REQUEST_BYTES_MAX, Target};
use crate::{AlignedBuf, BUFFER_ALIGN_BYTES, BackendError, Device, Geometry, sys};

/// How to open a block device.
#[derive(Debug, Clone)]
pub struct BlockOptions {
    /// The device.
    pub path: PathBuf,
    /// The same path again, where the device holds something foreign that may be overwritten.
    pub i_know_this_destroys: Option<PathBuf>,
    /// What marks a device as the caller's own, which needs no second naming.
    pub ours: Vec<Signature>,
    /// How requests are carried.
    pub mover: MoverOptions,
}

/// What the kernel says of a device.
#[derive(Debug, Clone, Copy)]
struct Facts {
    capacity_bytes: u64,
    logical_bytes: u32,
    physical_bytes: u32,
    block_bytes: u32,
    memory_align_bytes: u32,
    discards: bool,
}

impl BlockOptions {
    /// A device that holds nothing foreign, with the default mover.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            i_know_this_destroys: None,
            ours: Vec::new(),
            mover: MoverOptions::default(),
        }
    }

    /// Opens the device exclusively, after it passed the interlock, and starts the mover.
    pub fn open(&self) -> Result<Device, BackendError> {
        self.mover.validate(&self.path_text())?;
        let device_number = self.device_number()?;
        let file = self.open_exclusively(device_number)?;
        self.refuse_mounted(device_number)?;
        let facts = self.facts(&file, device_number)?;
        self.refuse_foreign(&file, facts)?;
        let discard_by = if facts.discards {
            DiscardBy::Device
        } else {
            DiscardBy::Nothing
        };
        let geometry = Geometry {
            capacity_bytes: facts.capacity_bytes,
            block_bytes: facts.block_bytes,
            memory_align_bytes: facts.memory_align_bytes,
            request_bytes_max: REQUEST_BYTES_MAX,
            flushes: true,
            discards: facts.discards,
        };
        let target = Target::new(file, geometry, discard_by, self.path_text());
        let kind = format!(
            "block device (O_DIRECT, sectors of {} logical, {} physical)",
            facts.logical_bytes, facts.physical_bytes
        );
        Device::start(target, &self.mover, &kind)
    }

    fn device_number(&self) -> Result<u64, BackendError> {
        let metadata = fs::metadata(&self.path).map_err(|error| self.io_error(&error))?;
        if !metadata.file_type().is_block_device() {
            return Err(self.refuse(
                "it is not a block device",
                "name one under /dev, or open it as a file",
            ));
        }
        Ok(metadata.rdev())
    }

    fn open_exclusively(&self, device_number: u64) -> Result<File, BackendError> {
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_EXCL | libc::O_DIRECT)
            .open(&self.path);
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                self.refuse_mounted(device_number)?;
                return Err(self.refuse(
                    "it is in use: part of a RAID or LVM, swap, or open elsewhere",
                    "release it first",
                ));
            }
            Err(error) => return Err(self.io_error(&error)),
        };
        let metadata = file.metadata().map_err(|error| self.io_error(&error))?;
        if metadata.rdev() != device_number {
            return Err(self.refuse("it changed while it was opened", "try again"));
        }
        Ok(file)
    }

    fn refuse_mounted(&self, device_number: u64) -> Result<(), BackendError> {
        let table =
            fs::read_to_string("/proc/self/mountinfo").map_err(|error| self.io_error(&error))?;
        let source_number = |source: &str| {
            let metadata = fs::metadata(source).ok()?;
            metadata
                .file_type()
                .is_block_device()
                .then(|| metadata.rdev())
        };
        match mounted_at(&table, device_number, source_number) {
            None => Ok(()),
            Some(place) => {
                Err(self.refuse(format!("it is mounted at {place}"), "unmount it first"))
            }
        }
    }

    fn facts(&self, file: &File, device_number: u64) -> Result<Facts, BackendError> {
        let facts = ask_kernel(file, device_number).map_err(|error| self.io_error(&error))?;
        let odd = |what: String| Err(self.refuse(what, "choose another device"));
        if !facts.block_bytes.is_power_of_two() || !(512..=4096).contains(&facts.block_bytes) {
            return odd(format!("its block is {} bytes", facts.block_bytes));
        }
        if facts.memory_align_bytes as usize > BUFFER_ALIGN_BYTES {
            return odd(format!(
                "it wants memory aligned to {} bytes",
                facts.memory_align_bytes
            ));
        }
        if facts.capacity_bytes == 0 {
            return odd("it has no capacity".to_owned());
        }
        Ok(facts)
    }

    fn refuse_foreign(&self, file: &File, facts: Facts) -> Result<(), BackendError> {
        if self.i_know_this_destroys.as_ref() == Some(&self.path) {
            return Ok(());
        }
        let read = |offset: u64, at_most_bytes: usize| {
            let left_bytes = facts.capacity_bytes - offset;
            let len_bytes =
                usize::try_from(left_bytes).map_or(at_most_bytes, |left| left.min(at_most_bytes));
            let mut buf = AlignedBuf::zeroed(len_bytes);
            file.read_exact_at(&mut buf, offset)
                .map_err(|error| self.io_error(&error))?;
            Ok::<_, BackendError>(buf)
        };
        let tail_start = facts
            .capacity_bytes
            .saturating_sub(signature::TAIL_BYTES as u64);
        let head = read(0, signature::HEAD_BYTES)?;
        let tail = read(tail_start, signature::TAIL_BYTES)?;
        let ends = Ends {
            head: &head,
            tail: &tail,
            capacity_bytes: facts.capacity_bytes,
        };
        match signature::owner(ends, &self.ours) {
            Owner::Nobody | Owner::Ours => Ok(()),
            Owner::Foreign(name) => Err(self.refuse(
                format!("it holds {name}"),
                &format!(
                    "to overwrite it, name it a second time: i_know_this_destroys: {}",
                    self.path_text()
                ),
            )),
        }
    }

    fn io_error(&self, error: &io::Error) -> BackendError {
        let remedy = match error.kind() {
            io::ErrorKind::NotFound => "check the path",
            io::ErrorKind::PermissionDenied => "ask for the right to read and write the device",
            io::ErrorKind::ReadOnlyFilesystem => "make the device writable",
            _ => "check the device in the kernel's log",
        };
        self.refuse(error.to_string(), remedy)
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

fn ask_kernel(file: &File, device_number: u64) -> io::Result<Facts> {
    let logical_bytes = sys::logical_block_bytes(file)?;
    let direct = sys::direct_alignment(file)?;
    let block_bytes = direct
        .map_or(0, |direct| direct.offset_bytes)
        .max(logical_bytes)
        .max(512);
    let device_bytes = sys::device_bytes(file)?;
    Ok(Facts {
        capacity_bytes: device_bytes - device_bytes % u64::from(block_bytes),
        logical_bytes,
        physical_bytes: sys::physical_block_bytes(file)?,
        block_bytes,
        memory_align_bytes: direct
            .map_or(logical_bytes, |direct| direct.memory_bytes)
            .max(1)
            .next_power_of_two(),
        discards: discard_bytes_max(device_number) > 0,
    })
}

/// The longest discard the device takes, 0 for none. A partition's answer is that of its disk,
/// one folder up.
fn discard_bytes_max(device_number: u64) -> u64 {
    let folder = format!(
        "/sys/dev/block/{}:{}",
        major(device_number),
        minor(device_number)
    );
    ["queue", "../queue"]
        .iter()
        .find_map(|queue| {
            let path = Path::new(&folder).join(queue).join("discard_max_bytes");
            fs::read_to_string(path).ok()?.trim().parse().ok()
        })
        .unwrap_or(0)
}

/// Finds where a device is mounted, in the format of `/proc/self/mountinfo`: by the device number
/// of the mount, or by that of its source, for filesystems that mount under numbers of their own.
fn mounted_at(
    table: &str,
    device_number: u64,
    source_number: impl Fn(&str) -> Option<u64>,
) -> Option<String> {
    let wanted = format!("{}:{}", major(device_number), minor(device_number));
    table.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let (number, place) = (fields.nth(2)?, fields.nth(1)?);
        let source = line.split_once(" - ")?.1.split(' ').nth(1)?;
        let is_it = number == wanted || source_number(source) == Some(device_number);
        is_it.then(|| place.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw
30 22 0:27 / /mnt/many rw shared:9 master:3 - btrfs /dev/loop7 rw,space_cache
31 22 7:3 / /mnt/a\\040b rw - xfs /dev/loop3 rw
";

    #[test]
    fn a_mount_is_found_by_its_number_or_its_source() {
        let loop_number = |number| nix::sys::stat::makedev(7, number);
        let source = |source: &str| (source == "/dev/loop7").then(|| loop_number(7));
        let at = |number| mounted_at(TABLE, number, source);
        assert_eq!(at(loop_number(3)).as_deref(), Some("/mnt/a\\040b"));
        assert_eq!(at(loop_number(7)).as_deref(), Some("/mnt/many"));
        assert_eq!(at(loop_number(8)), None);
    }

    #[test]
    fn what_is_not_a_block_device_is_refused_with_a_remedy() {
        for (path, word) in [("/dev/null", "not a block device"), ("/dev/nil", "No such")] {
            let error = BlockOptions::new(path).open().expect_err("refused");
            assert!(error.to_string().contains(word), "{error}");
        }
    }
}
