//! Deliberate breakages, so that the tests can be tested: each is switched on by itself, and a suite
//! that stays green with one of them on does not guard what it should.
//!
//! With the feature `mutations` off, which it is unless a test build asks for it, `on` is false at
//! compile time and the hooks vanish. With it on, one mutation can be set for the whole process.
//!
//! To add one: a row in the list below, saying what is broken and which promise that breaks; one line at
//! the place, `if mutation::on(Mutation::Name)`; and in `tests/mutations.rs` the detectors that are to see
//! it, which the compiler asks for.

macro_rules! mutations {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// What can be broken. P1 to P5: synced data stays; after a crash old or new and consistent;
        /// commits are whole; reads are verified; failures are told.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Mutation {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Mutation {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];
        }
    };
}

mutations! {
    /// A commit sends no FLUSH before its superblock: the superblock may outlive what it points to. P2.
    FlushSkipped,
    /// A commit writes its superblock before its nodes. P2.
    SuperblockFirst,
    /// The superblock is not forced: an acknowledged sync can be lost. P1.
    SuperblockCached,
    /// Every generation has its superblock in the same slot: a torn one leaves no volume. P1, P2.
    SuperblockSameSlot,
    /// The oldest whole superblock is opened, not the newest. P1.
    SuperblockOldest,
    /// What a generation freed may be used again when its commit begins, not when it is durable. P2.
    UnpinEarly,
    /// A freed extent may be used again at once. P2.
    ExtentUnpinned,
    /// A freed node that is on the device may be used again at once. P2.
    NodeUnpinned,
    /// A sync does not wait for the writeback it started. P1.
    SyncUnwaited,
    /// The size on disk moves past bytes that are not written yet. P2.
    SizePastPrefix,
    /// A file grows over its last page without zeroing what that holds past the end. P2.
    TailKept,
    /// Mappings past the end of a file, which a crash left, stay when the volume opens. P2.
    OverhangKept,
    /// Overwriting part of a stored extent frees all of it. P1, P4.
    BookendFreed,
    /// A rename leaves the file it replaces under the same name. P2.
    ReplacedKept,
    /// Stored bytes are not compared with their checksums. P4.
    ChecksumIgnored,
    /// Nodes are not compared with their checksums. P4.
    NodeChecksumIgnored,
    /// A write that the device failed counts as done. P5.
    WriteErrorDropped,
    /// A failed write is never told. P5.
    FailureUntold,
    /// A failed write is told again and again. P5.
    FailureToldAgain,
    /// Of two syncs of one opener one is told. P5.
    FailureToldToOne,
    /// A failed write that nobody was told of is forgotten with who had its file open. P5.
    FailureGoneWithItsOpener,
    /// A failed write is not told where its page was written again meanwhile. P5.
    RewrittenFailureUnsaid,
    /// Items complete in the order they finish: a file is scattered over the device.
    OrderDropped,
    /// A read is shared by whoever wants the same disk address, though not the same mapping. P4.
    TicketByAddress,
    /// A read under way fills the cache although its mapping was replaced meanwhile. P4.
    TicketKept,
    /// A read whose mapping was replaced meanwhile is believed. P4.
    StaleAnswered,
    /// What a change took for a while is promised to others, and a replay has no room for that change.
    ReplayRoomGivenAway,
    /// Space is promised that is not there: it runs out after the write was accepted.
    PromiseUnchecked,
    /// A writer changes a page in place while the codec reads it. P2.
    FrameInPlace,
    /// A page written again during its writeback counts as clean when that ends. P1.
    RedirtyLost,
    /// A batch of the log is not flushed before its callers are told. P1.
    LogFlushSkipped,
    /// What follows a FLUSH that failed is believed, until its own caller has been told. P1.
    FlushFailureForgotten,
    /// A FLUSH that went well counts, though one beside it failed. P1.
    FlushBesideBelieved,
    /// Who waits for a commit that somebody else makes is not told that it failed. P1.
    CommitAwaitedBelieved,
    /// What is written while a sync runs holds the size back that the sync answers for. P1.
    SizeHeldBack,
    /// A size that a failed write leaves does not count as set: records on their way are believed to say the size. P1.
    SizeLeftUncounted,
    /// A hole in the express lane takes the end of a write behind it. P5.
    LaneEndsShifted,
    /// A page that was synced and written again is lost with the failed write. P1.
    LoggedPageForgotten,
    /// The tree refuses what the log has, and the volume goes on. P1.
    LoggedRefusalKept,
    /// A sync of the volume does not wait for pages on their way into the log. P1.
    LogUnderWayUnwaited,
    /// A sync of the volume does not answer for the size of what arrived in the log while it committed. P1.
    LoggedUnsettled,
    /// A page that went home before its batch was through is not asked whether the log says its size. P1.
    LoggedHomeUnsaid,
    /// What clients write stands in the log as it is, though it look like a batch. P1.
    LogMagicUnmasked,
    /// Of two batches with one number, the one that failed is believed. P1.
    LogStaleBelieved,
    /// A superblock does not say how far the log has to reach. P4.
    LogEndUnsaid,
    /// A batch that failed counts as written. P1.
    LogFailureDropped,
    /// The last batch counts at replay although its data is not there. P2.
    LogDataUnverified,
    /// A batch is not written again without the records whose data failed. P1.
    LogRewriteSkipped,
    /// A batch that could not be written again without the records whose data failed counts as written. P1.
    LogRewriteFailureDropped,
    /// The changes of a batch are made again in another order. P2.
    LogReversed,
    /// Truncation and holes are not logged. P1.
    LogCutUnlogged,
    /// The log is free when a commit begins, not when it is durable. P1.
    LogFreedEarly,
    /// Records that the superblock includes are made again. P2.
    LogTagIgnored,
    /// A change that a commit overtook is not logged again. P1.
    LogAgainSkipped,
    /// A commit forgets the pages that only the log has. P1.
    LogHeldForgotten,
    /// What enters the tree counts as newer than pages that were logged while it was on its way. P1.
    LogDataSuperseded,
    /// A page that was logged counts as logged although it was written again. P1.
    SyncedKept,
    /// A page that the log has is dropped when its own write fails. P1.
    LoggedPageDropped,
    /// A size that only logged pages say is not put into the tree. P1.
    LoggedSizeKept,
    /// A size that logged pages do not say is not logged. P1.
    LoggedSizeUnsaid,
    /// A page that waits for its batch says how long its file was before it was cut. P2.
    LogSizeUncapped,
    /// A truncation does not wait for records on their way that say a longer file. P1.
    LogLaneUnwaited,
    /// A batch that failed leaves a number out, before which pages are held. P1.
    LogHoleLeft,
    /// A batch is shorter when it is written again, and the next one is not found behind it. P1.
    LogRewriteShort,
    /// An extent that is in the log twice grows its file as its first record says. P1.
    LogSizeSkipped,
    /// What comes last in a full node gets a node of its own, whatever is behind: accepted writes run out of
    /// nodes. P1.
    NodeGivenAway,
}

#[cfg(feature = "mutations")]
mod switch {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::Mutation;

    const NONE: u8 = u8::MAX;
    static SET: AtomicU8 = AtomicU8::new(NONE);

    /// Breaks this from now on, and nothing else.
    pub fn set(mutation: Option<Mutation>) {
        SET.store(
            mutation.map_or(NONE, |mutation| mutation as u8),
            Ordering::SeqCst,
        );
    }

    pub(crate) fn on(mutation: Mutation) -> bool {
        SET.load(Ordering::Relaxed) == mutation as u8
    }
}

#[cfg(feature = "mutations")]
pub(crate) use switch::on;
#[cfg(feature = "mutations")]
pub use switch::set;

/// Is this broken on purpose?
#[cfg(not(feature = "mutations"))]
pub(crate) const fn on(_: Mutation) -> bool {
    false
}
