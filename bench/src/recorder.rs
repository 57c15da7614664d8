//! Latencies of every client, without a lock that two clients share.
//!
//! Each client owns its totals. What the interval series needs lies in a cell of its own that only
//! the sampler visits, a few times a second, to swap a full tally for an empty one: the lock is
//! never contended by a second client and held by the sampler for the swap alone. The alternative,
//! letting clients close their own intervals, loses the interval in which a client hangs, which is
//! the one worth seeing.
//!
//! In a closed loop, where the next operation follows at once, the mailbox is visited once for several
//! operations: a lock for each would be a fifth of what the harness costs. Who is about to wait posts first, so
//! what a client that hangs has not shown is less than a millisecond of its work.
//!
//! Two latencies are kept for operations with a schedule: *response* from when it was due, *service*
//! from when it was issued. In a closed loop they are the same and are recorded once.
//!
//! Not here: taking time stamps (driver), what a target is doing meanwhile (sampler).

use std::sync::Arc;

use delalloc_results::record::{OpRecord, ScheduleRecord, SpanRecord};
use delalloc_results::{LatencyHist, LatencyTally};
use delalloc_workloads::OpKind;
use parking_lot::Mutex;

use crate::replay::lateness::Start;

/// So many operations a client keeps to itself,
const UNPOSTED_OPS_MAX: usize = 64;
/// and no more than took so long.
const UNPOSTED_NS_MAX: u64 = 1_000_000;

/// What a client saw since the sampler's last visit.
#[derive(Debug, Default)]
pub struct Interval {
    /// Operations that ended.
    pub ops: u64,
    /// Bytes they moved.
    pub bytes: u64,
    /// Their response times.
    pub response: LatencyTally,
}

impl Interval {
    /// Adds what another client saw.
    pub fn merge(&mut self, other: &Self) {
        self.ops += other.ops;
        self.bytes += other.bytes;
        self.response.merge(&other.response);
    }

    /// Empties it and keeps the memory.
    pub fn clear(&mut self) {
        self.ops = 0;
        self.bytes = 0;
        self.response.clear();
    }
}

/// Where a client and the sampler meet.
#[derive(Debug, Default)]
pub struct Mailbox(Mutex<Interval>);

impl Mailbox {
    /// Takes what is there and leaves `empty`, which gets it.
    pub fn swap(&self, empty: &mut Interval) {
        std::mem::swap(&mut *self.0.lock(), empty);
    }
}

/// Counts and latencies of one kind of operation.
#[derive(Debug, Default)]
pub struct OpTotals {
    /// Operations that succeeded.
    pub count: u64,
    /// Bytes they moved.
    pub bytes: u64,
    /// Bytes that they asked for where no file was.
    pub missing_bytes: u64,
    /// Operations that failed.
    pub errors: u64,
    response: LatencyTally,
    /// Only where some had a schedule; otherwise it equals `response`.
    service: Option<LatencyTally>,
}

/// One finished operation.
#[derive(Debug, Clone, Copy)]
pub struct Finished {
    /// What it was.
    pub kind: OpKind,
    /// Bytes it moved.
    pub bytes: u64,
    /// Bytes that it asked for beyond the end of the file.
    pub missing_bytes: u64,
    /// From when it was issued to its end.
    pub service_ns: u64,
    /// From when it was due to its end, where it had a schedule.
    pub response_ns: Option<u64>,
}

/// Everything one client recorded, or several merged.
#[derive(Debug, Default)]
pub struct Totals {
    kinds: [Option<Box<OpTotals>>; OpKind::ALL.len()],
    /// How late the generator itself was, of every operation that had a time to begin at.
    pub late: LatencyTally,
    /// Of those, how many were due while the target was still busy.
    pub due_while_busy: u64,
    /// How far behind schedule the client was when its time was up, the worst of several.
    pub backlog_ns: u64,
}

