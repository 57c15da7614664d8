//! Each action does what it says, on the request it was armed for and on no other.

use super::*;
use crate::{AlignedBuf, BackendExt, MemBackend};

fn faulty() -> (Arc<MemBackend>, FaultBackend, FaultHandle) {
    let base = Arc::new(MemBackend::new(1 << 20));
    let faulty = FaultBackend::new(Arc::clone(&base) as Arc<dyn Backend>);
    let handle = faulty.handle();
    (base, faulty, handle)
}

fn write(backend: &dyn Backend, offset: u64, fill: u8) -> Result<AlignedBuf, BackendError> {
    let buf = AlignedBuf::copy_of(&[fill; 8192]);
    backend.write_blocking(offset, buf, Durability::Cached)
}

fn os_error(error: &BackendError) -> Option<i32> {
    match error {
        BackendError::Io { source, .. } => source.raw_os_error(),
        _ => None,
    }
}

#[test]
fn the_nth_of_its_kind_fails_once_and_nothing_moves() {
    let (base, faulty, handle) = faulty();
    handle.arm(FaultRule::once(FaultOn::Write, 2, FaultAction::Error));
    write(&faulty, 0, 1).expect("the first passes");
    faulty.flush_blocking().expect("another kind passes");
    let error = write(&faulty, 0, 2).expect_err("the second fails");
    assert_eq!(os_error(&error), Some(libc::EIO));
    assert_eq!(base.image()[0], 1);
    write(&faulty, 0, 3).expect("the third passes");
    assert_eq!((handle.fired(), handle.requests(FaultOn::Write)), (1, 3));
    let struck = Struck {
        kind: RequestKind::Write,
        offset: 0,
        bytes: 8192,
    };
    assert_eq!(handle.struck(), [struck]);
    assert_eq!(handle.requests(FaultOn::Any), 4);
}

#[test]
fn a_persistent_fault_lasts_until_it_is_disarmed() {
    let (_, faulty, handle) = faulty();
    handle.arm(FaultRule::persistent(FaultOn::Any, 2, FaultAction::NoSpace));
    write(&faulty, 0, 1).expect("the first passes");
    for _ in 0..3 {
        let error = write(&faulty, 0, 1).expect_err("full");
        assert_eq!(os_error(&error), Some(libc::ENOSPC));
    }
    handle.disarm();
    write(&faulty, 0, 1).expect("passes again");
}

#[test]
fn a_short_write_leaves_half_and_gives_the_whole_buffer_back() {
    let (base, faulty, handle) = faulty();
    handle.arm(FaultRule::once(FaultOn::Write, 1, FaultAction::Short));
    let (sender, receiver) = std::sync::mpsc::channel();
    let request = Request::Write {
        offset: 0,
        buf: AlignedBuf::copy_of(&[9; 8192]),
        durability: Durability::Cached,
    };
    faulty.submit(
        request,
        Box::new(move |answer| sender.send(answer).expect("waits")),
    );
    let answer = receiver.recv().expect("an answer");
    assert!(answer.result.is_err());
    assert_eq!(answer.buf.expect("comes back").len(), 8192);
    let image = base.image();
    assert_eq!((image[4095], image[4096]), (9, 0));
}

#[test]
fn a_place_can_be_chosen() {
    let (_, faulty, handle) = faulty();
    handle.arm(FaultRule {
        within: Some(65536..65537),
        ..FaultRule::persistent(FaultOn::FuaWrite, 1, FaultAction::Error)
    });
    write(&faulty, 65536, 1).expect("not forced");
    let forced = |offset| {
        let buf = AlignedBuf::zeroed(4096);
        faulty.write_blocking(offset, buf, Durability::Fua)
    };
    forced(4096).expect("elsewhere");
    forced(65536).expect_err("there");
}

#[test]
fn a_liar_loses_writes_and_flips_bits_without_an_error() {
    let (base, faulty, handle) = faulty();
    handle.arm(FaultRule::once(FaultOn::Write, 1, FaultAction::Lose));
    handle.arm(FaultRule::once(FaultOn::Write, 2, FaultAction::FlipBit));
    handle.arm(FaultRule::once(FaultOn::Read, 1, FaultAction::FlipBit));
    write(&faulty, 0, 1).expect("acknowledged");
    assert_eq!(base.image()[0], 0);
    let mine = write(&faulty, 0, 1).expect("acknowledged");
    assert!(mine.iter().all(|&byte| byte == 1));
    assert_eq!((base.image()[4095], base.image()[4096]), (1, 0));
    let read = faulty.read_blocking(0, 4096).expect("reads");
    assert_eq!((read[0], read[2048]), (1, 0));
}

#[test]
fn a_delayed_request_arrives_late_and_close_waits_for_it() {
    let (base, faulty, handle) = faulty();
    let delay = Duration::from_millis(20);
    handle.arm(FaultRule::once(
        FaultOn::Write,
        1,
        FaultAction::Delay(delay),
    ));
    let request = Request::Write {
        offset: 0,
        buf: AlignedBuf::copy_of(&[5; 4096]),
        durability: Durability::Cached,
    };
    faulty.submit(request, Box::new(|answer| answer.result.expect("writes")));
    assert_eq!(base.image()[0], 0);
    faulty.close().expect("closes");
    assert_eq!(base.image()[0], 5);
}
