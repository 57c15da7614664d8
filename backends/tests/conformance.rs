//! One suite over every backend: each pair of target and mover, memory, and each wrapper over it.
//!
//! Loop devices need root; without them the block tests say `SKIPPED` on stderr and pass.

#[expect(dead_code, reason = "each test crate uses its part of the support")]
mod support;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use delalloc_backends::{
    AlignedBuf, Backend, BackendError, BackendExt, BlockOptions, Clock, Completion, Durability,
    FaultBackend, FileCaching, FileDiscard, FileOpening, FileOptions, HeldBackend, MemBackend,
    MeterBackend, MoverKind, MoverOptions, OsClock, OverlayBackend, Preallocation, Recorder,
    Request, SimBackend, SimModel, ThrottleBackend, ThrottleLimits,
};
use support::{LoopDevice, undisturbed};

const CAPACITY_BYTES: u64 = 4 << 20;
/// Smaller than what the tests keep in flight, so that submitters wait.
const QUEUE_DEPTH: u32 = 8;

/// Opens the device once more; the bytes are those of the time before.
type Open<'a> = dyn Fn() -> Arc<dyn Backend> + 'a;

fn conform(open: &Open<'_>) {
    conform_while_open(open);
    bytes_stay_over_a_reopen(open);
}

/// All but that bytes are there the next time.
fn conform_while_open(open: &Open<'_>) {
    geometry_is_sane(&*open());
    round_trips_at_every_alignment(&*open());
    many_in_flight_each_answered_once(&*open());
    batches_do_the_same(&*open());
    several_at_once_are_answered_in_their_order(&*open());
    later_writes_win_after_completion(&*open());
    flush_forced_writes_and_discards_succeed(&*open());
    what_does_not_fit_is_refused(&*open());
    close_drains_and_refuses(&*open());
    close_beside_submitters_answers_everyone(&*open());
}

fn geometry_is_sane(device: &dyn Backend) {
    let geometry = device.geometry();
    assert_eq!(geometry.capacity_bytes, CAPACITY_BYTES);
    assert!(geometry.block_bytes.is_power_of_two());
    assert!((512..=4096).contains(&geometry.block_bytes));
    assert!(geometry.memory_align_bytes.is_power_of_two());
    assert!(geometry.request_bytes_max >= 1 << 20);
    assert!(!device.describe().is_empty());
    device.close().expect("closes");
}

