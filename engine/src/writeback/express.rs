//! The express lane: `sync` of a file with little that is dirty and too much for the log, on the caller's
//! own thread.
//!
//! ```text
//!   collect -> encode -> place -> data to the device ----. -> finish
//!                            '--> records to the log, FLUSH
//! ```
//!
//! Through the pools a synced page would wait for the items queued before it, in the compression line
//! and again in the ordered one: behind two bulk writers that is tens of milliseconds. Here it passes
//! them. Its place on the device is then not in the order of hand-offs, which nothing but layout depends
//! on; `log.express_max` 0 sends everything through the line, as the seed did.
//!
//! Data and log are written side by side. A record is therefore in the log before its data is known to
//! be there, and the log takes care of that (see `log`); the tree, as always, learns of an extent only
//! afterwards, in `finish`.
//!
//! Bounds: one lane per caller, at most `log.express_max` bytes in each. The lane asks neither the byte
//! budget nor the submit limit to wait, for it is what they would keep waiting.
//!
//! A record says how long the file is once its extents are there. A truncation that got into the log before
//! it would be undone at replay, so it waits while such records are on their way (`lanes_sized`).
//!
//! Locks: the state lock while collecting and to take sizes; none otherwise. Not here: the log itself, `File::sync`.

use std::borrow::Cow;
use std::sync::Arc;

use delalloc_backends::{AlignedBuf, Durability, Request};
use parking_lot::MutexGuard;

use crate::compress::Codec;
use crate::core::Core;
use crate::error::{EngineError, Result};
use crate::extent::State;
use crate::inode::{Inode, InodeState};
use crate::log::{Outcome as LogOutcome, Prepared, Record, SizeChange};
use crate::meta::Logged;
use crate::mutation::{self, Mutation};
use crate::units::{FILE_BYTES_MAX, FileRange};
use crate::writeback::collect::{self, Collected, cut};
use crate::writeback::encode::{Encoded, encode};
use crate::writeback::finish::{self, Outcome, Written};
use crate::writeback::place::{self, Flight, HandedOff, InLog, Payload, Placed};
use crate::writeback::submit::gather;
use crate::writeback::{flush, redirty};

/// More separate ranges than this go through the pools, which join and spread them.
const RUNS_MAX: usize = 16;

/// Writes back what is dirty in a file now, waits for it, and logs it if it took the express lane. What
/// is not in the log afterwards is in the tree, and pending there.
///
/// # Errors
/// A FLUSH that failed. Failed writes wait in the file's failures.
pub(crate) fn sync(core: &Arc<Core>, inode: &Arc<Inode>) -> Result<()> {
    let bytes_max = core.config.log.express_bytes_max;
    let mut state = inode.lock();
    wait_for_all(core, inode, &mut state);
    redirty(&mut state, FileRange::WHOLE);
    let dirty_bytes = state.states.bytes(State::DIRTY);
    if dirty_bytes == 0 {
        // While this waited, the flusher may have taken the rest.
        wait_for_all(core, inode, &mut state);
        return Ok(());
    }
    if dirty_bytes > bytes_max || runs(&state) > RUNS_MAX {
        drop(state);
        flush(core, inode);
        return Ok(());
    }
    let by_others = state.ordered.latest();
    let mut items = Vec::new();
    while let Some(more) = collect::collect_locked(core, inode, &mut state, 0, FILE_BYTES_MAX) {
        items.extend(more);
    }
    drop(state);
    if !items.is_empty() {
        let send = || Lane { core, inode }.send(items);
        core.pools.waiting.watched("an express lane", send)?;
    }
    inode.wait_until(&core.pools, &mut inode.lock(), |state| {
        state.ordered.done_through(by_others)
    });
    Ok(())
}

/// Waits for all that is in flight now.
fn wait_for_all(core: &Core, inode: &Inode, state: &mut MutexGuard<'_, InodeState>) {
    let sequence = state.ordered.latest();
    inode.wait_until(&core.pools, state, |state| {
        state.ordered.done_through(sequence)
    });
}

fn runs(state: &InodeState) -> usize {
    let mut runs = 0;
    let mut from = 0;
    while let Some(run) = state.states.find_first(
        FileRange::new(from, FileRange::WHOLE.end),
        State::DELALLOC,
        State::WRITEBACK,
        FILE_BYTES_MAX,
    ) {
        runs += 1;
        from = run.end;
        if runs > RUNS_MAX {
            break;
        }
    }
    runs
}

/// One file on its way.
struct Lane<'l> {
    core: &'l Arc<Core>,
    inode: &'l Arc<Inode>,
}

/// An extent that is being written, and how it ends if that goes well.
struct Sent {
    flight: Flight,
    outcome: Outcome,
}

