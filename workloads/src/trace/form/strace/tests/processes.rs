//! Whose descriptors are whose: forks that have not returned, programs that are begun, processes that are gone.

use super::*;

#[test]
fn what_a_child_does_before_its_fork_returns_is_the_childs() {
    let text = r#"1 1.1 openat(AT_FDCWD, "/a", O_RDWR|O_CREAT|O_TRUNC, 0644) = 3</a>
1 1.2 write(3</a>, ""..., 100) = 100
1 1.3 vfork( <unfinished ...>
2 1.4 close(3</a>) = 0
1 1.5 <... vfork resumed>) = 2
1 1.6 write(3</a>, ""..., 8) = 8
"#;
    assert_eq!(
        brief(text),
        [
            ("create", 1, 0, 0),
            ("write", 1, 0, 100),
            ("close", 1, 0, 0),
            ("write", 1, 100, 8),
        ]
    );
}

#[test]
fn children_of_several_forks_wait_for_the_one_that_claims_them() {
    let text = r#"1 1.10 openat(AT_FDCWD, "/a", O_RDWR|O_TRUNC) = 3</a>
1 1.11 clone(child_stack=NULL, flags=SIGCHLD) = 2
2 1.12 openat(AT_FDCWD, "/b", O_RDWR|O_TRUNC) = 4</b>
1 1.13 clone(child_stack=NULL, flags=SIGCHLD <unfinished ...>
2 1.14 vfork( <unfinished ...>
8 1.15 write(4, ""..., 5) = 5
8 1.16 close(4) = 0
9 1.17 write(3, ""..., 7) = 7
9 1.18 close(3) = 0
9 1.19 clone(child_stack=NULL, flags=SIGCHLD <unfinished ...>
10 1.20 write(3, ""..., 100) = 100
9 1.21 <... clone resumed>) = 10
10 1.22 write(3, x, 100) = 100
10 1.23 pwrite64(3, ""..., 8, bad) = 8
2 1.24 <... vfork resumed>) = 8
9 1.25 +++ exited with 0 +++
1 1.26 <... clone resumed>) = 9
2 1.27 write(4, ""..., 1) = 1
1 1.28 write(3, ""..., 1) = 1
"#;
    let (all, notes) = parsed(&mut Strace::default(), text);
    assert!(notes.mended.is_empty(), "{:?}", notes.mended);
    assert!(
        !all.iter().any(|line| matches!(line, Parsed::Malformed(_))),
        "{all:?}"
    );
    let fault = notes.lost["its offset is no number"];
    assert_eq!(
        (fault.count, fault.first_line),
        (1, 14),
        "what waited counts where it stood"
    );
    assert_eq!(
        brief(text),
        [
            ("create", 1, 0, 0),
            ("create", 2, 0, 0),
            ("write", 2, 0, 5),
            ("close", 2, 0, 0),
            ("write", 1, 0, 7),
            ("close", 1, 0, 0),
            ("write", 2, 5, 1),
            ("write", 1, 7, 1),
        ]
    );
}

#[test]
fn threads_do_not_wait() {
    let text = r#"1 1.10 clone3({flags=CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_THREAD, stack=0x7f}, 88 <unfinished ...>
2 1.11 openat(AT_FDCWD, "/a", O_RDWR|O_TRUNC) = 3
1 1.12 <... clone3 resumed> => {parent_tid=[2]}, 88) = 2
1 1.13 write(3, ""..., 8) = 8
2 1.14 write(3, ""..., 8) = 8
"#;
    assert_eq!(
        brief(text),
        [("create", 1, 0, 0), ("write", 1, 0, 8), ("write", 1, 8, 8)]
    );
}

