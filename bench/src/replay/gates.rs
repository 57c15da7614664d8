//! Jobs that wait for other jobs of their phase to be through.
//!
//! Each job counts its clients out; the last one notes the time, from which those who wait count their own.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::pacer::Pacer;

/// How often a client that waits asks whether it still should.
const ASKED_EVERY: Duration = Duration::from_millis(50);

/// The jobs of a phase.
#[derive(Debug, Default)]
pub struct Gates {
    jobs: Mutex<Vec<Job>>,
    changed: Condvar,
}

#[derive(Debug, Clone, Copy, Default)]
struct Job {
    clients: usize,
    through_ns: u64,
}

impl Gates {
    /// `jobs` are those of the clients, one entry each.
    pub fn new(jobs: impl Iterator<Item = usize>) -> Self {
        let mut all: Vec<Job> = Vec::new();
        for job in jobs {
            if all.len() <= job {
                all.resize(job + 1, Job::default());
            }
            all[job].clients += 1;
        }
        Self {
            jobs: Mutex::new(all),
            changed: Condvar::new(),
        }
    }

    /// A client of `job` is through when this is dropped, also by a panic: nobody waits for it for ever.
    pub fn leaves_on_drop(&self, job: usize, pacer: Pacer) -> Leaves<'_> {
        Leaves {
            gates: self,
            job,
            pacer,
        }
    }

    fn leave(&self, job: usize, now_ns: u64) {
        let mut jobs = self.jobs.lock();
        let job = &mut jobs[job];
        job.clients -= 1;
        job.through_ns = job.through_ns.max(now_ns);
        if job.clients == 0 {
            self.changed.notify_all();
        }
    }

    /// Waits until all clients of `job` are through, and says when that was; none when `cancelled` says so first.
    pub fn wait(&self, job: usize, cancelled: impl Fn() -> bool) -> Option<u64> {
        let mut jobs = self.jobs.lock();
        while jobs[job].clients > 0 {
            if cancelled() {
                return None;
            }
            self.changed.wait_for(&mut jobs, ASKED_EVERY);
        }
        Some(jobs[job].through_ns)
    }
}

/// A client that is not through.
#[derive(Debug)]
pub struct Leaves<'a> {
    gates: &'a Gates,
    job: usize,
    pacer: Pacer,
}

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.gates.leave(self.job, self.pacer.now_ns());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_client_opens_the_gate() {
        let gates = Gates::new([0, 1, 1].into_iter());
        gates.leave(1, 50);
        assert_eq!(gates.wait(1, || true), None);
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| gates.wait(1, || false));
            gates.leave(1, 40);
            assert_eq!(waits.join().unwrap(), Some(50));
        });
        assert_eq!(gates.wait(0, || true), None);
    }
}
