//! What the harness itself costs: the clients of a phase on a target that does nothing, for a moment.
//!
//! Streams, clock, histograms and hand-offs are the same as in a real run. Three figures:
//!   * an operation alone: nothing has a schedule or a think time, since waiting is no cost, and no bytes are made. That is what
//!     another harness on its null engine is compared with;
//!   * with its schedule, where the phase has one: every operation is due at once, so that its bookkeeping is done and nobody waits;
//!   * its bytes, by themselves (making): they are paid per byte, and lie outside every latency as long as there is time.
//!
//! Few operations say what it costs to start the clients and not what an operation costs, so there is no
//! number then, unless the plan has no more of them.

use std::sync::Arc;
use std::time::Duration;

use delalloc_results::record::HarnessCost;
use delalloc_workloads::plan::{
    Bound, JobPlan, Pace, PhaseEnd, PhasePlan, RateShape, TraceTiming, Work,
};
use delalloc_workloads::{Cursors, LoadPlan};

use super::client::{Halt, Pacing, Shared};
use super::files::FileTable;
use super::making::{Bytes, bytes_cost};
use super::pacer::SleepSlack;
use super::phase;
use crate::signals::Signals;
use crate::targets::NullTarget;

/// How long the harness is measured; the second time where the first is not enough.
const MEASURED: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(2)];
/// How long it is measured with its schedule.
const MEASURED_PACED: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];
/// So many operations outweigh the start of their clients.
pub const OPS_ENOUGH: u64 = 10_000;
/// So many operations, or bytes, in a second are all due at once.
const PER_SECOND_AT_ONCE: f64 = 1e18;

/// Measures the last phase that reads, writes or replays a trace; none where there is no such phase, and where operations are few.
/// What `bytes` cost is measured where there are any.
pub fn harness_cost(
    load: &LoadPlan,
    bytes: Option<Bytes<'_>>,
    slack: SleepSlack,
    signals: &Signals,
) -> anyhow::Result<Option<HarnessCost>> {
    let measurable = |phase: &PhasePlan| phase.jobs.iter().any(is_measured);
    let Some(index) = load.phases.iter().rposition(measurable) else {
        return Ok(None);
    };
    let mut load = load.clone();
    let plan = &mut load.phases[index];
    plan.end = PhaseEnd::None;
    (plan.warm_up_ns, plan.steady) = (0, None);
    let has_schedule = plan.jobs.iter().any(has_schedule);
    let mut paced = load.clone();
    load.phases[index].jobs.iter_mut().for_each(hurry);
    let Some(mut cost) = enough(&mut load, index, MEASURED, false, slack, signals)? else {
        return Ok(None);
    };
    if has_schedule {
        paced.phases[index].jobs.iter_mut().for_each(make_due);
        let found = enough(&mut paced, index, MEASURED_PACED, true, slack, signals)?;
        cost.paced_ns_per_op = found.map(|paced| paced.ns_per_op);
    }
    if let Some(bytes) = bytes
        && !signals.interrupted()
        && let Some(own) = bytes_cost(&load, index, bytes, running(cost.threads))?
    {
        cost.content_ns_per_op = Some(own.ns_per_op);
        cost.content_bytes_per_s = Some(own.bytes_per_s);
    }
    Ok(Some(cost))
}

/// What the phase costs, measured as long as it takes to come to enough operations; none where it does not.
fn enough(
    load: &mut LoadPlan,
    index: usize,
    measured: [Duration; 2],
    follow_schedule: bool,
    slack: SleepSlack,
    signals: &Signals,
) -> anyhow::Result<Option<HarnessCost>> {
    for measured in measured {
        let (cost, is_all) = measure(load, index, measured, follow_schedule, slack, signals)?;
        if signals.interrupted() {
            break;
        }
        if cost.ops >= OPS_ENOUGH || (is_all && cost.ops > 0) {
            return Ok(Some(cost));
        }
    }
    Ok(None)
}