/// Bytes that tell where they belong and which write they are of.
fn pattern(offset: u64, len_bytes: usize, version: u8) -> AlignedBuf {
    let mut buf = AlignedBuf::zeroed(len_bytes);
    for (at, chunk) in buf.chunks_mut(8).enumerate() {
        let word = (offset + at as u64 * 8) ^ (u64::from(version) << 56);
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    buf
}

fn round_trips_at_every_alignment(device: &dyn Backend) {
    let block_bytes = u64::from(device.geometry().block_bytes);
    let mut version = 0;
    for start_block in 0..9 {
        for block_count in [1, 2, 3, 7, 8, 9, 64] {
            version += 1;
            let offset = start_block * block_bytes;
            let len_bytes = usize::try_from(block_count * block_bytes).expect("small");
            let written = pattern(offset, len_bytes, version);
            let back = device
                .write_blocking(offset, written, Durability::Cached)
                .expect("writes");
            assert_eq!(back.len(), len_bytes, "the buffer comes back whole");
            let read = read_async(device, offset, len_bytes);
            assert!(read[..] == back[..], "block {start_block} + {block_count}");
            let read = device.read_blocking(offset, len_bytes).expect("reads");
            assert!(read[..] == back[..], "block {start_block} + {block_count}");
        }
    }
    let last = CAPACITY_BYTES - block_bytes;
    let len_bytes = usize::try_from(block_bytes).expect("small");
    let written = write_async(
        device,
        last,
        pattern(last, len_bytes, 1),
        Durability::Cached,
    );
    let read = device.read_blocking(last, len_bytes).expect("reads");
    assert!(read[..] == written[..], "the last block");
    device.close().expect("closes");
}

fn submit_and_wait(device: &dyn Backend, request: Request) -> Completion {
    let (sender, receiver) = mpsc::channel();
    device.submit(
        request,
        Box::new(move |completion| sender.send(completion).expect("the test waits")),
    );
    let completion = receiver
        .recv_timeout(Duration::from_secs(30))
        .expect("an answer");
    assert!(
        receiver.recv_timeout(Duration::from_secs(1)).is_err(),
        "the callback is dropped with its one call"
    );
    completion
}

fn read_async(device: &dyn Backend, offset: u64, len_bytes: usize) -> AlignedBuf {
    let buf = AlignedBuf::zeroed(len_bytes);
    let completion = submit_and_wait(device, Request::Read { offset, buf });
    completion.result.expect("reads");
    completion.buf.expect("the buffer comes back")
}

fn write_async(
    device: &dyn Backend,
    offset: u64,
    buf: AlignedBuf,
    durability: Durability,
) -> AlignedBuf {
    let completion = submit_and_wait(
        device,
        Request::Write {
            offset,
            buf,
            durability,
        },
    );
    completion.result.expect("writes");
    completion.buf.expect("the buffer comes back")
}

const IN_FLIGHT: usize = 200;
const PIECE_BYTES: usize = 16 << 10;

fn piece(index: usize) -> Range<u64> {
    let start = (index * PIECE_BYTES) as u64;
    start..start + PIECE_BYTES as u64
}

fn many_in_flight_each_answered_once(device: &dyn Backend) {
    let answers = Arc::new(AtomicUsize::new(0));
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (sender, answers) = (sender.clone(), Arc::clone(&answers));
            scope.spawn(move || {
                for index in (thread..IN_FLIGHT).step_by(4) {
                    let (sender, answers) = (sender.clone(), Arc::clone(&answers));
                    let request = Request::Write {
                        offset: piece(index).start,
                        buf: pattern(piece(index).start, PIECE_BYTES, 3),
                        durability: Durability::Cached,
                    };
                    device.submit(
                        request,
                        Box::new(move |completion| {
                            answers.fetch_add(1, SeqCst);
                            sender.send(completion).expect("the test waits");
                        }),
                    );
                }
            });
        }
    });
    for _ in 0..IN_FLIGHT {
        let completion = receiver
            .recv_timeout(Duration::from_secs(30))
            .expect("an answer");
        completion.result.expect("writes");
    }
    for index in 0..IN_FLIGHT {
        let read = device
            .read_blocking(piece(index).start, PIECE_BYTES)
            .expect("reads");
        assert!(read[..] == pattern(piece(index).start, PIECE_BYTES, 3)[..]);
    }
    device.close().expect("closes");
    assert_eq!(answers.load(SeqCst), IN_FLIGHT);
}

fn batches_do_the_same(device: &dyn Backend) {
    let (sender, receiver) = mpsc::channel();
    let reads = |index| Request::Read {
        offset: piece(index).start,
        buf: AlignedBuf::zeroed(PIECE_BYTES),
    };
    let mut batch: Vec<(Request, delalloc_backends::Done)> = Vec::new();
    for index in 0..64 {
        let sender = sender.clone();
        batch.push((
            reads(index),
            Box::new(move |completion| sender.send((index, completion)).expect("waits")),
        ));
    }
    let misfit = sender.clone();
    batch.push((
        Request::Discard {
            offset: 1,
            bytes: 1,
        },
        Box::new(move |completion| misfit.send((64, completion)).expect("waits")),
    ));
    batch.push((
        Request::Flush,
        Box::new(move |completion| sender.send((65, completion)).expect("waits")),
    ));
    device.submit_batch(batch);
    let answers: HashMap<usize, Completion> = receiver.iter().collect();
    assert_eq!(answers.len(), 66);
    for (index, completion) in answers {
        match (index, completion.result) {
            (64, result) => assert!(matches!(result, Err(BackendError::Misaligned { .. }))),
            (65, result) => result.expect("flushes"),
            (index, result) => {
                result.expect("reads");
                let buf = completion.buf.expect("the buffer comes back");
                assert!(buf[..] == pattern(piece(index).start, PIECE_BYTES, 3)[..]);
            }
        }
    }
    device.close().expect("closes");
}

