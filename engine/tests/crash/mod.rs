//! What a crash may leave, and how that is looked for: shared by the tests that crash a volume.
//!
//! A volume runs on a recorded device (stage.rs). From the record, images are made of what crashes would
//! have left; each must be consistent, open, and show what the promise allows (survey.rs); the promise is
//! kept by a model of what was done and what was acknowledged (oracle.rs).
//!
//! The promise. A file is known by its number; its name may change.
//!   * After `sync` of a file was acknowledged: what the file held when that call began, and whatever
//!     replaced it later, is what can be seen. Per page: one content since then, whole. Its size is one
//!     it had since then or lies between two of those.
//!   * The file is found under the name it had when that call began, or under a later one; never under an
//!     older one, and not at all only if it was removed or replaced since.
//!   * A file that it replaced by a rename before that call is not found any more.
//!   * After `sync` of the volume: the same for every file, and files removed before it are not found.
//!   * What no sync covers may show or not, file by file and page by page. A file that was never synced
//!     may be missing, or be under any name it had.
//!   * Nothing is seen that had not begun before the crash: no other file, name, size or content.
//!   * What is past the end of a file reads as zeros when the file grows over it.
//!   * Opening an image changes nothing that can be seen, however often that is done and wherever it is
//!     cut off; and the promise holds for a volume that goes on from an image as it does for a new one.
//!
//! Users name `support` beside this module.

#![allow(dead_code, reason = "each test crate uses its own part")]
#![allow(
    clippy::allow_attributes,
    reason = "an expectation would fail in crates that use all of it"
)]

pub(crate) mod ace;
pub(crate) mod load;
pub(crate) mod oracle;
pub(crate) mod stage;
pub(crate) mod survey;
