//! Files in memory that can be told to lie or to stall, and a replay against them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Parser;
use delalloc::args::{Args, Command};
use delalloc::plan::RunPlan;
use delalloc::run::{self, Finished};
use delalloc::signals::Signals;
use delalloc::targets::{Levels, Opening, Reading, Target, TargetFile};
use parking_lot::Mutex;

/// What a target does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    None,
    /// The write with this number is forgotten.
    Forget(u64),
    /// Of the write with this number, the second half is forgotten.
    Tear(u64),
    /// One bit of every so-manieth write is flipped: one alone might be overwritten unread.
    Flip(u64),
    /// The write with this number takes that long.
    Stall(u64, Duration),
    /// The second half of each file is forgotten when the target is opened again.
    ForgetCut,
    /// A truncate makes no file longer.
    IgnoreGrowth,
    /// Zeros at the end of a file are forgotten when the target is opened again, in whole pages.
    EndAtData,
}

#[derive(Debug, Default)]
struct Bytes(Mutex<Vec<u8>>);

/// Files in memory.
struct LyingTarget {
    lie: Lie,
    writes: Arc<AtomicU64>,
    files: Mutex<HashMap<String, Arc<Bytes>>>,
}

struct LyingFile {
    lie: Lie,
    writes: Arc<AtomicU64>,
    bytes: Arc<Bytes>,
}

impl LyingTarget {
    fn new(lie: Lie) -> Self {
        Self {
            lie,
            writes: Arc::default(),
            files: Mutex::default(),
        }
    }
}

impl Target for LyingTarget {
    fn open_file(&self, name: &str) -> anyhow::Result<Arc<dyn TargetFile>> {
        let bytes = Arc::clone(self.files.lock().entry(name.to_owned()).or_default());
        Ok(Arc::new(LyingFile {
            lie: self.lie,
            writes: Arc::clone(&self.writes),
            bytes,
        }))
    }

    fn remove(&self, name: &str) -> anyhow::Result<()> {
        self.files.lock().remove(name);
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> anyhow::Result<()> {
        let mut files = self.files.lock();
        let file = files.remove(from).unwrap_or_default();
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn sync_all(&self) -> anyhow::Result<()> {
        Ok(())
    }

    fn drop_caches(&self) -> anyhow::Result<()> {
        Ok(())
    }

    fn reopen(&self) -> anyhow::Result<()> {
        for file in self.files.lock().values() {
            let mut bytes = file.0.lock();
            let kept = match self.lie {
                Lie::ForgetCut => bytes.len() / 2,
                Lie::EndAtData => {
                    let last = bytes.iter().rposition(|&byte| byte != 0);
                    last.map_or(0, |last| (last + 1).next_multiple_of(4096))
                }
                _ => bytes.len(),
            };
            bytes.truncate(kept);
        }
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
        format!("{:?}", self.lie)
    }

    fn keeps(&self) -> bool {
        true
    }

    fn close(&self) -> anyhow::Result<()> {
        Ok(())
    }
}

impl TargetFile for LyingFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> anyhow::Result<usize> {
        let bytes = self.bytes.0.lock();
        let start = usize::try_from(offset)?.min(bytes.len());
        let end = (start + buf.len()).min(bytes.len());
        buf[..end - start].copy_from_slice(&bytes[start..end]);
        Ok(end - start)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> anyhow::Result<()> {
        let number = self.writes.fetch_add(1, Ordering::Relaxed) + 1;
        let mut data = data.to_vec();
        match self.lie {
            Lie::Forget(nth) if nth == number => return Ok(()),
            Lie::Tear(nth) if nth == number => data.truncate(data.len() / 2),
            Lie::Stall(nth, long) if nth == number => std::thread::sleep(long),
            Lie::Flip(nth) if number.is_multiple_of(nth) => data[100] ^= 4,
            _ => {}
        }
        let mut bytes = self.bytes.0.lock();
        let start = usize::try_from(offset)?;
        if bytes.len() < start + data.len() {
            bytes.resize(start + data.len(), 0);
        }
        bytes[start..start + data.len()].copy_from_slice(&data);
        Ok(())
    }

    fn sync(&self) -> anyhow::Result<()> {
        Ok(())
    }

    fn truncate(&self, file_bytes: u64) -> anyhow::Result<()> {
        let mut bytes = self.bytes.0.lock();
        let mut len = usize::try_from(file_bytes)?;
        if self.lie == Lie::IgnoreGrowth {
            len = len.min(bytes.len());
        }
        bytes.resize(len, 0);
        Ok(())
    }

    fn punch_hole(&self, offset: u64, bytes: u64) -> anyhow::Result<()> {
        let mut file = self.bytes.0.lock();
        let len = file.len();
        let start = usize::try_from(offset)?.min(len);
        let end = usize::try_from(offset + bytes)?.min(len);
        file[start..end].fill(0);
        Ok(())
    }

    fn size_bytes(&self) -> anyhow::Result<Option<u64>> {
        Ok(Some(self.bytes.0.lock().len() as u64))
    }
}

/// Replays `workload`, whose targets are all this one.
pub(crate) fn replay(workload: &str, lie: Lie) -> Finished {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("workload.yaml");
    std::fs::write(&path, workload).unwrap();
    let out = home.path().join("out");
    let words = [
        "delalloc",
        "replay",
        path.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
    ];
    let Command::Replay(args) = Args::parse_from(words).command else {
        unreachable!("replay was typed")
    };
    let plan = RunPlan::resolve(&args).unwrap();
    let open = |_: &Opening<'_>| Ok(Box::new(LyingTarget::new(lie)) as Box<dyn Target>);
    run::run(&plan, &open, &Signals::default()).unwrap()
}