impl Totals {
    /// Adds what another client recorded.
    pub fn merge(&mut self, other: &Self) {
        for (mine, other) in self.kinds.iter_mut().zip(&other.kinds) {
            let Some(other) = other else { continue };
            mine.get_or_insert_default().merge(other);
        }
        self.late.merge(&other.late);
        self.due_while_busy += other.due_while_busy;
        self.backlog_ns = self.backlog_ns.max(other.backlog_ns);
    }

    /// Operations that succeeded, of all kinds.
    pub fn ops(&self) -> u64 {
        self.kinds.iter().flatten().map(|totals| totals.count).sum()
    }

    /// The totals of one kind.
    pub fn of(&self, kind: OpKind) -> Option<&OpTotals> {
        self.kinds[kind as usize].as_deref()
    }

    /// Response times over all kinds.
    pub fn response_of_all(&self) -> LatencyHist {
        let mut all = LatencyTally::default();
        for totals in self.kinds.iter().flatten() {
            all.merge(&totals.response);
        }
        all.hist()
    }

    /// How the schedule was kept; none where nothing had a time to begin at.
    pub fn schedule(&self) -> Option<ScheduleRecord> {
        let due = self.kinds.iter().flatten();
        let p99 = due
            .filter(|totals| totals.service.is_some())
            .map(|totals| totals.response.hist().ns_at(0.99))
            .min()?;
        let late = self.late.hist();
        Some(ScheduleRecord {
            backlog_ns: self.backlog_ns,
            ..ScheduleRecord::new(self.due_while_busy, &late, p99)
        })
    }

    /// How long writes took until they were accepted; none where nothing was written.
    pub fn accepted(&self) -> Option<SpanRecord> {
        let totals = self.of(OpKind::Write)?;
        let service = totals.service().hist();
        Some(SpanRecord {
            name: "accepted".to_owned(),
            count: service.count(),
            ns_mean: service.ns_mean(),
            ns_p50: service.ns_at(0.5),
            ns_p99: service.ns_at(0.99),
            ns_max: service.ns_max(),
            coarse: false,
            max_is_edge: false,
        })
    }

    /// A row per kind that occurred, as the record holds them.
    pub fn rows(&self) -> Vec<OpRecord> {
        OpKind::ALL
            .into_iter()
            .filter_map(|kind| Some(self.of(kind)?.row(kind.name())))
            .collect()
    }

    #[inline]
    fn record(&mut self, finished: Finished) {
        let totals = self.kinds[finished.kind as usize].get_or_insert_default();
        totals.count += 1;
        totals.bytes += finished.bytes;
        totals.missing_bytes += finished.missing_bytes;
        match finished.response_ns {
            None if totals.service.is_none() => totals.response.record(finished.service_ns),
            response_ns => totals.record_both(response_ns, finished.service_ns),
        }
    }
}

impl OpTotals {
    /// The row of a record.
    pub fn row(&self, name: &str) -> OpRecord {
        let (response, service) = (self.response.hist(), self.service().hist());
        OpRecord::new(name, self.bytes, self.errors, &response, &service)
    }

    fn service(&self) -> &LatencyTally {
        self.service.as_ref().unwrap_or(&self.response)
    }

    fn record_both(&mut self, response_ns: Option<u64>, service_ns: u64) {
        let service = self.service.get_or_insert_with(|| self.response.clone());
        service.record(service_ns);
        self.response.record(response_ns.unwrap_or(service_ns));
    }

    fn merge(&mut self, other: &Self) {
        if self.service.is_some() || other.service.is_some() {
            let mine = self.service.get_or_insert_with(|| self.response.clone());
            mine.merge(other.service());
        }
        self.count += other.count;
        self.bytes += other.bytes;
        self.missing_bytes += other.missing_bytes;
        self.errors += other.errors;
        self.response.merge(&other.response);
    }
}

/// What one client records into.
#[derive(Debug, Default)]
pub struct Recorder {
    totals: Totals,
    /// What was done before anything counted.
    warm_up: Totals,
    unposted: Unposted,
    mailbox: Arc<Mailbox>,
}