#[test]
fn a_fork_that_never_returns_is_a_guess_and_waiting_is_bounded() {
    let begun = r#"1 1.1 openat(AT_FDCWD, "/a", O_RDWR|O_TRUNC) = 3</a>
1 1.2 vfork( <unfinished ...>
2 1.3 write(3, ""..., 8) = 8
2 1.4 close(3) = 0
"#;
    assert_eq!(
        brief(begun),
        [("create", 1, 0, 0), ("write", 1, 0, 8), ("close", 1, 0, 0)]
    );
    let (_, notes) = parsed(&mut Strace::default(), begun);
    assert_eq!(notes.mended[GUESSED_PARENT].count, 1);
    assert_eq!(notes.lost[NEVER].count, 1);

    let more = "2 1.5 pwrite64(3</a>, \"\"..., 8, 0) = 8\n".repeat(births::LINES_MAX);
    let text = begun.to_owned()
        + &more
        + "1 1.6 <... vfork resumed>) = 2\n1 1.7 write(3, \"\"..., 8) = 8\n";
    let (all, notes) = parsed(&mut Strace::default(), &text);
    assert_eq!(notes.mended[GUESSED_PARENT].count, 1);
    assert!(!notes.lost.contains_key(NEVER));
    let most = all.iter().map(|parsed| match parsed {
        Parsed::Several(several) => several.len(),
        _ => 0,
    });
    assert!(most.max() <= Some(births::LINES_MAX));
    let last = brief(&text).pop();
    assert_eq!(
        last,
        Some(("write", 1, 8, 8)),
        "a parent keeps what its child closed"
    );
}

#[test]
fn a_program_gets_what_is_not_closed_for_it() {
    let text = r#"7 1.10 openat(AT_FDCWD, "/a", O_RDWR|O_TRUNC|O_CLOEXEC) = 3
7 1.11 openat(AT_FDCWD, "/b", O_RDWR|O_TRUNC) = 4
7 1.12 dup3(4, 5, O_CLOEXEC) = 5
7 1.13 fcntl(4, F_DUPFD_CLOEXEC, 0) = 6
7 1.14 dup2(3, 7) = 7
7 1.15 fcntl(7, F_SETFD, FD_CLOEXEC) = 0
7 1.16 fcntl(7, F_SETFD, 0) = 0
7 1.17 clone(child_stack=NULL, flags=SIGCHLD) = 8
8 1.18 execve("/bin/true", ["true"], 0x7f /* 1 var */) = 0
8 1.19 write(3, ""..., 1) = 1
8 1.20 write(5, ""..., 1) = 1
8 1.21 write(6, ""..., 1) = 1
8 1.22 write(7, ""..., 2) = 2
8 1.23 write(4, ""..., 3) = 3
7 1.24 write(3, ""..., 4) = 4
7 1.25 write(5, ""..., 5) = 5
"#;
    let (all, _) = parsed(&mut Strace::default(), text);
    let unknown = all.iter().filter(|line| **line == Parsed::Lost(UNKNOWN));
    assert_eq!(unknown.count(), 3, "{all:?}");
    assert_eq!(
        brief(text),
        [
            ("create", 1, 0, 0),
            ("create", 2, 0, 0),
            ("write", 1, 0, 2),
            ("write", 2, 0, 3),
            ("write", 1, 2, 4),
            ("write", 2, 3, 5),
        ]
    );
}

#[test]
fn a_thread_that_begins_a_program_becomes_the_process() {
    for change in ["<pid changed to 25 ...>", "<unfinished ...>"] {
        let text = format!(
            r#"25 1.10 openat(AT_FDCWD, "/a", O_RDWR|O_TRUNC) = 3
25 1.11 clone3({{flags=CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_THREAD}}, 88) = 26
26 1.12 execve("/bin/true", [...], 0x7f /* 38 vars */ {change}
25 1.13 +++ superseded by execve in pid 26 +++
25 1.14 <... execve resumed>) = 0
25 1.15 write(3, ""..., 8) = 8
"#
        );
        let (all, notes) = parsed(&mut Strace::default(), &text);
        assert!(
            all.iter()
                .all(|line| matches!(line, Parsed::Skipped | Parsed::Request(_))),
            "{all:?}"
        );
        assert!(notes.lost.is_empty());
        assert_eq!(brief(&text), [("create", 1, 0, 0), ("write", 1, 0, 8)]);
    }
}

#[test]
fn ranges_are_closed_and_numbers_of_processes_come_again() {
    let text = r#"1 1.10 openat(AT_FDCWD, "/a", O_RDWR|O_TRUNC) = 3
1 1.11 openat(AT_FDCWD, "/b", O_RDWR|O_TRUNC) = 4
1 1.12 clone(child_stack=NULL, flags=SIGCHLD) = 8
8 1.13 close_range(4, 4294967295, 0) = 0
8 1.14 write(4, ""..., 1) = 1
8 1.15 write(3, ""..., 2) = 2
1 1.16 clone(child_stack=NULL, flags=SIGCHLD) = 8
8 1.17 write(4, ""..., 3) = 3
"#;
    let (all, _) = parsed(&mut Strace::default(), text);
    let unknown = all.iter().filter(|line| **line == Parsed::Lost(UNKNOWN));
    assert_eq!(unknown.count(), 1, "{all:?}");
    assert_eq!(
        brief(text),
        [
            ("create", 1, 0, 0),
            ("create", 2, 0, 0),
            ("close", 2, 0, 0),
            ("write", 1, 0, 2),
            ("write", 2, 0, 3),
        ]
    );
}

#[test]
fn what_is_duplicated_before_it_is_met_shares_a_position() {
    let text = r#"1 1.10 dup(3</a>) = 4</a>
1 1.11 write(3</a>, ""..., 100) = 100
1 1.12 write(4</a>, ""..., 100) = 100
"#;
    assert_eq!(brief(text), [("write", 1, 0, 100), ("write", 1, 100, 100)]);
}

#[test]
fn a_program_that_begins_before_its_threads_shares_with_them() {
    let text = r#"1 1.10 execve("/bin/db", ["db"], 0x7f /* 1 var */) = 0
1 1.11 openat(AT_FDCWD, "/a", O_RDWR|O_TRUNC) = 3
2 1.12 write(3, ""..., 8) = 8
2 1.13 openat(AT_FDCWD, "/b", O_RDWR|O_TRUNC|O_CLOEXEC) = 4
1 1.14 execve("/bin/db", ["db"], 0x7f /* 1 var */) = 0
1 1.15 write(4, ""..., 8) = 8
1 1.16 write(3, ""..., 8) = 8
"#;
    assert_eq!(
        brief(text),
        [
            ("create", 1, 0, 0),
            ("write", 1, 0, 8),
            ("create", 2, 0, 0),
            ("write", 1, 8, 8),
        ]
    );
    let (all, _) = parsed(&mut Strace::default(), text);
    let unknown = all.iter().filter(|line| **line == Parsed::Lost(UNKNOWN));
    assert_eq!(unknown.count(), 1, "{all:?}");
}

#[test]
fn a_child_of_a_parent_that_dies_in_its_fork_is_a_guess() {
    let tail = r#"2 1.12 vfork( <unfinished ...>
3 1.13 write(3, ""..., 8) = 8
2 1.14 +++ killed by SIGKILL +++
3 1.15 write(3, ""..., 8) = 8
"#;
    for head in [
        "2 1.10 execve(\"/bin/db\", [\"db\"], 0x7f /* 1 var */) = 0\n",
        "1 1.10 clone(child_stack=NULL, flags=SIGCHLD) = 2\n",
    ] {
        let open = "2 1.11 openat(AT_FDCWD, \"/a\", O_RDWR|O_TRUNC) = 3\n";
        let text = head.to_owned() + open + tail;
        assert_eq!(
            brief(&text),
            [("create", 1, 0, 0), ("write", 1, 0, 8), ("write", 1, 8, 8)],
            "{head}"
        );
        let (all, notes) = parsed(&mut Strace::default(), &text);
        assert_eq!(notes.mended[GUESSED_PARENT].count, 1, "{head}");
        assert!(all.contains(&Parsed::Lost(NEVER)), "{head}: {all:?}");
    }
}

#[test]
fn the_child_of_a_dead_parent_leaves_those_of_others_waiting() {
    let text = r#"1 1.10 clone(child_stack=NULL, flags=SIGCHLD) = 2
1 1.11 openat(AT_FDCWD, "/a", O_RDWR|O_TRUNC) = 3
2 1.12 openat(AT_FDCWD, "/b", O_RDWR|O_TRUNC) = 3
1 1.13 vfork( <unfinished ...>
2 1.14 vfork( <unfinished ...>
8 1.15 write(3, ""..., 8) = 8
9 1.16 write(3, ""..., 8) = 8
2 1.17 +++ killed by SIGKILL +++
1 1.18 <... vfork resumed>) = 8
"#;
    let mut seen = brief(text);
    seen.sort_unstable();
    assert_eq!(
        seen,
        [
            ("create", 1, 0, 0),
            ("create", 2, 0, 0),
            ("write", 1, 0, 8),
            ("write", 2, 0, 8),
        ]
    );
    let (_, notes) = parsed(&mut Strace::default(), text);
    assert_eq!(notes.mended[GUESSED_PARENT].count, 1);
}
