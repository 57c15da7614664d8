//! What the harness itself costs: the clients of a phase on a target that does nothing, for a moment.
//!
//! Streams, clock, histograms and hand-offs are the same as in a real run; schedules and think
//! times are not followed, since waiting is no cost. Bytes are not made here: that is paid per
//! byte and not per operation, and lies outside every latency.

use std::sync::Arc;
use std::time::Duration;

use delalloc_results::record::HarnessCost;
use delalloc_workloads::plan::{Bound, JobPlan, PhaseEnd, PhasePlan, Work};
use delalloc_workloads::{Cursors, LoadPlan};

use super::client::{Halt, Pacing, Shared};
use super::files::FileTable;
use super::pacer::SleepSlack;
use super::phase;
use crate::signals::Signals;
use crate::targets::NullTarget;

/// How long the harness is measured.
const MEASURED: Duration = Duration::from_millis(250);

/// Measures the last phase that reads, writes or replays a trace; none where there is no such phase.
pub fn harness_cost(
    load: &LoadPlan,
    slack: SleepSlack,
    signals: &Signals,
) -> anyhow::Result<Option<HarnessCost>> {
    let repeats = |job: &JobPlan| {
        matches!(
            job.work,
            Work::Access(_) | Work::Append { .. } | Work::Each { .. }
        )
    };
    let measured = |job: &JobPlan| repeats(job) || matches!(job.work, Work::Trace(_));
    let measurable = |phase: &PhasePlan| phase.jobs.iter().any(measured);
    let Some(index) = load.phases.iter().rposition(measurable) else {
        return Ok(None);
    };
    let mut load = load.clone();
    let plan = &mut load.phases[index];
    plan.end = PhaseEnd::None;
    (plan.warm_up_ns, plan.steady) = (0, None);
    plan.duration_ns = Some(u64::try_from(MEASURED.as_nanos()).expect("a moment"));
    for job in plan.jobs.iter_mut().filter(|job| repeats(job)) {
        // Jobs start over until the time is up, so that a short phase is measured as well as a long one.
        job.bound = Bound::Phase;
        job.duration_ns = None;
    }
    let target = NullTarget;
    let files = FileTable::new(&target, &load);
    let streams = load.streams(index, &Arc::new(Cursors::new(&load)))?;
    let threads = u32::try_from(streams.len()).expect("a phase has fewer than 2^32 clients");
    let halt = Halt::default();
    let shared = Shared {
        files: &files,
        content: None,
        expected: None,
        signals,
        pacing: Pacing {
            end_ns: load.phases[index].duration_ns,
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
    if ops == 0 {
        return Ok(None);
    }
    // More clients than processors wait for one another, which is no cost.
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let running = threads.min(u32::try_from(processors).unwrap_or(u32::MAX));
    let thread_ns = finished.record.wall_ns as f64 * f64::from(running);
    Ok(Some(HarnessCost {
        ops,
        threads,
        ns_per_op: thread_ns / ops as f64,
        latency: (&finished.totals.response_of_all()).into(),
    }))
}
