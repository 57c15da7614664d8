//! The grammar of a line of strace: who, when, and a call with its arguments, its result and how long it took.

use super::super::super::request::decimal_ns;

/// Calls of interest have no more arguments.
const ARGS_MAX: usize = 6;
const SECOND_NS: u64 = 1_000_000_000;
pub(super) const DAY_NS: u64 = 24 * 3600 * SECOND_NS;

/// A line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// 0 where it is not told.
    pub(super) pid: u32,
    pub(super) at: Stamp,
    pub(super) event: Event<'a>,
}

/// A time as strace writes it, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stamp {
    /// Of the Unix clock.
    Unix(u64),
    /// Since a midnight that the line does not tell.
    OfDay(u64),
}

/// What a line tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event<'a> {
    /// A whole call.
    Call(&'a str),
    /// The beginning of one.
    Unfinished(&'a str),
    /// The rest of one.
    Resumed(&'a str),
    /// The process is gone.
    Exit,
    /// A signal.
    Signal,
}

/// Understands who and when.
pub(super) fn line(text: &str) -> Result<Line<'_>, &'static str> {
    let (pid, rest) = pid(text.trim_start());
    let (time, rest) = rest.split_once(' ').ok_or("it has no call")?;
    let at = stamp(time).ok_or("it has no time: record with strace -ttt")?;
    let rest = rest.trim();
    let event = if rest.starts_with("+++") {
        Event::Exit
    } else if rest.starts_with("---") {
        Event::Signal
    } else if let Some(resumed) = rest.strip_prefix("<... ") {
        let (_, rest) = resumed.split_once("resumed>").ok_or("it resumes no call")?;
        Event::Resumed(rest)
    } else if let Some(begun) = rest.strip_suffix("<unfinished ...>") {
        Event::Unfinished(begun.trim_end())
    } else {
        Event::Call(rest)
    };
    Ok(Line { pid, at, event })
}

/// `123 ` or `[pid 123] ` in front of a time.
fn pid(text: &str) -> (u32, &str) {
    let (told, rest) = match text.strip_prefix("[pid") {
        Some(rest) => match rest.split_once(']') {
            Some((pid, rest)) => (pid.trim(), rest.trim_start()),
            None => return (0, text),
        },
        None => match text.split_once(' ') {
            Some((pid, rest)) => (pid, rest.trim_start()),
            None => return (0, text),
        },
    };
    match told.parse() {
        // A number alone could be a time too; then no time follows it.
        Ok(pid) if rest.starts_with(|c: char| c.is_ascii_digit()) => (pid, rest),
        _ => (0, text),
    }
}

/// `SECONDS.FRACTION` of the Unix clock or `HH:MM:SS[.FRACTION]`. A number alone is a process, and its line has no time.
fn stamp(text: &str) -> Option<Stamp> {
    let Some((hours, rest)) = text.split_once(':') else {
        return text
            .contains('.')
            .then(|| decimal_ns(text, SECOND_NS).map(Stamp::Unix))
            .flatten();
    };
    let (minutes, seconds) = rest.split_once(':')?;
    let whole = |text: &str| text.parse::<u16>().ok().map(u64::from);
    let before = (whole(hours)? * 60 + whole(minutes)?) * 60 * SECOND_NS;
    let of_day = before.checked_add(decimal_ns(seconds, SECOND_NS)?)?;
    (of_day < DAY_NS).then_some(Stamp::OfDay(of_day))
}

/// A call that has returned.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Call<'a> {
    pub(super) name: &'a str,
    args: [&'a str; ARGS_MAX],
    /// Negative where it failed; none where it never returned.
    pub(super) result: Option<i64>,
    /// The path that `-y` adds to a descriptor.
    pub(super) result_path: Option<&'a str>,
    pub(super) took_ns: u64,
}

impl<'a> Call<'a> {
    /// Understands a whole call.
    pub(super) fn parse(text: &'a str) -> Result<Self, &'static str> {
        let (name, rest) = text.split_once('(').ok_or("it is no call")?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(is_name) {
            return Err("it is no call");
        }
        let (args, rest) = arguments(rest).ok_or("its arguments have no end")?;
        let answer = rest
            .trim_start()
            .strip_prefix('=')
            .ok_or("it has no result")?
            .trim_start();
        let (rest, took_ns) = duration(answer);
        let (number, path) = match rest.split_once('<') {
            Some((number, path)) if !number.contains(' ') => {
                (number, Some(path.trim_end().trim_end_matches('>')))
            }
            _ => (rest.split(' ').next().unwrap_or(rest), None),
        };
        Ok(Self {
            name,
            args,
            result: number_of(number),
            result_path: path,
            took_ns,
        })
    }

    /// The `nth` argument as written; empty where there is none.
    pub(super) fn arg(&self, nth: usize) -> &'a str {
        self.args.get(nth).copied().unwrap_or_default()
    }

    /// The `nth` argument as a number.
    pub(super) fn number(&self, nth: usize) -> Option<i64> {
        number_of(self.arg(nth))
    }

    /// The `nth` argument as a path.
    pub(super) fn path(&self, nth: usize) -> Option<&'a str> {
        let text = self.arg(nth).strip_prefix('"')?;
        text.strip_suffix('"')
    }

    /// The `nth` argument as a descriptor and the path that `-y` adds to it.
    pub(super) fn descriptor(&self, nth: usize) -> Option<(i32, Option<&'a str>)> {
        let text = self.arg(nth);
        let (number, path) = match text.split_once('<') {
            Some((number, path)) => (number, path.strip_suffix('>').or(Some(path))),
            None => (text, None),
        };
        Some((number.parse().ok()?, path))
    }

    /// The directory that the `nth` argument is, as `-y` adds it.
    pub(super) fn directory(&self, nth: usize) -> Option<&'a str> {
        let (_, path) = self.arg(nth).split_once('<')?;
        path.strip_suffix('>')
    }
}

