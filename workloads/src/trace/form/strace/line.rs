//! The grammar of a line: who, when, and what it tells.
//!
//! Not here: what time it is in the end (clock), what a call says (call).

use super::super::super::request::decimal_ns;

const SECOND_NS: u64 = 1_000_000_000;
pub(super) const DAY_NS: u64 = 24 * 3600 * SECOND_NS;

/// A process in front of a time takes so many columns at least.
const PID_COLUMNS: usize = 5;
/// A gap is filled up to six columns in front of its point: longer ones have no blank.
const GAP_NS_MAX: u64 = 100_000 * SECOND_NS;

/// A line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// 0 where it is not told.
    pub(super) pid: u32,
    pub(super) at: Stamp,
    /// What it tells, as written.
    pub(super) rest: &'a str,
}

/// A time as strace writes it, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stamp {
    /// Of the Unix clock.
    Unix(u64),
    /// Since a midnight that the line does not tell.
    OfDay(u64),
    /// Since the line before.
    Gap(u64),
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
    /// This thread of the process has begun a program and is the process now.
    Superseded(u32),
    /// A signal.
    Signal,
}

/// Understands who and when.
pub(super) fn line(text: &str) -> Result<Line<'_>, &'static str> {
    let (pid, rest) = match pid(text.trim_start()) {
        (0, _) => (0, text),
        told => told,
    };
    let is_padded = rest.starts_with(' ');
    let (time, rest) = rest.trim_start().split_once(' ').ok_or("it has no call")?;
    let at = match stamp(time).ok_or("it has no time: record with -ttt")? {
        Stamp::Unix(gap_ns) if is_padded && gap_ns < GAP_NS_MAX => Stamp::Gap(gap_ns),
        at => at,
    };
    // With -r and a clock, the gap follows the time.
    let rest = match rest.strip_prefix("(+").and_then(|gap| gap.split_once(')')) {
        Some((_, rest)) => rest,
        None => rest,
    };
    let rest = rest.trim();
    Ok(Line { pid, at, rest })
}

/// Understands what a line tells.
pub(super) fn event(rest: &str) -> Result<Event<'_>, &'static str> {
    if let Some(rest) = rest.strip_prefix("+++ superseded by execve in pid ") {
        let thread = rest.split(' ').next().and_then(|pid| pid.parse().ok());
        return thread.map(Event::Superseded).ok_or("it tells no process");
    }
    if rest.starts_with("+++") {
        return Ok(Event::Exit);
    }
    if rest.starts_with("---") {
        return Ok(Event::Signal);
    }
    if let Some(resumed) = rest.strip_prefix("<... ") {
        let (_, rest) = resumed.split_once("resumed>").ok_or("it resumes no call")?;
        return Ok(Event::Resumed(rest));
    }
    if let Some(begun) = rest.strip_suffix("<unfinished ...>") {
        return Ok(Event::Unfinished(begun.trim_end()));
    }
    let changed = rest
        .strip_suffix(" ...>")
        .and_then(|rest| rest.rsplit_once("<pid changed to "));
    Ok(match changed {
        Some((begun, _)) => Event::Unfinished(begun.trim_end()),
        None => Event::Call(rest),
    })
}

/// `123 ` or `[pid 123] ` in front of a time, and the rest from the column where a time begins.
fn pid(text: &str) -> (u32, &str) {
    let (told, rest) = match text.strip_prefix("[pid") {
        Some(rest) => match rest.split_once("] ") {
            Some((pid, rest)) => (pid.trim(), rest),
            None => return (0, text),
        },
        None => match text.split_once(' ') {
            Some((pid, rest)) => {
                // A short number is filled up with blanks.
                let filled = PID_COLUMNS.saturating_sub(pid.len());
                let blanks = rest.len() - rest.trim_start_matches(' ').len();
                (pid, &rest[filled.min(blanks)..])
            }
            None => return (0, text),
        },
    };
    match told.parse() {
        // A number alone could be a time too; then no time follows it.
        Ok(pid) if rest.trim_start().starts_with(|c: char| c.is_ascii_digit()) => (pid, rest),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_and_when_are_told() {
        let call = "fsync(3) = 0";
        let expected = |pid, at| Line {
            pid,
            at,
            rest: call,
        };
        let unix = Stamp::Unix(1_795_388_275_195_512_000);
        for (text, pid, at) in [
            ("22699 1795388275.195512", 22_699, unix),
            ("22699  1795388275.195512", 22_699, unix),
            ("[pid   77] 5.5", 77, Stamp::Unix(5_500_000_000)),
            ("1795388275.195512", 0, unix),
            ("9 01:02:03.5", 9, Stamp::OfDay(3_723_500_000_000)),
            ("9     5.5", 9, Stamp::Unix(5_500_000_000)),
            ("9          5.5", 9, Stamp::Gap(5_500_000_000)),
            ("12345      5.5", 12_345, Stamp::Gap(5_500_000_000)),
            ("[pid 77]      5.5", 77, Stamp::Gap(5_500_000_000)),
            ("     5.5", 0, Stamp::Gap(5_500_000_000)),
            ("1795388275.195512 (+     0.000001)", 0, unix),
        ] {
            let whole = format!("{text} {call}");
            assert_eq!(line(&whole), Ok(expected(pid, at)), "{whole}");
        }
        assert_eq!(event(call), Ok(Event::Call(call)));
        assert!(line("9 24:00:00.0 fsync(3) = 0").is_err());
        assert!(line("fsync(3) = 0").is_err());
        assert!(line("7 fsync(3) = 0").is_err());
    }
}