/// What the mailbox does not know yet.
#[derive(Debug, Default)]
struct Unposted {
    response_ns: Vec<u64>,
    bytes: u64,
    service_ns: u64,
}

impl Recorder {
    /// A recorder whose intervals the sampler takes from `mailbox`.
    pub fn new(mailbox: Arc<Mailbox>) -> Self {
        Self {
            totals: Totals::default(),
            warm_up: Totals::default(),
            unposted: Unposted::default(),
            mailbox,
        }
    }

    /// An operation succeeded.
    #[inline]
    pub fn finished(&mut self, finished: Finished) {
        self.totals.record(finished);
        self.note(finished);
    }

    /// An operation succeeded that does not count; `is_shown` where it is part of the interval series all the same.
    pub fn warmed_up(&mut self, finished: Finished, is_shown: bool) {
        self.warm_up.record(finished);
        if is_shown {
            self.note(finished);
            // Nothing of it may come up in an interval that counts.
            self.post();
        }
    }

    #[inline]
    fn note(&mut self, finished: Finished) {
        let unposted = &mut self.unposted;
        let response_ns = finished.response_ns.unwrap_or(finished.service_ns);
        unposted.response_ns.push(response_ns);
        unposted.bytes += finished.bytes;
        unposted.service_ns = unposted.service_ns.saturating_add(finished.service_ns);
        let is_due = finished.response_ns.is_some();
        if is_due
            || unposted.response_ns.len() >= UNPOSTED_OPS_MAX
            || unposted.service_ns >= UNPOSTED_NS_MAX
        {
            self.post();
        }
    }

    /// Lets the sampler see everything that finished; for a client that is about to wait.
    pub fn post(&mut self) {
        let unposted = &mut self.unposted;
        if unposted.response_ns.is_empty() {
            return;
        }
        let mut interval = self.mailbox.0.lock();
        interval.ops += unposted.response_ns.len() as u64;
        interval.bytes += unposted.bytes;
        for response_ns in unposted.response_ns.drain(..) {
            interval.response.record(response_ns);
        }
        (unposted.bytes, unposted.service_ns) = (0, 0);
    }

    /// An operation failed.
    pub fn failed(&mut self, kind: OpKind) {
        self.totals.kinds[kind as usize]
            .get_or_insert_default()
            .errors += 1;
    }

    /// An operation that had a time to begin at began; it `counts`, or was due within the warm-up.
    pub fn started(&mut self, start: Start, counts: bool) {
        let totals = if counts {
            &mut self.totals
        } else {
            &mut self.warm_up
        };
        totals.late.record(start.late_ns);
        totals.due_while_busy += u64::from(start.was_busy);
    }

    /// Time is up, and what is not begun any more was due so long ago.
    pub fn behind(&mut self, backlog_ns: u64) {
        self.totals.backlog_ns = self.totals.backlog_ns.max(backlog_ns);
    }