/// More than any ring beside a mover has entries, of every kind, from two callers at the same time.
fn several_at_once_are_answered_in_their_order(device: &dyn Backend) {
    const PIECES: u64 = 70;
    const PIECE_LEN: usize = 8192;
    let write = |caller: u64, piece: u64| {
        let offset = (caller * PIECES + piece) * PIECE_LEN as u64;
        let durability = if piece.is_multiple_of(9) {
            Durability::Fua
        } else {
            Durability::Cached
        };
        Request::Write {
            offset,
            buf: pattern(offset, PIECE_LEN, 7),
            durability,
        }
    };
    std::thread::scope(|scope| {
        for caller in 0..2 {
            scope.spawn(move || {
                let mut requests: Vec<Request> =
                    (0..PIECES).map(|piece| write(caller, piece)).collect();
                requests.push(Request::Flush);
                for completion in device.execute_batch(requests) {
                    completion.result.expect("moves");
                }
                let reads = (0..PIECES).map(|piece| Request::Read {
                    offset: (caller * PIECES + piece) * PIECE_LEN as u64,
                    buf: AlignedBuf::zeroed(PIECE_LEN),
                });
                let completions = device.execute_batch(reads.collect());
                for (piece, completion) in (0..).zip(completions) {
                    completion.result.expect("moves");
                    let offset = (caller * PIECES + piece) * PIECE_LEN as u64;
                    let found = completion.buf.expect("it comes back");
                    assert!(found[..] == pattern(offset, PIECE_LEN, 7)[..], "{piece}");
                }
            });
        }
    });
    let beyond = Request::Read {
        offset: CAPACITY_BYTES,
        buf: AlignedBuf::zeroed(PIECE_LEN),
    };
    let completions = device.execute_batch(vec![write(0, 1), beyond, write(0, 2)]);
    let well: Vec<bool> = completions
        .iter()
        .map(|completion| completion.result.is_ok())
        .collect();
    assert_eq!(
        well,
        [true, false, true],
        "one that does not fit spoils no other"
    );
    assert!(
        completions
            .iter()
            .all(|completion| completion.buf.is_some())
    );
    assert!(device.execute_batch(Vec::new()).is_empty());
    device.close().expect("closes");
    let completions = device.execute_batch(vec![write(0, 1)]);
    assert!(matches!(completions[0].result, Err(BackendError::Closed)));
}

fn later_writes_win_after_completion(device: &dyn Backend) {
    for version in 10..30 {
        let offset = u64::from(version % 3) * 4096;
        write_async(
            device,
            offset,
            pattern(offset, 16384, version),
            Durability::Cached,
        );
        let read = read_async(device, offset, 16384);
        assert!(read[..] == pattern(offset, 16384, version)[..]);
    }
    device.close().expect("closes");
}

fn flush_forced_writes_and_discards_succeed(device: &dyn Backend) {
    let written = write_async(device, 65536, pattern(65536, 65536, 5), Durability::Fua);
    device
        .write_blocking(0, pattern(0, 8192, 6), Durability::Fua)
        .expect("writes");
    submit_and_wait(device, Request::Flush)
        .result
        .expect("flushes");
    device.flush_blocking().expect("flushes");
    let discard = Request::Discard {
        offset: 1 << 20,
        bytes: 1 << 20,
    };
    submit_and_wait(device, discard).result.expect("discards");
    device.discard_blocking(1 << 20, 65536).expect("discards");
    device
        .read_blocking(1 << 20, 1 << 20)
        .expect("what was discarded reads without an error");
    let read = read_async(device, 65536, 65536);
    assert!(read[..] == written[..], "what was not discarded stays");
    write_async(
        device,
        1 << 20,
        pattern(1 << 20, 8192, 7),
        Durability::Cached,
    );
    let read = read_async(device, 1 << 20, 8192);
    assert!(read[..] == pattern(1 << 20, 8192, 7)[..]);
    device.close().expect("closes");
}

