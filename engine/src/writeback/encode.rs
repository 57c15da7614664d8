//! Phase one, in parallel: decide what each extent becomes, and make its stored bytes.
//!
//! Per extent (a slice of the item that ends at a multiple of the extent size of the file): all
//! zero becomes a hole; then the verdict of the file's back-off and of the heuristic; then the codec;
//! kept if at least one sector is saved, else raw. The verdict is per extent: one incompressible
//! stretch dooms neither the rest of the item nor the file. Checksums of compressed bytes do not
//! depend on where they go, so they are made here too, in parallel. A raw extent keeps its page
//! references; its bytes are gathered and checksummed on the `workers` pool once it has an address,
//! so that neighbours can be joined into one extent first.
//!
//! The item holds no lock, and its bytes cannot change: writers copy a page that is shared.
//!
//! Not here: addresses (place), codecs and the heuristic (compress).

use std::cell::RefCell;
use std::sync::Arc;

use delalloc_backends::AlignedBuf;

use crate::budget::BudgetGuard;
use crate::cache::Frame;
use crate::compress::{self, Codec};
use crate::core::Core;
use crate::inode::Inode;
use crate::mutation::{self, Mutation};
use crate::pool::WorkItem;
use crate::stats::{StageStats, Stats};
use crate::units::{FileRange, PAGE_LEN};
use crate::writeback::collect::{Collected, cut};
use crate::writeback::place;

/// What an extent becomes.
#[derive(Debug)]
pub(crate) enum Stored {
    /// Nothing: every byte is zero.
    Hole,
    /// A codec's output, padded with zeros to whole sectors, and a checksum per sector.
    Compressed {
        codec: Codec,
        buf: AlignedBuf,
        checksums: Vec<u32>,
    },
    /// Its pages as they are.
    Raw,
}

/// An extent that knows what it becomes and not yet where.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) range: FileRange,
    pub(crate) frames: Vec<Frame>,
    pub(crate) stored: Stored,
}

/// The work item of the `delalloc` pool: `run` encodes, `complete` places.
pub(crate) struct EncodeItem {
    pub(crate) core: Arc<Core>,
    pub(crate) inode: Arc<Inode>,
    pub(crate) collected: Collected,
    pub(crate) budget: BudgetGuard,
    pub(crate) encoded: Vec<Encoded>,
}

impl EncodeItem {
    pub(crate) fn new(
        core: Arc<Core>,
        inode: Arc<Inode>,
        collected: Collected,
        budget: BudgetGuard,
    ) -> Self {
        let mut item = Self {
            core,
            inode,
            collected,
            budget,
            encoded: Vec::new(),
        };
        item.pass_to(|stats| &stats.queued);
        item
    }

    fn pass_to(&mut self, next: impl Fn(&Stats) -> &Arc<StageStats>) {
        let (bytes, now) = (self.collected.range.bytes(), self.core.clock.now());
        let next = next(&self.core.stats);
        self.collected.passage.pass_to(next, bytes, now);
    }
}

impl EncodeItem {
    /// Bytes of memory that hold the codec's output.
    fn output_bytes(&self) -> u64 {
        let output = |extent: &Encoded| match &extent.stored {
            Stored::Compressed { buf, .. } => buf.capacity() as u64,
            Stored::Hole | Stored::Raw => 0,
        };
        self.encoded.iter().map(output).sum()
    }
}

impl WorkItem for EncodeItem {
    fn run(&mut self) {
        self.pass_to(|stats| &stats.encode);
        let mut frames = std::mem::take(&mut self.collected.frames).into_iter();
        for range in cut(
            self.collected.range,
            self.core.config.compression.extent_bytes,
        ) {
            let own = frames.by_ref().take(range.pages().count()).collect();
            self.encoded
                .push(encode(&self.core, &self.inode, range, own));
        }
        // Input and output are both held until phase two lets the input go.
        self.budget.grow(self.output_bytes());
        self.pass_to(|stats| &stats.head_wait);
    }

    fn complete(mut self: Box<Self>) {
        self.pass_to(|stats| &stats.place);
        place::place(*self);
    }
}

thread_local! {
    /// The plain bytes of the extent a worker is at: contiguous, because codecs want them so.
    static PLAIN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Decides what an extent becomes, and makes it.
pub(crate) fn encode(core: &Core, inode: &Inode, range: FileRange, frames: Vec<Frame>) -> Encoded {
    let stored = PLAIN.with_borrow_mut(|plain| {
        plain.clear();
        plain.reserve(frames.len() * PAGE_LEN);
        for frame in &frames {
            plain.extend_from_slice(frame.bytes());
        }
        if mutation::on(Mutation::FrameInPlace) {
            see_newer(inode, range, plain);
        }
        shrink(core, inode, plain)
    });
    Encoded {
        range,
        frames,
        stored,
    }
}

/// What a codec would meet if writers changed shared frames in place: the second half of each page as
/// it is by now.
fn see_newer(inode: &Inode, range: FileRange, plain: &mut [u8]) {
    let state = inode.lock();
    for (index, page) in range.pages().zip(plain.chunks_exact_mut(PAGE_LEN)) {
        if let Some(now) = state.pages.get(index) {
            page[PAGE_LEN / 2..].copy_from_slice(&now.frame.bytes()[PAGE_LEN / 2..]);
        }
    }
}

/// What `plain` becomes.
fn shrink(core: &Core, inode: &Inode, plain: &[u8]) -> Stored {
    let knobs = &core.config.compression.how;
    let attempt = inode.backoff.lock().attempt();
    // An item of the tree, which holds the checksums, limits it too. Raw, an extent goes in pieces.
    let stored_bytes_max =
        usize::try_from(core.meta.extent_stored_bytes_max()).unwrap_or(usize::MAX);
    let stored_bytes_max = stored_bytes_max.min(compress::stored_bytes_max(plain.len()));
    let mut buf = core.stored_bufs.take(stored_bytes_max);
    let encoded = compress::encode(knobs, attempt, plain, &mut buf)
        .expect("a codec takes any bytes at a level that the knobs allow");
    if let Some(gained) = encoded.lesson() {
        inode
            .backoff
            .lock()
            .learn(gained, plain.len(), knobs.backoff_extents_max);
    }
    match encoded {
        compress::Encoded::Hole => Stored::Hole,
        compress::Encoded::Raw(_) => Stored::Raw,
        compress::Encoded::Stored(exact_len) => {
            buf.set_len(exact_len.next_multiple_of(PAGE_LEN));
            buf[exact_len..].fill(0);
            let checksums = checksums(&buf);
            Stored::Compressed {
                codec: knobs.codec,
                buf,
                checksums,
            }
        }
    }
}

/// CRC32C of each sector of `stored`. A sector is as long as a page (units).
pub(crate) fn checksums(stored: &[u8]) -> Vec<u32> {
    stored.chunks(PAGE_LEN).map(crc32c::crc32c).collect()
}
