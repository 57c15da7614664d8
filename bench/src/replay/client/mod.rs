//! One client: takes operations from its stream, keeps their schedule, carries them out, checks reads.
//!
//! ```text
//!   next op -> make the bytes -> wait until due -> [ begin | target | end ] -> compare -> record
//!                                                  '----- service time ----'
//!                                '-- response time: from due -------------'
//! ```
//!
//! Making bytes and comparing them is the harness's own work. A client does both before the next operation is due, and so
//! outside of either latency, as long as the schedule leaves it the time: in an open loop, a client that spends longer on it
//! than the schedule allows shows up as late, not as a slow target.
//!
//! A client ends when its stream does, when the phase's time is up, or when the run is halted: by a
//! signal, or by the first operation that fails.
//!
//! On a thread of its own a client runs through ([`Client::run`]); where one thread plays them all, it is
//! asked for one operation at a time ([`Client::take`], [`Client::issue`]). Both are the same steps.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use delalloc_workloads::{Content, FileSlot, Op, OpStream, StreamError, TimedOp};
use parking_lot::Mutex;

use super::files::{FileTable, OpenFiles};
use super::gates::Gates;
use super::lateness::{Lateness, Start};
use super::pacer::Pacer;
use super::precedence::Precedence;
use super::tape::Tape;
use super::verify::{Change, Expected};
use super::window::Window;
use crate::recorder::{Finished, Recorder, Totals};
use crate::signals::Signals;

/// What the clients of one phase share.
pub struct Shared<'a> {
    /// Open files.
    pub files: &'a FileTable<'a>,
    /// Makes the bytes of writes; none where the target keeps nothing.
    pub content: Option<&'a Content>,
    /// Checks what is read; none where nothing is checked.
    pub expected: Option<&'a Expected>,
    /// Interruptions.
    pub signals: &'a Signals,
    /// When operations start and the phase ends.
    pub pacing: Pacing,
    /// Ends every client early.
    pub halt: &'a Halt,
    /// Writes down what is done; none where nobody asked.
    pub tape: Option<&'a Tape>,
}

/// How far a client follows its stream's times.
#[derive(Debug, Clone, Copy)]
pub struct Pacing {
    /// The phase ends here, in nanoseconds after its start.
    pub end_ns: Option<u64>,
    /// Follow due times and think times; otherwise each operation follows the one before.
    pub follow_schedule: bool,
}

/// The first failure of a phase, which ends it.
#[derive(Debug, Default)]
pub struct Halt {
    raised: AtomicBool,
    reason: Mutex<Option<anyhow::Error>>,
}

impl Halt {
    /// Ends the phase for this reason, unless there is one already.
    pub fn raise(&self, reason: anyhow::Error) {
        self.reason.lock().get_or_insert(reason);
        self.raised.store(true, Ordering::Release);
    }

    /// Why the phase was ended.
    pub fn take(&self) -> Option<anyhow::Error> {
        self.reason.lock().take()
    }
}

/// The target's part of one operation.
#[derive(Debug, Clone, Copy)]
pub struct Done {
    /// When it began, in nanoseconds of the phase.
    pub begin_ns: u64,
    /// When it ended.
    pub end_ns: u64,
    /// Bytes that were asked for beyond the end of the file.
    pub missing_bytes: u64,
}

impl Shared<'_> {
    /// Whether clients should end.
    pub fn halted(&self) -> bool {
        self.halt.raised.load(Ordering::Relaxed) || self.signals.interrupted()
    }
}

/// One client.
pub struct Client<'a> {
    shared: &'a Shared<'a>,
    /// What of the phase counts.
    window: &'a Window,
    /// Due times count from here, in nanoseconds of the phase: when the job that this one waits for was through.
    start_ns: u64,
    /// The job's own end.
    job_end_ns: u64,
    pacer: Pacer,
    /// Its number in the phase: its slot in `Expected`.
    number: usize,
    stream: OpStream,
    /// Clients that it may have to wait for; none where it waits for nobody.
    precedence: Option<&'a Precedence>,
    /// Taken from the stream and not yet issued.
    next: Option<TimedOp>,
    /// Its last operation and the rest after it are over then.
    free_ns: u64,
    rests: bool,
    open: OpenFiles,
    lateness: Lateness,
    recorder: Recorder,
    buffer: Vec<u8>,
}

