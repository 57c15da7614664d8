//! Loop devices for tests, and the word when there are none.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// A loop device over a file, detached and removed on drop.
pub(crate) struct LoopDevice {
    /// The device.
    pub(crate) path: PathBuf,
    _backing: tempfile::TempDir,
}

impl LoopDevice {
    /// A device of `bytes` with sectors of `sector_bytes`; `None`, told on stderr, where the
    /// machine does not let us.
    pub(crate) fn new(test: &str, bytes: u64, sector_bytes: u32) -> Option<Self> {
        match Self::set_up(bytes, sector_bytes) {
            Ok(device) => Some(device),
            Err(reason) => {
                eprintln!("SKIPPED: {test}: no loop device: {reason}");
                None
            }
        }
    }

    fn set_up(bytes: u64, sector_bytes: u32) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let backing = folder.path().join("backing.img");
        File::create(&backing)
            .and_then(|file| file.set_len(bytes))
            .map_err(|error| error.to_string())?;
        let mut losetup = Command::new("losetup");
        losetup.args([
            "--find",
            "--show",
            "--sector-size",
            &sector_bytes.to_string(),
        ]);
        let device = run(losetup.arg(&backing))?;
        Ok(Self {
            path: PathBuf::from(device.trim()),
            _backing: folder,
        })
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        if let Err(error) = run(Command::new("losetup").arg("--detach").arg(&self.path)) {
            eprintln!("{} stays attached: {error}", self.path.display());
        }
    }
}

/// A mounted filesystem, unmounted on drop.
pub(crate) struct Mount {
    place: tempfile::TempDir,
}

impl Mount {
    /// Mounts `device`.
    pub(crate) fn new(device: &Path) -> Result<Self, String> {
        Self::with(Command::new("mount").arg(device))
    }

    /// Mounts a filesystem in memory that has no direct I/O.
    pub(crate) fn without_direct_io() -> Result<Self, String> {
        Self::with(Command::new("mount").args(["-t", "ramfs", "ramfs"]))
    }

    fn with(mount: &mut Command) -> Result<Self, String> {
        let place = tempfile::tempdir().map_err(|error| error.to_string())?;
        run(mount.arg(place.path()))?;
        Ok(Self { place })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.place.path()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if let Err(error) = run(Command::new("umount").arg(self.place.path())) {
            eprintln!("{} stays mounted: {error}", self.place.path().display());
        }
    }
}

/// Runs `step` while no other test runs a program. A child holds a copy of every descriptor of this
/// process until it has replaced itself, and so keeps a device busy that was just closed.
pub(crate) fn undisturbed<T>(step: impl FnOnce() -> T) -> T {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    step()
}

/// Runs a program and gives its output, or what it complained about.
pub(crate) fn run(command: &mut Command) -> Result<String, String> {
    let output = undisturbed(|| command.stdin(Stdio::null()).output())
        .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}
