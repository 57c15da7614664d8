//! Wrapper: answers wait until they are handed out, one at a time, by whoever plays the device.
//!
//! What a device does between a submission and its answer happens in two steps here, each taken by
//! the caller's order and on the caller's thread:
//!
//! ```text
//!   submit --> asked --step: bytes move--> moved --step, once due: done is called--> gone
//!   execute: at once, on the caller's thread
//! ```
//!
//! So a write may be on the device long before it is answered or at that very moment, a read may see
//! what was there at its submission or at its answer, and requests overtake each other: all that the
//! contract of `Backend` allows, in an order that the caller's seed repeats.
//!
//! With a model an answer is due when the modelled device would give it, in the time of a virtual
//! clock: nothing sleeps, and two runs of one seed see the same times. Without, it is due at once.
//! Blocking requests let the clock pass on to their answer, or to the last of several.
//!
//! Requests, bytes and times are counted in the clock's time, from the submission to the answer.
//!
//! Nothing is ever full: `submit` takes any number. What is not stepped is never answered, so this is
//! no device for who waits without stepping; `at_once` is one for those, over the same bytes.
//!
//! Locks: `line` is a leaf, held neither while bytes move nor in a callback.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::meter::Meter;
use crate::sim::{Service, SimModel};
use crate::{
    Backend, BackendError, Clock, Completion, Done, Geometry, Instant, MeterSnapshot, Request,
    RequestKind, VirtualClock,
};

/// A device that answers when told to.
#[derive(Debug)]
pub struct HeldBackend {
    base: Arc<dyn Backend>,
    clock: Arc<VirtualClock>,
    model: Option<Mutex<Service>>,
    meter: Meter,
    line: Mutex<Vec<Held>>,
}

struct Held {
    shape: (RequestKind, u64, u64),
    due: Instant,
    stage: Stage,
    done: Done,
}

enum Stage {
    Asked(Request),
    Moved(Completion),
}

impl Held {
    fn can_step(&self, now: Instant) -> bool {
        match self.stage {
            Stage::Asked(_) => true,
            Stage::Moved(_) => self.due <= now,
        }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, offset, bytes) = self.shape;
        let stage = match self.stage {
            Stage::Asked(_) => "asked",
            Stage::Moved(_) => "moved",
        };
        write!(
            f,
            "{kind:?} {bytes} at {offset} {stage}, due {}",
            self.due.ns
        )
    }
}

/// What a step of a held device did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HeldStep {
    /// Of which kind of request.
    pub kind: RequestKind,
    /// Its first byte.
    pub offset: u64,
    /// Its length.
    pub bytes: u64,
    /// It is answered; else its bytes have moved.
    pub answered: bool,
}

impl HeldBackend {
    /// Holds the answers of `base`, which itself answers on the caller's thread (memory, and wrappers
    /// over it). `clock` is the time of the volume above.
    pub fn new(base: Arc<dyn Backend>, clock: Arc<VirtualClock>) -> Self {
        Self {
            base,
            meter: Meter::new(Arc::<VirtualClock>::clone(&clock)),
            clock,
            model: None,
            line: Mutex::default(),
        }
    }

    /// The same, with answers due when a device as `model` says would give them; the model's queue
    /// depth does not bound anything.
    ///
    /// # Panics
    /// If the model has no parallel unit or no bandwidth.
    pub fn modelled(
        base: Arc<dyn Backend>,
        clock: Arc<VirtualClock>,
        model: SimModel,
        seed: u64,
    ) -> Self {
        let capacity_bytes = base.geometry().capacity_bytes;
        let service = Service::new(&model, capacity_bytes, seed);
        Self {
            model: Some(Mutex::new(service)),
            ..Self::new(base, clock)
        }
    }

    /// The clock it lives by.
    pub fn clock(&self) -> &Arc<VirtualClock> {
        &self.clock
    }

    /// What it was asked so far.
    pub fn snapshot(&self) -> MeterSnapshot {
        self.meter.snapshot()
    }

    /// How many different steps are possible now.
    pub fn choices(&self) -> usize {
        let now = self.clock.now();
        let line = self.line.lock();
        line.iter().filter(|held| held.can_step(now)).count()
    }

