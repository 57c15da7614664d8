//! What a client does before an operation is due, and what after.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use delalloc_backends::{Clock, Instant};
use delalloc_workloads::{Checks, Cursors, LoadPlan, load_str};

use super::on_null::OnNull;
use super::*;
use crate::replay::pacer::SleepSlack;

/// Time in which nobody can wait.
#[derive(Debug)]
struct Standstill;

impl Clock for Standstill {
    fn now(&self) -> Instant {
        Instant { ns: 0 }
    }

    fn sleep(&self, duration: Duration) {
        panic!("waits for {duration:?}");
    }
}

fn load(job: &str) -> Arc<LoadPlan> {
    let text = format!(
        "version: 1\ntargets: {{ n: null }}\ncontent: random\nfiles: {{ t: {{ size: 1MiB }} }}\nphases: [{{ name: p, jobs: [{job}] }}]\n"
    );
    let plan = load_str(&text, "w", &[], Checks::none()).unwrap();
    Arc::clone(&plan.loads[0])
}

/// Lets the only client of `job` carry out `ops` operations, the last of which it has to wait for: what is in its buffer when that
/// wait begins, and what that operation is to write.
fn buffer_at_wait(job: &str, ops: usize) -> (Vec<u8>, Vec<u8>) {
    let load = load(job);
    let content = Content::build(&load).unwrap();
    let streams = || load.streams(0, &Arc::new(Cursors::new(&load))).unwrap();
    let op = streams()[0].nth(ops - 1).unwrap().unwrap().op;
    let Op::Write {
        file,
        offset,
        bytes,
        version,
    } = op
    else {
        panic!("{job} only writes: {op:?}");
    };
    let mut wanted = vec![0; usize::try_from(bytes).unwrap()];
    content.fill(file, offset, version, &mut wanted);

    let on_null = OnNull::of(&load);
    let shared = Shared {
        content: Some(&content),
        ..on_null.shared()
    };
    let window = Window::of(&load.phases[0]);
    let stream = streams().remove(0);
    let recorder = Recorder::new(Arc::default());
    // A call costs no time here, so that only a wait for what is due asks for any.
    let origin = std::time::Instant::now();
    let real = Pacer::new(origin, SleepSlack::NONE);
    let mut client = Client::new(&shared, &window, real, 0, stream, recorder);
    for _ in 1..ops {
        let timed = client.pull().unwrap();
        assert!(client.carry_out(&timed, 0));
    }
    let timed = client.pull().unwrap();
    client.pacer = Pacer::start(Some(Arc::new(Standstill)), SleepSlack::NONE);
    let waited = catch_unwind(AssertUnwindSafe(|| client.carry_out(&timed, 0)));
    assert!(waited.is_err(), "there was nothing to wait for");
    (client.buffer[..wanted.len()].to_vec(), wanted)
}

#[test]
fn the_bytes_of_a_write_are_there_when_the_wait_for_its_time_begins() {
    for (job, ops) in [
        // The first of a fixed rate is due at once.
        (
            "{ write: t, block: 4KiB, pattern: random, rate: 1/s, ops: 9 }",
            2,
        ),
        (
            "{ write: t, block: 64KiB, rate: { poisson: 1/s }, ops: 9 }",
            1,
        ),
        ("{ append: t, block: 4KiB, rate: 4KiB/s, ops: 9 }", 2),
    ] {
        let (found, wanted) = buffer_at_wait(job, ops);
        assert!(found == wanted, "{job}");
    }
}
