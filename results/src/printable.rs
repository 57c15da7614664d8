//! Text from outside on a terminal and in a log: names, faults and lines of recordings cannot move a cursor, ring
//! a bell, or give a command to whoever reads the log.
//!
//! Not here: HTML, JUnit and Markdown, which escape for themselves.

use std::borrow::Cow;

/// As one line: every control character is written as its escape (`\n`, `\u{1b}`), and what begins like a workflow
/// command (`::error`) is quoted, since it would be obeyed.
#[must_use]
pub fn one_line(text: &str) -> Cow<'_, str> {
    if is_safe(text) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 2);
    if is_command(text) {
        shown.push_str("> ");
    }
    for c in text.chars() {
        if is_unsafe(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// The same, but its lines stay lines.
#[must_use]
pub fn lines(text: &str) -> Cow<'_, str> {
    if text.split('\n').all(is_safe) {
        return Cow::Borrowed(text);
    }
    let shown: Vec<_> = text.split('\n').map(one_line).collect();
    Cow::Owned(shown.join("\n"))
}

fn is_safe(line: &str) -> bool {
    !is_command(line) && !line.contains(is_unsafe)
}

fn is_command(line: &str) -> bool {
    line.trim_start().starts_with("::")
}

/// Control characters of both blocks, and those that turn the direction of text.
fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_or_a_runner_obeys_comes_through() {
        let hostile = "\u{1b}[2J\u{7}name\n::error title=x::y\u{202e}\u{9b}1m";
        assert_eq!(
            one_line(hostile),
            "\\u{1b}[2J\\u{7}name\\n::error title=x::y\\u{202e}\\u{9b}1m"
        );
        assert_eq!(
            lines(hostile),
            "\\u{1b}[2J\\u{7}name\n> ::error title=x::y\\u{202e}\\u{9b}1m"
        );
        assert_eq!(lines("a\n  ::add-mask::b"), "a\n>   ::add-mask::b");
    }

    #[test]
    fn what_is_harmless_stays_as_it_is() {
        let text = "two lines\n  of 128 KiB, \u{3bc}s and \u{65e5}\u{672c}";
        assert!(matches!(lines(text), Cow::Borrowed(_)));
        assert!(matches!(one_line("p99(serve.read) :: x"), Cow::Borrowed(_)));
    }
}
