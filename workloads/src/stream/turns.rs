//! Whose turn it is among the files of a job that goes from file to file: clients take them in turns, lap after lap.

use super::access::Left;
use super::share::Share;
use crate::plan::{Bound, FileSpan};

/// One client's way through the files.
#[derive(Debug)]
pub(crate) struct Turns {
    files: FileSpan,
    share: Share,
    at: u32,
    left: Left,
}

impl Turns {
    pub(crate) fn new(files: FileSpan, bound: Bound, share: Share) -> Self {
        Self {
            files,
            share,
            at: share.client,
            left: Left::new(bound, share, Some(1)),
        }
    }

    /// The file, counted from the first of the job; none where the client is through.
    pub(crate) fn file(&mut self) -> Option<u32> {
        if self.left.is_spent() {
            return None;
        }
        if self.at >= self.files.count {
            // More clients than files: some have none, whatever the lap.
            if self.left == Left::Lap || self.share.client >= self.files.count {
                return None;
            }
            self.at = self.share.client;
        }
        Some(self.at)
    }

    /// An operation of it is done.
    pub(crate) fn count(&mut self) {
        self.left.take(1);
    }

    /// It had all of its operations.
    pub(crate) fn advance(&mut self) {
        self.at += self.share.clients;
    }
}
