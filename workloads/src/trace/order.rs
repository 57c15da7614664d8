//! Which requests of other clients have to be over before a request may start.
//!
//! Every client reads the whole recording and keeps the same books of it, so each knows by itself what its own requests wait for:
//!
//! | request | waits for |
//! |---|---|
//! | create, rename, remove, truncate or sync of a file | all before it on that file |
//! | first use of a file after another client created, renamed or truncated it | that request |
//! | flush of everything, alone or in front of a request | all before it |
//! | first request after a flush | the flush, unless the recording shows that it did not: it began before the flush was answered |
//!
//! *Before* is by place in the recording. Everything waits for what stands before it alone, so nothing waits in a circle. What one
//! client does is in order already. No order is kept between reads and writes of several clients in one file or device, nor between
//! files: one that gets the name of a removed one is another file.
//!
//! Pure. Not here: who waits and how (the replayer).

use std::collections::{HashMap, VecDeque};

use super::request::{Place, Request, RequestKind};

/// Flushes whose answers later requests may have come before; of more than these the oldest counts as answered.
const FLUSHES_MAX: usize = 64;

/// A request of another client that has to be over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Precedes {
    /// Whose.
    pub client: u32,
    /// Its number in the recording.
    pub number: u64,
}

/// The books of one client.
#[derive(Debug)]
pub(crate) struct Order {
    client: u32,
    /// Files are shared by clients; otherwise each has its own.
    shares_files: bool,
    /// The last request of each client.
    last: Vec<Option<u64>>,
    files: HashMap<Place, Uses>,
    /// Those that this client did not wait for yet, oldest first.
    flushes: VecDeque<Flush>,
}

#[derive(Debug, Default)]
struct Uses {
    /// The last request of each client that used the file.
    last: Vec<Precedes>,
    /// What named it last, where this client did not wait for it yet.
    named: Option<Precedes>,
}

#[derive(Debug)]
struct Flush {
    request: Precedes,
    answered_ns: u64,
}

impl Order {
    /// The books of `client` of so many.
    pub(crate) fn new(client: u32, clients: u32, shares_files: bool) -> Self {
        Self {
            client,
            shares_files,
            last: vec![None; clients as usize],
            files: HashMap::new(),
            flushes: VecDeque::new(),
        }
    }

    /// Notes `request`, which `owner` carries out. What it waits for, where the owner is the client of these books.
    pub(crate) fn note(&mut self, owner: u32, request: &Request, number: u64) -> Vec<Precedes> {
        let is_mine = owner == self.client;
        let this = Precedes {
            client: owner,
            number,
        };
        let mut after = Vec::new();
        if is_mine {
            after.extend(self.flush_before(request.at_ns));
        }
        if is_of_all(request) {
            if is_mine {
                after.extend(self.all_others());
            } else {
                self.flushed(this, request);
            }
        }
        if self.shares_files && matches!(request.place, Place::File(_)) {
            self.note_use(this, request, is_mine, &mut after);
        }
        self.last[owner as usize] = Some(number);
        after
    }

    /// The latest flush that was answered when a request began; those up to it are waited for with it.
    fn flush_before(&mut self, at_ns: u64) -> Option<Precedes> {
        let answered = |flush: &Flush| flush.answered_ns <= at_ns;
        let count = self.flushes.iter().rposition(answered)? + 1;
        self.flushes
            .drain(..count)
            .next_back()
            .map(|flush| flush.request)
    }

    fn flushed(&mut self, request: Precedes, recorded: &Request) {
        self.flushes.push_back(Flush {
            request,
            answered_ns: recorded.at_ns.saturating_add(recorded.took_ns),
        });
        if self.flushes.len() > FLUSHES_MAX {
            self.flushes.pop_front();
            self.flushes[0].answered_ns = 0;
        }
    }

    fn all_others(&self) -> impl Iterator<Item = Precedes> {
        let last = (0..).zip(&self.last);
        last.filter(|(client, _)| *client != self.client)
            .filter_map(|(client, number)| {
                Some(Precedes {
                    client,
                    number: (*number)?,
                })
            })
    }

    fn note_use(
        &mut self,
        this: Precedes,
        request: &Request,
        is_mine: bool,
        after: &mut Vec<Precedes>,
    ) {
        let uses = self.files.entry(request.place).or_default();
        let names = names_a_file(request.kind);
        if is_mine {
            after.extend(uses.named.take());
            if names || matches!(request.kind, RequestKind::Sync | RequestKind::DataSync) {
                let others = uses.last.iter().filter(|other| other.client != this.client);
                after.extend(others);
            }
        } else if names {
            uses.named = Some(this);
        }
        match uses
            .last
            .iter_mut()
            .find(|other| other.client == this.client)
        {
            Some(known) => *known = this,
            None => uses.last.push(this),
        }
        if request.kind == RequestKind::Remove {
            self.files.remove(&request.place);
        }
    }
}

