//! When does a request complete? Pure: it is given the time and the request, and keeps a few
//! instants.
//!
//! ```text
//!   capped: before all of these but a flush, [allowance of requests, of bytes]
//!   read:   [unit][link | disk: seek, transfer][latency]            answer
//!   write:  [unit][room in the cache][link][latency]                answer
//!           then in the background: [medium, seek]                  room again
//!   forced: as a write without the cache, [seek][settling]          answer
//!   flush:  [until the medium has taken the cache][settling]        answer
//! ```
//!
//! Each resource (a unit, the link, the medium) is one instant: free from then on. The link is
//! charged when a request starts, before its latency, though a read's bytes come after: requests
//! start in the order they come but are ready in any, and one that stalls would hold up the link
//! for all behind it.
//!
//! Reads of a disk and forced writes of any device go ahead of what the cache still has to write,
//! and push that back by what they cost. Cached writes on their way to a disk are sorted there, and
//! their seek counts a quarter.
//!
//! Invariant: time does not go backwards between calls; the caller holds the lock while it asks
//! the clock.

use std::collections::VecDeque;
use std::time::Duration;

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::cap::Gate;
use super::model::{Latency, SimModel};
use crate::{Durability, Instant, Request};

/// How many cached writes share one seek. Raising it makes a disk absorb random writes quicker.
const SORTED_SEEK_SHARE: u32 = 4;

/// The state of a modelled device.
#[derive(Debug)]
pub(crate) struct Service {
    model: SimModel,
    gate: Option<Gate>,
    capacity_bytes: u64,
    generator: Xoshiro256PlusPlus,
    units: Vec<Instant>,
    link: Instant,
    medium: Instant,
    /// Where the head stands: behind the last request that reached the medium.
    head: u64,
    /// Writes in the cache, oldest first.
    cached: VecDeque<Cached>,
    cached_bytes: u64,
    /// What went ahead of the cache since the start, in nanoseconds.
    pushed_ns: u64,
}

/// A write in the cache.
#[derive(Debug, Clone, Copy)]
struct Cached {
    bytes: u64,
    /// When the medium will have taken it, less what had been pushed when it came. Adding what has
    /// been pushed by now gives the time of now, without touching every entry at every push.
    taken_ns_unpushed: u64,
}

impl Service {
    pub(crate) fn new(model: &SimModel, capacity_bytes: u64, seed: u64) -> Self {
        assert!(model.units > 0 && model.queue_depth > 0);
        assert!(model.link_bytes_per_second > 0 && model.medium_bytes_per_second > 0);
        Self {
            gate: model.cap.map(Gate::new),
            capacity_bytes,
            generator: Xoshiro256PlusPlus::seed_from_u64(seed),
            units: vec![Instant::default(); model.units as usize],
            link: Instant::default(),
            medium: Instant::default(),
            head: 0,
            cached: VecDeque::new(),
            cached_bytes: 0,
            pushed_ns: 0,
            model: *model,
        }
    }

