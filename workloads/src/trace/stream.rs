//! A recording as the operations of one client.
//!
//! With several clients, each reads the whole recording and does its part. By file, the requests of a file stay with one client, in
//! order, and those of a device are dealt out by megabyte. By thread, those of a thread stay with one client, in order, and one client has
//! one thread where there are as many. What orders clients besides recorded times is in `order`. Reading it once per client costs a little
//! CPU and buys streams that share nothing.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;

use super::notes::{Tallies, note};
use super::order::{Order, Precedes};
use super::reader::TraceReader;
use super::request::{Place, Request, RequestKind};
use super::slots::Slots;
use super::summary::owned;
use super::told::{TraceEar, TraceTold};
use crate::op::{Op, TimedOp};
use crate::plan::{TraceDeal, TraceOnly, TracePlan, TraceTiming};
use crate::random::mix_all;
use crate::stream::{Parts, Share, StreamError, Versions};

/// Reasons for not replaying a request.
pub(crate) const REMOVE_UNSEEN: &str = "remove of a file never seen";
pub(crate) const NO_BYTES: &str = "request of no bytes";
pub(crate) const CLOSE: &str = "close: nothing to replay";
pub(crate) const TOO_MANY_FILES: &str = "request of a file beyond the 2^24th";

/// How a device is dealt out to clients.
const DEVICE_STRIPE_BYTES: u64 = 1 << 20;
/// Threads that get their turn; later ones are dealt out by their number.
const THREADS_MAX: usize = 1 << 16;

/// The stream.
pub(crate) struct TraceStream {
    plan: TracePlan,
    path: PathBuf,
    reader: TraceReader,
    slots: Slots,
    /// None where there is nobody to wait for.
    order: Option<Order>,
    share: Share,
    versions: Versions,
    /// Due times end here.
    until_ns: u64,
    /// What was left out at the beginning is behind.
    is_begun: bool,
    /// The time of the first request that is replayed.
    first_ns: u64,
    /// The latest request so far, as recorded: those out of order are due with it.
    clock_ns: u64,
    /// The clock at the latest request that was replayed, by any client.
    replayed_ns: u64,
    /// Time that was cut out of long gaps before it.
    cut_ns: u64,
    /// The turn of each thread.
    threads: HashMap<u32, u32>,
    requests: u64,
    bytes: u64,
    ready: VecDeque<(TimedOp, TraceStep)>,
    /// Of the operation that was taken last.
    step: TraceStep,
    /// Closed loop: the last operation, its rest is known when the next one is.
    held: Option<Held>,
    is_over: bool,
    /// What could not be carried out, by any client.
    not_replayed: Tallies,
    closes: u64,
    ear: TraceEar,
}

/// The request behind an operation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraceStep {
    /// Its number in what is replayed of the recording.
    pub number: u64,
    /// It is over with this operation.
    pub is_last: bool,
    /// What of other clients has to be over before this operation starts.
    pub after: Vec<Precedes>,
    /// Who asked; 0 where the recording does not tell.
    pub thread: u32,
    /// From the request to its answer; 0 where the recording does not tell.
    pub took_ns: u64,
    /// It was of a device, and not of a file.
    pub is_device: bool,
}

/// An operation and when it was recorded to begin and to end.
struct Held {
    timed: TimedOp,
    step: TraceStep,
    end_ns: u64,
}

impl TraceStream {
    pub(crate) fn open(plan: &TracePlan, parts: Parts, ear: TraceEar) -> Result<Self, StreamError> {
        let reader = TraceReader::open(&plan.path, &plan.reading, parts.seed)?;
        let mut stream = Self::over(reader, plan, parts);
        stream.ear = ear;
        Ok(stream)
    }

