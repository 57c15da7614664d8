//! Sessions of strace: what positions, joined halves, names and processes come to.

use super::super::super::request::{Place, RequestKind};
use super::super::testing::{parsed, requests};
use super::follow::UNKNOWN;
use super::transfer::{GUESSED_POSITION, GUESSED_SIZE};
use super::*;

mod clocks;
mod filter;
mod names;
mod positions;
mod processes;

/// Kind, file, offset, bytes.
fn brief(text: &str) -> Vec<(&'static str, u64, u64, u64)> {
    let found = requests(&mut Strace::default(), text);
    found
        .iter()
        .map(|request| {
            let Place::File(file) = request.place else {
                panic!("{request:?}");
            };
            (request.kind.name(), file, request.offset, request.bytes)
        })
        .collect()
}

#[test]
fn halves_are_joined_and_count_from_their_beginning() {
    let text = r#"22699 1795388275.195512 pwrite64(3</data/g>, ""..., 65536, 0) = 65536 <0.000062>
22699 1795388275.216537 fsync(3</data/g> <unfinished ...>
22700 1795388275.216980 pwrite64(3</data/g>, ""..., 65536, 327680 <unfinished ...>
22700 1795388275.216990 <... pwrite64 resumed>) = 65536 <0.000010>
22699 1795388275.217014 <... fsync resumed>) = 0 <0.000201>
22699 1795388275.217020 +++ exited with 0 +++
"#;
    let found = requests(&mut Strace::default(), text);
    let seen: Vec<_> = found
        .iter()
        .map(|r| {
            (
                r.at_ns % 1_000_000_000,
                r.kind.name(),
                r.offset,
                r.bytes,
                r.thread,
                r.took_ns,
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (195_512_000, "write", 0, 65_536, 22_699, 62_000),
            (216_537_000, "fsync", 0, 0, 22_699, 201_000),
            (216_980_000, "write", 327_680, 65_536, 22_700, 10_000),
        ]
    );
}

#[test]
fn positions_are_followed_through_open_lseek_append_and_dup() {
    let text = r#"1 1.000001 openat(AT_FDCWD, "/a", O_RDWR|O_CREAT|O_TRUNC, 0644) = 3
1 1.000002 write(3, ""..., 100) = 100
1 1.000003 writev(3, [{iov_base=""..., iov_len=10}, {iov_base=""..., iov_len=20}], 2) = 30
1 1.000004 dup(3) = 4
1 1.000005 write(4, ""..., 5) = 5
1 1.000006 lseek(3, 10, SEEK_SET) = 10
1 1.000007 read(4, ""..., 20) = 20
1 1.000008 openat(AT_FDCWD, "/a", O_WRONLY|O_APPEND|O_DSYNC) = 5
1 1.000009 write(5, ""..., 7) = 7
1 1.000010 pread64(3, ""..., 512, 4096) = 3
1 1.000011 pwritev2(3, [{iov_base=""..., iov_len=4}], 1, -1, RWF_DSYNC) = 4
1 1.000012 ftruncate(3, 1000) = 0
1 1.000013 write(5, ""..., 1) = 1
1 1.000014 fdatasync(5) = 0
1 1.000015 fallocate(3, FALLOC_FL_KEEP_SIZE|FALLOC_FL_PUNCH_HOLE, 4096, 8192) = 0
1 1.000016 close(4) = 0
1 1.000017 syncfs(3) = 0
"#;
    let found = requests(&mut Strace::default(), text);
    assert_eq!(
        brief(text),
        [
            ("create", 1, 0, 0),
            ("write", 1, 0, 100),
            ("write", 1, 100, 30),
            ("write", 1, 130, 5),
            ("read", 1, 10, 20),
            ("open", 1, 0, 0),
            ("write", 1, 135, 7),
            ("read", 1, 4096, 3),
            ("write", 1, 30, 4),
            ("truncate", 1, 0, 1000),
            ("write", 1, 1000, 1),
            ("fdatasync", 1, 0, 0),
            ("discard", 1, 4096, 8192),
            ("close", 1, 0, 0),
            ("flush", 0, 0, 0),
        ]
    );
    let through: Vec<bool> = found
        .iter()
        .filter(|r| r.kind == RequestKind::Write)
        .map(|r| r.through)
        .collect();
    assert_eq!(through, [false, false, false, true, true, true]);
}

#[test]
fn names_move_and_go() {
    let text = r#"1 1.1 openat(AT_FDCWD</d>, "a", O_RDWR|O_CREAT|O_EXCL, 0644) = 3</d/a>
1 1.2 openat(AT_FDCWD</d>, "b", O_RDWR|O_CREAT|O_EXCL, 0644) = 4</d/b>
1 1.3 renameat2(AT_FDCWD</d>, "a", AT_FDCWD</d>, "b", 0) = 0
1 1.4 write(3</d/b>, ""..., 8) = 8
1 1.5 unlinkat(AT_FDCWD</d>, "b", 0) = 0
1 1.6 write(3</d/b (deleted)>, ""..., 8) = 8
1 1.7 openat(AT_FDCWD</d>, "b", O_RDONLY) = 5</d/b>
1 1.8 unlink("/d/never") = 0
1 1.9 unlink("/d/absent") = -1 ENOENT (No such file or directory)
"#;
    assert_eq!(
        brief(text),
        [
            ("create", 1, 0, 0),
            ("create", 2, 0, 0),
            ("remove", 2, 0, 0),
            ("rename", 1, 0, 0),
            ("write", 1, 0, 8),
            ("remove", 1, 0, 0),
            ("write", 1, 8, 8),
            ("open", 3, 0, 0),
            ("remove", 4, 0, 0),
        ]
    );
    let (_, mut notes) = parsed(&mut Strace::default(), text);
    let names: Vec<String> = notes
        .take_names()
        .into_iter()
        .map(|(_, name)| name)
        .collect();
    assert_eq!(names, ["/d/a", "/d/b", "/d/b", "/d/b"]);
}

#[test]
fn threads_share_descriptors_and_forks_copy_them() {
    let text = r#"1 1.1 openat(AT_FDCWD, "/a", O_RDWR) = 3
1 1.2 clone(child_stack=0x7f, flags=CLONE_VM|CLONE_FILES|CLONE_THREAD) = 2
1 1.3 clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD) = 9
2 1.4 openat(AT_FDCWD, "/b", O_RDWR) = 4
1 1.5 write(4, ""..., 8) = 8
9 1.6 write(3, ""..., 8) = 8
9 1.7 write(4, ""..., 8) = 8
"#;
    let (all, notes) = parsed(&mut Strace::default(), text);
    assert!(all.contains(&Parsed::Lost(UNKNOWN)), "{all:?}");
    assert!(notes.mended.is_empty());
    assert_eq!(
        brief(text),
        [
            ("open", 1, 0, 0),
            ("open", 2, 0, 0),
            ("write", 2, 0, 8),
            ("write", 1, 0, 8)
        ]
    );
}

