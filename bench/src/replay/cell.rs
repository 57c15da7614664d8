//! One cell: all phases of a load on one fresh target, then the proof that what was written is there.
//!
//! ```text
//!   open -> phase, phase, ... -> sync everything -> numbers -> drop caches, reopen -> read back -> check
//!           '---- measured ----'                              '------------ not measured ------------'
//! ```
//!
//! The final pass reads every byte of every file the cell ever wrote, after the target was closed and
//! opened again where it can be, so it proves what is stored and not what is cached. It asks for the size of each of them too,
//! where the target keeps sizes.
//!
//! A cell never fails as a whole: what went wrong is its `fault`, and what was measured until then
//! stays.
//!
//! Not here: opening the target (targets/open), which cell comes next (order).

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use anyhow::Context;
use delalloc_results::metric::{Better, Class, Metric, Unit};
use delalloc_results::record::{Cell, PhaseRecord, Sample};
use delalloc_workloads::plan::{PhaseEnd, PhasePlan};
use delalloc_workloads::{Content, Cursors, LoadPlan};

use super::client::{Halt, Pacing, Shared};
use super::files::FileTable;
use super::pacer::{Pacer, SleepSlack};
use super::phase;
use super::recordings::Recordings;
use super::tape::Tape;
use super::verify::Expected;
use crate::host::{self, Usage};
use crate::recorder::Totals;
use crate::signals::Signals;
use crate::targets::{Reading, Target, grown};

/// How much the final pass reads at once.
const READ_BACK_BYTES: u64 = 1 << 20;

/// Gets what happens in a cell while it happens.
pub trait Watch {
    /// A phase begins.
    fn phase_started(&mut self, phase: &PhasePlan);
    /// An interval of it ended.
    fn sampled(&mut self, phase: &PhasePlan, sample: &Sample);
    /// It ended.
    fn phase_finished(&mut self, phase: &PhaseRecord);
    /// What is written is being read back: so much of so much.
    fn verifying(&mut self, done_bytes: u64, total_bytes: u64);
}

/// What a cell needs besides its target.
pub struct Setup<'a> {
    /// What is replayed.
    pub load: &'a LoadPlan,
    /// Its bytes.
    pub content: Arc<Content>,
    /// Compare what is read with what was written.
    pub verify: bool,
    /// The most memory that remembering what was written may take.
    pub verify_memory_bytes_max: u64,
    /// How this machine sleeps.
    pub slack: SleepSlack,
    /// Interruptions.
    pub signals: &'a Signals,
    /// Writes down what is done; none where nobody asked.
    pub tape: Option<&'a Tape>,
}

/// A cell that is over.
pub struct CellRun {
    /// For the record; target, point and round are the caller's.
    pub cell: Cell,
    /// What its counters mean.
    pub metrics: BTreeMap<String, Metric>,
    /// All of its numbers follow from the seed.
    exact: bool,
}

/// Replays the load on `target`, which is empty, and closes it.
pub fn run(setup: &Setup<'_>, target: &dyn Target, watch: &mut dyn Watch) -> CellRun {
    let mut run = CellRun {
        cell: Cell::default(),
        metrics: BTreeMap::new(),
        exact: target.clock().is_some(),
    };
    let result = run.replay(setup, target, watch);
    let closed = target.close().context("closing the target");
    if let Err(error) = result.and(closed) {
        run.cell.fault.get_or_insert_with(|| format!("{error:#}"));
    }
    run
}

