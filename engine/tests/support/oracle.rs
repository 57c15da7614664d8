//! What a file may be after a crash or a fault: everything it has been since it was last durable.
//!
//! A page shows one of these states, never a mix; the size is one of theirs or between two. Names
//! are judged like states. Nothing is said here of the order between files: nothing is promised.

use std::ops::Range;

const PAGE: usize = 4096;

/// One file, from its creation on.
#[derive(Debug, Clone)]
pub(crate) struct History {
    states: Vec<Vec<u8>>,
    /// `None`: removed.
    names: Vec<Option<String>>,
    /// Where durability was last acknowledged: the state and the name.
    durable: Option<(usize, usize)>,
    /// A write may have failed. Where a file grew and its bytes never came, there is a hole; in the
    /// page of its former end there may be anything behind that end.
    holes: bool,
}

impl History {
    /// A new file of this name, empty.
    pub(crate) fn new(name: &str) -> Self {
        Self::of(Some(name), Vec::new())
    }

    /// A file that holds `bytes`.
    pub(crate) fn of(name: Option<&str>, bytes: Vec<u8>) -> Self {
        Self {
            states: vec![bytes],
            names: vec![name.map(ToOwned::to_owned)],
            durable: None,
            holes: false,
        }
    }

    /// What it holds.
    pub(crate) fn now(&self) -> &[u8] {
        self.states.last().expect("there is a first state")
    }

    /// What it is called; `None` once it is removed.
    pub(crate) fn name(&self) -> Option<&str> {
        self.names.last().expect("there is a first name").as_deref()
    }

    /// It holds `bytes` now.
    pub(crate) fn push(&mut self, bytes: Vec<u8>) {
        if self.now() != bytes {
            self.states.push(bytes);
        }
    }

    /// It is called this now.
    pub(crate) fn push_name(&mut self, name: Option<&str>) {
        self.names.push(name.map(ToOwned::to_owned));
    }

    /// What it is now was acknowledged as durable.
    pub(crate) fn settle(&mut self) {
        self.durable = Some((self.states.len() - 1, self.names.len() - 1));
    }

    /// Forgets what it was before that.
    pub(crate) fn forget_older(&mut self) {
        if let Some((state, name)) = self.durable {
            self.states.drain(..state);
            self.names.drain(..name);
            self.durable = Some((0, 0));
        }
    }

    /// From now on a write may have failed.
    pub(crate) fn allow_holes(&mut self) {
        self.holes = true;
    }

    /// States that may be seen.
    fn acceptable(&self) -> &[Vec<u8>] {
        &self.states[self.durable.map_or(0, |(state, _)| state)..]
    }

    /// Names it may have; `None` is none.
    pub(crate) fn names(&self) -> &[Option<String>] {
        &self.names[self.durable.map_or(0, |(_, name)| name)..]
    }

    /// It has to be there, under one of its names.
    pub(crate) fn must_exist(&self) -> bool {
        self.durable.is_some() && self.names().iter().all(Option::is_some)
    }

    /// May `found` be its content after a crash? Says why not.
    pub(crate) fn accept(&self, found: &[u8]) -> Result<(), String> {
        let sizes = || self.acceptable().iter().map(Vec::len);
        let (least, most) = (sizes().min().unwrap_or(0), sizes().max().unwrap_or(0));
        if !(least..=most).contains(&found.len()) {
            return Err(format!("{} bytes, not {least} to {most}", found.len()));
        }
        self.accept_part(0, found)
    }

    /// The same for the bytes from `start` on of a file that others write too.
    pub(crate) fn accept_part(&self, start: usize, found: &[u8]) -> Result<(), String> {
        for part in pages(start, found.len()) {
            // `found` and the states begin at `start` alike.
            let page = &found[part.clone()];
            let shown = |state: &Vec<u8>| state.get(part.clone()).is_some_and(|own| own == page);
            let whole = self.acceptable().iter().any(shown);
            let pieced = self.holes && self.has_bytes(part.clone(), page);
            if !whole && !pieced {
                let differs = page.iter().zip(self.now().get(part.clone()).unwrap_or(&[]));
                let first = differs.take_while(|(found, own)| found == own).count();
                let zeros = page.iter().all(|byte| *byte == 0);
                let sizes: Vec<usize> = self.acceptable().iter().map(Vec::len).collect();
                return Err(format!(
                    "page {} was never like this in states of {sizes:?} bytes; differs from the last \
                     at byte {first}; all zeros: {zeros}",
                    (start + part.start) / PAGE,
                ));
            }
        }
        Ok(())
    }

    /// Has each byte of a page been at its place, or nothing yet? A write that failed unseen and one of
    /// part of the same page after it leave the new bytes on the old page.
    fn has_bytes(&self, part: Range<usize>, page: &[u8]) -> bool {
        part.clone().zip(page).all(|(at, byte)| {
            self.acceptable().iter().any(|state| match state.get(at) {
                Some(own) => own == byte,
                None => *byte == 0 || state.len() > part.start,
            })
        })
    }

    /// Is each page of `found` one that the file has ever had? What a lying device leaves of it.
    pub(crate) fn ever_had(&self, page: Range<usize>, found: &[u8]) -> bool {
        self.states
            .iter()
            .any(|state| extended(state, page.clone()) == found)
    }
}

/// What `state` shows of `part`, with zeros past its end.
fn extended(state: &[u8], part: Range<usize>) -> Vec<u8> {
    let own = part.start.min(state.len())..part.end.min(state.len());
    let mut bytes = state[own].to_vec();
    bytes.resize(part.len(), 0);
    bytes
}

/// The pages of a file in the `len` bytes from `start` on, as ranges of those.
fn pages(start: usize, len: usize) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let end = ((start + at) / PAGE + 1) * PAGE - start;
        let part = at..end.min(len);
        at = part.end;
        (!part.is_empty()).then_some(part)
    })
}
