//! Where calls without an offset go.

use super::*;

#[test]
fn copies_inside_the_kernel_move_positions_and_are_lost() {
    let text = r#"1 1.10 openat(AT_FDCWD, "/in", O_RDWR|O_TRUNC) = 3
1 1.11 openat(AT_FDCWD, "/out", O_RDWR|O_TRUNC) = 4
1 1.12 sendfile(4, 3, NULL, 1048576) = 1048576
1 1.13 write(4, ""..., 4096) = 4096
1 1.14 write(3, ""..., 1) = 1
1 1.15 sendfile(4, 3, [0] => [10], 10) = 10
1 1.16 copy_file_range(3, NULL, 4, NULL, 5, 0) = 5
1 1.17 write(4, ""..., 1) = 1
1 1.18 write(3, ""..., 1) = 1
1 1.19 copy_file_range(3, [100] => [105], 4, [4194304] => [4194309], 5, 0) = 5
1 1.20 splice(7, NULL, 4, NULL, 6, 0) = 6
1 1.21 write(4, ""..., 1) = 1
1 1.22 write(3, ""..., 1) = 1
1 1.23 openat(AT_FDCWD, "/out", O_WRONLY|O_APPEND) = 5
1 1.24 write(5, ""..., 2) = 2
1 1.25 sendfile(4, 3, NULL, 10) = -1 EAGAIN (Resource temporarily unavailable)
"#;
    let (all, _) = parsed(&mut Strace::default(), text);
    let lost = all
        .iter()
        .filter(|line| **line == Parsed::Lost("copy inside the kernel"));
    assert_eq!(lost.count(), 5, "{all:?}");
    let mib = 1 << 20;
    assert_eq!(
        brief(text),
        [
            ("create", 1, 0, 0),
            ("create", 2, 0, 0),
            ("write", 2, mib, 4096),
            ("write", 1, mib, 1),
            ("write", 2, mib + 4096 + 15, 1),
            ("write", 1, mib + 6, 1),
            ("write", 2, mib + 4096 + 22, 1),
            ("write", 1, mib + 7, 1),
            ("open", 2, 0, 0),
            ("write", 2, 4 * mib + 5, 2),
        ]
    );
}

#[test]
fn preallocation_moves_the_end_unless_it_keeps_the_size() {
    let text = r#"1 1.1 openat(AT_FDCWD, "/a", O_RDWR|O_TRUNC|O_APPEND) = 3
1 1.2 fallocate(3, 0, 0, 4096) = 0
1 1.3 write(3, ""..., 1) = 1
1 1.4 fallocate(3, FALLOC_FL_KEEP_SIZE, 0, 1048576) = 0
1 1.5 write(3, ""..., 1) = 1
1 1.6 fallocate(3, FALLOC_FL_ZERO_RANGE, 4096, 4096) = 0
1 1.7 write(3, ""..., 1) = 1
1 1.8 fallocate(3, FALLOC_FL_COLLAPSE_RANGE, 0, 4096) = 0
1 1.9 write(3, ""..., 1) = 1
1 2.0 fallocate(3, FALLOC_FL_INSERT_RANGE, 0, 8192) = 0
1 2.1 write(3, ""..., 1) = 1
"#;
    let (all, _) = parsed(&mut Strace::default(), text);
    let lost = all.iter().filter(|line| matches!(line, Parsed::Lost(_)));
    assert_eq!(lost.count(), 5, "{all:?}");
    assert_eq!(
        brief(text),
        [
            ("create", 1, 0, 0),
            ("write", 1, 4096, 1),
            ("write", 1, 4097, 1),
            ("write", 1, 8192, 1),
            ("write", 1, 4097, 1),
            ("write", 1, 4098 + 8192, 1),
        ]
    );
}

#[test]
fn the_long_seek_of_32_bits_answers_in_brackets() {
    let text = r#"1 1.1 openat(AT_FDCWD, "/a", O_RDWR) = 3
1 1.2 _llseek(3, 4096, [4096], SEEK_SET) = 0
1 1.3 read(3, ""..., 8) = 8
1 1.4 _llseek(3, 0, 0xffffd0a8, SEEK_END) = -1 EINVAL (Invalid argument)
1 1.5 read(3, ""..., 8) = 8
"#;
    assert_eq!(
        brief(text),
        [
            ("open", 1, 0, 0),
            ("read", 1, 4096, 8),
            ("read", 1, 4104, 8)
        ]
    );
}

#[test]
fn every_request_that_rests_on_a_guess_is_counted() {
    let text = r#"1 1.10 write(3</a>, ""..., 8) = 8
1 1.11 write(3</a>, ""..., 8) = 8
1 1.12 read(3</a>, ""..., 8) = 0
1 1.13 lseek(3</a>, 0, SEEK_CUR) = 1000
1 1.14 write(3</a>, ""..., 8) = 8
1 1.15 openat(AT_FDCWD, "/b", O_RDWR) = 4</b>
1 1.16 pwrite64(4</b>, ""..., 8, 0) = 8
1 1.17 openat(AT_FDCWD, "/b", O_WRONLY|O_APPEND) = 5</b>
1 1.18 write(5</b>, ""..., 8) = 8
1 1.19 write(5</b>, ""..., 8) = 8
1 1.20 lseek(5</b>, -24, SEEK_END) = 76
1 1.21 write(5</b>, ""..., 8) = 8
1 1.22 newfstatat(4</b>, "", {st_mode=S_IFREG|0644, st_size=500, ...}, AT_EMPTY_PATH) = 0
1 1.23 write(5</b>, ""..., 8) = 8
1 1.24 fstat(5</b>, {st_mode=S_IFREG|0644, st_size=600}) = 0
1 1.25 write(5</b>, ""..., 8) = 8
"#;
    assert_eq!(
        brief(text),
        [
            ("write", 1, 0, 8),
            ("write", 1, 8, 8),
            ("write", 1, 1000, 8),
            ("open", 2, 0, 0),
            ("write", 2, 0, 8),
            ("open", 2, 0, 0),
            ("write", 2, 8, 8),
            ("write", 2, 16, 8),
            ("write", 2, 100, 8),
            ("write", 2, 500, 8),
            ("write", 2, 600, 8),
        ]
    );
    let (_, notes) = parsed(&mut Strace::default(), text);
    assert_eq!(notes.mended[GUESSED_POSITION].count, 2);
    assert_eq!(notes.mended[GUESSED_SIZE].count, 2);
}

#[test]
fn an_append_to_an_unlinked_file_goes_to_its_end() {
    let text = r#"1 1.10 openat(AT_FDCWD, "/a", O_RDWR|O_TRUNC) = 3
1 1.11 openat(AT_FDCWD, "/a", O_WRONLY|O_APPEND) = 4
1 1.12 write(3, ""..., 100) = 100
1 1.13 unlink("/a") = 0
1 1.14 write(4, ""..., 8) = 8
"#;
    assert_eq!(brief(text).pop(), Some(("write", 1, 100, 8)));
    let (_, notes) = parsed(&mut Strace::default(), text);
    assert!(notes.mended.is_empty());
}