impl<'a> Client<'a> {
    /// A client that has not begun.
    pub fn new(
        shared: &'a Shared<'a>,
        window: &'a Window,
        pacer: Pacer,
        number: usize,
        stream: OpStream,
        recorder: Recorder,
    ) -> Self {
        Self {
            shared,
            window,
            start_ns: 0,
            job_end_ns: u64::MAX,
            pacer,
            number,
            stream,
            precedence: None,
            next: None,
            free_ns: 0,
            rests: false,
            open: OpenFiles::default(),
            lateness: Lateness::default(),
            recorder,
            buffer: Vec::new(),
        }
    }

    /// The same client, which waits for what its recording puts before its operations. Who has no schedule to follow does not.
    pub fn following(mut self, precedence: &'a Precedence) -> Self {
        let follows = self.shared.pacing.follow_schedule;
        let has_order = self.stream.step().is_some() && precedence.is_shared(self.stream.job());
        self.precedence = (follows && has_order).then_some(precedence);
        self
    }

    /// Carries out the stream: what counts of it, and what does not.
    pub fn run(mut self, gates: &Gates) -> (Totals, Totals) {
        let _through = gates.leaves_on_drop(self.job(), self.pacer.clone());
        let (job, client) = (self.stream.job(), self.stream.client());
        let precedence = self.precedence;
        let _reached = precedence.map(|precedence| precedence.leaves_on_drop(job, client));
        if self.start(gates) {
            self.free_ns = self.pacer.now_ns();
            while let Some(timed) = self.pull() {
                if self.rests {
                    self.recorder.post();
                    self.pacer.wait_until(self.free_ns, || self.is_over());
                    self.free_ns = self.pacer.now_ns();
                }
                if !self.carry_out(&timed, self.free_ns) {
                    break;
                }
            }
        }
        self.into_totals()
    }

    /// The job it works at.
    pub fn job(&self) -> usize {
        self.stream.job()
    }

    /// The job that has to be through before it begins.
    pub fn starts_after(&self) -> Option<usize> {
        let follows = self.shared.pacing.follow_schedule;
        self.stream.start_after().filter(|_| follows)
    }

    /// The job that it waits for was through at `through_ns`, or it waits for none.
    pub fn begin(&mut self, through_ns: u64) {
        if self.shared.pacing.follow_schedule {
            self.start_ns = through_ns;
            self.free_ns = through_ns.saturating_add(self.stream.delay_ns());
            let end_ns = self.stream.end_ns().unwrap_or(u64::MAX);
            self.job_end_ns = through_ns.saturating_add(end_ns);
        }
    }

    /// Waits until the job may start; false where the phase is over by then.
    fn start(&mut self, gates: &Gates) -> bool {
        let mut through_ns = 0;
        if let Some(job) = self.starts_after() {
            let Some(ns) = gates.wait(job, || self.is_over()) else {
                return false;
            };
            through_ns = ns;
        }
        self.begin(through_ns);
        if self.free_ns > 0 {
            self.pacer.wait_until(self.free_ns, || self.is_over());
        }
        !self.shared.halted()
    }

    /// The next operation of the stream, whenever it is due, for who carries it out apart from any phase.
    pub fn draw(&mut self) -> Option<Result<Op, StreamError>> {
        let timed = self.stream.next()?;
        Some(timed.map(|timed| timed.op))
    }

    /// Takes the next operation from the stream: from when on it may be issued, in nanoseconds of the
    /// phase, and no later than its end. None where there is no more.
    pub fn take(&mut self) -> Option<u64> {
        let timed = self.pull()?;
        let end_ns = self.end_ns();
        let due_ns = self.due_ns(&timed).filter(|due_ns| *due_ns < end_ns);
        self.next = Some(timed);
        Some(self.free_ns.max(due_ns.unwrap_or(0)).min(end_ns))
    }

    /// Something of another client has to be over before what was taken may be issued.
    pub fn is_held(&self) -> bool {
        match (self.precedence, self.stream.step()) {
            (Some(precedence), Some(step)) => !precedence.is_over(self.stream.job(), &step.after),
            _ => false,
        }
    }

    /// The client is through.
    pub fn leave(&self) {
        if let Some(precedence) = self.precedence {
            precedence.leave(self.stream.job(), self.stream.client());
        }
    }

