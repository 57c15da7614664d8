//! Reads that are under way: one ticket per mapping, however many wait for it.
//!
//! The key of a ticket is the mapping (which part of which file shows which part of which stored
//! extent), never the disk address alone: two ranges may show different parts of one stored extent,
//! and the bytes of one are wrong for the other although every checksum agrees.
//!
//! A ticket is made under the file's state lock in the same critical section that found the page
//! absent and looked its mapping up. Whatever changes mappings (completion, truncate, punch) holds
//! that lock too and marks the tickets it overlaps stale. The bytes of a stale ticket do not enter the cache,
//! newcomers do not join, and those who waited already believe it only if the mapping is what it was: the
//! extent may have been freed and its place used again, with checksums that agree, before it was read.
//!
//! Locks: the table lives under the file's state lock; a ticket's own lock is a leaf.

use std::sync::Arc;

use delalloc_backends::AlignedBuf;
use parking_lot::{Condvar, Mutex};

use crate::error::Result;
use crate::meta::FileExtent;
use crate::mutation::{self, Mutation};
use crate::pools::Pools;
use crate::units::FileRange;

/// Plain bytes read for a range of a file.
#[derive(Debug, Clone)]
pub(crate) struct Plain {
    /// Whole pages of the file.
    pub(crate) range: FileRange,
    /// The bytes of `range`, from `skip_bytes` on.
    bytes: Arc<AlignedBuf>,
    skip_bytes: usize,
}

impl Plain {
    /// `bytes` from `skip_bytes` on are those of `range`.
    pub(crate) fn new(range: FileRange, bytes: AlignedBuf, skip_bytes: usize) -> Self {
        assert!(
            bytes.len() as u64 >= skip_bytes as u64 + range.bytes(),
            "every byte was read"
        );
        Self {
            range,
            bytes: Arc::new(bytes),
            skip_bytes,
        }
    }

    /// The bytes of `part`, which lies in `range`.
    pub(crate) fn part(&self, part: FileRange) -> &[u8] {
        assert!(self.range.covers(part), "a part lies in its range");
        let index = |offset: u64| {
            let within = usize::try_from(offset - self.range.start).expect("an extent fits memory");
            self.skip_bytes + within
        };
        &self.bytes[index(part.start)..index(part.end)]
    }
}

/// What became of a read.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) plain: Result<Plain>,
    /// The mapping was the ticket's all the time.
    pub(crate) is_current: bool,
}

/// A read under way.
#[derive(Debug)]
pub(crate) struct Ticket {
    /// The mapping that is read.
    pub(crate) extent: FileExtent,
    /// Which of its pages: all, if it is compressed.
    pub(crate) range: FileRange,
    /// The pages that were asked for; the others come along.
    pub(crate) wanted: FileRange,
    answer: Mutex<Option<Answer>>,
    answered: Condvar,
}

impl Ticket {
    /// Blocks for the bytes.
    ///
    /// # Panics
    /// Where a worker has panicked: the bytes may never come.
    pub(crate) fn wait(&self, pools: &Pools) -> Answer {
        let mut answer = self.answer.lock();
        loop {
            if let Some(answer) = &*answer {
                return answer.clone();
            }
            pools.waiting.wait("a read", &self.answered, &mut answer);
        }
    }

    /// Bytes of the longest buffer that carrying it out takes.
    pub(crate) fn buffer_bytes(&self) -> u64 {
        if self.extent.is_raw() {
            self.range.bytes()
        } else {
            self.extent.ram_bytes
        }
    }

    /// Gives the answer to everyone who waits.
    pub(crate) fn answer(&self, answer: Answer) {
        let before = self.answer.lock().replace(answer);
        assert!(before.is_none(), "a ticket is answered once");
        self.answered.notify_all();
    }
}

/// The tickets of one file that may be joined.
#[derive(Debug, Default)]
pub(crate) struct Tickets(Vec<Arc<Ticket>>);

impl Tickets {
    /// A ticket for `range` of `extent` that is under way already.
    pub(crate) fn find(&self, extent: &FileExtent, range: FileRange) -> Option<Arc<Ticket>> {
        self.0
            .iter()
            .find(|ticket| {
                let same_address = ticket.extent.disk == extent.disk;
                (ticket.extent == *extent && ticket.range.covers(range))
                    || (same_address && mutation::on(Mutation::TicketByAddress))
            })
            .map(Arc::clone)
    }

    /// A new ticket.
    pub(crate) fn open(
        &mut self,
        extent: FileExtent,
        range: FileRange,
        wanted: FileRange,
    ) -> Arc<Ticket> {
        let ticket = Arc::new(Ticket {
            extent,
            range,
            wanted,
            answer: Mutex::new(None),
            answered: Condvar::new(),
        });
        self.0.push(Arc::clone(&ticket));
        ticket
    }

    /// Takes `ticket` off the table. False if it was stale: its bytes must not enter the cache.
    pub(crate) fn close(&mut self, ticket: &Arc<Ticket>) -> bool {
        let found = self.0.iter().position(|own| Arc::ptr_eq(own, ticket));
        found.map(|index| self.0.swap_remove(index)).is_some()
    }

    /// The mappings of `range` have changed.
    pub(crate) fn invalidate(&mut self, range: FileRange) {
        if mutation::on(Mutation::TicketKept) {
            return;
        }
        self.0.retain(|ticket| !ticket.range.overlaps(range));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{DiskExtent, DiskOffset, Generation};

    fn extent(file_start: u64, offset_in_extent: u64) -> FileExtent {
        FileExtent {
            file_start,
            length: 8192,
            disk: DiskExtent {
                start: DiskOffset(1 << 20),
                bytes: 4096,
            },
            offset_in_extent,
            ram_bytes: 32_768,
            codec: 3,
            generation: Generation(1),
        }
    }

    #[test]
    fn the_same_disk_address_is_not_the_same_mapping() {
        let mut tickets = Tickets::default();
        let (head, tail) = (extent(0, 0), extent(24_576, 24_576));
        tickets.open(head, head.range(), head.range());
        assert!(tickets.find(&head, FileRange::new(4096, 8192)).is_some());
        assert!(tickets.find(&tail, tail.range()).is_none());
    }

    #[test]
    fn a_stale_ticket_is_neither_joined_nor_cached() {
        let mut tickets = Tickets::default();
        let own = extent(0, 0);
        let ticket = tickets.open(own, own.range(), own.range());
        tickets.invalidate(FileRange::new(4096, 4097));
        assert!(tickets.find(&own, own.range()).is_none());
        assert!(!tickets.close(&ticket));
    }
}
