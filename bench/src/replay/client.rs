//! One client: takes operations from its stream, keeps their schedule, carries them out, checks reads.
//!
//! ```text
//!   next op -> wait until due -> make the bytes -> [ begin | target | end ] -> compare -> record
//!                                                  '----- service time ----'
//!              '-- response time: from due -------------------------------'
//! ```
//!
//! Making bytes and comparing them is the harness's own work and lies outside both latencies, but a
//! client does it between operations: in an open loop, a client that spends longer on it than the
//! schedule allows shows up as late, not as a slow target.
//!
//! A client ends when its stream does, when the phase's time is up, or when the run is halted: by a
//! signal, or by the first operation that fails.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::Context;
use delalloc_workloads::{Content, FileSlot, Op, OpStream, TimedOp};
use parking_lot::Mutex;

use super::files::{FileTable, OpenFiles};
use super::pacer::{Pacer, Start};
use super::verify::Expected;
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
    /// How far behind schedule clients were when their time was up, the worst of them.
    backlog_ns: AtomicU64,
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

    /// How far behind schedule the worst client was when its time was up.
    pub fn backlog_ns(&self) -> u64 {
        self.backlog_ns.load(Ordering::Relaxed)
    }
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
    pacer: Pacer,
    /// Its number in the phase: its slot in `Expected`.
    number: usize,
    open: OpenFiles,
    recorder: Recorder,
    buffer: Vec<u8>,
}

impl<'a> Client<'a> {
    /// A client that has not begun.
    pub fn new(shared: &'a Shared<'a>, pacer: Pacer, number: usize, recorder: Recorder) -> Self {
        Self {
            shared,
            pacer,
            number,
            open: OpenFiles::default(),
            recorder,
            buffer: Vec::new(),
        }
    }

    /// Carries out the stream.
    pub fn run(mut self, stream: OpStream) -> Totals {
        let label = format!("job {} client {}", stream.job(), stream.client());
        let mut now_ns = self.pacer.now_ns();
        for next in stream {
            let timed = match next {
                Ok(timed) => timed,
                Err(error) => {
                    self.shared.halt.raise(error.into());
                    break;
                }
            };
            let Some(due_ns) = self.wait(&timed, now_ns) else {
                break;
            };
            match self.perform(timed.op) {
                Ok((begin_ns, end_ns)) => {
                    now_ns = end_ns;
                    self.recorder.finished(Finished {
                        kind: timed.op.kind(),
                        bytes: timed.op.payload_bytes(),
                        service_ns: end_ns.saturating_sub(begin_ns),
                        response_ns: due_ns.map(|due_ns| end_ns.saturating_sub(due_ns)),
                    });
                }
                Err(error) => {
                    self.recorder.failed(timed.op.kind());
                    self.shared.halt.raise(error.context(label));
                    break;
                }
            }
            if timed.think_ns > 0 && self.shared.pacing.follow_schedule {
                self.pacer
                    .wait_until(now_ns + timed.think_ns, || self.shared.halted());
                now_ns = self.pacer.now_ns();
            }
        }
        self.recorder.into_totals()
    }