#[test]
fn what_is_guessed_lost_or_no_file_is_said() {
    let text = r#"1 1.1 write(3</a>, ""..., 8) = 8
1 1.2 write(1</dev/pts/0>, ""..., 8) = 8
1 1.3 read(4<pipe:[7]>, ""..., 8) = 8
1 1.4 read(3</a>, ""..., 8) = -1 EIO (Input/output error)
1 1.5 openat(AT_FDCWD, "/b", O_WRONLY|O_APPEND) = 5</b>
1 1.6 write(5</b>, ""..., 8) = 8
1 1.7 mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, 3</a>, 0) = 0x7f1
1 1.8 brk(NULL) = 0x55
1 1.9 read(3</a>, ""..., 8) = 0
1 2.0 read(7, ""..., 8) = 8
1 2.1 <... read resumed>) = 8
1 2.2 --- SIGCHLD {si_signo=SIGCHLD} ---
1 2.3 fsync(3</a> <unfinished ...>
"#;
    let (all, notes) = parsed(&mut Strace::default(), text);
    let lost: Vec<&Parsed> = all
        .iter()
        .filter(|parsed| matches!(parsed, Parsed::Lost(_)))
        .collect();
    assert_eq!(lost.len(), 5, "{lost:?}");
    assert_eq!(notes.lost["call that never returned"].count, 1);
    assert_eq!(notes.mended[GUESSED_POSITION].count, 1);
    assert_eq!(notes.mended[GUESSED_SIZE].count, 1);
    assert_eq!(
        brief(text),
        [("write", 1, 0, 8), ("open", 2, 0, 0), ("write", 2, 0, 8)]
    );
}

#[test]
fn what_is_no_line_is_malformed() {
    let text = "rubbish\n1 1.1 fsync\n1 1.1 pwrite64(3</a>, \"\"..., 8, x) = 8\n1 1.1 pwrite64(3</a>, \"\"..., 8, 9223372036854775807) = 8\n1 1.1 ftruncate(3</a>, -1) = 0\n1 1.1 write(x, \"\", 8) = 8\n";
    let (all, _) = parsed(&mut Strace::default(), text);
    assert!(
        all.iter().all(|line| matches!(line, Parsed::Malformed(_))),
        "{all:?}"
    );
}

#[test]
fn a_time_of_day_goes_on_after_midnight() {
    let text = r#"1 23:59:59.9 pwrite64(3</a>, ""..., 8, 0) = 8
1 00:00:00.1 pwrite64(3</a>, ""..., 8, 8) = 8
1 23:59:59.95 pwrite64(3</a>, ""..., 8, 16) = 8
1 00:00:00.2 pwrite64(3</a>, ""..., 8, 24) = 8
1 12:30:00.0 pwrite64(3</a>, ""..., 8, 32) = 8
1 00:00:00.0 pwrite64(3</a>, ""..., 8, 40) = 8
"#;
    let found = requests(&mut Strace::default(), text);
    let seen: Vec<(u64, u64)> = found
        .iter()
        .map(|request| (request.at_ns / 10_000_000, request.offset))
        .collect();
    let day = 24 * 3600 * 100;
    assert_eq!(
        seen,
        [
            (day - 10, 0),
            (day - 5, 16),
            (day + 10, 8),
            (day + 20, 24),
            (day + 45_000 * 100, 32),
            (2 * day, 40),
        ]
    );
}

#[test]
fn a_call_of_more_than_one_operation_may_move_is_several() {
    let text = r#"1 1.5 write(3</a>, ""..., 3000000000) = 2147479552 <0.5>
1 2.5 write(3</a>, ""..., 852520448) = 852520448 <0.2>
"#;
    let found = requests(&mut Strace::default(), text);
    let seen: Vec<(u64, u64, u64)> = found
        .iter()
        .map(|request| (request.offset, request.bytes, request.took_ns))
        .collect();
    let gib = 1 << 30;
    assert_eq!(
        seen,
        [
            (0, gib, 0),
            (gib, gib - 4096, 500_000_000),
            (2 * gib - 4096, 852_520_448, 200_000_000),
        ]
    );
}