impl CellRun {
    fn replay(
        &mut self,
        setup: &Setup<'_>,
        target: &dyn Target,
        watch: &mut dyn Watch,
    ) -> anyhow::Result<()> {
        let load = setup.load;
        let files = FileTable::new(target, load);
        let cursors = Arc::new(Cursors::new(load));
        let clients = clients_max(load);
        let expected = (setup.verify && target.keeps()).then(|| {
            let content = Arc::clone(&setup.content);
            Expected::new(content, clients, setup.verify_memory_bytes_max)
        });
        let time = Pacer::start(target.clock(), setup.slack);
        let (usage_before, counters_before) = (Usage::now(), target.counters());
        let stolen_before = host::stolen_ticks();
        let mut totals = Totals::default();
        let mut fault = None;

        for (index, plan) in load.phases.iter().enumerate() {
            if plan.drop_caches {
                target
                    .sync_all()
                    .and_then(|()| target.drop_caches())
                    .context("dropping caches")?;
            }
            let streams = load.streams(index, &cursors)?;
            let halt = Halt::default();
            let shared = Shared {
                files: &files,
                content: target.keeps().then_some(&*setup.content),
                expected: expected.as_ref(),
                signals: setup.signals,
                pacing: Pacing {
                    end_ns: plan.duration_ns,
                    follow_schedule: true,
                },
                halt: &halt,
                tape: setup.tape,
            };
            let recordings = Recordings::of(&streams);
            watch.phase_started(plan);
            let start_ns = time.now_ns();
            let mut finished = phase::run(plan, streams, &shared, setup.slack, &mut |sample| {
                if let Some(excess) = expected.as_ref().and_then(Expected::excess) {
                    halt.raise(excess);
                }
                watch.sampled(plan, sample);
            });
            finished.record.start_ns += start_ns;
            watch.phase_finished(&finished.record);
            self.cell.traces.extend(recordings.rows(plan));
            self.cell.phases.push(finished.record);
            totals.merge(&finished.totals);
            if plan.end != PhaseEnd::None {
                let name = format!("end_ns.{}", plan.name);
                // Repetitions of a phase are one phase.
                let before = self.cell.counters.get(&name).unwrap_or(&0.0);
                self.note(
                    Reading::timed(&name, Unit::Nanoseconds, before + finished.end_ns as f64)
                        .doc("the sync at the end of the phase, which is part of its time"),
                );
            }
            fault = halt.take();
            if fault.is_some() || setup.signals.interrupted() {
                break;
            }
        }

        let whole = fault.is_none() && !setup.signals.interrupted();
        if whole {
            target.sync_all().context("the final sync")?;
        }
        let written = self.note_counters(target, &counters_before, &totals);
        if !self.exact {
            self.note_usage(&usage_before, stolen_before, written);
        }
        self.note_schedule(&totals);
        if whole {
            for reading in target.finals() {
                self.note(reading);
            }
        }
        self.cell.stages = target.stages();
        self.note_spans(&totals, target);
        self.cell.pools = target.pools();

        if let Some(expected) = &expected {
            let read_back = if whole {
                read_back(target, &files, expected, setup.signals, watch)
            } else {
                Ok(())
            };
            self.cell.verification = expected.verdict();
            read_back?;
        }
        files.close_all();
        if whole && expected.is_some() {
            target.check().context("checking what is stored")?;
        }
        if setup.signals.interrupted() {
            self.cell.fault = Some("interrupted".to_owned());
        }
        fault.map_or(Ok(()), Err)
    }

    /// What the clients moved and what the target counted meanwhile. Returns the bytes written.
    fn note_counters(&mut self, target: &dyn Target, before: &[Reading], totals: &Totals) -> f64 {
        use delalloc_workloads::OpKind;
        let bytes = |kind| totals.of(kind).map_or(0, |totals| totals.bytes) as f64;
        let (written, read) = (bytes(OpKind::Write), bytes(OpKind::Read));
        self.note(
            Reading::counted("user.write_bytes", Unit::Bytes, written)
                .neither()
                .doc("bytes the clients wrote, preparation included"),
        );
        self.note(
            Reading::counted("user.read_bytes", Unit::Bytes, read)
                .neither()
                .doc("bytes the clients read"),
        );
        let missing = totals
            .of(OpKind::Read)
            .map_or(0, |totals| totals.missing_bytes);
        if missing > 0 {
            self.note(
                Reading::counted("user.read_missing_bytes", Unit::Bytes, missing as f64)
                    .neither()
                    .doc("bytes the clients asked for beyond the end of a file; nothing was read there"),
            );
        }
        for reading in grown(before, target.counters()) {
            let amplification = match reading.metric.name.as_str() {
                "device.write_bytes" if written > 0.0 => {
                    Some(("write_amplification", reading.number / written))
                }
                "device.read_bytes" if read > 0.0 => {
                    Some(("read_amplification", reading.number / read))
                }
                _ => None,
            };
            if let Some((name, ratio)) = amplification {
                let mut derived = reading.clone();
                derived.metric.name = name.to_owned();
                derived.metric.unit = Unit::Ratio;
                derived.metric.better = Better::Lower;
                derived.number = ratio;
                self.note(derived.doc("bytes at the device for each byte of the clients"));
            }
            self.note(reading);
        }
        written
    }

