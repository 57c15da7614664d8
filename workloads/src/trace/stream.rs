//! A recording as the operations of one client.
//!
//! With several clients, each reads the whole recording and does its part: the requests of a file stay with one client, in order;
//! those of a device are dealt out by megabyte, since nothing else tells its parallel strands apart. Reading it once per client costs
//! a little CPU and buys streams that share nothing.

use std::collections::VecDeque;
use std::path::PathBuf;

use super::reader::TraceReader;
use super::request::{Place, Request, RequestKind};
use super::slots::Slots;
use crate::op::{Op, TimedOp};
use crate::plan::{TracePlan, TraceTiming};
use crate::random::mix_all;
use crate::stream::{Parts, Share, StreamError, Versions};

/// Reasons for not replaying a request.
pub(crate) const REMOVE_UNSEEN: &str = "remove of a file never seen";
pub(crate) const NO_BYTES: &str = "request of no bytes";
pub(crate) const TOO_MANY_FILES: &str = "request of a file beyond the 2^24th";

/// How a device is dealt out to clients.
const DEVICE_STRIPE_BYTES: u64 = 1 << 20;

/// The stream.
pub(crate) struct TraceStream {
    plan: TracePlan,
    path: PathBuf,
    reader: TraceReader,
    slots: Slots,
    share: Share,
    versions: Versions,
    /// Due times end here.
    until_ns: u64,
    first_ns: Option<u64>,
    /// The latest request so far: those out of order are due with it.
    now_ns: u64,
    requests: u64,
    bytes: u64,
    ready: VecDeque<TimedOp>,
    /// Closed loop: the last operation and when its request was recorded; its rest is known when the next one is.
    held: Option<(TimedOp, u64)>,
    is_over: bool,
}

impl TraceStream {
    pub(crate) fn open(plan: &TracePlan, parts: Parts) -> Result<Self, StreamError> {
        let reader = TraceReader::open(&plan.path, plan.format, plan.malformed_max)?;
        Ok(Self::over(reader, plan, parts))
    }

    /// The operations of what `reader` reads.
    pub(crate) fn over(reader: TraceReader, plan: &TracePlan, parts: Parts) -> Self {
        Self {
            path: plan.path.clone(),
            reader,
            slots: Slots::new(plan.first_slot, plan.slot_step),
            share: parts.share,
            versions: parts.versions,
            until_ns: parts.until_ns,
            first_ns: None,
            now_ns: 0,
            requests: 0,
            bytes: 0,
            ready: VecDeque::new(),
            held: None,
            is_over: false,
            plan: plan.clone(),
        }
    }

    /// Reads on until something is ready or the recording is over.
    fn fill(&mut self) -> Result<(), StreamError> {
        while self.ready.is_empty() && !self.is_over {
            match self.reader.next()? {
                Some(request) if !self.is_beyond_limits(&request) => self.take(&request)?,
                _ => {
                    self.is_over = true;
                    self.ready.extend(self.held.take().map(|(op, _)| op));
                }
            }
        }
        Ok(())
    }

    /// Limits hold for the recording, not for the client: all clients stop at the same line.
    fn is_beyond_limits(&mut self, request: &Request) -> bool {
        let first_ns = *self.first_ns.get_or_insert(request.at_ns);
        self.now_ns = self.now_ns.max(request.at_ns.saturating_sub(first_ns));
        self.requests += 1;
        self.bytes = self.bytes.saturating_add(request.bytes);
        self.plan.limit_ops.is_some_and(|max| self.requests > max)
            || self.plan.limit_bytes.is_some_and(|max| self.bytes > max)
            || self.plan.limit_time_ns.is_some_and(|max| self.now_ns > max)
            || self.due_ns().is_some_and(|due| due >= self.until_ns)
    }

    fn due_ns(&self) -> Option<u64> {
        match self.plan.timing {
            TraceTiming::Recorded { time_scale } => Some(scaled(self.now_ns, time_scale)),
            TraceTiming::AsFastAsPossible | TraceTiming::ClosedLoop { .. } => None,
        }
    }

    fn is_mine(&self, request: &Request) -> bool {
        let key = match (request.kind, request.place) {
            // A flush is of everything: one client does it.
            (RequestKind::Flush, _) => return self.share.client == 0,
            (_, Place::Device(name)) => [name, request.offset / DEVICE_STRIPE_BYTES],
            (_, Place::File(name)) => [name, 0],
        };
        mix_all(&key) % u64::from(self.share.clients) == u64::from(self.share.client)
    }

    fn take(&mut self, request: &Request) -> Result<(), StreamError> {
        let is_mine = self.is_mine(request);
        // Every client gives out slots for every request, so that all agree on them.
        let ops = self.ops(request, is_mine)?;
        if !is_mine {
            return Ok(());
        }
        let due_ns = self.due_ns();
        for op in ops.into_iter().flatten() {
            let timed = TimedOp {
                op,
                due_ns,
                think_ns: 0,
            };
            if let TraceTiming::ClosedLoop { time_scale } = self.plan.timing {
                if let Some((mut before, at_ns)) = self.held.replace((timed, self.now_ns)) {
                    before.think_ns = scaled(self.now_ns - at_ns, time_scale);
                    self.ready.push_back(before);
                }
            } else {
                self.ready.push_back(timed);
            }
        }
        Ok(())
    }

    /// What a request comes to: perhaps a flush, perhaps an open, the thing itself, perhaps a sync.
    fn ops(&mut self, request: &Request, is_mine: bool) -> Result<[Option<Op>; 4], StreamError> {
        if request.kind == RequestKind::Flush {
            return Ok([Some(Op::VolumeSync), None, None, None]);
        }
        if request.kind == RequestKind::Remove {
            let removed = self.slots.remove(request.place);
            if removed.is_none() {
                self.reader.lose(REMOVE_UNSEEN);
            }
            return Ok([
                removed.map(|slot| Op::Remove { file: slot.file }),
                None,
                None,
                None,
            ]);
        }
        let Some(slot) = self.slots.of(request.place) else {
            return Err(StreamError::Trace {
                path: self.path.clone(),
                reason: TOO_MANY_FILES.to_owned(),
            });
        };
        let file = slot.file;
        let opens = matches!(request.kind, RequestKind::Open | RequestKind::Create);
        let open = (is_mine && !slot.is_open && !opens).then_some(Op::Open { file });
        slot.is_open |= is_mine;
        let (offset, bytes) = (request.offset, request.bytes);
        let has_range = matches!(
            request.kind,
            RequestKind::Read | RequestKind::Write | RequestKind::Discard
        );
        if has_range && bytes == 0 {
            self.reader.lose(NO_BYTES);
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
            RequestKind::Flush | RequestKind::Remove => unreachable!("answered above"),
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
        self.ready.pop_front().map(Ok)
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
