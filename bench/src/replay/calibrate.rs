//! What the harness itself costs: the clients of a phase on a target that does nothing, for a moment.
//!
//! Streams, clock, histograms and hand-offs are the same as in a real run; nothing has a schedule or
//! a think time, since waiting is no cost. Bytes are not made here: that is paid per
//! byte and not per operation, and lies outside every latency.
//!
//! Few operations say what it costs to start the clients and not what an operation costs, so there is no
//! number then, unless the plan has no more of them.

use std::sync::Arc;
use std::time::Duration;

use delalloc_results::record::HarnessCost;
use delalloc_workloads::plan::{Bound, JobPlan, Pace, PhaseEnd, PhasePlan, TraceTiming, Work};
use delalloc_workloads::{Cursors, LoadPlan};

use super::client::{Halt, Pacing, Shared};
use super::files::FileTable;
use super::pacer::SleepSlack;
use super::phase;
use crate::signals::Signals;
use crate::targets::NullTarget;

/// How long the harness is measured; the second time where the first is not enough.
const MEASURED: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(2)];
/// So many operations outweigh the start of their clients.
pub const OPS_ENOUGH: u64 = 10_000;

/// Measures the last phase that reads, writes or replays a trace; none where there is no such phase, and where operations are few.
pub fn harness_cost(
    load: &LoadPlan,
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
    plan.jobs.iter_mut().for_each(hurry);
    for measured in MEASURED {
        let (cost, is_all) = measure(&mut load, index, measured, slack, signals)?;
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

/// What the phase costs in so much time, and whether that was all of it.
fn measure(
    load: &mut LoadPlan,
    index: usize,
    measured: Duration,
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
            follow_schedule: false,
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
    // More clients than processors wait for one another, which is no cost.
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let running = threads.min(u32::try_from(processors).unwrap_or(u32::MAX));
    let thread_ns = wall_ns as f64 * f64::from(running);
    let cost = HarnessCost {
        ops,
        threads,
        ns_per_op: thread_ns / ops as f64,
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
        harness_cost(&plan.loads[0], SleepSlack::measure(), &Signals::default()).unwrap()
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
        assert_eq!(cost.expect("it is all there is").ops, 41);
    }

    #[test]
    fn what_neither_reads_nor_writes_is_not_measured() {
        assert_eq!(cost("{ sync: t, rate: 100/s }"), None);
    }
}