    /// Does the `nth` of the possible steps.
    ///
    /// # Panics
    /// Where there are not that many.
    pub fn step(&self, nth: usize) -> HeldStep {
        let now = self.clock.now();
        let mut line = self.line.lock();
        let (at, _) = line
            .iter()
            .enumerate()
            .filter(|(_, held)| held.can_step(now))
            .nth(nth)
            .expect("a step that is possible");
        let Held {
            shape,
            due,
            stage,
            done,
        } = line.remove(at);
        drop(line);
        let (kind, offset, bytes) = shape;
        let answered = match stage {
            Stage::Asked(request) => {
                let stage = Stage::Moved(self.base.execute(request));
                let held = Held {
                    shape,
                    due,
                    stage,
                    done,
                };
                self.line.lock().push(held);
                false
            }
            Stage::Moved(completion) => {
                done(completion);
                true
            }
        };
        HeldStep {
            kind,
            offset,
            bytes,
            answered,
        }
    }

    /// When the next answer is due, if anything is held.
    pub fn next_due(&self) -> Option<Instant> {
        self.line.lock().iter().map(|held| held.due).min()
    }

    /// A line about each request that is held.
    pub fn held(&self) -> Vec<String> {
        let line = self.line.lock();
        line.iter().map(|held| format!("{held:?}")).collect()
    }

    /// The power goes: what is held is never answered, and what has not moved does not.
    pub fn forget(&self) {
        let lost = std::mem::take(&mut *self.line.lock());
        drop(lost);
    }

    /// The same device for callers who cannot step: `submit` answers before it returns.
    pub fn at_once(self: &Arc<Self>) -> Arc<dyn Backend> {
        Arc::new(AtOnce(Arc::clone(self)))
    }

    fn pass_to(&self, due: Instant) {
        let wait_ns = due.ns_since(self.clock.now());
        self.clock.advance(Duration::from_nanos(wait_ns));
    }

    fn due(&self, request: &Request) -> Instant {
        let now = self.clock.now();
        match &self.model {
            Some(model) if self.geometry().check(request).is_ok() => {
                model.lock().serve(now, request)
            }
            _ => now,
        }
    }
}

impl Backend for HeldBackend {
    fn geometry(&self) -> Geometry {
        self.base.geometry()
    }

    fn submit(&self, request: Request, done: Done) {
        let done = self.meter.begin_with(&request, done);
        let held = Held {
            shape: request.shape(),
            due: self.due(&request),
            stage: Stage::Asked(request),
            done,
        };
        self.line.lock().push(held);
    }

    fn execute(&self, request: Request) -> Completion {
        let metered = self.meter.begin(&request);
        let due = self.due(&request);
        let completion = self.base.execute(request);
        self.pass_to(due);
        self.meter.end(metered, &completion);
        completion
    }

    fn execute_batch(&self, requests: Vec<Request>) -> Vec<Completion> {
        let begin = |request: &Request| (self.meter.begin(request), self.due(request));
        let begun: Vec<_> = requests.iter().map(begin).collect();
        let carry_out = |request| self.base.execute(request);
        let completions: Vec<_> = requests.into_iter().map(carry_out).collect();
        let mut by_due: Vec<usize> = (0..begun.len()).collect();
        by_due.sort_by_key(|&nth| begun[nth].1);
        for nth in by_due {
            let (metered, due) = begun[nth];
            self.pass_to(due);
            self.meter.end(metered, &completions[nth]);
        }
        completions
    }

    /// # Panics
    /// While anything is held: nobody would ever answer it.
    fn close(&self) -> Result<(), BackendError> {
        let held = self.line.lock().len();
        assert_eq!(held, 0, "a held device closes once all is answered");
        self.base.close()
    }

    fn describe(&self) -> String {
        format!("{}, its answers held", self.base.describe())
    }
}

/// A held device that holds nothing.
#[derive(Debug)]
struct AtOnce(Arc<HeldBackend>);

impl Backend for AtOnce {
    fn geometry(&self) -> Geometry {
        self.0.geometry()
    }

    fn submit(&self, request: Request, done: Done) {
        done(self.0.execute(request));
    }

    fn execute(&self, request: Request) -> Completion {
        self.0.execute(request)
    }

    fn execute_batch(&self, requests: Vec<Request>) -> Vec<Completion> {
        self.0.execute_batch(requests)
    }

