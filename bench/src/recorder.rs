//! Latencies of every client, without a lock that two clients share.
//!
//! Each client owns its totals. What the interval series needs lies in a cell of its own that only
//! the sampler visits, a few times a second, to swap a full histogram for an empty one: the lock is
//! never contended by a second client and held by the sampler for the swap alone. The alternative,
//! letting clients close their own intervals, loses the interval in which a client hangs, which is
//! the one worth seeing.
//!
//! Two latencies are kept for operations with a schedule: *response* from when it was due, *service*
//! from when it was issued. In a closed loop they are the same and are recorded once.
//!
//! Not here: taking time stamps (driver), what a target is doing meanwhile (sampler).

use std::sync::Arc;

use delalloc_results::LatencyHist;
use delalloc_results::record::OpRecord;
use delalloc_workloads::OpKind;
use parking_lot::Mutex;

/// What a client saw since the sampler's last visit.
#[derive(Debug, Default)]
pub struct Interval {
    /// Operations that ended.
    pub ops: u64,
    /// Bytes they moved.
    pub bytes: u64,
    /// Their response times.
    pub response: LatencyHist,
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
    /// Operations that failed.
    pub errors: u64,
    response: LatencyHist,
    /// Only where some had a schedule; otherwise it equals `response`.
    service: Option<LatencyHist>,
}

/// One finished operation.
#[derive(Debug, Clone, Copy)]
pub struct Finished {
    /// What it was.
    pub kind: OpKind,
    /// Bytes it moved.
    pub bytes: u64,
    /// From when it was issued to its end.
    pub service_ns: u64,
    /// From when it was due to its end, where it had a schedule.
    pub response_ns: Option<u64>,
}

/// Everything one client recorded, or several merged.
#[derive(Debug, Default)]
pub struct Totals {
    kinds: [Option<Box<OpTotals>>; OpKind::ALL.len()],
    /// How late the generator itself was, of operations that were due while the client was idle.
    pub late: LatencyHist,
    /// Operations that were due while the client was still busy.
    pub due_while_busy: u64,
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
        let mut all = LatencyHist::new();
        for totals in self.kinds.iter().flatten() {
            all.merge(&totals.response);
        }
        all
    }

    /// A row per kind that occurred, as the record holds them.
    pub fn rows(&self) -> Vec<OpRecord> {
        OpKind::ALL
            .into_iter()
            .filter_map(|kind| Some(self.of(kind)?.row(kind.name())))
            .collect()
    }

    fn record(&mut self, finished: Finished) {
        let totals = self.kinds[finished.kind as usize].get_or_insert_default();
        totals.count += 1;
        totals.bytes += finished.bytes;
        let response_ns = finished.response_ns.unwrap_or(finished.service_ns);
        if finished.response_ns.is_some() && totals.service.is_none() {
            totals.service = Some(totals.response.clone());
        }
        totals.response.record(response_ns);
        if let Some(service) = &mut totals.service {
            service.record(finished.service_ns);
        }
    }
}

impl OpTotals {
    /// The row of a record.
    pub fn row(&self, name: &str) -> OpRecord {
        let service = self.service.as_ref().unwrap_or(&self.response);
        OpRecord::new(name, self.bytes, self.errors, &self.response, service)
    }

    fn merge(&mut self, other: &Self) {
        if self.service.is_some() || other.service.is_some() {
            let mine = self.service.get_or_insert_with(|| self.response.clone());
            mine.merge(other.service.as_ref().unwrap_or(&other.response));
        }
        self.count += other.count;
        self.bytes += other.bytes;
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
    mailbox: Arc<Mailbox>,
}

impl Recorder {
    /// A recorder whose intervals the sampler takes from `mailbox`.
    pub fn new(mailbox: Arc<Mailbox>) -> Self {
        Self {
            totals: Totals::default(),
            warm_up: Totals::default(),
            mailbox,
        }
    }

    /// An operation succeeded.
    pub fn finished(&mut self, finished: Finished) {
        self.totals.record(finished);
        self.post(finished);
    }

    /// An operation succeeded that does not count; `is_shown` where it is part of the interval series all the same.
    pub fn warmed_up(&mut self, finished: Finished, is_shown: bool) {
        self.warm_up.record(finished);
        if is_shown {
            self.post(finished);
        }
    }

    fn post(&mut self, finished: Finished) {
        let mut interval = self.mailbox.0.lock();
        interval.ops += 1;
        interval.bytes += finished.bytes;
        interval
            .response
            .record(finished.response_ns.unwrap_or(finished.service_ns));
    }

    /// An operation failed.
    pub fn failed(&mut self, kind: OpKind) {
        self.totals.kinds[kind as usize]
            .get_or_insert_default()
            .errors += 1;
    }

    /// An operation was due while the client was idle and began `late_ns` after.
    pub fn began_late(&mut self, late_ns: u64) {
        self.totals.late.record(late_ns);
    }

    /// An operation was due while the client was busy.
    pub fn was_busy(&mut self) {
        self.totals.due_while_busy += 1;
    }

    /// Everything that counts, and what was done before.
    pub fn into_totals(self) -> (Totals, Totals) {
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
        recorder.finished(write(5, None));
        assert_eq!(recorder.mailbox.0.lock().ops, 2);
        let (totals, warm_up) = recorder.into_totals();
        assert_eq!((totals.ops(), warm_up.ops()), (1, 2));
    }

    #[test]
    fn the_sampler_takes_an_interval_once() {
        let mailbox = Arc::new(Mailbox::default());
        let mut recorder = Recorder::new(Arc::clone(&mailbox));
        recorder.finished(write(5, None));
        let mut taken = Interval::default();
        mailbox.swap(&mut taken);
        assert_eq!((taken.ops, taken.bytes), (1, 4096));
        taken.clear();
        mailbox.swap(&mut taken);
        assert_eq!(taken.ops, 0);
    }
}
