//! From an address to the device.
//!
//! Compressed extents go straight to the `submit` pool. Raw ones first pass the `workers` pool,
//! which gathers their pages into one buffer and checksums it, in parallel, and lets them leave in
//! the order they came. The `submit` pool sends; it blocks when `submit.async_limit` requests are
//! out, and while someone drains.
//!
//! Not here: what happens when the device answers (finish).

use std::sync::Arc;

use delalloc_backends::{AlignedBuf, Completion, Durability, Request};

use crate::cache::Frame;
use crate::compress::Codec;
use crate::core::Core;
use crate::in_flight::InFlight;
use crate::mutation::{self, Mutation};
use crate::pool::{Order, WorkItem};
use crate::units::{DiskExtent, PAGE_LEN};
use crate::writeback::encode::checksums;
use crate::writeback::finish::{self, Outcome, Written};
use crate::writeback::place::{Flight, Payload};

/// Sends an extent on its way.
pub(crate) fn queue(flight: Flight, disk: DiskExtent, payload: Payload) {
    let core = Arc::clone(&flight.core);
    match payload {
        Payload::Ready {
            codec,
            buf,
            checksums,
        } => {
            let item = SubmitItem {
                flight,
                buf,
                written: Written {
                    disk,
                    codec,
                    checksums,
                },
            };
            core.pools
                .submit
                .submit(Box::new(Submit(Some(item))), Order::Unordered);
        }
        Payload::Pages(frames) => {
            let order = core.order_of(flight.inode.id);
            core.pools.workers.submit(
                Box::new(ChecksumItem {
                    flight,
                    disk,
                    frames,
                    ready: None,
                }),
                order,
            );
        }
    }
}

/// The bytes of `frames` in one buffer, and their checksums. A recycled buffer is as long as an item: one that would
/// be less than half full is made for its bytes instead, so that what waits for the device holds at most twice what
/// the budget counts.
pub(crate) fn gather(core: &Core, frames: &[Frame]) -> (AlignedBuf, Vec<u32>) {
    let len = frames.len() * PAGE_LEN;
    let mut buf = if len as u64 * 2 < core.config.compression.item_bytes {
        AlignedBuf::zeroed(len)
    } else {
        core.raw_bufs.take(len)
    };
    for (page, frame) in buf.chunks_exact_mut(PAGE_LEN).zip(frames) {
        page.copy_from_slice(frame.bytes());
    }
    let checksums = checksums(&buf);
    (buf, checksums)
}

/// Stored bytes, their address, and their checksums.
struct SubmitItem {
    flight: Flight,
    buf: AlignedBuf,
    written: Written,
}

/// The work item of the `workers` pool for raw data.
struct ChecksumItem {
    flight: Flight,
    disk: DiskExtent,
    frames: Vec<Frame>,
    ready: Option<(AlignedBuf, Vec<u32>)>,
}

impl WorkItem for ChecksumItem {
    fn run(&mut self) {
        let frames = std::mem::take(&mut self.frames);
        self.ready = Some(gather(&self.flight.core, &frames));
    }

    fn complete(self: Box<Self>) {
        let Self {
            flight,
            disk,
            ready,
            ..
        } = *self;
        let (buf, checksums) = ready.expect("an item runs before it completes");
        let core = Arc::clone(&flight.core);
        let written = Written {
            disk,
            codec: Codec::None,
            checksums,
        };
        let item = SubmitItem {
            flight,
            buf,
            written,
        };
        core.pools
            .submit
            .submit(Box::new(Submit(Some(item))), Order::Unordered);
    }
}

/// The work item of the `submit` pool.
struct Submit(Option<SubmitItem>);

impl WorkItem for Submit {
    fn run(&mut self) {
        let SubmitItem {
            mut flight,
            buf,
            written,
        } = self.0.take().expect("an item runs once");
        let core = Arc::clone(&flight.core);
        assert_eq!(
            buf.len() as u64,
            written.disk.bytes,
            "an extent fills its address"
        );
        core.submit_limit.acquire();
        flight
            .passage
            .pass_to(&core.stats.device, written.disk.bytes, core.clock.now());
        let limit = Arc::clone(&core.submit_limit);
        let sent = InFlight::begin(&core.pools.in_flight);
        let request = Request::Write {
            offset: written.disk.start.0,
            buf,
            durability: Durability::Cached,
        };
        core.backend.submit(
            request,
            Box::new(move |Completion { result, buf }| {
                let _until_queued = sent;
                limit.release();
                drop(buf);
                let outcome = match result {
                    Ok(()) => Outcome::Written(written),
                    Err(_) if mutation::on(Mutation::WriteErrorDropped) => {
                        Outcome::Written(written)
                    }
                    Err(error) => Outcome::Failed(written.disk, error.into()),
                };
                finish::queue(flight, outcome);
            }),
        );
    }

    fn complete(self: Box<Self>) {}
}
