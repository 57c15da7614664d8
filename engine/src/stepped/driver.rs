//! Who is next: one draw over everything that is possible.
//!
//! Locks: `state` is held to draw and to note, never while a step is taken, so that a step may take
//! steps. While one of the services steps its state is not here, and it cannot step a second time.

use std::fmt::Write;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use delalloc_backends::{Clock, HeldBackend, Instant, VirtualClock};
use parking_lot::Mutex;

use super::services::{Committer, Flusher};
use super::trace::Trace;
use crate::core::Core;
use crate::pool::{Draw, Pool, SteppedPool};
use crate::waiting::Turns;

/// The pools, the device, flusher and committer: where steps come from.
const POOLS: usize = 6;
const DEVICE: usize = POOLS;
const FLUSHER: usize = DEVICE + 1;
const COMMITTER: usize = FLUSHER + 1;
const SOURCES: usize = COMMITTER + 1;

/// Steps that the services may take with nothing else happening before nothing ever will. A turn of
/// the flusher is a step per piece, and the next piece of a run may be what a waiter waits for.
const VAIN_STEPS_MAX: u32 = 10_000;

/// Everybody of a volume without threads.
#[derive(Debug)]
pub(crate) struct Driver {
    seed: u64,
    clock: Arc<VirtualClock>,
    device: Arc<HeldBackend>,
    pools: [Arc<SteppedPool>; POOLS],
    core: OnceLock<Weak<Core>>,
    state: Mutex<DriverState>,
}

#[derive(Debug)]
struct DriverState {
    draw: Draw,
    trace: Trace,
    flusher: Option<Flusher>,
    committer: Option<Committer>,
    /// Steps of the services since something else happened.
    vain_steps: u32,
    stopping: bool,
    off: bool,
}

impl Driver {
    pub(crate) fn new(
        seed: u64,
        device: Arc<HeldBackend>,
        pools: [Arc<SteppedPool>; POOLS],
    ) -> Arc<Self> {
        Arc::new(Self {
            seed,
            clock: Arc::clone(device.clock()),
            device,
            pools,
            core: OnceLock::new(),
            state: Mutex::new(DriverState {
                draw: Draw::new(seed),
                trace: Trace::default(),
                flusher: Some(Flusher::new()),
                committer: Some(Committer::default()),
                vain_steps: 0,
                stopping: false,
                off: false,
            }),
        })
    }

    /// The services serve `core` from now on.
    pub(crate) fn serve(&self, core: &Arc<Core>) {
        let first = self.core.set(Arc::downgrade(core)).is_ok();
        assert!(first, "a driver serves one volume");
    }

    pub(crate) fn clock(&self) -> &Arc<VirtualClock> {
        &self.clock
    }

    pub(crate) fn trace(&self) -> Trace {
        self.state.lock().trace
    }

    /// Takes a step that is possible now, or once the device's next answer is due. False where there
    /// is none.
    pub(crate) fn step_at_hand(&self) -> bool {
        while !self.step_now() {
            match self.device.next_due() {
                Some(due) if !self.is_off() => self.move_to(due),
                _ => return false,
            }
        }
        true
    }

    /// Lets `duration` pass; what becomes possible meanwhile is done.
    pub(crate) fn let_pass(&self, duration: Duration) {
        let end = self.clock.now().after(duration);
        loop {
            while self.step_now() {}
            let next = self.next_time().filter(|next| *next < end);
            if self.clock.now() >= end {
                // Looks that were vain while time was let pass say nothing of a wait that comes later.
                self.state.lock().vain_steps = 0;
                return;
            }
            self.move_to(next.unwrap_or(end));
        }
    }

    /// Ends the services, and whatever was handed off.
    pub(crate) fn stop(&self) {
        self.state.lock().stopping = true;
        while self.step_at_hand() {}
    }

    /// Drops everything under way, for good.
    pub(crate) fn power_off(&self) {
        if let Some(core) = self.core() {
            core.shut();
        }
        let (flusher, committer) = {
            let mut state = self.state.lock();
            state.off = true;
            (state.flusher.take(), state.committer.take())
        };
        drop((flusher, committer));
        for pool in &self.pools {
            pool.abandon();
        }
        self.device.forget();
    }

    fn is_off(&self) -> bool {
        self.state.lock().off
    }

    fn core(&self) -> Option<Arc<Core>> {
        self.core.get().and_then(Weak::upgrade)
    }

