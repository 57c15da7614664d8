//! How large a file has to be once nothing is in flight, as far as that is certain.
//!
//! ```text
//!   write     the largest end there was      whatever the order, also of writes side by side
//!   resize    what it says                   truncate; to nothing: create, remove
//!   unknown   a resize beside any change     either may have been the last
//!             a change that failed           part of it may have happened
//! ```
//!
//! An unknown size becomes known with the next resize that has nothing beside it. A punched hole changes no size, and a file that has
//! another name keeps its own.
//!
//! A change begins here before its I/O and ends here after it: what is not side by side here was not so at the target. A
//! change that never ends leaves nothing certain.
//!
//! Not here: which bytes the file holds (versions).

/// What is certain of the size of one file.
#[derive(Debug)]
pub(super) struct SettledSize {
    bytes: Option<u64>,
    in_flight: u32,
    /// What is in flight is one resize, and nothing was beside it so far.
    is_alone: bool,
}

impl Default for SettledSize {
    /// Targets begin without files.
    fn default() -> Self {
        Self {
            bytes: Some(0),
            in_flight: 0,
            is_alone: false,
        }
    }
}

impl SettledSize {
    /// A write begins.
    pub(super) fn begin_write(&mut self) {
        self.in_flight += 1;
        self.is_alone = false;
    }

    /// A write has succeeded, whose last byte is the one before `end`.
    pub(super) fn end_write(&mut self, end: u64) {
        self.in_flight -= 1;
        self.bytes = self.bytes.map(|bytes| bytes.max(end));
    }

    /// Something that sets the size begins.
    pub(super) fn begin_resize(&mut self) {
        self.is_alone = self.in_flight == 0;
        self.in_flight += 1;
        // Writes that are beside it may come before it or after it.
        self.bytes = None;
    }

    /// It has succeeded; `bytes` is the size that it set.
    pub(super) fn end_resize(&mut self, bytes: u64) {
        self.in_flight -= 1;
        self.bytes = self.is_alone.then_some(bytes);
        self.is_alone = false;
    }

    /// A write or a resize has failed.
    pub(super) fn fail(&mut self) {
        self.in_flight -= 1;
        self.bytes = None;
        self.is_alone = false;
    }

    /// The size, where it is certain.
    pub(super) fn settled(&self) -> Option<u64> {
        self.bytes.filter(|_| self.in_flight == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn resized(size: &mut SettledSize, bytes: u64) {
        size.begin_resize();
        size.end_resize(bytes);
    }

    #[test]
    fn writes_alone_or_side_by_side_leave_the_largest_end() {
        let mut size = SettledSize::default();
        assert_eq!(size.settled(), Some(0));
        size.begin_write();
        size.begin_write();
        assert_eq!(size.settled(), None, "nobody knows which of them is over");
        size.end_write(8192);
        size.end_write(4096);
        assert_eq!(size.settled(), Some(8192));
    }

    #[test]
    fn a_resize_says_what_the_size_is_and_writes_go_on_from_there() {
        let mut size = SettledSize::default();
        resized(&mut size, 1 << 20);
        assert_eq!(size.settled(), Some(1 << 20));
        resized(&mut size, 100);
        size.begin_write();
        size.end_write(50);
        assert_eq!(size.settled(), Some(100));
        resized(&mut size, 0);
        assert_eq!(size.settled(), Some(0));
    }

    #[test]
    fn a_resize_beside_any_change_leaves_nothing_certain_until_one_is_alone() {
        for (is_write, ends_first) in [(true, true), (true, false), (false, true), (false, false)] {
            let mut size = SettledSize::default();
            size.begin_resize();
            if is_write {
                size.begin_write();
            } else {
                size.begin_resize();
            }
            if ends_first {
                size.end_resize(10);
            }
            if is_write {
                size.end_write(20);
            } else {
                size.end_resize(20);
            }
            if !ends_first {
                size.end_resize(10);
            }
            assert_eq!(size.settled(), None);
            size.begin_write();
            size.end_write(30);
            assert_eq!(size.settled(), None, "a write alone does not say");
            resized(&mut size, 5);
            assert_eq!(size.settled(), Some(5));
        }
    }

    #[test]
    fn a_failed_change_leaves_nothing_certain() {
        let mut size = SettledSize::default();
        size.begin_write();
        size.fail();
        assert_eq!(size.settled(), None);
        resized(&mut size, 5);
        size.begin_resize();
        size.fail();
        assert_eq!(size.settled(), None);
    }

    proptest! {
        /// Changes side by side, each of which happens at some moment while it is in flight, or fails and may not happen at all.
        #[test]
        fn what_is_certain_is_so(
            steps in prop::collection::vec((0_u8..4, 0_u64..10, any::<prop::sample::Index>(), prop::bool::weighted(0.1)), 1..80)
        ) {
            let mut size = SettledSize::default();
            let mut actual = 0;
            let mut in_flight: Vec<(bool, u64, bool)> = Vec::new();
            let happen = |actual: &mut u64, (is_resize, bytes, has_happened): (bool, u64, bool)| {
                if !has_happened {
                    *actual = if is_resize { bytes } else { bytes.max(*actual) };
                }
            };
            for (what, bytes, which, fails) in steps {
                match what {
                    0 => {
                        size.begin_write();
                        in_flight.push((false, bytes, false));
                    }
                    1 => {
                        size.begin_resize();
                        in_flight.push((true, bytes, false));
                    }
                    _ if in_flight.is_empty() => {}
                    2 => {
                        let nth = which.index(in_flight.len());
                        let change = &mut in_flight[nth];
                        happen(&mut actual, *change);
                        change.2 = true;
                    }
                    _ => {
                        let nth = which.index(in_flight.len());
                        let change = in_flight.swap_remove(nth);
                        if fails {
                            size.fail();
                        } else {
                            happen(&mut actual, change);
                            match change {
                                (true, bytes, _) => size.end_resize(bytes),
                                (false, bytes, _) => size.end_write(bytes),
                            }
                        }
                    }
                }
                if let Some(bytes) = size.settled() {
                    prop_assert_eq!(bytes, actual);
                }
            }
        }
    }
}
