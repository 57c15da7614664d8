//! What must not be opened is not opened, and the error says what would help.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use delalloc_backends::{
    AlignedBuf, Backend, BackendError, BackendExt, BlockOptions, Device, Durability, FileCaching,
    FileOptions, MoverKind, Preallocation, Signature,
};
use support::{LoopDevice, Mount, run, undisturbed};

const BYTES: u64 = 16 << 20;

fn refusal(error: &BackendError) -> (&str, &str) {
    match error {
        BackendError::Open { reason, remedy, .. } => (reason, remedy),
        other => panic!("not a refusal to open: {other}"),
    }
}

fn open(options: &BlockOptions) -> Result<Device, BackendError> {
    undisturbed(|| options.open())
}

/// False, told on stderr, where the machine has no mkfs.
fn make_ext4(test: &str, device: &Path) -> bool {
    let made = run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(device));
    if let Err(reason) = &made {
        eprintln!("SKIPPED: {test}: no filesystem: {reason}");
    }
    made.is_ok()
}

#[test]
fn a_mounted_device_is_refused_even_when_named_twice() {
    let Some(device) = LoopDevice::new("a mounted device", BYTES, 512) else {
        return;
    };
    if !make_ext4("a mounted device", &device.path) {
        return;
    }
    let mount = Mount::new(&device.path).expect("mounts");
    let mut options = BlockOptions::new(&device.path);
    for named_twice in [None, Some(device.path.clone())] {
        options.i_know_this_destroys = named_twice;
        let error = open(&options).expect_err("mounted");
        assert!(
            refusal(&error).0.starts_with("it is mounted at /"),
            "{error}"
        );
        assert_eq!(refusal(&error).1, "unmount it first");
    }
    drop(mount);
    open(&options).expect("unmounted and named twice");
}

#[test]
fn a_foreign_signature_is_refused_until_the_device_is_named_a_second_time() {
    let Some(device) = LoopDevice::new("a foreign signature", BYTES, 512) else {
        return;
    };
    open(&BlockOptions::new(&device.path)).expect("an empty device needs no second word");
    if !make_ext4("a foreign signature", &device.path) {
        return;
    }
    let mut options = BlockOptions::new(&device.path);
    let error = open(&options).expect_err("somebody's");
    assert_eq!(refusal(&error).0, "it holds ext2, ext3 or ext4");
    assert!(refusal(&error).1.contains("i_know_this_destroys"));
    options.i_know_this_destroys = Some("/dev/another".into());
    open(&options).expect_err("another name is no word");
    options.i_know_this_destroys = Some(device.path.clone());
    open(&options).expect("named twice");
}

#[test]
fn our_own_magic_is_welcome_and_a_newcomer_below_it_is_not() {
    let Some(device) = LoopDevice::new("our own magic", BYTES, 512) else {
        return;
    };
    let mut options = BlockOptions::new(&device.path);
    options.ours = vec![Signature {
        offset: 65536,
        magic: b"OURMAGIC",
    }];
    let opened = open(&options).expect("an empty device");
    let mut slot = AlignedBuf::zeroed(4096);
    slot[..8].copy_from_slice(b"OURMAGIC");
    // Data of ours that looks like somebody's, where btrfs would have its magic.
    slot[64..72].copy_from_slice(b"_BHRfS_M");
    opened
        .write_blocking(65536, slot, Durability::Fua)
        .expect("writes");
    drop(opened);
    open(&BlockOptions::new(&device.path)).expect_err("without our magic it is btrfs");
    let opened = open(&options).expect("ours");
    let mut boot = AlignedBuf::zeroed(4096);
    boot[510..512].copy_from_slice(b"\x55\xAA");
    opened
        .write_blocking(0, boot, Durability::Fua)
        .expect("writes");
    drop(opened);
    open(&options).expect_err("somebody came later");
}