    /// Issues what was taken, once it is due; it is now `now_ns`. False where the client is through.
    ///
    /// # Panics
    /// Where nothing was taken.
    pub fn issue(&mut self, now_ns: u64) -> bool {
        let timed = self.next.take().expect("an operation is taken first");
        self.carry_out(&timed, now_ns)
    }

    #[inline]
    fn pull(&mut self) -> Option<TimedOp> {
        match self.stream.next()? {
            Ok(timed) => Some(timed),
            Err(error) => {
                self.shared.halt.raise(error.into());
                None
            }
        }
    }

    /// Carries out an operation of the stream once it is due. False where the client is through.
    #[inline(always)]
    fn carry_out(&mut self, timed: &TimedOp, now_ns: u64) -> bool {
        let Some(due_ns) = self.wait(timed, now_ns) else {
            return false;
        };
        if due_ns.is_none() {
            self.prepare(&timed.op);
        }
        if self.precedence.is_some() && !self.wait_for_others() {
            return false;
        }
        let (tape, target) = (self.shared.tape, self.shared.files.target());
        let begun = tape.map(|tape| (tape, tape.begin(self.number, timed.op, target)));
        match self.issue_prepared(&timed.op) {
            Ok(Done {
                begin_ns,
                end_ns,
                missing_bytes,
            }) => {
                if let Some((tape, begun)) = begun {
                    tape.end(begun, target);
                }
                self.reached();
                self.rests = timed.think_ns > 0 && self.shared.pacing.follow_schedule;
                let rest_ns = if self.rests { timed.think_ns } else { 0 };
                self.free_ns = end_ns.saturating_add(rest_ns);
                self.note_start(due_ns, begin_ns, end_ns);
                self.lateness.rest(rest_ns);
                let finished = Finished {
                    kind: timed.op.kind(),
                    bytes: timed.op.payload_bytes().saturating_sub(missing_bytes),
                    missing_bytes,
                    service_ns: end_ns.saturating_sub(begin_ns),
                    response_ns: due_ns.map(|due_ns| end_ns.saturating_sub(due_ns)),
                };
                self.record(due_ns.unwrap_or(begin_ns), finished);
                if self.pacer.is_virtual() {
                    self.recorder.post();
                }
                true
            }
            Err(error) => {
                self.recorder.failed(timed.op.kind());
                let (job, client) = (self.stream.job(), self.stream.client());
                let label = format!("job {job} client {client}");
                self.shared.halt.raise(error.context(label));
                false
            }
        }
    }

    /// Waits until what comes before the operation is over; false where the phase is over by then.
    fn wait_for_others(&mut self) -> bool {
        if !self.is_held() {
            return true;
        }
        self.recorder.post();
        let is_over = match (self.precedence, self.stream.step()) {
            (Some(precedence), Some(step)) => {
                precedence.wait(self.stream.job(), &step.after, || self.is_over())
            }
            _ => true,
        };
        self.lateness.held_until(self.pacer.now_ns());
        is_over
    }

    /// The operation is over; with the last of its request, others that wait for that go on.
    #[inline]
    fn reached(&self) {
        if let Some(precedence) = self.precedence
            && let Some(step) = self.stream.step()
            && step.is_last
        {
            precedence.done(self.stream.job(), self.stream.client(), step.number);
        }
    }

    /// What it recorded: what counts, and what does not.
    pub fn into_totals(self) -> (Totals, Totals) {
        self.recorder.into_totals()
    }

    /// No operation starts at or after this; it may move while the phase waits for a steady state.
    pub fn end_ns(&self) -> u64 {
        self.phase_end_ns().min(self.job_end_ns)
    }

    fn phase_end_ns(&self) -> u64 {
        let fixed = self.shared.pacing.end_ns.unwrap_or(u64::MAX);
        fixed.min(self.window.end_ns())
    }

    /// The phase is, or should be.
    fn is_over(&self) -> bool {
        self.shared.halted() || self.pacer.now_ns() >= self.phase_end_ns()
    }

    /// Files an operation that began, or was due, at `from_ns`.
    fn record(&mut self, from_ns: u64, finished: Finished) {
        let counts_from_ns = self.window.from_ns();
        if from_ns >= counts_from_ns {
            self.recorder.finished(finished);
        } else {
            let is_shown = self.pacer.now_ns() < counts_from_ns;
            self.recorder.warmed_up(finished, is_shown);
        }
    }