/// Takes `<SECONDS>` off the end.
fn duration(text: &str) -> (&str, u64) {
    let told = text.strip_suffix('>').and_then(|text| {
        let (rest, seconds) = text.rsplit_once('<')?;
        Some((rest.trim_end(), decimal_ns(seconds, SECOND_NS)?))
    });
    told.unwrap_or((text, 0))
}

fn number_of(text: &str) -> Option<i64> {
    match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Arguments up to the closing parenthesis, and what follows it.
fn arguments(text: &str) -> Option<([&str; ARGS_MAX], &str)> {
    let bytes = text.as_bytes();
    let (mut args, mut count, mut start) = ([""; ARGS_MAX], 0, 0);
    let mut depth = 0_usize;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = end_of_string(bytes, at)?,
            b'<' if is_path(bytes, at) => at = end_of_path(bytes, at)?,
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                at += text[at..].find("*/")? + 1;
            }
            b'(' | b'[' | b'{' => depth += 1,
            b')' if depth == 0 => {
                if let Some(arg) = args.get_mut(count) {
                    *arg = text[start..at].trim();
                }
                return Some((args, &text[at + 1..]));
            }
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                if let Some(arg) = args.get_mut(count) {
                    *arg = text[start..at].trim();
                }
                (count, start) = (count + 1, at + 1);
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// The quote that ends the string which begins at `at`.
fn end_of_string(bytes: &[u8], at: usize) -> Option<usize> {
    let mut end = at + 1;
    while *bytes.get(end)? != b'"' {
        end += if bytes[end] == b'\\' { 2 } else { 1 };
    }
    Some(end)
}

/// Does the path of a descriptor begin here, and not a shift or a comparison?
fn is_path(bytes: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).map(|before| bytes[before]);
    before.is_some_and(|byte| byte.is_ascii_alphanumeric()) && bytes.get(at + 1) != Some(&b'<')
}

/// The `>` that ends the path which begins at `at`: what follows it belongs to the call.
fn end_of_path(bytes: &[u8], at: usize) -> Option<usize> {
    let is_end = |end: &usize| {
        bytes[*end] == b'>'
            && matches!(
                bytes.get(end + 1),
                None | Some(b',' | b')' | b']' | b'}' | b' ')
            )
    };
    (at + 1..bytes.len()).find(is_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_and_when_are_told() {
        let call = "fsync(3) = 0";
        let expected = |pid, at| Line {
            pid,
            at,
            event: Event::Call(call),
        };
        let unix = Stamp::Unix(1_795_388_275_195_512_000);
        for (text, pid, at) in [
            ("22699 1795388275.195512", 22_699, unix),
            ("22699  1795388275.195512", 22_699, unix),
            ("[pid   77] 5.5", 77, Stamp::Unix(5_500_000_000)),
            ("1795388275.195512", 0, unix),
            ("9 01:02:03.5", 9, Stamp::OfDay(3_723_500_000_000)),
        ] {
            let whole = format!("{text} {call}");
            assert_eq!(line(&whole), Ok(expected(pid, at)), "{whole}");
        }
        assert!(line("9 24:00:00.0 fsync(3) = 0").is_err());
        assert!(line("fsync(3) = 0").is_err());
        assert!(line("7 fsync(3) = 0").is_err());
    }

    #[test]
    fn arguments_end_where_they_end() {
        let call = Call::parse(
            r#"pwritev2(3</a, (b) c>, [{iov_base="x, \") y"..., iov_len=5}, {iov_base=""..., iov_len=6}], 2, 4096, RWF_DSYNC) = 11 <0.000062>"#,
        )
        .unwrap();
        assert_eq!(
            (call.name, call.result, call.took_ns),
            ("pwritev2", Some(11), 62_000)
        );
        assert_eq!(call.descriptor(0), Some((3, Some("/a, (b) c"))));
        assert_eq!((call.number(2), call.number(3)), (Some(2), Some(4096)));
        assert_eq!(call.arg(4), "RWF_DSYNC");
        let open = Call::parse(
            r#"openat(AT_FDCWD</work dir>, "data/g", O_RDWR|O_CREAT, 0644) = 3</work dir/data/g> <0.1>"#,
        )
        .unwrap();
        assert_eq!(open.directory(0), Some("/work dir"));
        assert_eq!(open.path(1), Some("data/g"));
        assert_eq!(
            (open.result, open.result_path),
            (Some(3), Some("/work dir/data/g"))
        );
        let failed =
            Call::parse(r#"open("x", O_RDONLY) = -1 ENOENT (No such file or directory) <0.1>"#)
                .unwrap();
        assert_eq!((failed.result, failed.result_path), (Some(-1), None));
        let gone = Call::parse("exit_group(0)  = ?").unwrap();
        assert_eq!(gone.result, None);
        let socket =
            Call::parse("read(4<TCP:[127.0.0.1:80->127.0.0.1:9]>, \"\"..., 5) = 5").unwrap();
        assert_eq!(socket.number(2), Some(5));
        let commented =
            Call::parse("execve(\"/b\", [\"b\"], 0x7 /* 20 vars, (and) more */) = 0").unwrap();
        assert_eq!(commented.result, Some(0));
    }

    #[test]
    fn what_is_no_call_is_refused() {
        for text in [
            "",
            "fsync",
            "fsync(3",
            "fsync(3)",
            "fsync(3) 0",
            "f\"(3) = 0",
            "f(\"a\\",
            "(3) = 0",
            "f(3<, 1) = 0 <",
        ] {
            assert!(Call::parse(text).is_err(), "{text}");
        }
    }
}