fn what_does_not_fit_is_refused(device: &dyn Backend) {
    let block_bytes = usize::try_from(device.geometry().block_bytes).expect("small");
    let block = block_bytes as u64;
    let read = |offset, len_bytes| Request::Read {
        offset,
        buf: AlignedBuf::zeroed(len_bytes),
    };
    let misfits = [
        read(1, block_bytes),
        read(0, block_bytes / 2),
        read(0, 0),
        read(CAPACITY_BYTES, block_bytes),
        read(CAPACITY_BYTES - block, 2 * block_bytes),
        read(u64::MAX - block + 1, block_bytes),
        Request::Write {
            offset: block / 2,
            buf: AlignedBuf::zeroed(block_bytes),
            durability: Durability::Fua,
        },
        Request::Discard {
            offset: block,
            bytes: CAPACITY_BYTES,
        },
    ];
    for misfit in misfits {
        let shape = misfit.shape();
        let buf_bytes = match &misfit {
            Request::Read { buf, .. } | Request::Write { buf, .. } => Some(buf.len()),
            _ => None,
        };
        let answer = submit_and_wait(device, misfit);
        assert!(
            matches!(answer.result, Err(BackendError::Misaligned { .. })),
            "{shape:?}"
        );
        assert_eq!(answer.buf.map(|buf| buf.len()), buf_bytes);
    }
    let answer = device.execute(read(1, block_bytes));
    assert!(matches!(
        answer.result,
        Err(BackendError::Misaligned { .. })
    ));
    device.close().expect("closes");
}

fn close_drains_and_refuses(device: &dyn Backend) {
    let answers = Arc::new(AtomicUsize::new(0));
    for index in 0..32 {
        let answers = Arc::clone(&answers);
        let request = Request::Write {
            offset: piece(index).start,
            buf: pattern(piece(index).start, PIECE_BYTES, 9),
            durability: Durability::Cached,
        };
        device.submit(
            request,
            Box::new(move |completion| {
                completion.result.expect("taken before the close");
                answers.fetch_add(1, SeqCst);
            }),
        );
    }
    device.close().expect("closes");
    assert_eq!(answers.load(SeqCst), 32, "close waits for all of them");
    let buf = AlignedBuf::zeroed(4096);
    let late = submit_and_wait(device, Request::Read { offset: 0, buf });
    assert!(matches!(late.result, Err(BackendError::Closed)));
    assert_eq!(late.buf.map(|buf| buf.len()), Some(4096));
    assert!(matches!(device.flush_blocking(), Err(BackendError::Closed)));
    device.close().expect("closing twice is closing once");
}

fn close_beside_submitters_answers_everyone(device: &dyn Backend) {
    const THREADS: usize = 3;
    const REQUESTS: usize = 150;
    let (moved, refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (moved, refused, sender) = (&moved, &refused, sender.clone());
            scope.spawn(move || {
                for index in 0..REQUESTS {
                    let (moved, refused) = (Arc::clone(moved), Arc::clone(refused));
                    let sender = sender.clone();
                    let offset = piece((thread * REQUESTS + index) % IN_FLIGHT).start;
                    let buf = AlignedBuf::zeroed(4096);
                    device.submit(
                        Request::Read { offset, buf },
                        Box::new(move |completion| {
                            match completion.result {
                                Ok(()) => moved.fetch_add(1, SeqCst),
                                Err(BackendError::Closed) => refused.fetch_add(1, SeqCst),
                                Err(error) => panic!("{error}"),
                            };
                            sender.send(()).expect("the test waits");
                        }),
                    );
                }
            });
        }
        for _ in 0..40 {
            receiver.recv().expect("an answer");
        }
        device.close().expect("closes");
        let moved_by_then = moved.load(SeqCst);
        device.flush_blocking().expect_err("is closed");
        assert_eq!(moved.load(SeqCst), moved_by_then, "nothing moves after");
    });
    drop(sender);
    assert_eq!(receiver.iter().count(), THREADS * REQUESTS - 40);
    let answers = moved.load(SeqCst) + refused.load(SeqCst);
    assert_eq!(answers, THREADS * REQUESTS);
}