impl Lane<'_> {
    fn send(&self, mut items: Vec<Collected>) -> Result<()> {
        let (core, stats) = (self.core, &self.core.stats);
        // The budget keeps none of them waiting; those before it do.
        for item in &mut items {
            let (bytes, now) = (item.range.bytes(), core.clock.now());
            item.passage.pass_to(&stats.queued, bytes, now);
        }
        let mut sent = Vec::new();
        let mut writes = Vec::new();
        for item in items {
            self.place(item, &mut sent, &mut writes);
        }
        let (prepared, size_bytes, sizes_set) = self.prepare(&sent);
        let pages = sent
            .iter()
            .map(|sent| sent.flight.range.pages().count() as u64);
        let _until_changed = core.meta.space().begin_lane(pages.sum());
        let started = core.clock.now();
        for Sent { flight, outcome } in &mut sent {
            if let Outcome::Written(written) = outcome {
                let bytes = written.disk.bytes;
                flight.passage.pass_to(&stats.device, bytes, started);
            }
        }
        let logged = core.meta.log_express(prepared, writes);
        stats.log.record(core.clock.now().ns_since(started));
        // One end for each extent with an address, in order.
        let mut ends = match &logged {
            LogOutcome::DataFailed(ends) => ends.iter(),
            _ => [].iter(),
        };
        for Sent {
            mut flight,
            outcome,
        } in sent
        {
            let mut error = match &outcome {
                Outcome::Written(_) => ends.next().cloned().flatten(),
                _ if mutation::on(Mutation::LaneEndsShifted) => ends.next().cloned().flatten(),
                _ => None,
            };
            match &logged {
                LogOutcome::Durable(generation) => {
                    let said = Logged {
                        generation: *generation,
                        size_bytes,
                    };
                    flight.logged = Some(InLog { said, sizes_set });
                }
                LogOutcome::Failed(flush) => error = Some(flush.clone()),
                LogOutcome::DataFailed(_) | LogOutcome::NeedsCommit => {}
            }
            finish::now(flight, ended(outcome, error));
        }
        self.inode.lock().lanes_sized -= 1;
        self.inode.notify();
        match logged {
            LogOutcome::Failed(error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Encodes an item, gives its extents addresses, and makes their writes.
    fn place(&self, item: Collected, sent: &mut Vec<Sent>, writes: &mut Vec<Request>) {
        let (core, inode) = (self.core, self.inode);
        let Collected {
            range,
            frames,
            size_at,
            mut reservation,
            data_before,
            since,
            mut passage,
        } = item;
        let budget = core.budget.hold(range.bytes());
        passage.pass_to(&core.stats.encode, range.bytes(), core.clock.now());
        let mut frames = frames.into_iter();
        let encoded: Vec<Encoded> = cut(range, core.config.compression.extent_bytes)
            .map(|range| {
                let own = frames.by_ref().take(range.pages().count()).collect();
                encode(core, inode, range, own)
            })
            .collect();
        passage.pass_to(&core.stats.place, range.bytes(), core.clock.now());
        let placed = place::allocate(core, encoded, &mut reservation);
        let extents: Vec<FileRange> = placed.iter().map(Placed::range).collect();
        inode.lock().ordered.place(range, &extents);
        let holdings = place::holdings(budget, reservation);
        let now = core.clock.now();
        passage.end(now);
        for extent in placed {
            let stage = core.stats.submit.begin(extent.stored_bytes(), now);
            let at = HandedOff {
                size_bytes: size_at,
                data_before,
                since,
            };
            let flight = Flight::new(core, inode, extent.range(), at, stage, &holdings);
            let outcome = match extent {
                Placed::Hole(_) => Outcome::Hole,
                Placed::Failed(_, error) => Outcome::Unplaced(error),
                Placed::At(_, disk, payload) => {
                    let (buf, codec, checksums) = stored(core, payload);
                    writes.push(Request::Write {
                        offset: disk.start.0,
                        buf,
                        durability: Durability::Cached,
                    });
                    Outcome::Written(Written {
                        disk,
                        codec,
                        checksums,
                    })
                }
            };
            sent.push(Sent { flight, outcome });
        }
    }

    /// The records of all extents, with the size the file has once they are there, and how often that was set before.
    fn prepare(&self, sent: &[Sent]) -> (Prepared, u64, u64) {
        let done = sent
            .iter()
            .filter(|sent| !matches!(sent.outcome, Outcome::Unplaced(_)))
            .map(|sent| (sent.flight.range, sent.flight.size_at));
        let (size_bytes, sizes_set) = {
            let mut state = self.inode.lock();
            state.lanes_sized += 1;
            (state.size.with_completed(done), state.sizes_set)
        };
        let size = SizeChange::Grow(size_bytes);
        let mut prepared = Prepared::default();
        for Sent { flight, outcome } in sent {
            let file = self.inode.id;
            match outcome {
                Outcome::Hole => prepared.push(&Record::Cut {
                    file,
                    range: flight.range,
                    size,
                    data_before: flight.data_before,
                }),
                Outcome::Written(written) => prepared.push(&Record::Finish {
                    file,
                    extent: Cow::Owned(written.clone().into_extent(flight.range)),
                    size,
                    data_before: flight.data_before,
                }),
                Outcome::Failed(..) | Outcome::Unplaced(_) => {}
            }
        }
        (prepared, size_bytes, sizes_set)
    }
}

fn stored(core: &Core, payload: Payload) -> (AlignedBuf, Codec, Vec<u32>) {
    match payload {
        Payload::Ready {
            codec,
            buf,
            checksums,
        } => (buf, codec, checksums),
        Payload::Pages(frames) => {
            let (buf, checksums) = gather(core, &frames);
            (buf, Codec::None, checksums)
        }
    }
}

fn ended(outcome: Outcome, error: Option<EngineError>) -> Outcome {
    match (outcome, error) {
        (Outcome::Written(written), Some(error)) => Outcome::Failed(written.disk, error),
        (Outcome::Hole, Some(error)) => Outcome::Unplaced(error),
        (outcome, _) => outcome,
    }
}