    fn close(&self) -> Result<(), BackendError> {
        self.0.close()
    }

    fn describe(&self) -> String {
        let bytes = self.0.base.describe();
        match &self.0.model {
            Some(model) => format!("model of {} over {bytes}", model.lock().name()),
            None => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AlignedBuf, BackendExt, Durability, MemBackend};

    fn write(device: &HeldBackend, byte: u8, answers: &Arc<Mutex<Vec<u8>>>) {
        let answers = Arc::clone(answers);
        let request = Request::Write {
            offset: 0,
            buf: AlignedBuf::copy_of(&[byte; 4096]),
            durability: Durability::Cached,
        };
        let done = Box::new(move |completion: Completion| {
            completion.result.expect("a write to memory");
            answers.lock().push(byte);
        });
        device.submit(request, done);
    }

    fn held() -> Arc<HeldBackend> {
        let memory = Arc::new(MemBackend::new(1 << 20));
        Arc::new(HeldBackend::new(memory, Arc::default()))
    }

    fn first_byte(device: &HeldBackend) -> u8 {
        device.read_blocking(0, 4096).expect("a read of memory")[0]
    }

    #[test]
    fn bytes_move_and_answers_come_by_steps_of_their_own() {
        let (device, answers) = (held(), Arc::default());
        write(&device, 1, &answers);
        write(&device, 2, &answers);
        assert_eq!((device.choices(), first_byte(&device)), (2, 0));
        assert!(!device.step(1).answered);
        assert_eq!(first_byte(&device), 2);
        assert!(!device.step(0).answered, "the older write overtakes");
        assert_eq!((device.choices(), first_byte(&device)), (2, 1));
        assert!(device.step(0).answered);
        assert!(device.step(0).answered);
        assert_eq!(*answers.lock(), [2, 1]);
        assert_eq!((device.choices(), device.next_due()), (0, None));
        device.close().expect("nothing is held");
    }

    #[test]
    fn what_has_not_moved_when_the_power_goes_never_does() {
        let (device, answers) = (held(), Arc::default());
        write(&device, 1, &answers);
        device.step(0);
        write(&device, 2, &answers);
        device.forget();
        assert_eq!((device.choices(), first_byte(&device)), (0, 1));
        assert!(answers.lock().is_empty());
    }

    #[test]
    fn a_modelled_answer_is_due_in_virtual_time() {
        let clock = Arc::new(VirtualClock::new());
        let memory = Arc::new(MemBackend::new(1 << 20));
        let device = HeldBackend::modelled(memory, Arc::clone(&clock), SimModel::NVME, 7);
        let answers = Arc::default();
        write(&device, 1, &answers);
        device.step(0);
        assert_eq!(device.choices(), 0, "moved, and not due");
        let due = device.next_due().expect("it is held");
        clock.advance(Duration::from_nanos(due.ns));
        assert!(device.step(0).answered);
        let before = clock.now();
        first_byte(&device);
        assert!(clock.now() > due, "a blocking read takes its time");
        let counted = device.snapshot();
        let (wrote, read) = (
            counted.kind(RequestKind::Write),
            counted.kind(RequestKind::Read),
        );
        assert_eq!((wrote.bytes, wrote.service_ns_sum), (4096, due.ns));
        assert_eq!(read.service_ns_sum, clock.now().ns_since(before));
    }

    #[test]
    fn requests_of_a_blocking_batch_overlap() {
        let clock = Arc::new(VirtualClock::new());
        let memory = Arc::new(MemBackend::new(1 << 20));
        let device = HeldBackend::modelled(memory, Arc::clone(&clock), SimModel::NVME, 7);
        let reads = |count: u64| {
            (0..count).map(|at| Request::Read {
                offset: at * 4096,
                buf: AlignedBuf::zeroed(4096),
            })
        };
        for read in reads(8) {
            device.execute(read).result.expect("a read of memory");
        }
        let one_by_one_ns = clock.now().ns;
        let answers = Arc::new(device).at_once().execute_batch(reads(8).collect());
        assert_eq!(answers.len(), 8);
        let together_ns = clock.now().ns - one_by_one_ns;
        assert!(
            together_ns * 4 < one_by_one_ns,
            "{together_ns} {one_by_one_ns}"
        );
    }
}