    /// The operations of what `reader` reads.
    pub(crate) fn over(reader: TraceReader, plan: &TracePlan, parts: Parts) -> Self {
        Self {
            path: plan.path.clone(),
            reader,
            slots: Slots::new(plan.first_slot, plan.slot_step),
            order: (parts.share.clients > 1).then(|| {
                let shares_files = plan.deal == TraceDeal::Thread;
                Order::new(parts.share.client, parts.share.clients, shares_files)
            }),
            share: parts.share,
            versions: parts.versions,
            until_ns: parts.until_ns,
            is_begun: false,
            first_ns: 0,
            clock_ns: 0,
            replayed_ns: 0,
            cut_ns: 0,
            threads: HashMap::new(),
            requests: 0,
            bytes: 0,
            ready: VecDeque::new(),
            step: TraceStep::default(),
            held: None,
            is_over: false,
            not_replayed: Tallies::new(),
            closes: 0,
            ear: TraceEar::default(),
            plan: plan.clone(),
        }
    }

    /// What the recording says of the request behind the operation that was taken last.
    pub(crate) fn step(&self) -> &TraceStep {
        &self.step
    }

    /// Where it tells what it left out.
    pub(crate) fn ear(&self) -> &TraceEar {
        &self.ear
    }

    /// Reads on until something is ready or the recording is over.
    fn fill(&mut self) -> Result<(), StreamError> {
        while self.ready.is_empty() && !self.is_over {
            let next = if self.is_begun {
                self.reader.next()?
            } else {
                self.is_begun = true;
                self.first_kept()?
            };
            match next {
                Some(request) if !self.is_beyond_limits(&request) => {
                    if self.is_wanted(request.kind) {
                        let request = self.folded(request);
                        self.take(&request)?;
                    }
                }
                _ => {
                    self.is_over = true;
                    let last = self.held.take();
                    self.ready.extend(last.map(|held| (held.timed, held.step)));
                }
            }
        }
        Ok(())
    }

    /// The first request behind what is left out at the beginning. Where the recording has an index, what is left out is not read.
    fn first_kept(&mut self) -> Result<Option<Request>, StreamError> {
        let Some(mut request) = self.reader.next()? else {
            return Ok(None);
        };
        self.clock_ns = request.at_ns;
        let (skip_ops, from_ns) = (
            self.plan.skip_ops,
            request.at_ns.saturating_add(self.plan.skip_time_ns),
        );
        let mut nth = 0;
        if skip_ops > 0 || self.plan.skip_time_ns > 0 {
            // A time that was not asked for leaves the choice to the number.
            let at_ns = if self.plan.skip_time_ns > 0 {
                from_ns
            } else {
                u64::MAX
            };
            let op = if skip_ops > 0 { skip_ops } else { u64::MAX };
            let (skipped, clock_ns) = self.reader.seek(op, at_ns)?;
            if self.reader.header().is_some() {
                self.clock_ns = self.clock_ns.max(clock_ns);
                nth = skipped;
                match self.reader.next()? {
                    Some(next) => request = next,
                    None => return Ok(None),
                }
            }
        }
        loop {
            self.clock_ns = self.clock_ns.max(request.at_ns);
            if nth >= skip_ops && self.clock_ns >= from_ns {
                self.first_ns = self.clock_ns;
                self.replayed_ns = self.clock_ns;
                return Ok(Some(request));
            }
            match self.reader.next()? {
                Some(next) => request = next,
                None => return Ok(None),
            }
            nth += 1;
        }
    }

    /// The latest time so far, from the first request that is replayed, without what was cut out of gaps.
    fn now_ns(&self) -> u64 {
        self.clock_ns - self.first_ns - self.cut_ns
    }

    /// Cuts the gap before a request that is replayed.
    fn cut_gap(&mut self) {
        if let Some(max_ns) = self.plan.gap_max_ns {
            let gap_ns = self.clock_ns - self.replayed_ns;
            self.cut_ns += gap_ns.saturating_sub(max_ns);
        }
        self.replayed_ns = self.clock_ns;
    }

    fn is_wanted(&self, kind: RequestKind) -> bool {
        match self.plan.only {
            TraceOnly::All => true,
            TraceOnly::Reads => kind == RequestKind::Read,
            TraceOnly::Writes => kind != RequestKind::Read,
        }
    }

