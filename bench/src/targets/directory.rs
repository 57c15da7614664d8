//! A directory of any mounted filesystem: the kernel peers of the engine.
//!
//! I/O is buffered and synced with `fsync`, as applications do it. Bytes at the device are counted
//! by the kernel's own counters of the device under the mount, found through mountinfo (the
//! `st_dev` of btrfs names no device); they are everybody's bytes, so a peer deserves a device of
//! its own (`scripts/kernel-peers` makes one).
//!
//! File names of a workload are flattened: `/` becomes `_`, so that nothing leaves the directory.
//!
//! Invariants
//!   * Only files this target opened or renamed are removed, and only below its own sub-directory.
//!
//! Not here: mounting anything.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use delalloc_results::Unit;
use nix::fcntl::{FallocateFlags, PosixFadviseAdvice, fallocate, posix_fadvise};
use parking_lot::Mutex;

use crate::host::raise_file_limit;
use crate::mount::Mount;

use super::{Levels, Reading, Target, TargetFile};

/// Name of the sub-directory a replay works in, so that nothing else of the directory is touched.
const WORK_DIR: &str = "delalloc-files";

/// Files below one directory.
#[derive(Debug)]
pub struct DirectoryTarget {
    work_dir: PathBuf,
    device: Option<Mount>,
    root: File,
    files: Mutex<BTreeMap<String, Arc<File>>>,
}