fn bytes_stay_over_a_reopen(open: &Open<'_>) {
    let first = open();
    write_async(&*first, 8192, pattern(8192, 65536, 11), Durability::Cached);
    first.flush_blocking().expect("flushes");
    first.close().expect("closes");
    // The first is closed but alive: what it locked must be free already.
    let second = open();
    let read = read_async(&*second, 8192, 65536);
    assert!(read[..] == pattern(8192, 65536, 11)[..]);
    drop(first);
    drop(second);
    drop(open());
}

fn mover(kind: MoverKind) -> MoverOptions {
    MoverOptions {
        kind,
        queue_depth: QUEUE_DEPTH,
        threads: 3,
    }
}

fn conform_file(kind: MoverKind, change: impl Fn(&mut FileOptions)) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("device.img");
    conform(&|| {
        let mut options = FileOptions::create_or_reuse(&path, CAPACITY_BYTES);
        options.mover = mover(kind);
        change(&mut options);
        Arc::new(options.open().expect("opens"))
    });
}

#[test]
fn a_file_that_is_only_read_stays_as_it_is() {
    for kind in [MoverKind::Threads, MoverKind::Uring] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("device.img");
        let device = FileOptions::create_or_reuse(&path, CAPACITY_BYTES)
            .open()
            .expect("opens");
        let before = device
            .write_blocking(0, pattern(0, 8192, 1), Durability::Cached)
            .expect("writes");
        drop(device);
        let mut options = FileOptions::existing(&path);
        options.opening = FileOpening::ReadOnly;
        options.mover = mover(kind);
        let device = options.open().expect("opens");
        let write = |offset| Request::Write {
            offset,
            buf: pattern(0, 4096, 2),
            durability: Durability::Cached,
        };
        let (answer, answered) = mpsc::channel();
        let tell = Box::new(move |completion: Completion| {
            answer.send(completion.result).expect("it is waited for");
        });
        device.submit(write(0), tell);
        let submitted = answered.recv().expect("an answer");
        let together = device.execute_batch(vec![write(0), write(4096)]);
        let alone = device.execute(write(0));
        let ends = together.into_iter().chain([alone]);
        let ends = ends.map(|end| end.result).chain([submitted]);
        for end in ends {
            assert!(
                matches!(end, Err(BackendError::Io { .. })),
                "{kind:?}: {end:?}"
            );
        }
        let read = device.read_blocking(0, 8192).expect("reads");
        assert!(read[..] == before[..], "{kind:?} wrote");
    }
}

#[test]
fn file_by_threads() {
    conform_file(MoverKind::Threads, |_| ());
}

#[test]
fn file_by_uring() {
    conform_file(MoverKind::Uring, |_| ());
}

#[test]
fn file_with_holes_by_threads() {
    conform_file(MoverKind::Threads, |options| {
        options.discard = FileDiscard::PunchHole;
        options.preallocation = Preallocation::Sparse;
    });
}

#[test]
fn file_with_holes_by_uring() {
    conform_file(MoverKind::Uring, |options| {
        options.discard = FileDiscard::PunchHole;
        options.preallocation = Preallocation::Reserved;
    });
}

#[test]
fn buffered_file_by_uring() {
    conform_file(MoverKind::Uring, |options| {
        options.caching = FileCaching::Buffered;
    });
}

#[test]
fn a_queue_of_one_still_moves() {
    for kind in [MoverKind::Threads, MoverKind::Uring] {
        conform_file(kind, |options| {
            options.mover.queue_depth = 1;
            options.mover.threads = 1;
        });
    }
}

fn conform_block(test: &str, kind: MoverKind, sector_bytes: u32) {
    let Some(device) = LoopDevice::new(test, CAPACITY_BYTES, sector_bytes) else {
        return;
    };
    conform(&|| {
        let mut options = BlockOptions::new(&device.path);
        // The suite's own bytes may look like anything.
        options.i_know_this_destroys = Some(device.path.clone());
        options.mover = mover(kind);
        let opened = undisturbed(|| options.open()).expect("opens");
        assert_eq!(opened.geometry().block_bytes, sector_bytes);
        assert!(opened.geometry().discards);
        Arc::new(opened)
    });
}