fn is_measured(job: &JobPlan) -> bool {
    matches!(
        job.work,
        Work::Access(_) | Work::Append { .. } | Work::Each { .. } | Work::Trace(_)
    )
}

/// Makes `job` do what it does without a pause. It starts over until the time is up, so that a short phase is measured as well as
/// a long one; what is not measured runs once.
fn hurry(job: &mut JobPlan) {
    (job.delay_ns, job.duration_ns) = (0, None);
    job.pace = Pace::Closed { think_ns: 0 };
    job.bound = if is_measured(job) {
        Bound::Phase
    } else {
        Bound::Once
    };
    if let Work::Trace(trace) = &mut job.work {
        trace.timing = TraceTiming::AsFastAsPossible;
        job.bound = Bound::Once;
    }
}

/// Operations of `job` have times that they are due at.
fn has_schedule(job: &JobPlan) -> bool {
    match (&job.work, &job.pace) {
        (Work::Trace(trace), _) => matches!(trace.timing, TraceTiming::Recorded { .. }),
        (_, pace) => matches!(
            pace,
            Pace::Fixed { .. } | Pace::Bytes { .. } | Pace::Poisson { .. } | Pace::Shaped { .. }
        ),
    }
}

/// Makes `job` do what it does with all of its schedule due at once; what has none is hurried. Nobody waits for another job.
fn make_due(job: &mut JobPlan) {
    let (pace, timing) = (
        job.pace.clone(),
        match &job.work {
            Work::Trace(trace) => Some(trace.timing),
            _ => None,
        },
    );
    let is_scheduled = has_schedule(job);
    hurry(job);
    job.start_after = None;
    if !is_scheduled {
        return;
    }
    if let (Work::Trace(trace), Some(TraceTiming::Recorded { .. })) = (&mut job.work, timing) {
        trace.timing = TraceTiming::Recorded {
            time_scale: 1.0 / PER_SECOND_AT_ONCE,
        };
    }
    job.pace = at_once(pace);
}

/// The same pace, as quick as it gets.
fn at_once(pace: Pace) -> Pace {
    let ops_per_s = PER_SECOND_AT_ONCE;
    match pace {
        Pace::Fixed { .. } => Pace::Fixed { ops_per_s },
        Pace::Poisson { .. } => Pace::Poisson { ops_per_s },
        Pace::Bytes { mean_bytes, .. } => Pace::Bytes {
            bytes_per_s: PER_SECOND_AT_ONCE,
            mean_bytes,
        },
        Pace::Shaped { shape, arrivals } => Pace::Shaped {
            shape: match shape {
                RateShape::Bursts {
                    on_ns, every_ns, ..
                } => RateShape::Bursts {
                    ops_per_s,
                    on_ns,
                    every_ns,
                    between_ops_per_s: ops_per_s,
                },
                RateShape::Ramp { over_ns, .. } => RateShape::Ramp {
                    from_ops_per_s: ops_per_s,
                    to_ops_per_s: 2.0 * ops_per_s,
                    over_ns,
                },
            },
            arrivals,
        },
        other => other,
    }
}

/// More clients than processors wait for one another, which is no cost: so many are at work.
fn running(threads: u32) -> u32 {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    threads.min(u32::try_from(processors).unwrap_or(u32::MAX))
}

