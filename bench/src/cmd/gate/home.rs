//! A directory for what replays of a gate leave, gone at the end.

use std::path::PathBuf;

use anyhow::Context;

/// The directory.
pub(super) struct Home {
    pub(super) path: PathBuf,
}

impl Home {
    pub(super) fn make() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("delalloc-gate-{}", std::process::id()));
        std::fs::create_dir(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self { path })
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // What is left behind is in the system's directory for such things.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
