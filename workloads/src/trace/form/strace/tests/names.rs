//! What names lead to: from a working directory, after a rename, and when they are gone.

use super::super::naming::UNKNOWN_DIRECTORY;
use super::*;

#[test]
fn an_unlinked_file_is_the_same_file_however_strace_marks_it() {
    let text = r#"1 1.1 openat(AT_FDCWD</d>, "b", O_RDWR|O_CREAT|O_EXCL, 0644) = 3</d/b> <0.00001>
1 1.2 write(3</d/b>, ""..., 8) = 8 <0.00001>
1 1.3 unlink("/d/b") = 0 <0.00001>
1 1.4 write(3</d/b>(deleted), ""..., 8) = 8 <0.00001>
1 1.5 fcntl(3</d/b>(deleted), F_DUPFD_CLOEXEC, 0) = 4</d/b>(deleted) <0.00001>
1 1.6 write(4</d/b>(deleted), ""..., 8) = 8 <0.00001>
1 1.7 openat(AT_FDCWD</d>, ".", O_RDWR|O_CLOEXEC|O_TMPFILE, 0600) = 5</d/#77>(deleted) <0.00001>
1 1.8 sendto(6<TCP:[127.0.0.1:80->127.0.0.1:9]>, ""..., 8, 0, NULL, 0) = 8 <0.00001>
1 1.9 close(4</d/b>(deleted)) = 0 <0.00001>
"#;
    assert_eq!(
        brief(text),
        [
            ("create", 1, 0, 0),
            ("write", 1, 0, 8),
            ("remove", 1, 0, 0),
            ("write", 1, 8, 8),
            ("write", 1, 16, 8),
            ("create", 2, 0, 0),
            ("close", 1, 0, 0),
        ]
    );
}

