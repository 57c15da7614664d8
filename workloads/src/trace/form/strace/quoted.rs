//! Names as strace quotes them.
//!
//! A path in quotes has `\"` and one in brackets `\74` and `\76`: only unquoted are they the same.

use std::borrow::Cow;
use std::fmt::Write;

/// The name that was quoted. What is no UTF-8 in it stays `\xHH`.
pub(super) fn unquoted(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let (byte, length) = if *first == b'\\' {
            escape(after)
        } else {
            (*first, 0)
        };
        bytes.push(byte);
        rest = &after[length..];
    }
    let mut name = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        name.push_str(chunk.valid());
        for byte in chunk.invalid() {
            write!(name, "\\x{byte:02x}").expect("a string takes all");
        }
    }
    Cow::Owned(name)
}

/// The byte that is meant behind a backslash, and in how many it is written.
fn escape(text: &[u8]) -> (u8, usize) {
    let digits = |text: &[u8], radix: u32, most: usize| {
        let values = text.iter().take(most);
        let values = values.map_while(|digit| char::from(*digit).to_digit(radix));
        values.fold((0, 0), |(value, count), digit| {
            (value * radix + digit, count + 1)
        })
    };
    let (value, count) = match text.first() {
        None => return (b'\\', 0),
        Some(b'x') => {
            let (value, count) = digits(&text[1..], 16, 2);
            (value, if count > 0 { count + 1 } else { 0 })
        }
        Some(_) => digits(text, 8, 3),
    };
    if count > 0
        && let Ok(byte) = u8::try_from(value)
    {
        return (byte, count);
    }
    let byte = match text[0] {
        b'a' => 7,
        b'b' => 8,
        b't' => b'\t',
        b'n' => b'\n',
        b'v' => 11,
        b'f' => 12,
        b'r' => b'\r',
        other => other,
    };
    (byte, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_however_it_is_quoted() {
        for (text, name) in [
            (r"/d/plain", "/d/plain"),
            (r#"a<b>\"c\\ (x)"#, r#"a<b>"c\ (x)"#),
            (r#"a\74b\76\"c\\ (x)"#, r#"a<b>"c\ (x)"#),
            (r"\303\244\0011\t\n", "\u{e4}\u{1}1\t\n"),
            (r"\x2f\xc3\xa4", "/\u{e4}"),
            (r"\377\xfe", r"\xff\xfe"),
            (r"\", r"\"),
            (r"\777", "777"),
            (r"\xg", "xg"),
        ] {
            assert_eq!(unquoted(text), name, "{text}");
        }
    }
}
