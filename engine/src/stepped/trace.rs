//! What happened, as a number: equal for equal runs, and hardly ever for others.

use delalloc_backends::{HeldStep, Instant};

/// FNV-1a over the numbers of every step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trace {
    hash: u64,
    steps: u64,
}

impl Default for Trace {
    fn default() -> Self {
        Self {
            hash: 0xCBF2_9CE4_8422_2325,
            steps: 0,
        }
    }
}

impl Trace {
    pub(crate) fn hash(self) -> u64 {
        self.hash
    }

    pub(crate) fn steps(self) -> u64 {
        self.steps
    }

    /// Choice `index` of `source` is taken, of so many in all.
    pub(super) fn step(&mut self, now: Instant, source: usize, index: usize, choices: usize) {
        self.steps += 1;
        self.add(now.ns);
        for number in [source, index, choices] {
            self.add(number as u64);
        }
    }

    pub(super) fn device(&mut self, step: HeldStep) {
        let HeldStep {
            kind,
            offset,
            bytes,
            answered,
        } = step;
        for number in [kind.index() as u64, offset, bytes, u64::from(answered)] {
            self.add(number);
        }
    }

    fn add(&mut self, number: u64) {
        for byte in number.to_le_bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_order_is_another_hash() {
        let at = Instant { ns: 7 };
        let (mut one, mut other) = (Trace::default(), Trace::default());
        one.step(at, 1, 0, 5);
        one.step(at, 2, 0, 5);
        other.step(at, 2, 0, 5);
        other.step(at, 1, 0, 5);
        assert_eq!((one.steps(), other.steps()), (2, 2));
        assert_ne!(one.hash(), other.hash());
    }
}
