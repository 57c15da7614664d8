//! The processor that all slices of a comparison run on.
//!
//! The three processes of a set take turns, so one processor is enough for the one that works; on several, a thread and those
//! it hands work to meet on another pair of them each time, and that differs from process to process by more than the gate looks for.
//!
//! Threads are moved when a process is ready, not when it starts: what it sizes by the number of processors stays as it was.
//! Threads that come later are born where their parent runs. A build need know nothing of it.
//!
//! Not here: rounds, which keep every processor.

use std::path::PathBuf;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// A processor that this process may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Core(usize);

impl Core {
    /// One that is the same as long as this process lives, and as likely any other for the next: gates that run at the same
    /// time seldom meet. None where the system does not tell.
    pub(super) fn of_this_process() -> Option<Self> {
        let allowed = sched_getaffinity(Pid::from_raw(0)).ok()?;
        let all = (0..CpuSet::count()).filter(|core| allowed.is_set(*core).unwrap_or(false));
        let all: Vec<usize> = all.collect();
        let at = usize::try_from(std::process::id())
            .ok()?
            .checked_rem(all.len())?;
        Some(Self(all[at]))
    }

    /// Moves every thread of a process there.
    ///
    /// # Errors
    /// The process is gone, or may not be moved; some of its threads may be there then.
    pub(super) fn hold(self, process: u32) -> nix::Result<()> {
        let mut set = CpuSet::new();
        set.set(self.0)?;
        for thread in threads(process)? {
            match sched_setaffinity(thread, &set) {
                // It ended meanwhile.
                Ok(()) | Err(nix::errno::Errno::ESRCH) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn threads(process: u32) -> nix::Result<Vec<Pid>> {
    let of = PathBuf::from(format!("/proc/{process}/task"));
    let gone = |_| nix::errno::Errno::ESRCH;
    let entries = std::fs::read_dir(of).map_err(gone)?;
    let names = entries.map_while(Result::ok).map(|entry| entry.file_name());
    let numbers = names.filter_map(|name| name.to_str()?.parse().ok());
    Ok(numbers.map(Pid::from_raw).collect())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::*;

    /// Told to itself, so that there is a process of several threads that lasts.
    const LASTS: &str = "DELALLOC_TEST_LASTS";

    #[test]
    fn every_thread_of_a_process_is_held_and_this_one_is_not() {
        if std::env::var_os(LASTS).is_some() {
            std::thread::sleep(Duration::from_secs(60));
            return;
        }
        let before = sched_getaffinity(Pid::from_raw(0)).expect("affinity");
        let name = "every_thread_of_a_process_is_held_and_this_one_is_not";
        let mut child = Command::new(std::env::current_exe().expect("a running test"))
            .args([name, "--test-threads", "2"])
            .env(LASTS, "1")
            .stdout(Stdio::null())
            .spawn()
            .expect("this binary");
        // The harness, and the test in it.
        while threads(child.id()).expect("it lasts").len() < 2 {
            std::thread::yield_now();
        }
        let core = Core::of_this_process().expect("a processor");
        core.hold(child.id()).expect("held");
        for thread in threads(child.id()).expect("it lasts") {
            let held = sched_getaffinity(thread).expect("affinity of a thread");
            let on: Vec<usize> = (0..CpuSet::count())
                .filter(|core| held.is_set(*core).unwrap_or(false))
                .collect();
            assert_eq!(on, [core.0], "{thread}");
        }
        assert_eq!(
            sched_getaffinity(Pid::from_raw(0)).expect("affinity"),
            before
        );
        child.kill().expect("killed");
        child.wait().expect("ended");
        core.hold(child.id()).expect_err("it is gone");
    }
}