    /// Everything that counts, and what was done before.
    pub fn into_totals(mut self) -> (Totals, Totals) {
        self.post();
        (self.totals, self.warm_up)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(service_ns: u64, response_ns: Option<u64>) -> Finished {
        Finished {
            kind: OpKind::Write,
            bytes: 4096,
            missing_bytes: 0,
            service_ns,
            response_ns,
        }
    }

    #[test]
    fn a_closed_loop_has_one_latency_and_an_open_loop_two() {
        let mut recorder = Recorder::default();
        recorder.finished(write(1000, None));
        recorder.finished(write(1000, Some(1_000_000)));
        let (totals, _) = recorder.into_totals();
        let row = totals.of(OpKind::Write).unwrap().row("write");
        assert_eq!((row.count, row.bytes, row.response.count), (2, 8192, 2));
        assert_eq!(row.service.count, 2);
        assert!(row.service.ns_max < 1100 && row.response.ns_max > 990_000);
    }

    #[test]
    fn merging_a_closed_and_an_open_client_keeps_both_latencies_whole() {
        let (mut closed, mut open) = (Recorder::default(), Recorder::default());
        closed.finished(write(10_000, None));
        open.finished(write(20_000, Some(900_000)));
        let (mut all, _) = closed.into_totals();
        all.merge(&open.into_totals().0);
        let row = &all.rows()[0];
        assert_eq!((row.response.count, row.service.count), (2, 2));
        assert!(row.service.ns_max < 21_000);
    }

    #[test]
    fn what_does_not_count_is_kept_apart() {
        let mut recorder = Recorder::default();
        recorder.warmed_up(write(5, None), true);
        recorder.warmed_up(write(5, None), false);
        assert_eq!(
            recorder.mailbox.0.lock().ops,
            1,
            "nothing of it comes later"
        );
        recorder.finished(write(5, None));
        recorder.post();
        assert_eq!(recorder.mailbox.0.lock().ops, 2);
        let (totals, warm_up) = recorder.into_totals();
        assert_eq!((totals.ops(), warm_up.ops()), (1, 2));
    }

    #[test]
    fn a_late_generator_is_told_and_without_a_schedule_there_is_nothing_to_tell() {
        let mut recorder = Recorder::default();
        recorder.finished(write(10_000, None));
        assert_eq!(recorder.totals.schedule(), None);
        for nth in 0..100 {
            let late_ns = if nth < 14 { 7_000_000 } else { 3_000 };
            let start = Start {
                late_ns,
                was_busy: nth < 10,
            };
            recorder.started(start, true);
            // What was due within a warm-up says nothing of what counts.
            recorder.started(start, false);
            recorder.finished(write(10_000, Some(10_000 + late_ns)));
        }
        let schedule = recorder.totals.schedule().expect("operations were due");
        assert_eq!((schedule.due, schedule.due_while_busy), (100, 10));
        assert_eq!((schedule.late_ops, schedule.is_kept()), (14, false));
        assert_eq!(schedule.backlog_ns, 0);
        recorder.behind(7_000_000);
        let (mut all, _) = Recorder::default().into_totals();
        all.merge(&recorder.totals);
        let backlog_ns = all.schedule().map(|schedule| schedule.backlog_ns);
        assert_eq!(backlog_ns, Some(7_000_000));
        let accepted = recorder.totals.accepted().expect("writes were made");
        assert_eq!(accepted.count, 101);
        assert!(accepted.ns_max < 11_000, "lateness is none of it");
    }

    #[test]
    fn the_sampler_takes_an_interval_once() {
        let mailbox = Arc::new(Mailbox::default());
        let mut recorder = Recorder::new(Arc::clone(&mailbox));
        recorder.finished(write(5, None));
        recorder.post();
        let mut taken = Interval::default();
        mailbox.swap(&mut taken);
        assert_eq!((taken.ops, taken.bytes), (1, 4096));
        taken.clear();
        mailbox.swap(&mut taken);
        assert_eq!(taken.ops, 0);
    }

    #[test]
    fn the_sampler_sees_all_but_the_last_moment_and_in_the_end_everything() {
        let mailbox = Arc::new(Mailbox::default());
        let mut recorder = Recorder::new(Arc::clone(&mailbox));
        let seen = || {
            let mut taken = Interval::default();
            mailbox.swap(&mut taken);
            (taken.ops, taken.response.count())
        };
        recorder.finished(write(5, None));
        assert_eq!(seen(), (0, 0), "one that took no time can wait");
        recorder.finished(write(UNPOSTED_NS_MAX, None));
        assert_eq!(seen(), (2, 2));
        recorder.finished(write(5, Some(9)));
        assert_eq!(seen(), (1, 1), "one with a schedule is shown at once");
        for _ in 0..UNPOSTED_OPS_MAX + 1 {
            recorder.finished(write(5, None));
        }
        assert_eq!(seen(), (UNPOSTED_OPS_MAX as u64, UNPOSTED_OPS_MAX as u64));
        assert_eq!(recorder.into_totals().0.ops(), 4 + UNPOSTED_OPS_MAX as u64);
        assert_eq!(seen(), (1, 1));
    }
}