impl DirectoryTarget {
    /// Starts empty below `directory`, which must exist.
    pub fn open(directory: &Path) -> anyhow::Result<Self> {
        let metadata = fs::metadata(directory).with_context(|| {
            format!(
                "target directory {}: create or mount it",
                directory.display()
            )
        })?;
        anyhow::ensure!(
            metadata.is_dir(),
            "target {}: not a directory",
            directory.display()
        );
        let work_dir = directory.join(WORK_DIR);
        if work_dir.exists() {
            fs::remove_dir_all(&work_dir)
                .with_context(|| format!("clearing {}", work_dir.display()))?;
        }
        fs::create_dir(&work_dir).with_context(|| format!("creating {}", work_dir.display()))?;
        let root = File::open(&work_dir)?;
        raise_file_limit();
        let device = Mount::under(&work_dir);
        Ok(Self {
            work_dir,
            device,
            root,
            files: Mutex::default(),
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        let flat = name.replace('/', "_");
        self.work_dir.join(if flat.starts_with('.') {
            format!("_{flat}")
        } else {
            flat
        })
    }
}

/// Where root drops what the kernel has cached.
const DROP_CACHES: &str = "/proc/sys/vm/drop_caches";

/// May this process do that?
fn drops_metadata() -> bool {
    nix::unistd::access(DROP_CACHES, nix::unistd::AccessFlags::W_OK).is_ok()
}

impl Target for DirectoryTarget {
    fn open_file(&self, name: &str) -> anyhow::Result<Arc<dyn TargetFile>> {
        let path = self.path(name);
        let mut files = self.files.lock();
        if let Some(file) = files.get(name) {
            return Ok(Arc::new(DirectoryFile(Arc::clone(file))));
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .with_context(|| format!("opening {}", path.display()))?;
        let file = Arc::new(file);
        files.insert(name.to_owned(), Arc::clone(&file));
        Ok(Arc::new(DirectoryFile(file)))
    }

    fn remove(&self, name: &str) -> anyhow::Result<()> {
        self.files.lock().remove(name);
        let path = self.path(name);
        fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))
    }

    fn rename(&self, from: &str, to: &str) -> anyhow::Result<()> {
        let mut files = self.files.lock();
        fs::rename(self.path(from), self.path(to))
            .with_context(|| format!("renaming {from:?} to {to:?}"))?;
        files.remove(to);
        if let Some(file) = files.remove(from) {
            files.insert(to.to_owned(), file);
        }
        Ok(())
    }

    fn sync_all(&self) -> anyhow::Result<()> {
        nix::unistd::syncfs(self.root.as_fd())
            .with_context(|| format!("syncfs of {}", self.work_dir.display()))
    }

    fn drop_caches(&self) -> anyhow::Result<()> {
        for file in self.files.lock().values() {
            posix_fadvise(file.as_fd(), 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
        }
        // Metadata goes only with everything else of the machine, and only for root; `describe` says where it stays.
        if drops_metadata() {
            fs::write(DROP_CACHES, "3").context(DROP_CACHES)?;
        }
        Ok(())
    }

    fn reopen(&self) -> anyhow::Result<()> {
        self.files.lock().clear();
        Ok(())
    }

    fn counters(&self) -> Vec<Reading> {
        let Some(stat) = self.device.as_ref().and_then(Mount::stat) else {
            return Vec::new();
        };
        // The kernel decides when to write back: these depend on the clock.
        vec![
            Reading::timed("device.write_bytes", Unit::Bytes, stat.write_bytes),
            Reading::timed("device.write_requests", Unit::Count, stat.write_requests),
            Reading::timed("device.read_bytes", Unit::Bytes, stat.read_bytes),
            Reading::timed("device.read_requests", Unit::Count, stat.read_requests),
        ]
    }

    fn levels(&self) -> Levels {
        let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let field_bytes = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
            Some(kib * 1024)
        };
        // What is on its way counts as dirty, as it does for the engine.
        let writeback_bytes = field_bytes("Writeback:").unwrap_or(0);
        Levels {
            dirty_bytes: field_bytes("Dirty:").map(|bytes| bytes + writeback_bytes),
            queues: BTreeMap::new(),
            workers: BTreeMap::new(),
            stalled_ns: BTreeMap::new(),
        }
    }

    fn finals(&self) -> Vec<Reading> {
        let mut held_bytes = 0.0;
        for file in self.files.lock().values() {
            if let Ok(metadata) = file.metadata() {
                held_bytes += (metadata.blocks() * 512) as f64;
            }
        }
        vec![
            Reading::timed("space.allocated_bytes", Unit::Bytes, held_bytes)
                .doc("bytes the filesystem says its files take; btrfs counts them uncompressed"),
        ]
    }

    fn describe(&self) -> String {
        let under = self.device.as_ref().map_or_else(
            || "unknown filesystem".to_owned(),
            |device| format!("{} on {}", device.filesystem, device.source),
        );
        let caches = if drops_metadata() {
            ""
        } else {
            "; cached metadata cannot be dropped, which takes root"
        };
        format!("directory {} ({under}{caches})", self.work_dir.display())
    }

    fn keeps(&self) -> bool {
        true
    }

    fn close(&self) -> anyhow::Result<()> {
        self.files.lock().clear();
        fs::remove_dir_all(&self.work_dir)
            .with_context(|| format!("clearing {}", self.work_dir.display()))
    }
}

struct DirectoryFile(Arc<File>);

impl TargetFile for DirectoryFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> anyhow::Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            match self.0.read_at(&mut buf[done..], offset + done as u64)? {
                0 => break,
                read => done += read,
            }
        }
        Ok(done)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(self.0.write_all_at(bytes, offset)?)
    }

    fn sync(&self) -> anyhow::Result<()> {
        Ok(self.0.sync_all()?)
    }

    fn sync_data(&self) -> anyhow::Result<()> {
        Ok(self.0.sync_data()?)
    }

    fn truncate(&self, file_bytes: u64) -> anyhow::Result<()> {
        Ok(self.0.set_len(file_bytes)?)
    }

    fn punch_hole(&self, offset: u64, bytes: u64) -> anyhow::Result<()> {
        let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        Ok(fallocate(
            &*self.0,
            flags,
            i64::try_from(offset)?,
            i64::try_from(bytes)?,
        )?)
    }

    fn size_bytes(&self) -> anyhow::Result<Option<u64>> {
        Ok(Some(self.0.metadata()?.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stay_below_the_directory_and_go_with_it() {
        let home = tempfile::tempdir().unwrap();
        let target = DirectoryTarget::open(home.path()).unwrap();
        let file = target.open_file("../escape").unwrap();
        file.write_at(4096, b"abc").unwrap();
        file.punch_hole(0, 4096).unwrap();
        target.rename("../escape", "b/c").unwrap();
        let mut bytes = [1; 8];
        assert_eq!(
            target
                .open_file("b/c")
                .unwrap()
                .read_at(4094, &mut bytes)
                .unwrap(),
            5
        );
        assert_eq!(&bytes[..5], b"\0\0abc");
        assert!(!home.path().parent().unwrap().join("escape").exists());
        target.close().unwrap();
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }
}
