//! A device that fails: each request in turn, once or for good.
//!
//! Whatever fails, nothing hangs; a `sync` that returned keeps its promise; a failed data write is
//! told to every opener, once; the image is consistent afterwards.

mod support;

use std::sync::Arc;

use delalloc_backends::{Backend, FaultAction, FaultBackend, FaultOn, FaultRule, OsClock};
use delalloc_engine::recover::check;
use delalloc_engine::{EngineError, Volume};
use support::{Dice, config, formatted, open};

const BYTES: usize = 300 << 10;

/// Writes and syncs three generations of a file; returns those whose sync was answered well.
fn three_generations(volume: &Volume, seed: u64) -> Vec<Vec<u8>> {
    let mut kept = Vec::new();
    let Ok(file) = volume.create("file") else {
        return kept;
    };
    for generation in 0..3 {
        let bytes = Dice::new(seed + generation).bytes(BYTES);
        let written = file.write_at(0, &bytes).and_then(|()| file.sync());
        if written.is_ok() {
            kept.push(bytes);
        }
    }
    kept
}

/// What the file holds after a reopening on a whole device.
fn reopened(base: &Arc<dyn Backend>) -> Option<Vec<u8>> {
    let volume = open(base, &config(&[]));
    let file = volume.open_file("file").ok()?;
    let mut bytes = vec![0; usize::try_from(file.size_bytes()).expect("a small file")];
    file.read_at(0, &mut bytes)
        .expect("what is there can be read");
    Some(bytes)
}

#[test]
fn every_request_fails_in_turn() {
    for (on, action) in [
        (FaultOn::Write, FaultAction::Error),
        (FaultOn::Write, FaultAction::NoSpace),
        (FaultOn::Flush, FaultAction::Error),
        (FaultOn::FuaWrite, FaultAction::Error),
    ] {
        for persistent in [false, true] {
            for nth in 1.. {
                let place = format!("{on:?} {action:?} {nth} persistent {persistent}");
                if !one_fault(on, action, nth, persistent, &place) {
                    break;
                }
            }
        }
    }
}

/// False once the fault was never reached.
fn one_fault(on: FaultOn, action: FaultAction, nth: u64, persistent: bool, place: &str) -> bool {
    let base = formatted(32 << 20);
    let faulty = Arc::new(FaultBackend::new(Arc::clone(&base)));
    let handle = faulty.handle();
    let backend: Arc<dyn Backend> = faulty;
    let Ok(volume) = Volume::open(backend, Arc::new(OsClock::new()), config(&[])) else {
        panic!("{place}: no request has failed yet");
    };
    handle.arm(if persistent {
        FaultRule::persistent(on, nth, action)
    } else {
        FaultRule::once(on, nth, action)
    });
    let kept = three_generations(&volume, nth);
    let fired = handle.fired() > 0;
    // The answer does not matter here: it may be the failure that was planted.
    let _closed = volume.close();
    handle.disarm();
    let report = check(base.as_ref());
    assert!(report.is_clean(), "{place}: {report:?}");
    if let Some(last) = kept.last() {
        let found = reopened(&base).unwrap_or_else(|| panic!("{place}: a synced file is gone"));
        let later = kept.len() < 3;
        assert!(
            found == *last || later,
            "{place}: a synced generation is gone"
        );
        assert_eq!(found.len(), BYTES, "{place}: a synced size is gone");
    }
    fired
}

#[test]
fn a_failed_write_is_told_to_every_opener_once() {
    let base = formatted(32 << 20);
    let faulty = Arc::new(FaultBackend::new(Arc::clone(&base)));
    let handle = faulty.handle();
    let backend: Arc<dyn Backend> = faulty;
    let volume = open(&backend, &config(&[]));
    let first = volume.create("file").expect("a new file");
    let second = volume.open_file("file").expect("it is there");
    handle.arm(FaultRule::once(FaultOn::Write, 1, FaultAction::Error));
    first
        .write_at(0, &Dice::new(1).bytes(BYTES))
        .expect("a write into the cache");
    assert!(matches!(first.sync(), Err(EngineError::Device(_))));
    let late = volume.open_file("file").expect("it is there");
    assert!(matches!(second.sync(), Err(EngineError::Device(_))));
    for file in [&first, &second, &late] {
        file.sync()
            .expect("nobody is told twice, and nobody of what was before");
    }
    assert!(volume.sync().is_err(), "the volume is told as well");
    volume.sync().expect("once");
}

#[test]
fn flipped_bits_are_errors_and_not_bytes() {
    let base = formatted(32 << 20);
    let faulty = Arc::new(FaultBackend::new(Arc::clone(&base)));
    let handle = faulty.handle();
    let backend: Arc<dyn Backend> = faulty;
    let volume = open(&backend, &config(&[]));
    let file = volume.create("file").expect("a new file");
    let bytes = Dice::new(7).bytes(BYTES);
    file.write_at(0, &bytes).expect("a write");
    volume.drop_caches().expect("caches drop");
    handle.arm(FaultRule::once(FaultOn::Read, 1, FaultAction::FlipBit));
    let mut found = vec![0; 4096];
    assert!(matches!(
        file.read_at(0, &mut found),
        Err(EngineError::Corrupt { .. })
    ));
    file.read_at(0, &mut found)
        .expect("the device was right the second time");
    assert!(found == bytes[..4096]);
}