#[test]
fn a_name_is_the_same_in_quotes_and_in_brackets() {
    let text = r#"1 1.1 openat(AT_FDCWD</d>, "a<b>\"c\\ (x), \303\244", O_RDWR|O_TRUNC) = 4</d/a\74b\76\"c\\ (x), \303\244>
1 1.2 write(4</d/a\74b\76\"c\\ (x), \303\244>, ""..., 100) = 100
1 1.3 renameat(AT_FDCWD</d>, "a<b>\"c\\ (x), \303\244", AT_FDCWD</d>, "b") = 0
1 1.4 write(4</d/b>, ""..., 8) = 8
"#;
    assert_eq!(
        brief(text),
        [
            ("create", 1, 0, 0),
            ("write", 1, 0, 100),
            ("rename", 1, 0, 0),
            ("write", 1, 100, 8),
        ]
    );
}

#[test]
fn relative_names_are_of_the_working_directory() {
    let text = r#"1 1.1 openat(AT_FDCWD</d>, "tmp", O_RDWR|O_CREAT|O_TRUNC, 0644) = 3</d/tmp>
1 1.2 write(3</d/tmp>, ""..., 8) = 8
1 1.3 rename("tmp", "final") = 0
1 1.4 write(3</d/final>, ""..., 8) = 8
1 1.5 renameat(AT_FDCWD</d>, ".//final", AT_FDCWD</d>, "../d/./a") = 0
1 1.6 truncate("a", 100) = 0
1 1.7 unlink("./a") = 0
"#;
    assert_eq!(
        brief(text),
        [
            ("create", 1, 0, 0),
            ("write", 1, 0, 8),
            ("rename", 1, 0, 0),
            ("write", 1, 8, 8),
            ("rename", 1, 0, 0),
            ("truncate", 1, 0, 100),
            ("remove", 1, 0, 0),
        ]
    );
}

#[test]
fn the_working_directory_moves_and_a_fork_has_its_own() {
    let text = r#"1 1.10 openat(AT_FDCWD, "/d/sub", O_RDONLY|O_DIRECTORY) = 5
1 1.11 openat(AT_FDCWD, "/d/sub/a", O_RDWR|O_TRUNC) = 3
1 1.12 chdir("/d") = 0
1 1.13 rename("sub/a", "a") = 0
1 1.14 clone(child_stack=NULL, flags=SIGCHLD) = 2
1 1.15 clone(child_stack=0x7f, flags=CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_THREAD) = 9
2 1.16 chdir("sub") = 0
2 1.17 rename("../a", "b") = 0
2 1.18 openat(AT_FDCWD, "b", O_RDWR|O_TRUNC) = 3
1 1.19 rename("sub/b", "c") = 0
9 1.20 fchdir(5) = 0
1 1.21 unlink("../c") = 0
1 1.22 chdir("..") = -1 EACCES (Permission denied)
9 1.23 getcwd("/d/sub", 4096) = 7
9 1.24 openat(AT_FDCWD, "/d/sub/c", O_RDWR|O_TRUNC) = 4
1 1.25 unlink("c") = 0
"#;
    assert_eq!(
        brief(text),
        [
            ("create", 1, 0, 0),
            ("rename", 1, 0, 0),
            ("rename", 1, 0, 0),
            ("create", 1, 0, 0),
            ("rename", 1, 0, 0),
            ("remove", 1, 0, 0),
            ("create", 2, 0, 0),
            ("remove", 2, 0, 0),
        ]
    );
}

#[test]
fn in_a_directory_that_is_not_told_only_names_that_were_met_are_names() {
    let met = r#"1 1.1 openat(AT_FDCWD, "tmp", O_RDWR|O_CREAT|O_TRUNC, 0644) = 3
1 1.2 write(3, ""..., 8) = 8
1 1.3 rename("./tmp", "final") = 0
1 1.4 chdir("sub") = 0
1 1.5 truncate("../final", 0) = 0
1 1.6 getcwd("/d/sub", 4096) = 7
1 1.7 unlink("/d/final") = 0
"#;
    assert_eq!(
        brief(met),
        [
            ("create", 1, 0, 0),
            ("write", 1, 0, 8),
            ("rename", 1, 0, 0),
            ("truncate", 1, 0, 0),
            ("remove", 1, 0, 0),
        ]
    );
    let never = r#"1 1.1 openat(AT_FDCWD, "tmp", O_RDWR|O_CREAT|O_TRUNC, 0644) = 3</d/tmp>
1 1.2 rename("x", "y") = 0
1 1.3 truncate("x", 5) = 0
1 1.4 unlink("x") = 0
1 1.5 unlinkat(7, "x", 0) = 0
1 1.6 write(3</d/tmp>, ""..., 8) = 8
"#;
    let (all, _) = parsed(&mut Strace::default(), never);
    let lost = all
        .iter()
        .filter(|line| **line == Parsed::Lost(UNKNOWN_DIRECTORY));
    assert_eq!(lost.count(), 4, "{all:?}");
    assert_eq!(brief(never), [("create", 1, 0, 0), ("write", 1, 0, 8)]);
}

#[test]
fn a_directory_takes_its_files_along() {
    let text = r#"1 1.1 openat(AT_FDCWD</d>, "x/a", O_RDWR|O_TRUNC) = 3</d/x/a>
1 1.2 write(3</d/x/a>, ""..., 8) = 8
1 1.3 openat(AT_FDCWD</d>, "x.b", O_RDWR|O_TRUNC) = 4</d/x.b>
1 1.4 rename("x", "y") = 0
1 1.5 write(3</d/y/a>, ""..., 8) = 8
1 1.6 write(4</d/x.b>, ""..., 8) = 8
"#;
    assert_eq!(
        brief(text),
        [
            ("create", 1, 0, 0),
            ("write", 1, 0, 8),
            ("create", 2, 0, 0),
            ("write", 1, 8, 8),
            ("write", 2, 0, 8),
        ]
    );
    let (_, mut notes) = parsed(&mut Strace::default(), text);
    let last = notes.take_names().pop();
    assert_eq!(last.map(|(_, name)| name).as_deref(), Some("/d/y/a"));
}

#[test]
fn where_a_file_was_opened_tells_the_directory_of_those_that_are_met() {
    let text = r#"1 1.1 open("tmp", O_RDWR|O_CREAT|O_TRUNC, 0644) = 3</d/tmp>
1 1.2 write(3</d/tmp>, ""..., 8) = 8
1 1.3 rename("tmp", "final") = 0
1 1.4 write(3</d/final>, ""..., 8) = 8
1 1.5 unlink("never") = 0
"#;
    assert_eq!(
        brief(text),
        [
            ("create", 1, 0, 0),
            ("write", 1, 0, 8),
            ("rename", 1, 0, 0),
            ("write", 1, 8, 8),
        ]
    );
    let (all, _) = parsed(&mut Strace::default(), text);
    assert!(all.contains(&Parsed::Lost(UNKNOWN_DIRECTORY)), "{all:?}");
}

#[test]
fn a_directory_is_no_file() {
    let text = r#"1 1.1 openat(AT_FDCWD</d>, ".", O_RDONLY|O_CLOEXEC) = 3</d>
1 1.2 openat(AT_FDCWD</d>, "sub/", O_RDONLY) = 4</d/sub>
1 1.3 openat(AT_FDCWD, "..", O_RDONLY) = 5
1 1.4 openat(4, "a", O_RDWR|O_TRUNC) = 6
1 1.5 unlinkat(AT_FDCWD</d>, "sub/a", 0) = 0
"#;
    assert_eq!(brief(text), [("create", 1, 0, 0), ("remove", 1, 0, 0)]);
}

#[test]
fn files_without_a_name_are_files_of_their_own() {
    let text = r#"1 1.10 openat(AT_FDCWD</d>, ".", O_RDWR|O_TMPFILE, 0600) = 3</d/#77>(deleted)
1 1.11 write(3</d/#77>(deleted), ""..., 8) = 8
1 1.12 openat(AT_FDCWD</d>, ".", O_RDWR|O_TMPFILE, 0600) = 4
1 1.13 write(4, ""..., 8) = 8
1 1.14 openat(AT_FDCWD</d>, "a", O_RDWR|O_TRUNC) = 5</d/a>
1 1.15 unlink("/d/a") = 0
1 1.16 openat(AT_FDCWD</d>, "/proc/self/fd/5", O_RDWR) = 6</d/a>(deleted)
1 1.17 openat(AT_FDCWD</d>, "a", O_RDWR|O_TRUNC) = 7</d/a>
1 1.18 memfd_create(""..., MFD_CLOEXEC) = 8</memfd:zz>(deleted)
1 1.19 write(8</memfd:zz>(deleted), ""..., 5) = 5
"#;
    assert_eq!(
        brief(text),
        [
            ("create", 1, 0, 0),
            ("write", 1, 0, 8),
            ("create", 2, 0, 0),
            ("write", 2, 0, 8),
            ("create", 3, 0, 0),
            ("remove", 3, 0, 0),
            ("open", 4, 0, 0),
            ("create", 5, 0, 0),
        ]
    );
    let (all, _) = parsed(&mut Strace::default(), text);
    assert!(
        !all.iter().any(|line| matches!(line, Parsed::Lost(_))),
        "{all:?}"
    );
}

#[test]
fn who_creates_alone_creates_another_file() {
    let text = r#"1 1.10 openat(AT_FDCWD, "/a", O_RDWR|O_CREAT|O_EXCL, 0600) = 3
1 1.11 write(3, ""..., 100) = 100
1 1.12 openat(AT_FDCWD, "/a", O_RDWR|O_CREAT|O_EXCL|O_APPEND, 0600) = 4
1 1.13 write(4, ""..., 8) = 8
"#;
    assert_eq!(
        brief(text),
        [
            ("create", 1, 0, 0),
            ("write", 1, 0, 100),
            ("create", 2, 0, 0),
            ("write", 2, 0, 8),
        ]
    );
}

#[test]
fn names_that_change_places_lead_to_the_same_files() {
    let text = r#"1 1.10 openat(AT_FDCWD</d>, "a", O_RDWR|O_TRUNC) = 3</d/a>
1 1.11 openat(AT_FDCWD</d>, "b", O_RDWR|O_TRUNC) = 4</d/b>
1 1.12 renameat2(AT_FDCWD</d>, "a", AT_FDCWD</d>, "b", RENAME_EXCHANGE) = 0
1 1.13 write(3</d/b>, ""..., 8) = 8
1 1.14 write(4</d/a>, ""..., 9) = 9
1 1.15 renameat2(AT_FDCWD</d>, "a", AT_FDCWD</d>, "a", RENAME_EXCHANGE) = 0
1 1.16 write(4</d/a>, ""..., 9) = 9
"#;
    assert_eq!(
        brief(text),
        [
            ("create", 1, 0, 0),
            ("create", 2, 0, 0),
            ("write", 1, 0, 8),
            ("write", 2, 0, 9),
            ("write", 2, 9, 9),
        ]
    );
}

#[test]
fn a_call_that_has_begun_is_of_the_file_that_had_the_name_then() {
    for (change, marked, kind) in [
        (r#"rename("/d/tmp", "/d/final") = 0"#, "/d/final", "rename"),
        (r#"unlink("/d/tmp") = 0"#, "/d/tmp (deleted)", "remove"),
    ] {
        let calls = format!(
            r#"1 1.12 write(3</d/tmp>, ""..., 8) = 8
1 1.13 fsync(3</d/tmp> <unfinished ...>
2 1.14 {change}
1 1.15 <... fsync resumed>) = 0
1 1.16 write(3<{marked}>, ""..., 8) = 8
"#
        );
        let open = "1 1.11 openat(AT_FDCWD, \"/d/tmp\", O_RDWR|O_TRUNC) = 3</d/tmp>\n";
        let expected = [
            ("create", 1, 0, 0),
            ("write", 1, 0, 8),
            ("fsync", 1, 0, 0),
            (kind, 1, 0, 0),
            ("write", 1, 8, 8),
        ];
        assert_eq!(brief(&(open.to_owned() + &calls)), expected);
        assert_eq!(brief(&calls), expected[1..], "opened before the trace");
    }
}

#[test]
fn half_a_copy_has_two_descriptors() {
    let text = r#"1 1.11 openat(AT_FDCWD, "/d/a", O_RDWR|O_TRUNC) = 3</d/a>
1 1.12 openat(AT_FDCWD, "/d/b", O_RDWR|O_TRUNC) = 4</d/b>
1 1.13 copy_file_range(3</d/a>, NULL, 4</d/b>, NULL, 100, 0 <unfinished ...>
2 1.14 rename("/d/a", "/d/x") = 0
2 1.15 rename("/d/b", "/d/y") = 0
1 1.16 <... copy_file_range resumed>) = 100
1 1.17 write(3</d/x>, ""..., 8) = 8
1 1.18 write(4</d/y>, ""..., 8) = 8
"#;
    assert_eq!(
        brief(text),
        [
            ("create", 1, 0, 0),
            ("create", 2, 0, 0),
            ("rename", 1, 0, 0),
            ("rename", 2, 0, 0),
            ("write", 1, 100, 8),
            ("write", 2, 100, 8),
        ]
    );
}

#[test]
fn a_directory_that_was_opened_like_a_file_takes_its_files_along() {
    let text = r#"1 1.1 openat(AT_FDCWD</d>, "x", O_RDONLY) = 3</d/x>
1 1.2 openat(AT_FDCWD</d>, "x/a", O_RDWR|O_TRUNC) = 4</d/x/a>
1 1.3 write(4</d/x/a>, ""..., 8) = 8
1 1.4 rename("/d/x", "/d/y") = 0
1 1.5 write(4</d/y/a>, ""..., 8) = 8
1 1.6 fsync(3</d/y>) = 0
"#;
    assert_eq!(
        brief(text),
        [
            ("open", 1, 0, 0),
            ("create", 2, 0, 0),
            ("write", 2, 0, 8),
            ("rename", 1, 0, 0),
            ("write", 2, 8, 8),
            ("fsync", 1, 0, 0),
        ]
    );
}

#[test]
fn who_is_in_a_directory_that_moves_moves_along() {
    for at in ["/e/x", "x"] {
        let text = format!(
            r#"1 1.10 openat(AT_FDCWD, "{at}", O_RDONLY|O_DIRECTORY) = 5
1 1.11 openat(AT_FDCWD, "{at}/s", O_RDONLY|O_DIRECTORY) = 6
1 1.12 clone(child_stack=NULL, flags=SIGCHLD) = 2
1 1.13 clone(child_stack=NULL, flags=SIGCHLD) = 3
2 1.14 chdir("{at}") = 0
3 1.15 chdir("{at}/s") = 0
1 1.16 rename("{at}", "/e/y") = 0
1 1.17 openat(5, "a", O_RDWR|O_TRUNC) = 7
2 1.18 truncate("a", 1) = 0
2 1.19 truncate("../y/a", 2) = 0
3 1.20 truncate("../a", 3) = 0
1 1.21 unlinkat(6, "../a", 0) = 0
"#
        );
        assert_eq!(
            brief(&text),
            [
                ("create", 1, 0, 0),
                ("truncate", 1, 0, 1),
                ("truncate", 1, 0, 2),
                ("truncate", 1, 0, 3),
                ("remove", 1, 0, 0),
            ],
            "{at}"
        );
    }
}

#[test]
fn an_open_directory_is_where_the_recording_began_once_that_is_told() {
    let text = r#"1 1.10 openat(AT_FDCWD, "x", O_RDONLY|O_DIRECTORY) = 5
1 1.11 openat(5, "a", O_RDWR|O_TRUNC) = 6
1 1.12 getcwd("/d", 4096) = 3
1 1.13 unlinkat(5, "a", 0) = 0
1 1.14 openat(5, "a", O_RDWR|O_TRUNC) = 6
1 1.15 truncate("/d/x/a", 7) = 0
"#;
    assert_eq!(
        brief(text),
        [
            ("create", 1, 0, 0),
            ("remove", 1, 0, 0),
            ("create", 2, 0, 0),
            ("truncate", 2, 0, 7),
        ]
    );
}