    /// How many steps each source could take now.
    fn choices(&self) -> [usize; SOURCES] {
        let mut choices = [0; SOURCES];
        for (count, pool) in choices.iter_mut().zip(&self.pools) {
            *count = pool.choices();
        }
        choices[DEVICE] = self.device.choices();
        if let Some(core) = self.core() {
            let state = self.state.lock();
            let serving = !state.stopping;
            let flusher = state.flusher.as_ref();
            let flusher = flusher.filter(|own| serving || own.is_handing());
            let committer = state.committer.as_ref().filter(|_| serving);
            choices[FLUSHER] = usize::from(flusher.is_some_and(|own| own.can_step(&core)));
            choices[COMMITTER] = usize::from(committer.is_some_and(|own| own.can_step(&core)));
        }
        choices
    }

    /// Takes one of the steps that are possible without time passing.
    fn step_now(&self) -> bool {
        let choices = self.choices();
        let total: usize = choices.iter().sum();
        if total == 0 {
            return false;
        }
        let (source, index) = {
            let mut state = self.state.lock();
            let (source, index) = part_of(&choices, state.draw.below(total));
            state.trace.step(self.clock.now(), source, index, total);
            state.vain_steps = match source {
                FLUSHER | COMMITTER => state.vain_steps + 1,
                _ => 0,
            };
            (source, index)
        };
        match source {
            DEVICE => {
                let step = self.device.step(index);
                self.state.lock().trace.device(step);
            }
            FLUSHER => self.step_flusher(),
            COMMITTER => self.step_committer(),
            pool => self.pools[pool].take(index),
        }
        true
    }

    fn step_flusher(&self) {
        let core = self.core().expect("its step was possible");
        let flusher = self.state.lock().flusher.take();
        let flusher = flusher.expect("its step was possible").step(&core);
        self.state.lock().flusher = Some(flusher);
    }

    fn step_committer(&self) {
        let core = self.core().expect("its step was possible");
        let committer = self.state.lock().committer.take();
        let mut committer = committer.expect("its step was possible");
        committer.step(&core);
        self.state.lock().committer = Some(committer);
    }

    /// When something will be possible that is not now.
    fn next_time(&self) -> Option<Instant> {
        let look = self.next_look();
        self.device.next_due().into_iter().chain(look).min()
    }

    fn next_look(&self) -> Option<Instant> {
        let core = self.core()?;
        let state = self.state.lock();
        state.flusher.as_ref()?.next_look(&core)
    }

    fn move_to(&self, time: Instant) {
        let ns = time.ns_since(self.clock.now());
        self.clock.advance(Duration::from_nanos(ns));
    }
}

impl Turns for Driver {
    fn step(&self) -> bool {
        loop {
            let state = self.state.lock();
            if state.off || state.vain_steps > VAIN_STEPS_MAX {
                return false;
            }
            drop(state);
            if self.step_now() {
                return true;
            }
            match self.next_time() {
                Some(next) => self.move_to(next),
                None => return false,
            }
        }
    }

    fn step_within(&self, at_most: Duration) -> bool {
        let end = self.clock.now().after(at_most);
        while !self.is_off() {
            if self.step_now() {
                return true;
            }
            match self.next_time().filter(|next| *next < end) {
                Some(next) => self.move_to(next),
                None => {
                    self.move_to(end);
                    return false;
                }
            }
        }
        false
    }

    fn sleep(&self, duration: Duration) {
        self.let_pass(duration);
    }

    fn report(&self) -> String {
        let trace = self.trace();
        let mut text = format!(
            "seed {} at step {}, {} ns:",
            self.seed,
            trace.steps(),
            self.clock.now().ns
        );
        for pool in &self.pools {
            let stats = pool.stats();
            // Writing to a string does not fail.
            let _ = write!(
                text,
                "\n  pool {}: {} queued, {} running, {} waiting for their turn",
                stats.name, stats.depth_now, stats.workers_running, stats.waiting_now
            );
        }
        for request in self.device.held() {
            let _ = write!(text, "\n  device: {request}");
        }
        let state = self.state.lock();
        let _ = write!(text, "\n  flusher: {:?}", state.flusher);
        drop(state);
        if let Some(core) = self.core() {
            let _ = write!(
                text,
                "\n  {:?}\n  {:?}\n  {:?}\n  {:?}",
                core.dirty.stats(core.clock.as_ref()),
                core.budget.stats(),
                core.frames.stats(),
                core.submit_limit,
            );
        }
        text
    }
}

/// Which source the `index`th of all choices is of, and which of its own.
fn part_of(choices: &[usize; SOURCES], mut index: usize) -> (usize, usize) {
    for (source, &count) in choices.iter().enumerate() {
        if index < count {
            return (source, index);
        }
        index -= count;
    }
    unreachable!("the index is below the sum of the choices")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_is_of_one_source() {
        let choices = [1, 0, 2, 0, 0, 0, 1, 0, 1];
        let parts: Vec<_> = (0..5).map(|index| part_of(&choices, index)).collect();
        assert_eq!(parts, [(0, 0), (2, 0), (2, 1), (DEVICE, 0), (COMMITTER, 0)]);
    }
}