fn names_a_file(kind: RequestKind) -> bool {
    matches!(
        kind,
        RequestKind::Create | RequestKind::Rename | RequestKind::Remove | RequestKind::Truncate
    )
}

/// Of all files, or of a device whose parts are several clients'.
fn is_of_all(request: &Request) -> bool {
    let is_device = matches!(request.place, Place::Device(_));
    request.kind == RequestKind::Flush
        || request.flush_before
        || (is_device && names_a_file(request.kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Place = Place::File(1);

    /// What the requests of client 1 wait for, as (client, number), numbered from 0.
    fn waits(requests: &[(u32, Request)]) -> Vec<Vec<(u32, u64)>> {
        let mut order = Order::new(1, 3, true);
        let noted = (0..).zip(requests).map(|(number, (owner, request))| {
            let after = order.note(*owner, request, number);
            (*owner, after)
        });
        let mine = noted.filter(|(owner, _)| *owner == 1);
        mine.map(|(_, after)| {
            let mut after: Vec<_> = after.iter().map(|one| (one.client, one.number)).collect();
            after.sort_unstable();
            after
        })
        .collect()
    }

    fn at(at_ns: u64, kind: RequestKind) -> Request {
        Request::new(at_ns, kind, A)
    }

    #[test]
    fn reads_and_writes_of_a_shared_file_wait_for_nobody() {
        let write = at(0, RequestKind::Write);
        let read = at(0, RequestKind::Read);
        assert_eq!(
            waits(&[(0, write), (1, read), (2, read), (1, write)]),
            [[], []]
        );
    }

    #[test]
    fn the_first_use_waits_for_who_named_the_file_and_naming_waits_for_all_uses() {
        let (create, write) = (at(0, RequestKind::Create), at(0, RequestKind::Write));
        let found = waits(&[
            (0, create),
            (1, write),
            (1, write),
            (2, write),
            (0, write),
            (1, at(0, RequestKind::DataSync)),
            (1, at(0, RequestKind::Truncate)),
            (2, at(0, RequestKind::Truncate)),
            (1, write),
        ]);
        let others = vec![(0, 4), (2, 3)];
        assert_eq!(
            found,
            [vec![(0, 0)], vec![], others.clone(), others, vec![(2, 7)]]
        );
    }

    #[test]
    fn a_file_that_is_removed_is_forgotten() {
        let mut order = Order::new(1, 2, true);
        order.note(0, &at(0, RequestKind::Create), 0);
        assert_eq!(order.note(1, &at(0, RequestKind::Remove), 1).len(), 2);
        assert!(order.files.is_empty());
        assert!(order.note(1, &at(0, RequestKind::Write), 2).is_empty());
    }

    #[test]
    fn a_flush_waits_for_all_and_what_follows_waits_for_it_if_it_did() {
        let (write, flush) = (at(0, RequestKind::Write), at(0, RequestKind::Flush));
        assert_eq!(
            waits(&[(0, write), (2, write), (1, flush)]),
            [[(0, 0), (2, 1)]]
        );
        assert_eq!(
            waits(&[(0, flush), (1, write), (1, write)]),
            [vec![(0, 0)], vec![]]
        );
        let in_front = Request {
            flush_before: true,
            ..write
        };
        assert_eq!(waits(&[(0, write), (1, in_front)]), [[(0, 0)]]);
        let slow = Request {
            took_ns: 100,
            ..flush
        };
        // The second began while the flush was on its way, the third after it.
        let (during, later) = (at(99, RequestKind::Write), at(100, RequestKind::Write));
        assert_eq!(
            waits(&[(0, slow), (1, during), (1, later)]),
            [vec![], vec![(0, 0)]]
        );
    }

    #[test]
    fn flushes_that_nobody_waited_for_are_bounded() {
        let mut order = Order::new(1, 2, false);
        let slow = Request {
            took_ns: u64::MAX,
            ..at(0, RequestKind::Flush)
        };
        for number in 0..1000 {
            order.note(0, &slow, number);
        }
        assert_eq!(order.flushes.len(), FLUSHES_MAX);
        let after = order.note(1, &at(5, RequestKind::Write), 1000);
        assert_eq!(after.len(), 1, "the oldest that is left counts as answered");
    }
}
