//! A target that does nothing: what a replay costs here is the harness itself.

use std::sync::Arc;

use super::{Levels, Reading, Target, TargetFile};

/// Accepts everything, keeps nothing.
#[derive(Debug, Default)]
pub struct NullTarget;

impl Target for NullTarget {
    fn open_file(&self, _name: &str) -> anyhow::Result<Arc<dyn TargetFile>> {
        Ok(Arc::new(NullFile))
    }

    fn remove(&self, _name: &str) -> anyhow::Result<()> {
        Ok(())
    }

    fn rename(&self, _from: &str, _to: &str) -> anyhow::Result<()> {
        Ok(())
    }

    fn sync_all(&self) -> anyhow::Result<()> {
        Ok(())
    }

    fn drop_caches(&self) -> anyhow::Result<()> {
        Ok(())
    }

    fn reopen(&self) -> anyhow::Result<()> {
        Ok(())
    }

    fn counters(&self) -> Vec<Reading> {
        Vec::new()
    }

    fn levels(&self) -> Levels {
        Levels::default()
    }

    fn finals(&self) -> Vec<Reading> {
        Vec::new()
    }

    fn describe(&self) -> String {
        "null".to_owned()
    }

    fn keeps(&self) -> bool {
        false
    }

    fn close(&self) -> anyhow::Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
struct NullFile;

impl TargetFile for NullFile {
    fn read_at(&self, _offset: u64, buf: &mut [u8]) -> anyhow::Result<usize> {
        Ok(buf.len())
    }

    fn write_at(&self, _offset: u64, _bytes: &[u8]) -> anyhow::Result<()> {
        Ok(())
    }

    fn sync(&self) -> anyhow::Result<()> {
        Ok(())
    }

    fn truncate(&self, _file_bytes: u64) -> anyhow::Result<()> {
        Ok(())
    }

    fn punch_hole(&self, _offset: u64, _bytes: u64) -> anyhow::Result<()> {
        Ok(())
    }

    fn size_bytes(&self) -> anyhow::Result<Option<u64>> {
        Ok(None)
    }
}