    fn note_usage(&mut self, before: &Usage, stolen_before: Option<u64>, written: f64) {
        let now = Usage::now();
        let cpu_ns = now.cpu_ns_since(before) as f64;
        self.note(
            Reading::timed("cpu.ns", Unit::Nanoseconds, cpu_ns)
                .doc("processor time of the process, harness included"),
        );
        if written > 0.0 {
            self.note(
                Reading::timed("cpu.ns_per_byte", Unit::Plain, cpu_ns / written)
                    .doc("processor time for each byte written"),
            );
        }
        self.note(
            Reading::timed(
                "memory.resident_bytes_max",
                Unit::Bytes,
                now.resident_bytes_max as f64,
            )
            .doc("most memory the process held until the end of this cell"),
        );
        if let (Some(stolen), Some(before)) = (host::stolen_ticks(), stolen_before) {
            let ns = stolen.saturating_sub(before) as f64 * 1e7;
            self.note(
                Reading::timed("machine.stolen_ns", Unit::Nanoseconds, ns)
                    .doc("processor time the hypervisor kept to itself"),
            );
        }
    }

    /// How well the schedule of an open loop was kept, and by whose fault it was not.
    fn note_schedule(&mut self, totals: &Totals) {
        let late = totals.late.hist();
        let due = late.count();
        if due == 0 {
            return;
        }
        let late_ns = late.ns_at(0.99) as f64;
        self.note(
            Reading::timed("generator.late_ns_p99", Unit::Nanoseconds, late_ns)
                .doc("how much later operations began than on a generator that costs nothing"),
        );
        let late_ns = late.ns_max() as f64;
        self.note(Reading::timed(
            "generator.late_ns_max",
            Unit::Nanoseconds,
            late_ns,
        ));
        let share = totals.due_while_busy as f64 / due as f64;
        self.note(
            Reading::timed("schedule.busy_share", Unit::Ratio, share)
                .doc("operations that were due while the target was still busy with ones before"),
        );
        self.note(
            Reading::timed(
                "schedule.backlog_ns_max",
                Unit::Nanoseconds,
                totals.backlog_ns as f64,
            )
            .doc("how far behind schedule the worst client was when time was up"),
        );
    }

    /// How long writes took until they were accepted, at home, synced.
    fn note_spans(&mut self, totals: &Totals, target: &dyn Target) {
        self.cell.spans = totals
            .accepted()
            .into_iter()
            .chain(target.spans())
            .collect();
        for span in self.cell.spans.clone() {
            let name = format!("write.{}_ns_mean", span.name);
            self.note(
                Reading::timed(&name, Unit::Nanoseconds, span.ns_mean)
                    .doc("mean of a whole way of written bytes; the spans have more"),
            );
        }
    }

    fn note(&mut self, mut reading: Reading) {
        if self.exact {
            reading.metric.class = Class::Exact;
        }
        self.cell.count(reading.metric.name.clone(), reading.number);
        self.metrics
            .insert(reading.metric.name.clone(), reading.metric);
    }
}

/// Reads everything that was ever written, from what is stored.
fn read_back(
    target: &dyn Target,
    files: &FileTable<'_>,
    expected: &Expected,
    signals: &Signals,
    watch: &mut dyn Watch,
) -> anyhow::Result<()> {
    target
        .drop_caches()
        .context("dropping caches before reading back")?;
    files.close_all();
    target
        .reopen()
        .context("opening the target again to read back")?;
    let parts = expected.read_back(READ_BACK_BYTES);
    let bytes_of = |range: &Range<u64>| range.end - range.start;
    let total_bytes = parts
        .iter()
        .flat_map(|(_, ranges)| ranges)
        .map(bytes_of)
        .sum();
    let mut done_bytes = 0;
    let mut buffer = vec![0; usize::try_from(READ_BACK_BYTES).expect("a megabyte fits memory")];
    for (slot, ranges) in parts {
        let file = files.open(slot)?;
        let size_bytes = file
            .size_bytes()
            .with_context(|| format!("asking for the size of {:?}", files.name(slot)))?;
        if let Some(size_bytes) = size_bytes {
            expected.check_size(slot, size_bytes);
        }
        for range in ranges {
            if signals.interrupted() {
                return Ok(());
            }
            let (offset, wanted_bytes) = (range.start, bytes_of(&range));
            let part = &mut buffer[..usize::try_from(wanted_bytes).expect("at most a megabyte")];
            expected.begin_read(0);
            let read = file
                .read_at(offset, part)
                .with_context(|| format!("reading back {:?} at {offset}", files.name(slot)))
                .inspect_err(|_| expected.abandon_read(0))?;
            expected.end_read(0, slot, offset, &part[..read], wanted_bytes);
            done_bytes += wanted_bytes;
            watch.verifying(done_bytes, total_bytes);
        }
    }
    Ok(())
}

/// The most clients any phase has.
fn clients_max(load: &LoadPlan) -> usize {
    let clients = |phase: &PhasePlan| phase.jobs.iter().map(|job| job.clients as usize).sum();
    load.phases.iter().map(clients).max().unwrap_or(0).max(1)
}
