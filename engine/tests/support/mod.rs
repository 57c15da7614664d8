//! What the tests of a volume share: seeds, bytes of several kinds, a volume on memory.

#![allow(dead_code, reason = "each test crate uses its own part")]
#![allow(
    clippy::allow_attributes,
    reason = "an expectation would fail in crates that use all of it"
)]

pub(crate) mod oracle;
pub(crate) mod watchdog;

use std::sync::Arc;
use std::time::Duration;

use delalloc_backends::{Backend, Clock, MemBackend, OsClock};
use delalloc_engine::{EngineConfig, FormatOptions, Volume};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Random numbers from a seed.
pub(crate) struct Dice(Xoshiro256PlusPlus);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// 0 up to and without `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0.next_u64() % end
    }

    /// True once in `n`.
    pub(crate) fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let index = usize::try_from(self.below(from.len() as u64)).expect("an index");
        &from[index]
    }

    /// Bytes of one of four kinds: zeros, text-like, random, half of each.
    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        match self.below(4) {
            0 => {}
            1 => self.fill_text(&mut bytes),
            2 => self.0.fill_bytes(&mut bytes),
            _ => {
                let (head, tail) = bytes.split_at_mut(len / 2);
                self.0.fill_bytes(head);
                self.fill_text(tail);
            }
        }
        bytes
    }

    /// Bytes that compress.
    pub(crate) fn text(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.fill_text(&mut bytes);
        bytes
    }

    /// Bytes that do not.
    pub(crate) fn noise(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    fn fill_text(&mut self, bytes: &mut [u8]) {
        const WORDS: [&[u8]; 6] = [
            b"extent ",
            b"delalloc ",
            b"writeback ",
            b"ordered ",
            b"0123 ",
            b"\n",
        ];
        let mut at = 0;
        while at < bytes.len() {
            let word = self.pick(&WORDS);
            let len = word.len().min(bytes.len() - at);
            bytes[at..at + len].copy_from_slice(&word[..len]);
            at += len;
        }
    }
}

/// Lets others go on for so long.
pub(crate) fn pause(how_long: Duration) {
    OsClock::new().sleep(how_long);
}

/// A config with some knobs set.
pub(crate) fn config(knobs: &[(&str, &str)]) -> EngineConfig {
    let mut config = EngineConfig::default();
    for (name, value) in knobs {
        config
            .set(name, value)
            .unwrap_or_else(|fault| panic!("{name}={value}: {fault}"));
    }
    config
}

/// A formatted volume's device.
pub(crate) fn formatted(capacity_bytes: u64) -> Arc<dyn Backend> {
    let backend: Arc<dyn Backend> = Arc::new(MemBackend::new(capacity_bytes));
    Volume::format(&backend, &FormatOptions::default()).expect("an empty device can be formatted");
    backend
}

/// Opens the volume on `backend`.
pub(crate) fn open(backend: &Arc<dyn Backend>, config: &EngineConfig) -> Volume {
    Volume::open(
        Arc::clone(backend),
        Arc::new(OsClock::new()),
        config.clone(),
    )
    .expect("a volume opens")
}

/// How often a test does what it does: the variable says, or else there is a default.
pub(crate) fn times(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{variable}={text}: a number")),
        Err(_) => default,
    }
}
