//! Where the clients of a phase stand until all of them are there, so that they start from one moment.
//!
//! Where one of them cannot be had, the start is called off and those who stand are sent home: nobody waits for
//! who will never come.

use std::time::Instant;

use parking_lot::{Condvar, Mutex};

/// The line.
#[derive(Debug, Default)]
pub(super) struct StartLine {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// So many stand at it.
    Gathering(usize),
    Open(Instant),
    CalledOff,
}

impl Default for State {
    fn default() -> Self {
        Self::Gathering(0)
    }
}

impl StartLine {
    /// Stands at the line: when the phase began, or none where it does not.
    pub(super) fn stand(&self) -> Option<Instant> {
        let mut state = self.state.lock();
        if let State::Gathering(standing) = &mut *state {
            *standing += 1;
            self.changed.notify_all();
        }
        loop {
            match *state {
                State::Gathering(_) => self.changed.wait(&mut state),
                State::Open(began) => return Some(began),
                State::CalledOff => return None,
            }
        }
    }

    /// Waits until `wanted` stand at the line and lets them go: when that was.
    pub(super) fn open(&self, wanted: usize) -> Instant {
        let mut state = self.state.lock();
        while matches!(*state, State::Gathering(standing) if standing < wanted) {
            self.changed.wait(&mut state);
        }
        let began = Instant::now();
        *state = State::Open(began);
        self.changed.notify_all();
        began
    }

    /// Sends home who stands at the line and who still comes.
    pub(super) fn call_off(&self) {
        *self.state.lock() = State::CalledOff;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_start_from_one_moment() {
        let line = StartLine::default();
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..3).map(|_| scope.spawn(|| line.stand())).collect();
            let began = line.open(3);
            for client in clients {
                assert_eq!(client.join().unwrap(), Some(began));
            }
        });
    }

    #[test]
    fn nobody_waits_once_it_is_called_off() {
        let line = StartLine::default();
        std::thread::scope(|scope| {
            let stands = scope.spawn(|| line.stand());
            line.call_off();
            assert_eq!(stands.join().unwrap(), None);
        });
        assert_eq!(line.stand(), None);
    }
}