    /// The request with its address in what addresses are folded into.
    fn folded(&self, request: Request) -> Request {
        let Some(fold_bytes) = self.plan.fold_bytes else {
            return request;
        };
        let bytes = request.bytes.min(fold_bytes);
        Request {
            offset: (request.offset % fold_bytes).min(fold_bytes - bytes),
            bytes,
            ..request
        }
    }

    /// Limits hold for the recording, not for the client: all clients stop at the same line.
    fn is_beyond_limits(&mut self, request: &Request) -> bool {
        self.clock_ns = self.clock_ns.max(request.at_ns);
        let recorded_ns = self.clock_ns - self.first_ns;
        // What is left out is due at no time, and a gap ends where it does not.
        let is_wanted = self.is_wanted(request.kind);
        if is_wanted {
            self.cut_gap();
        }
        self.requests += 1;
        if request.kind.has_range() {
            self.bytes = self.bytes.saturating_add(request.bytes);
        }
        self.plan.limit_ops.is_some_and(|max| self.requests > max)
            || self.plan.limit_bytes.is_some_and(|max| self.bytes > max)
            || self.plan.limit_time_ns.is_some_and(|max| recorded_ns > max)
            || (is_wanted && self.due_ns().is_some_and(|due| due >= self.until_ns))
    }

    fn due_ns(&self) -> Option<u64> {
        match self.plan.timing {
            TraceTiming::Recorded { time_scale } => Some(scaled(self.now_ns(), time_scale)),
            TraceTiming::AsFastAsPossible | TraceTiming::ClosedLoop { .. } => None,
        }
    }

    /// The client that carries it out.
    fn owner(&mut self, request: &Request) -> u32 {
        let clients = self.share.clients;
        if self.plan.deal == TraceDeal::Thread && request.thread != 0 {
            let turn = u32::try_from(self.threads.len()).expect("no more than 2^16");
            let turn = if self.threads.len() < THREADS_MAX {
                *self.threads.entry(request.thread).or_insert(turn)
            } else {
                let known = self.threads.get(&request.thread);
                known.copied().unwrap_or(request.thread)
            };
            return turn % clients;
        }
        let key = match (request.kind, request.place) {
            // A flush is of everything: one client does it.
            (RequestKind::Flush, _) => return 0,
            (_, Place::Device(name)) => [name, request.offset / DEVICE_STRIPE_BYTES],
            (_, Place::File(name)) => [name, 0],
        };
        u32::try_from(mix_all(&key) % u64::from(clients)).expect("below a u32")
    }

    fn take(&mut self, request: &Request) -> Result<(), StreamError> {
        let owner = self.owner(request);
        let is_mine = owner == self.share.client;
        // Every client gives out slots for every request, so that all agree on them.
        let ops = self.ops(request, is_mine)?;
        let count = ops.iter().flatten().count();
        let mut after = match &mut self.order {
            Some(order) if count > 0 => order.note(owner, request, self.requests),
            _ => Vec::new(),
        };
        if !is_mine {
            return Ok(());
        }
        let due_ns = self.due_ns();
        for (nth, op) in ops.into_iter().flatten().enumerate() {
            let step = TraceStep {
                number: self.requests,
                is_last: nth + 1 == count,
                after: std::mem::take(&mut after),
                thread: request.thread,
                took_ns: request.took_ns,
                is_device: matches!(request.place, Place::Device(_)),
            };
            let timed = TimedOp {
                op,
                due_ns,
                think_ns: 0,
            };
            if let TraceTiming::ClosedLoop { time_scale } = self.plan.timing {
                let now_ns = self.now_ns();
                let held = Held {
                    timed,
                    step,
                    end_ns: now_ns.saturating_add(request.took_ns),
                };
                if let Some(mut before) = self.held.replace(held) {
                    before.timed.think_ns =
                        scaled(now_ns.saturating_sub(before.end_ns), time_scale);
                    self.ready.push_back((before.timed, before.step));
                }
            } else {
                self.ready.push_back((timed, step));
            }
        }
        Ok(())
    }