    /// Whose fault it is that an operation did not begin when it was due.
    fn note_start(&mut self, due_ns: Option<u64>, begin_ns: u64, end_ns: u64) {
        let start = self.lateness.note(due_ns, begin_ns, end_ns);
        let (Some(mut start), Some(due_ns)) = (start, due_ns) else {
            return;
        };
        if self.pacer.is_virtual() {
            // In virtual time nobody is late: what is due waits for the call of another client.
            start = Start {
                late_ns: 0,
                was_busy: due_ns < begin_ns,
            };
        }
        self.recorder
            .started(start, due_ns >= self.window.from_ns());
    }

    fn due_ns(&self, timed: &TimedOp) -> Option<u64> {
        let due_ns = timed
            .due_ns
            .filter(|_| self.shared.pacing.follow_schedule)?;
        Some(due_ns.saturating_add(self.start_ns))
    }

    /// Waits for an operation's time, and prepares it meanwhile. `None` when there is no time left; `Some(None)` without a schedule.
    #[expect(
        clippy::option_option,
        reason = "whether to go on, and whether there is a schedule"
    )]
    fn wait(&mut self, timed: &TimedOp, now_ns: u64) -> Option<Option<u64>> {
        let end_ns = self.end_ns();
        let due_ns = self.due_ns(timed);
        if self.shared.halted() || now_ns >= end_ns {
            if let Some(due_ns) = due_ns {
                // Nothing is due after the end.
                let backlog_ns = now_ns.min(end_ns).saturating_sub(due_ns);
                self.recorder.behind(backlog_ns);
            }
            return None;
        }
        let Some(due_ns) = due_ns else {
            return Some(None);
        };
        if due_ns >= end_ns {
            return None;
        }
        // What is done here is in no response time while there is time left.
        self.prepare(&timed.op);
        self.recorder.post();
        self.pacer.wait_until(due_ns, || self.is_over());
        // The end may have moved meanwhile; what was due before it is still done.
        let is_due = due_ns < self.phase_end_ns();
        (is_due && !self.shared.halted()).then_some(Some(due_ns))
    }

    /// Carries out one operation now.
    pub fn perform(&mut self, op: &Op) -> anyhow::Result<Done> {
        self.prepare(op);
        self.issue_prepared(op)
    }

    /// Does for an operation what needs neither the target nor its time: room for its bytes, and the bytes of a write. Which
    /// bytes these are is in the operation itself, so they are the same whenever they are made.
    #[inline]
    fn prepare(&mut self, op: &Op) {
        match *op {
            Op::Read { bytes, .. } => {
                room(&mut self.buffer, bytes);
            }
            Op::Write {
                file,
                offset,
                bytes,
                version,
            } => {
                let buffer = room(&mut self.buffer, bytes);
                if let Some(content) = self.shared.content {
                    content.fill(file, offset, version, buffer);
                }
            }
            _ => {}
        }
    }

    /// Carries out the operation that was prepared last.
    fn issue_prepared(&mut self, op: &Op) -> anyhow::Result<Done> {
        match *op {
            Op::Read {
                file,
                offset,
                bytes,
            } => self.read(file, offset, bytes),
            Op::Write {
                file,
                offset,
                bytes,
                version,
            } => self.write(file, offset, bytes, version),
            Op::Sync { file } => {
                let target = self.open.get(self.shared.files, file)?;
                timed(&self.pacer, || target.sync()).context("sync")
            }
            Op::DataSync { file } => {
                let target = self.open.get(self.shared.files, file)?;
                timed(&self.pacer, || target.sync_data()).context("fdatasync")
            }
            Op::VolumeSync => timed(&self.pacer, || self.shared.files.target().sync_all()),
            Op::Truncate { file, bytes } => self.resize(file, bytes, |client| {
                let target = client.open.get(client.shared.files, file)?;
                timed(&client.pacer, || target.truncate(bytes)).context("truncate")
            }),
            Op::PunchHole {
                file,
                offset,
                bytes,
            } => {
                let range = offset..offset.saturating_add(bytes);
                let begin = |expected: &Expected| expected.begin_punch(file, range);
                self.change(begin, |client| {
                    let target = client.open.get(client.shared.files, file)?;
                    timed(&client.pacer, || target.punch_hole(offset, bytes)).context("punch")
                })
            }
            Op::Create { file } => self.resize(file, 0, |client| {
                timed(&client.pacer, || client.shared.files.create(file)).context("create")
            }),
            Op::Remove { file } => self.resize(file, 0, |client| {
                timed(&client.pacer, || client.shared.files.remove(file)).context("remove")
            }),
            Op::Open { file } => {
                timed(&self.pacer, || self.shared.files.open(file).map(drop)).context("open")
            }
            Op::Rename { file, serial } => {
                timed(&self.pacer, || self.shared.files.rename(file, serial)).context("rename")
            }
        }
    }

    fn read(&mut self, file: FileSlot, offset: u64, bytes: u64) -> anyhow::Result<Done> {
        let buffer = room(&mut self.buffer, bytes);
        // Before the handle is looked up: a file that is removed in between was there when the read began.
        if let Some(expected) = self.shared.expected {
            expected.begin_read(self.number);
        }
        let target = self.open.get(self.shared.files, file);
        let begin_ns = self.pacer.begin_call(bytes);
        let result = target.and_then(|target| target.read_at(offset, buffer));
        let end_ns = self.pacer.now_ns();
        let read = match (result, self.shared.expected) {
            (Ok(read), expected) => {
                if let Some(expected) = expected {
                    expected.end_read(self.number, file, offset, &buffer[..read], bytes);
                }
                read as u64
            }
            (Err(error), expected) => {
                if let Some(expected) = expected {
                    expected.abandon_read(self.number);
                }
                return Err(error.context(format!("read of {bytes} bytes at {offset}")));
            }
        };
        Ok(Done {
            begin_ns,
            end_ns,
            missing_bytes: bytes.saturating_sub(read),
        })
    }

    fn write(
        &mut self,
        file: FileSlot,
        offset: u64,
        bytes: u64,
        version: u64,
    ) -> anyhow::Result<Done> {
        let buffer = room(&mut self.buffer, bytes);
        let range = offset..offset + bytes;
        let change = self
            .shared
            .expected
            .map(|expected| (expected, expected.begin_write(file, range, version)));
        // After the write was announced: one that goes to a file which is removed meanwhile overlaps the removal.
        let target = self.open.get(self.shared.files, file);
        let begin_ns = self.pacer.begin_call(bytes);
        let result = target.and_then(|target| target.write_at(offset, buffer));
        let end_ns = self.pacer.now_ns();
        if let Some((expected, change)) = change {
            match &result {
                Ok(()) => expected.end(change),
                Err(_) => expected.fail(change),
            }
        }
        result.with_context(|| format!("write of {bytes} bytes at {offset}"))?;
        Ok(Done {
            begin_ns,
            end_ns,
            missing_bytes: 0,
        })
    }

    /// Carries out `change`, which makes `file` end after `bytes`.
    fn resize(
        &mut self,
        file: FileSlot,
        bytes: u64,
        change: impl FnOnce(&mut Self) -> anyhow::Result<Done>,
    ) -> anyhow::Result<Done> {
        self.change(|expected| expected.begin_resize(file, bytes), change)
    }

    /// Carries out `change`, which verification is told of by `begin`.
    fn change(
        &mut self,
        begin: impl FnOnce(&Expected) -> Change,
        change: impl FnOnce(&mut Self) -> anyhow::Result<Done>,
    ) -> anyhow::Result<Done> {
        let Some(expected) = self.shared.expected else {
            return change(self);
        };
        let begun = begin(expected);
        let result = change(self);
        match &result {
            Ok(_) => expected.end(begun),
            Err(_) => expected.fail(begun),
        }
        result
    }
}

/// `work`, and when it began and ended.
fn timed(pacer: &Pacer, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Done> {
    let begin_ns = pacer.begin_call(0);
    work()?;
    Ok(Done {
        begin_ns,
        end_ns: pacer.now_ns(),
        missing_bytes: 0,
    })
}

/// The first `bytes` of a buffer, grown where it is shorter.
pub(super) fn room(buffer: &mut Vec<u8>, bytes: u64) -> &mut [u8] {
    let len = usize::try_from(bytes).expect("an operation fits memory");
    if buffer.len() < len {
        buffer.resize(len, 0);
    }
    &mut buffer[..len]
}

#[cfg(test)]
pub(super) mod on_null;
#[cfg(test)]
mod tests;
