//! The door to the device: requests with owned buffers go in, completions with the same buffers come out.
//!
//! A backend is a range of bytes that can be read, written, flushed and discarded, and nothing
//! more: no names, no growth, no cache of its own. Everything above (engine, harness, tests) holds
//! an `Arc<dyn Backend>`; files, block devices, memory and every wrapper look alike from there.
//!
//! Contract, the same for all and held by one conformance suite:
//!   * `submit` takes the buffer and calls `done` exactly once, on any thread, with the buffer
//!     inside. It may block while the queue is full, never for the device's answer. `done` must
//!     be short and must not call back into a backend (`submit`, `execute`, `close`): it hands
//!     over to a pool. A panic in `done` ends the process.
//!   * `execute` is `submit` for a caller who has nothing else to do; it may run the request on
//!     the caller's own thread and is not counted against the queue depth. `execute_batch` is the same
//!     for several at once.
//!   * A completion without an error moved every byte asked for: short transfers are continued
//!     below this line.
//!   * Requests in flight together are unordered, overlapping ones included. Who needs an order
//!     waits for the completion.
//!   * `Flush` covers writes whose completion was delivered before it was submitted.
//!   * A write with `Durability::Fua` is durable when it completes; it says nothing of others.
//!   * `Discard` leaves unspecified bytes that read without an error.
//!   * `close` waits until nothing is in flight. After it every request fails with `Closed`.
//!
//! Not here: where bytes live (file, block, mem), how they move (uring, threads), buffers (buf).

use std::fmt;

use crate::{AlignedBuf, BackendError};

/// What a backend is made of. Constant from open to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Size in bytes; a multiple of `block_bytes`.
    pub capacity_bytes: u64,
    /// Every offset and length is a multiple of this; a power of two, at least 512, at most 4096.
    pub block_bytes: u32,
    /// Buffers start at a multiple of this; a power of two.
    pub memory_align_bytes: u32,
    /// Largest single request in bytes; longer ones are refused.
    pub request_bytes_max: u32,
    /// `Flush` reaches stable storage, rather than being accepted and ignored.
    pub flushes: bool,
    /// `Discard` does something.
    pub discards: bool,
}

/// When a completed write is safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// After a later `Flush`.
    Cached,
    /// When it completes (forced unit access, or write then flush below this line).
    Fua,
}

/// One thing asked of a device. Offsets and lengths are bytes.
#[derive(Debug)]
pub enum Request {
    /// Fill `buf` (its whole length) from `offset`.
    Read {
        /// First byte.
        offset: u64,
        /// Where the bytes go; its length is the length of the request.
        buf: AlignedBuf,
    },
    /// Write the whole of `buf` at `offset`.
    Write {
        /// First byte.
        offset: u64,
        /// The bytes; its length is the length of the request.
        buf: AlignedBuf,
        /// When it must be safe.
        durability: Durability,
    },
    /// Make every completed write durable.
    Flush,
    /// These bytes are not needed any more.
    Discard {
        /// First byte.
        offset: u64,
        /// How many.
        bytes: u64,
    },
}

/// The kind of a request, for counters and errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestKind {
    /// `Request::Read`.
    Read,
    /// `Request::Write`.
    Write,
    /// `Request::Flush`.
    Flush,
    /// `Request::Discard`.
    Discard,
}

impl RequestKind {
    /// Every kind, in the order of `index`.
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Flush, Self::Discard];

    /// Its place in `ALL`, for tables by kind.
    pub fn index(self) -> usize {
        self as usize
    }
}

impl Request {
    /// Kind, first byte and number of bytes; a flush is at 0 with 0 bytes.
    pub fn shape(&self) -> (RequestKind, u64, u64) {
        match self {
            Self::Read { offset, buf } => (RequestKind::Read, *offset, buf.len() as u64),
            Self::Write { offset, buf, .. } => (RequestKind::Write, *offset, buf.len() as u64),
            Self::Flush => (RequestKind::Flush, 0, 0),
            Self::Discard { offset, bytes } => (RequestKind::Discard, *offset, *bytes),
        }
    }

    /// The buffer, on its way back to the caller.
    pub fn into_buf(self) -> Option<AlignedBuf> {
        match self {
            Self::Read { buf, .. } | Self::Write { buf, .. } => Some(buf),
            Self::Flush | Self::Discard { .. } => None,
        }
    }
}

/// The answer to a request.
#[derive(Debug)]
pub struct Completion {
    /// Everything moved, or the first thing that went wrong.
    pub result: Result<(), BackendError>,
    /// The request's buffer. After a failed read its bytes are unspecified.
    pub buf: Option<AlignedBuf>,
}

/// Called once with the answer.
pub type Done = Box<dyn FnOnce(Completion) + Send>;

/// A device. See the module's header for the contract.
pub trait Backend: Send + Sync + fmt::Debug {
    /// What the device is made of.
    fn geometry(&self) -> Geometry;

    /// Starts one request.
    fn submit(&self, request: Request, done: Done);

    /// Starts several requests at once; one system call where the mover can.
    fn submit_batch(&self, batch: Vec<(Request, Done)>) {
        for (request, done) in batch {
            self.submit(request, done);
        }
    }

    /// Carries out one request and waits for its answer. A backend that can do so without another
    /// thread does: a single blocking request costs what the system call costs.
    fn execute(&self, request: Request) -> Completion {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        self.submit(
            request,
            Box::new(move |completion| {
                // The receiver below waits for exactly this message.
                sender.send(completion).expect("the caller waits");
            }),
        );
        receiver.recv().expect("done is called exactly once")
    }

    /// Carries out several requests at the same time and waits for all their answers, in their order.
    /// For a caller who has nothing else to do, as `execute`.
    fn execute_batch(&self, requests: Vec<Request>) -> Vec<Completion> {
        execute_together(self, requests)
    }

    /// Waits for everything in flight and refuses what comes later.
    fn close(&self) -> Result<(), BackendError>;

    /// A line for records and reports: target, mover, path.
    fn describe(&self) -> String;
}

/// Submits all and waits for all.
pub(crate) fn execute_together(
    backend: &(impl Backend + ?Sized),
    requests: Vec<Request>,
) -> Vec<Completion> {
    let (sender, receiver) = std::sync::mpsc::channel();
    let count = requests.len();
    let numbered = requests.into_iter().enumerate();
    let batch = numbered.map(|(number, request)| {
        let sender = sender.clone();
        let done: Done = Box::new(move |completion| {
            // The receiver below waits for every one of these messages.
            sender.send((number, completion)).expect("the caller waits");
        });
        (request, done)
    });
    backend.submit_batch(batch.collect());
    let mut answers: Vec<(usize, Completion)> = receiver.iter().take(count).collect();
    answers.sort_unstable_by_key(|(number, _)| *number);
    answers
        .into_iter()
        .map(|(_, completion)| completion)
        .collect()
}