#[test]
fn a_device_that_is_open_is_refused() {
    let Some(device) = LoopDevice::new("a device in use", BYTES, 512) else {
        return;
    };
    let options = BlockOptions::new(&device.path);
    let first = open(&options).expect("opens");
    let error = open(&options).expect_err("in use");
    assert!(refusal(&error).0.starts_with("it is in use"), "{error}");
    first.close().expect("closes");
    open(&options).expect("free again");
}

#[test]
fn a_file_that_is_open_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("device.img");
    let first = FileOptions::create_new(&path, 1 << 20)
        .open()
        .expect("opens");
    let again = FileOptions::existing(&path);
    let error = again.open().expect_err("locked");
    assert!(refusal(&error).0.contains("locked"), "{error}");
    first.close().expect("closes");
    let second = again.open().expect("free again");
    assert_eq!(second.geometry().capacity_bytes, 1 << 20);
}

#[test]
fn a_file_of_another_size_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("precious.txt");
    fs::write(&path, "letters").expect("writes");
    let error = FileOptions::create_or_reuse(&path, 1 << 20)
        .open()
        .expect_err("not ours");
    assert!(refusal(&error).0.contains("7 bytes"), "{error}");
    let error = FileOptions::create_new(&path, 1 << 20)
        .open()
        .expect_err("is there");
    assert!(refusal(&error).0.contains("exists already"), "{error}");
    assert_eq!(fs::read_to_string(&path).expect("reads"), "letters");
}

#[test]
fn an_empty_file_is_filled_and_stays_when_that_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("empty.img");
    fs::write(&path, "").expect("writes");
    FileOptions::create_or_reuse(&path, 1 << 60)
        .open()
        .expect_err("no host has that much");
    assert!(path.exists(), "somebody else made it");
    let device = FileOptions::create_or_reuse(&path, 1 << 20)
        .open()
        .expect("is filled");
    assert_eq!(device.geometry().capacity_bytes, 1 << 20);
}

#[test]
fn a_file_that_does_not_fit_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("huge.img");
    FileOptions::create_new(&path, 1 << 60)
        .open()
        .expect_err("no host has that much");
    FileOptions::create_new(&path, 1000)
        .open()
        .expect_err("not a multiple of a block");
    assert!(!path.exists());
}

#[test]
fn refused_direct_io_is_said_and_not_worked_around() {
    // A file that has no pages to read directly from.
    let error = FileOptions::existing("/proc/self/comm")
        .open()
        .expect_err("no direct I/O there");
    assert!(refusal(&error).0.contains("O_DIRECT"), "{error}");
    assert!(refusal(&error).1.contains("buffered"), "{error}");
}

#[test]
fn without_direct_io_nothing_is_left_behind_and_buffered_works_when_told() {
    let mount = match Mount::without_direct_io() {
        Ok(mount) => mount,
        Err(reason) => {
            eprintln!("SKIPPED: a filesystem without direct I/O: {reason}");
            return;
        }
    };
    let path = mount.path().join("device.img");
    let mut options = FileOptions::create_new(&path, 1 << 20);
    let error = options.open().expect_err("no direct I/O there");
    assert!(refusal(&error).0.contains("O_DIRECT"), "{error}");
    assert!(!path.exists());
    options.caching = FileCaching::Buffered;
    let error = options.open().expect_err("no fallocate there");
    assert!(refusal(&error).1.contains("sparse"), "{error}");
    assert!(!path.exists());
    options.preallocation = Preallocation::Sparse;
    let device = options.open().expect("as told");
    device.read_blocking(0, 4096).expect("reads");
    assert!(device.describe().contains("buffered"));
}

#[test]
fn movers_out_of_range_are_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("device.img");
    let mut options = FileOptions::create_new(&path, 1 << 20);
    options.mover.kind = MoverKind::Threads;
    options.mover.queue_depth = 0;
    options.open().expect_err("no depth");
    options.mover.queue_depth = 1;
    options.mover.threads = 100_000;
    options.open().expect_err("too many threads");
    assert!(!path.exists());
}
