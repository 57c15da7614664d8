//! What makes a `sync` durable without a commit: a log of the changes of metadata since the last one.
//!
//! ```text
//!   edit of the tree --push--> pending --cut--> batch --write, FLUSH--> durable
//!                                 |                                        |
//!                                 '------ a commit makes it durable -------'
//! ```
//!
//! Every change of the tree is one record, in the order of the changes, whichever file it is about. A
//! batch is all that is pending, so the log is always a prefix of the volume's history: what a synced
//! file depends on (its creation, a rename, a removal that made its name free) is before it in the log.
//! A log per file was refused for that: names would have to be disentangled at replay.
//!
//! One batch is written at a time, and the next only after the FLUSH behind the one before it. So of all
//! batches found after a crash only the last can be one that nobody was told of. That is what lets
//! `sync` write a small file's data and its record side by side: at replay the data of the last batch is
//! compared with the checksums in it, and a batch with missing data counts as not written.
//!
//! A `sync` of a few pages puts the pages themselves into the batch, so it costs one write and one FLUSH;
//! they stay dirty, and find their way home with what is written beside them later (`held`). Larger ones
//! write their data where it belongs, beside the batch.
//!
//! The log is a ring in one extent of the device. A superblock says where the records begin that it does
//! not include, and which pages behind that place have not come home; what is before is free as soon as
//! that superblock is durable. Records carry the generation they belong to, and those a superblock
//! includes are passed over.
//!
//! Where the log cannot take a record (full, too much pending, a failed write, switched off) `sync`
//! commits instead: slower, never weaker.
//!
//! Locks: the metadata tree (outside) > log state. The state is held for arithmetic and copies, never
//! while anything is written. Callers meet in `group`: one of them leads and writes, with no lock held.
//!
//! Not here: what a record does to the tree (recover/replay), who syncs what (writeback/express, file).

pub(crate) mod format;
mod group;
mod held;
mod pending;
mod record;
mod ring;
mod state;
mod sync;
mod write;

pub(crate) use held::{DataNumber, HeldSet, LoggedBytes, LoggedPage, WINDOW};
pub(crate) use pending::Lsn;
pub(crate) use record::{Prepared, Record, SizeChange};
pub(crate) use state::LogClaim;
pub use state::LogLimits;
pub(crate) use write::{Log, Outcome, Ticket};