/// What the phase costs in so much time, and whether that was all of it.
fn measure(
    load: &mut LoadPlan,
    index: usize,
    measured: Duration,
    follow_schedule: bool,
    slack: SleepSlack,
    signals: &Signals,
) -> anyhow::Result<(HarnessCost, bool)> {
    let end_ns = u64::try_from(measured.as_nanos()).expect("a moment");
    load.phases[index].duration_ns = Some(end_ns);
    let target = NullTarget;
    let files = FileTable::new(&target, load);
    let streams = load.streams(index, &Arc::new(Cursors::new(load)))?;
    let threads = u32::try_from(streams.len()).expect("a phase has fewer than 2^32 clients");
    let halt = Halt::default();
    let shared = Shared {
        files: &files,
        content: None,
        expected: None,
        signals,
        pacing: Pacing {
            end_ns: Some(end_ns),
            follow_schedule,
        },
        halt: &halt,
        tape: None,
    };
    let finished = phase::run(&load.phases[index], streams, &shared, slack, &mut |_| {});
    if let Some(error) = halt.take() {
        return Err(error);
    }
    let ops = finished.totals.ops();
    let wall_ns = finished.record.wall_ns;
    let thread_ns = wall_ns as f64 * f64::from(running(threads));
    let cost = HarnessCost {
        ops,
        threads,
        ns_per_op: thread_ns / ops as f64,
        paced_ns_per_op: None,
        content_ns_per_op: None,
        content_bytes_per_s: None,
        latency: (&finished.totals.response_of_all()).into(),
    };
    Ok((cost, wall_ns < end_ns))
}

#[cfg(test)]
mod tests {
    use delalloc_workloads::{Checks, load_str};

    use super::*;

    fn cost(jobs: &str) -> Option<HarnessCost> {
        let text = format!(
            "version: 1\ntargets: {{ n: null }}\nfiles: {{ t: {{ size: 1MiB }} }}\nphases: [{{ name: p, duration: 60s, jobs: [{jobs}] }}]\n"
        );
        let plan = load_str(&text, "w", &[], Checks::none()).unwrap();
        let (slack, signals) = (SleepSlack::measure(), Signals::default());
        harness_cost(&plan.loads[0], None, slack, &signals).unwrap()
    }

    #[test]
    fn an_open_loop_is_measured_over_as_many_operations_as_a_closed_one() {
        for job in [
            "{ write: t, block: 4KiB, rate: 100/s }",
            "{ write: t, block: 4KiB, rate: 100KiB/s, delay: 5s }",
            "{ write: t, block: 4KiB, think: 1s }, { truncate: t, rate: 1/s, ops: 3 }",
        ] {
            let cost = cost(job).expect("there is enough to do");
            assert!(cost.ops > OPS_ENOUGH, "{job}: {}", cost.ops);
            assert!(cost.ns_per_op < 1e6, "{job}: {}", cost.ns_per_op);
        }
    }

    #[test]
    fn a_short_recording_is_measured_whole_and_without_its_gaps() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let rows: String = (0..40)
            .map(|second| format!("{},hm,1,Write,4096,4096,413\n", (second + 1) * 10_000_000))
            .collect();
        std::fs::write(file.path(), rows).unwrap();
        let path = file.path().display();
        let cost = cost(&format!("{{ trace: {{ path: '{path}', format: msr }} }}"));
        // The file is opened first.
        let cost = cost.expect("it is all there is");
        assert_eq!(cost.ops, 41);
        assert!(cost.paced_ns_per_op.is_some(), "its gaps are gone");
    }

    #[test]
    fn a_schedule_is_kept_with_all_of_it_due_at_once() {
        for pace in [
            "rate: 1/s",
            "rate: 4KiB/s",
            "rate: { poisson: 1/s }",
            "rate: { bursts: { rate: 10/s, for: 1s, every: 100s } }",
            "rate: { ramp: { from: 1/s, to: 2/s, over: 9s } }",
        ] {
            let job = format!(
                "{{ write: t, block: 4KiB, {pace} }}, {{ read: t, block: 4KiB, think: 1s }}"
            );
            let cost = cost(&job).expect("there is enough to do");
            let paced_ns = cost.paced_ns_per_op.expect("nobody waits");
            assert!(paced_ns > 0.0 && paced_ns < 1e6, "{pace}: {paced_ns}");
        }
        let closed = cost("{ write: t, block: 4KiB, think: 1s }");
        assert_eq!(closed.unwrap().paced_ns_per_op, None);
    }

    #[test]
    fn what_neither_reads_nor_writes_is_not_measured() {
        assert_eq!(cost("{ sync: t, rate: 100/s }"), None);
    }
}