#[test]
fn block_by_threads() {
    conform_block("block_by_threads", MoverKind::Threads, 512);
}

#[test]
fn block_by_uring() {
    conform_block("block_by_uring", MoverKind::Uring, 512);
}

#[test]
fn block_of_4096_by_uring() {
    conform_block("block_of_4096_by_uring", MoverKind::Uring, 4096);
}

/// Conformance of a wrapper over one memory that is reopened.
fn conform_over_memory(wrap: impl Fn(MemBackend) -> Arc<dyn Backend>) {
    let bytes = MemBackend::with_block(CAPACITY_BYTES, 512);
    conform(&|| wrap(bytes.reopen()));
}

#[test]
fn memory() {
    conform_over_memory(|memory| Arc::new(memory));
}

#[test]
fn meter_over_memory() {
    let clock: Arc<dyn Clock> = Arc::new(OsClock::new());
    conform_over_memory(|memory| Arc::new(MeterBackend::new(Arc::new(memory), Arc::clone(&clock))));
}

#[test]
fn throttle_over_memory() {
    let clock: Arc<dyn Clock> = Arc::new(OsClock::new());
    let limits = ThrottleLimits {
        requests_per_second: Some(20_000),
        bytes_per_second: Some(4 << 30),
        burst: Duration::from_millis(1),
        ..ThrottleLimits::default()
    };
    conform_over_memory(|memory| {
        let clock = Arc::clone(&clock);
        Arc::new(ThrottleBackend::new(Arc::new(memory), limits, clock))
    });
}

#[test]
fn unarmed_fault_over_memory() {
    conform_over_memory(|memory| Arc::new(FaultBackend::new(Arc::new(memory))));
}

#[test]
fn overlay_over_memory() {
    let bytes = MemBackend::with_block(CAPACITY_BYTES, 512);
    // What is written over it is gone the next time; what it has is read.
    many_in_flight_each_answered_once(&bytes.reopen());
    let before = bytes.image();
    conform_while_open(&|| Arc::new(OverlayBackend::new(Arc::new(bytes.reopen()))));
    assert!(bytes.image() == before, "the base is only read");
}

#[test]
fn recorder_over_memory() {
    conform_over_memory(|memory| Arc::new(Recorder::new(memory)));
}

#[test]
fn held_answers_over_memory_at_once() {
    conform_over_memory(|memory| {
        let held = HeldBackend::new(Arc::new(memory), Arc::default());
        Arc::new(held).at_once()
    });
}

#[test]
fn modelled_device() {
    let clock: Arc<dyn Clock> = Arc::new(OsClock::new());
    let model = SimModel {
        queue_depth: QUEUE_DEPTH,
        ..SimModel::NVME
    };
    conform_over_memory(|memory| Arc::new(SimBackend::new(memory, model, Arc::clone(&clock), 1)));
}

#[test]
fn a_file_cut_from_outside_is_an_error_and_not_zeroes() {
    for kind in [MoverKind::Threads, MoverKind::Uring] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("device.img");
        let mut options = FileOptions::create_new(&path, CAPACITY_BYTES);
        options.mover = mover(kind);
        let device = options.open().expect("opens");
        let cut = std::fs::OpenOptions::new().write(true).open(&path);
        cut.and_then(|file| file.set_len(4096)).expect("cuts");
        for offset in [0, 65536] {
            let buf = AlignedBuf::zeroed(8192);
            let submitted = submit_and_wait(&device, Request::Read { offset, buf });
            assert!(matches!(submitted.result, Err(BackendError::Io { .. })));
            let executed = device.read_blocking(offset, 8192);
            assert!(matches!(executed, Err(BackendError::Io { .. })));
        }
        device.read_blocking(0, 4096).expect("what is left");
    }
}