    /// What a request comes to: perhaps a flush, perhaps an open, the thing itself, perhaps a sync.
    fn ops(&mut self, request: &Request, is_mine: bool) -> Result<[Option<Op>; 4], StreamError> {
        if request.kind == RequestKind::Flush {
            return Ok([Some(Op::VolumeSync), None, None, None]);
        }
        if request.kind == RequestKind::Close {
            self.closes += 1;
            return Ok([None; 4]);
        }
        if request.kind == RequestKind::Remove {
            let removed = self.slots.remove(request.place);
            if removed.is_none() {
                let line = self.reader.line_number();
                note(&mut self.not_replayed, REMOVE_UNSEEN, line);
            }
            return Ok([
                removed.map(|slot| Op::Remove { file: slot.file }),
                None,
                None,
                None,
            ]);
        }
        let has_opens = self.reader.has_opens();
        let Some(slot) = self.slots.of(request.place) else {
            return Err(StreamError::Trace {
                path: self.path.clone(),
                reason: TOO_MANY_FILES.to_owned(),
            });
        };
        let file = slot.file;
        let opens = matches!(request.kind, RequestKind::Open | RequestKind::Create);
        let open = (is_mine && !slot.is_open && !opens && !has_opens).then_some(Op::Open { file });
        slot.is_open |= is_mine;
        let (offset, bytes) = (request.offset, request.bytes);
        if request.kind.has_range() && bytes == 0 {
            note(&mut self.not_replayed, NO_BYTES, self.reader.line_number());
            return Ok([None; 4]);
        }
        let op = match request.kind {
            RequestKind::Read => Op::Read {
                file,
                offset,
                bytes,
            },
            RequestKind::Write => Op::Write {
                file,
                offset,
                bytes,
                version: self.versions.numbered(self.requests),
            },
            RequestKind::Discard => Op::PunchHole {
                file,
                offset,
                bytes,
            },
            RequestKind::Sync => Op::Sync { file },
            RequestKind::DataSync => Op::DataSync { file },
            RequestKind::Truncate => Op::Truncate { file, bytes },
            RequestKind::Open => Op::Open { file },
            RequestKind::Create => Op::Create { file },
            RequestKind::Rename => {
                slot.renames += 1;
                Op::Rename {
                    file,
                    serial: slot.renames,
                }
            }
            RequestKind::Flush | RequestKind::Remove | RequestKind::Close => {
                unreachable!("answered above")
            }
        };
        Ok([
            request.flush_before.then_some(Op::VolumeSync),
            open,
            Some(op),
            request.through.then_some(Op::Sync { file }),
        ])
    }
}

impl Iterator for TraceStream {
    type Item = Result<TimedOp, StreamError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.is_empty()
            && let Err(error) = self.fill()
        {
            self.is_over = true;
            self.held = None;
            return Some(Err(error));
        }
        let (timed, step) = self.ready.pop_front()?;
        self.step = step;
        Some(Ok(timed))
    }
}

impl Drop for TraceStream {
    /// However it ends, what was met until then is told.
    fn drop(&mut self) {
        self.ear.tell(TraceTold {
            path: std::mem::take(&mut self.path),
            format: self.reader.form().0,
            requests: self.requests,
            malformed: self.reader.malformed,
            malformed_first: self.reader.malformed_shown(),
            lost: owned(&self.reader.notes.lost),
            guessed: owned(&self.reader.notes.mended),
            not_replayed: owned(&self.not_replayed),
            closes: self.closes,
        });
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "recorded times are far below 2^63 ns, and the cast saturates"
)]
fn scaled(ns: u64, scale: f64) -> u64 {
    if scale == 1.0 {
        return ns;
    }
    (ns as f64 * scale) as u64
}
