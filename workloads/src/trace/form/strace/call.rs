//! The grammar of a call: its arguments, its result and how long it took.
//!
//! Not here: who called and when (line), what the call comes to (follow).

use std::borrow::Cow;

use super::super::super::request::decimal_ns;
use super::quoted::unquoted;

/// Calls of interest have no more arguments.
const ARGS_MAX: usize = 6;
const SECOND_NS: u64 = 1_000_000_000;
/// Behind the path of a file to which no name leads any more.
const GONE: &str = "(deleted)";

/// A call that has returned.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Call<'a> {
    pub(super) name: &'a str,
    pub(super) args: [&'a str; ARGS_MAX],
    /// Negative where it failed; none where it never returned.
    pub(super) result: Option<i64>,
    pub(super) result_path: Option<Told<'a>>,
    pub(super) took_ns: u64,
}

/// The path that `-y` adds to a descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told<'a> {
    pub(super) path: Cow<'a, str>,
    /// Nothing leads to the file any more.
    pub(super) is_gone: bool,
}

impl<'a> Told<'a> {
    /// Understands what follows a `<`. The mark of what is gone stands behind it since version 5.19, and was part of the path.
    fn new(text: &'a str) -> Self {
        let (path, is_marked) = match text.strip_suffix(GONE) {
            Some(path) => (path, true),
            None => (text, false),
        };
        let path = path.strip_suffix('>').unwrap_or(path);
        let (path, is_gone) = match path.strip_suffix(" (deleted)") {
            Some(path) => (path, true),
            None => (path, is_marked),
        };
        Self {
            path: unquoted(path),
            is_gone,
        }
    }
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
                (number, Some(Told::new(path.trim_end())))
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

    /// The number in brackets that the `nth` argument points to, before the call.
    pub(super) fn bracketed(&self, nth: usize) -> Option<u64> {
        let (number, _) = self.arg(nth).strip_prefix('[')?.split_once(']')?;
        number.parse().ok()
    }

    /// The `nth` argument as a path.
    pub(super) fn path(&self, nth: usize) -> Option<Cow<'a, str>> {
        let text = self.arg(nth).strip_prefix('"')?;
        text.strip_suffix('"').map(unquoted)
    }

    /// The `nth` argument as a descriptor and the path that `-y` adds to it.
    pub(super) fn descriptor(&self, nth: usize) -> Option<(i32, Option<Told<'a>>)> {
        let text = self.arg(nth);
        let (number, path) = match text.split_once('<') {
            Some((number, path)) => (number, Some(Told::new(path))),
            None => (text, None),
        };
        Some((number.parse().ok()?, path))
    }

    /// The directory that the `nth` argument is, as `-y` adds it.
    pub(super) fn directory(&self, nth: usize) -> Option<Cow<'a, str>> {
        let (_, path) = self.arg(nth).split_once('<')?;
        Some(Told::new(path).path)
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
        let Some(rest) = bytes[*end..].strip_prefix(b">") else {
            return false;
        };
        let rest = rest.strip_prefix(GONE.as_bytes()).unwrap_or(rest);
        matches!(rest.first(), None | Some(b',' | b')' | b']' | b'}' | b' '))
    };
    (at + 1..bytes.len()).find(is_end)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let told = |path| Told {
            path: Cow::Borrowed(path),
            is_gone: false,
        };
        assert_eq!(call.descriptor(0), Some((3, Some(told("/a, (b) c")))));
        assert_eq!((call.number(2), call.number(3)), (Some(2), Some(4096)));
        assert_eq!(call.arg(4), "RWF_DSYNC");
        let open = Call::parse(
            r#"openat(AT_FDCWD</work dir>, "data/g", O_RDWR|O_CREAT, 0644) = 3</work dir/data/g> <0.1>"#,
        )
        .unwrap();
        assert_eq!(open.directory(0).as_deref(), Some("/work dir"));
        assert_eq!(open.path(1).as_deref(), Some("data/g"));
        assert_eq!(
            (open.result, open.result_path),
            (Some(3), Some(told("/work dir/data/g")))
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
    fn what_is_gone_is_marked_inside_the_brackets_or_behind_them() {
        for text in [
            "read(3</d/b (deleted)>, \"\"..., 8) = 4</d/b (deleted)>",
            "read(3</d/b>(deleted), \"\"..., 8) = 4</d/b>(deleted) <0.1>",
        ] {
            let call = Call::parse(text).unwrap();
            let gone = Told {
                path: Cow::Borrowed("/d/b"),
                is_gone: true,
            };
            assert_eq!(call.descriptor(0), Some((3, Some(gone.clone()))), "{text}");
            assert_eq!(call.result_path, Some(gone), "{text}");
            assert_eq!(call.number(2), Some(8), "{text}");
        }
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