    /// What is modelled, with its article.
    pub(crate) fn name(&self) -> &'static str {
        self.model.name
    }

    /// Takes a request that arrives now and says when it is answered.
    pub(crate) fn serve(&mut self, now: Instant, request: &Request) -> Instant {
        let (_, offset, bytes) = request.shape();
        self.drain(now);
        let start = match &mut self.gate {
            Some(gate) if !matches!(request, Request::Flush) => gate.admit(now, bytes),
            _ => now,
        };
        match request {
            Request::Read { .. } => self.read(start, offset, bytes),
            Request::Write { durability, .. } => self.write(start, offset, bytes, *durability),
            Request::Flush => self.flush(now),
            Request::Discard { .. } => self.on_unit(start, |this, start| {
                let latency = this.sample(this.model.write);
                start.after(latency)
            }),
        }
    }

    fn read(&mut self, now: Instant, offset: u64, bytes: u64) -> Instant {
        self.on_unit(now, |this, start| {
            let carried = this.transfer(start, bytes);
            let latency = this.sample(this.model.read);
            if this.model.seek.is_none() {
                return carried.after(latency);
            }
            let cost = this.seek_to(offset, bytes) + this.onto_medium(bytes);
            this.push_back(cost);
            // The link carries what has come off the medium while the rest still comes.
            carried.max(start.after(cost)).after(latency)
        })
    }

    fn write(&mut self, now: Instant, offset: u64, bytes: u64, durability: Durability) -> Instant {
        let through = durability == Durability::Fua || bytes > self.model.cache_bytes;
        self.on_unit(now, |this, start| {
            let room = if through {
                start
            } else {
                this.room_for(start, bytes)
            };
            let latency = this.sample(this.model.write);
            let arrived = this.transfer(room, bytes).after(latency);
            let seek = this.seek_to(offset, bytes);
            let transfer = this.onto_medium(bytes);
            if through {
                this.push_back(seek + transfer);
                let settle = this.sample(this.model.settle);
                return arrived.after(seek + transfer + settle);
            }
            let cost = seek / SORTED_SEEK_SHARE + transfer;
            this.medium = this.medium.max(arrived).after(cost);
            this.cached.push_back(Cached {
                bytes,
                taken_ns_unpushed: this.medium.ns - this.pushed_ns,
            });
            this.cached_bytes += bytes;
            arrived
        })
    }

    fn flush(&mut self, now: Instant) -> Instant {
        let drained = self.cached.back().map_or(now, |last| self.taken(*last));
        let settle = self.sample(self.model.settle);
        drained.after(settle)
    }

    /// Runs `work` on the unit that is free first, and keeps it busy until the answer.
    fn on_unit(
        &mut self,
        now: Instant,
        work: impl FnOnce(&mut Self, Instant) -> Instant,
    ) -> Instant {
        let unit = (0..self.units.len())
            .min_by_key(|&unit| self.units[unit])
            .expect("a device has a unit");
        let start = self.units[unit].max(now);
        let end = work(self, start);
        assert!(end >= start, "no answer before its request");
        self.units[unit] = end;
        end
    }

    /// The link carries one thing at a time.
    fn transfer(&mut self, ready: Instant, bytes: u64) -> Instant {
        let cost = self.model.command + over(bytes, self.model.link_bytes_per_second);
        self.link = self.link.max(ready).after(cost);
        self.link
    }

    /// Forgets what the medium has taken.
    fn drain(&mut self, now: Instant) {
        while let Some(oldest) = self.cached.front()
            && self.taken(*oldest) <= now
        {
            self.cached_bytes -= oldest.bytes;
            self.cached.pop_front();
        }
    }

    fn taken(&self, cached: Cached) -> Instant {
        Instant {
            ns: cached.taken_ns_unpushed + self.pushed_ns,
        }
    }

    /// Something of that cost goes ahead of what is cached.
    fn push_back(&mut self, cost: Duration) {
        if !self.cached.is_empty() {
            let pushed = self.medium.after(cost);
            self.pushed_ns += pushed.ns_since(self.medium);
            self.medium = pushed;
        }
    }

    /// From when the cache has room for `bytes`.
    fn room_for(&mut self, from: Instant, bytes: u64) -> Instant {
        let mut room = from;
        while self.cached_bytes + bytes > self.model.cache_bytes {
            let oldest = self.cached.pop_front().expect("it fits an empty cache");
            self.cached_bytes -= oldest.bytes;
            room = room.max(self.taken(oldest));
        }
        room
    }

    fn onto_medium(&self, bytes: u64) -> Duration {
        over(bytes, self.model.medium_bytes_per_second)
    }

    /// Moves the head behind the request; what that takes, turning included.
    fn seek_to(&mut self, offset: u64, bytes: u64) -> Duration {
        let Some(seek) = self.model.seek else {
            return Duration::ZERO;
        };
        let distance = self.head.abs_diff(offset);
        self.head = offset + bytes;
        if distance == 0 {
            return Duration::ZERO;
        }
        let share = (distance as f64 / self.capacity_bytes as f64).sqrt();
        let span = seek.longest.saturating_sub(seek.shortest);
        seek.shortest + span.mul_f64(share.min(1.0)) + seek.turn.mul_f64(self.uniform())
    }

    fn sample(&mut self, latency: Latency) -> Duration {
        let mut sampled = latency.median;
        if latency.sigma > 0.0 {
            sampled = sampled.mul_f64(libm::exp(latency.sigma * self.normal()));
        }
        if latency.stalls_per_million > 0
            && self.uniform() * 1e6 < f64::from(latency.stalls_per_million)
        {
            sampled += latency.stall;
        }
        sampled
    }

    /// At least 0, below 1, in steps of `2^-53`.
    fn uniform(&mut self) -> f64 {
        (self.generator.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Mean 0, deviation 1 (Box and Muller).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * libm::log(1.0 - self.uniform())).sqrt();
        radius * libm::cos(std::f64::consts::TAU * self.uniform())
    }
}

fn over(bytes: u64, bytes_per_second: u64) -> Duration {
    let ns = u128::from(bytes) * 1_000_000_000 / u128::from(bytes_per_second);
    Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