    /// Waits for an operation's time. `None` when there is no time left; `Some(None)` without a schedule.
    #[expect(
        clippy::option_option,
        reason = "whether to go on, and whether there is a schedule"
    )]
    fn wait(&mut self, timed: &TimedOp, now_ns: u64) -> Option<Option<u64>> {
        let end_ns = self.shared.pacing.end_ns.unwrap_or(u64::MAX);
        if self.shared.halted() || now_ns >= end_ns {
            if let Some(due_ns) = timed.due_ns {
                let backlog_ns = now_ns.saturating_sub(due_ns);
                self.shared
                    .halt
                    .backlog_ns
                    .fetch_max(backlog_ns, Ordering::Relaxed);
            }
            return None;
        }
        let Some(due_ns) = timed.due_ns.filter(|_| self.shared.pacing.follow_schedule) else {
            return Some(None);
        };
        if due_ns >= end_ns {
            return None;
        }
        match self.pacer.wait_until(due_ns, || self.shared.halted()) {
            Start::Idle { late_ns } => self.recorder.began_late(late_ns),
            Start::Busy => self.recorder.was_busy(),
        }
        (!self.shared.halted()).then_some(Some(due_ns))
    }

    /// Carries out one operation; begin and end of the target's part, in nanoseconds of the phase.
    pub fn perform(&mut self, op: Op) -> anyhow::Result<(u64, u64)> {
        match op {
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
            Op::VolumeSync => timed(&self.pacer, || self.shared.files.target().sync_all()),
            Op::Truncate { file, bytes } => self.zeros(file, bytes..u64::MAX, |client| {
                let target = client.open.get(client.shared.files, file)?;
                timed(&client.pacer, || target.truncate(bytes)).context("truncate")
            }),
            Op::PunchHole {
                file,
                offset,
                bytes,
            } => self.zeros(file, offset..offset.saturating_add(bytes), |client| {
                let target = client.open.get(client.shared.files, file)?;
                timed(&client.pacer, || target.punch_hole(offset, bytes)).context("punch")
            }),
            Op::Create { file } => self.zeros(file, 0..u64::MAX, |client| {
                timed(&client.pacer, || client.shared.files.create(file)).context("create")
            }),
            Op::Remove { file } => self.zeros(file, 0..u64::MAX, |client| {
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

    fn read(&mut self, file: FileSlot, offset: u64, bytes: u64) -> anyhow::Result<(u64, u64)> {
        let target = self.open.get(self.shared.files, file)?;
        let buffer = room(&mut self.buffer, bytes);
        if let Some(expected) = self.shared.expected {
            expected.begin_read(self.number);
        }
        let begin_ns = self.pacer.now_ns();
        let result = target.read_at(offset, buffer);
        let end_ns = self.pacer.now_ns();
        match (result, self.shared.expected) {
            (Ok(read), Some(expected)) => {
                expected.end_read(self.number, file, offset, &buffer[..read], bytes);
            }
            (Ok(_), None) => {}
            (Err(error), expected) => {
                if let Some(expected) = expected {
                    expected.abandon_read(self.number);
                }
                return Err(error.context(format!("read of {bytes} bytes at {offset}")));
            }
        }
        Ok((begin_ns, end_ns))
    }

    fn write(
        &mut self,
        file: FileSlot,
        offset: u64,
        bytes: u64,
        version: u64,
    ) -> anyhow::Result<(u64, u64)> {
        let target = self.open.get(self.shared.files, file)?;
        let buffer = room(&mut self.buffer, bytes);
        if let Some(content) = self.shared.content {
            content.fill(file, offset, version, buffer);
        }
        let range = offset..offset + bytes;
        let change = self
            .shared
            .expected
            .map(|expected| (expected, expected.begin_write(file, range, version)));
        let begin_ns = self.pacer.now_ns();
        let result = target.write_at(offset, buffer);
        let end_ns = self.pacer.now_ns();
        if let Some((expected, change)) = change {
            match &result {
                Ok(()) => expected.end(change),
                Err(_) => expected.fail(change),
            }
        }
        result.with_context(|| format!("write of {bytes} bytes at {offset}"))?;
        Ok((begin_ns, end_ns))
    }

    /// Carries out `change`, which makes `range` of `file` read as zeros.
    fn zeros(
        &mut self,
        file: FileSlot,
        range: Range<u64>,
        change: impl FnOnce(&mut Self) -> anyhow::Result<(u64, u64)>,
    ) -> anyhow::Result<(u64, u64)> {
        let Some(expected) = self.shared.expected else {
            return change(self);
        };
        let begun = expected.begin_zeros(file, range);
        let result = change(self);
        match &result {
            Ok(_) => expected.end(begun),
            Err(_) => expected.fail(begun),
        }
        result
    }
}

/// Begin and end of `work`, in nanoseconds of the phase.
fn timed(pacer: &Pacer, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<(u64, u64)> {
    let begin_ns = pacer.now_ns();
    work()?;
    Ok((begin_ns, pacer.now_ns()))
}

/// The first `bytes` of a buffer, grown where it is shorter.
fn room(buffer: &mut Vec<u8>, bytes: u64) -> &mut [u8] {
    let len = usize::try_from(bytes).expect("an operation fits memory");
    if buffer.len() < len {
        buffer.resize(len, 0);
    }
    &mut buffer[..len]
}
