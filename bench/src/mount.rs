//! What lies under a path: filesystem, device, and the kernel's counters of it.
//!
//! Found through mountinfo and not through `st_dev`, which for btrfs names no device.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A mounted filesystem.
#[derive(Debug)]
pub struct Mount {
    /// The device, as mountinfo has it.
    pub source: String,
    /// `ext4`, `btrfs`, ...
    pub filesystem: String,
    /// The block device's directory in /sys, where the source is one.
    sys_dir: Option<PathBuf>,
}

/// The kernel's counters of a block device. They are everybody's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeviceStat {
    /// Reads completed.
    pub read_requests: f64,
    /// Bytes read.
    pub read_bytes: f64,
    /// Writes completed.
    pub write_requests: f64,
    /// Bytes written.
    pub write_bytes: f64,
}

impl Mount {
    /// What is mounted where `path` is.
    pub fn under(path: &Path) -> Option<Self> {
        let path = path.canonicalize().ok()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let (source, filesystem) = mount_of(&mounts, &path)?;
        let sys_dir = fs::metadata(&source).ok().and_then(|metadata| {
            let number = metadata.rdev();
            let (major, minor) = (nix::sys::stat::major(number), nix::sys::stat::minor(number));
            let sys_dir = PathBuf::from(format!("/sys/dev/block/{major}:{minor}"));
            (number != 0 && sys_dir.exists()).then_some(sys_dir)
        });
        Some(Self {
            source,
            filesystem,
            sys_dir,
        })
    }

    /// The counters now.
    pub fn stat(&self) -> Option<DeviceStat> {
        let text = fs::read_to_string(self.sys_dir.as_ref()?.join("stat")).ok()?;
        let fields: Vec<f64> = text
            .split_whitespace()
            .map(|field| field.parse().unwrap_or(0.0))
            .collect();
        // reads, merged, sectors, ms, writes, merged, sectors, ms, ...; a sector here is 512 bytes.
        Some(DeviceStat {
            read_requests: *fields.first()?,
            read_bytes: fields.get(2)? * 512.0,
            write_requests: *fields.get(4)?,
            write_bytes: fields.get(6)? * 512.0,
        })
    }

    /// The device in a line: name, whether it rotates, how the kernel schedules it.
    pub fn device_text(&self) -> String {
        let Some(sys_dir) = &self.sys_dir else {
            return self.source.clone();
        };
        let queue = |name: &str| {
            let own = fs::read_to_string(sys_dir.join("queue").join(name));
            // A partition has its queue in the disk above it.
            let text = own.or_else(|_| fs::read_to_string(sys_dir.join("../queue").join(name)));
            text.ok().map(|text| text.trim().to_owned())
        };
        let mut words = vec![self.source.clone()];
        match queue("rotational").as_deref() {
            Some("1") => words.push("rotating".to_owned()),
            Some("0") => words.push("not rotating".to_owned()),
            _ => {}
        }
        words.extend(queue("scheduler").map(|name| format!("scheduler {name}")));
        words.extend(queue("write_cache").map(|kind| format!("cache {kind}")));
        words.join(", ")
    }
}

/// Source and type of the mount that holds `path`: the longest mount point above it, the latest of equals.
fn mount_of(mountinfo: &str, path: &Path) -> Option<(String, String)> {
    let mut best: Option<(usize, String, String)> = None;
    for line in mountinfo.lines() {
        let (left, right) = line.split_once(" - ")?;
        let point = left.split(' ').nth(4)?.replace("\\040", " ");
        if !path.starts_with(&point) || best.as_ref().is_some_and(|(len, ..)| *len > point.len()) {
            continue;
        }
        let mut right = right.split(' ');
        let (filesystem, source) = (right.next()?, right.next()?);
        best = Some((point.len(), source.to_owned(), filesystem.to_owned()));
    }
    best.map(|(_, source, filesystem)| (source, filesystem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_of_a_path_is_the_deepest_above_it() {
        let table = "22 1 254:1 / / rw - ext4 /dev/vda1 rw\n\
                     30 22 0:40 / /mnt/a\\040b rw shared:1 - btrfs /dev/loop3 rw,compress=zstd:1\n";
        let found = mount_of(table, Path::new("/mnt/a b/work")).unwrap();
        assert_eq!(found, ("/dev/loop3".to_owned(), "btrfs".to_owned()));
        assert_eq!(mount_of(table, Path::new("/mnt/ab")).unwrap().1, "ext4");
    }

    #[test]
    fn something_is_mounted_here() {
        let mount = Mount::under(Path::new(".")).unwrap();
        assert!(!mount.filesystem.is_empty());
        assert!(mount.device_text().starts_with(&mount.source));
    }
}
