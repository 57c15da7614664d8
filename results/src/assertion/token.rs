//! A line of text as tokens, each with its column.

use super::AssertionFault;
use super::expr::Kind;
use crate::query::nearest;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A value in base units (bytes, seconds) and its kind.
    Number(f64, Kind),
    Name(String),
    /// One of `( ) , : * / + - <= < >= > == =`.
    Mark(&'static str),
    End,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Placed {
    pub(super) token: Token,
    /// In characters from 1.
    pub(super) column: usize,
}

const MARKS: [&str; 13] = [
    "<=", ">=", "==", "<", ">", "=", "(", ")", ",", ":", "*", "/", "+",
];

/// Unit, factor to the base unit, kind.
const UNITS: [(&str, f64, Kind); 18] = [
    ("ns", 1e-9, Kind::TIME),
    ("us", 1e-6, Kind::TIME),
    ("ms", 1e-3, Kind::TIME),
    ("s", 1.0, Kind::TIME),
    ("min", 60.0, Kind::TIME),
    ("h", 3600.0, Kind::TIME),
    ("B", 1.0, Kind::BYTES),
    ("KiB", 1024.0, Kind::BYTES),
    ("MiB", 1_048_576.0, Kind::BYTES),
    ("GiB", 1_073_741_824.0, Kind::BYTES),
    ("TiB", 1_099_511_627_776.0, Kind::BYTES),
    ("kB", 1e3, Kind::BYTES),
    ("KB", 1e3, Kind::BYTES),
    ("MB", 1e6, Kind::BYTES),
    ("GB", 1e9, Kind::BYTES),
    ("TB", 1e12, Kind::BYTES),
    ("%", 0.01, Kind::PLAIN),
    ("x", 1.0, Kind::PLAIN),
];

pub(super) fn tokens(text: &str) -> Result<Vec<Placed>, AssertionFault> {
    let mut reader = Reader {
        chars: text.chars().collect(),
        at: 0,
    };
    let mut found = Vec::new();
    loop {
        let placed = reader.next()?;
        let ended = placed.token == Token::End;
        found.push(placed);
        if ended {
            return Ok(found);
        }
    }
}

struct Reader {
    chars: Vec<char>,
    at: usize,
}

impl Reader {
    fn next(&mut self) -> Result<Placed, AssertionFault> {
        while self.peek(0).is_some_and(char::is_whitespace) {
            self.at += 1;
        }
        let column = self.at + 1;
        let Some(first) = self.peek(0) else {
            return Ok(Placed {
                token: Token::End,
                column,
            });
        };
        let token = if first.is_ascii_digit() {
            self.number()?
        } else if is_name_start(first) {
            Token::Name(self.name())
        } else if first == '"' {
            Token::Name(self.quoted()?)
        } else if first == '-' {
            self.at += 1;
            Token::Mark("-")
        } else {
            self.mark(first)?
        };
        Ok(Placed { token, column })
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let start = self.at;
        while self.peek(0).is_some_and(&wanted) {
            self.at += 1;
        }
        self.chars[start..self.at].iter().collect()
    }

    fn mark(&mut self, first: char) -> Result<Token, AssertionFault> {
        let found = MARKS.into_iter().find(|mark| {
            mark.chars()
                .enumerate()
                .all(|(ahead, wanted)| self.peek(ahead) == Some(wanted))
        });
        let Some(mark) = found else {
            return Err(
                AssertionFault::new(self.at + 1, format!("{first:?} means nothing here"))
                    .suggest("a name with other characters goes in double quotes"),
            );
        };
        self.at += mark.len();
        Ok(Token::Mark(mark))
    }

    /// An inner `-` belongs to the name: `on-btrfs` is one target, `a - b` is a difference.
    fn name(&mut self) -> String {
        let start = self.at;
        while let Some(c) = self.peek(0) {
            let inner_hyphen = c == '-' && self.peek(1).is_some_and(|c| c.is_ascii_alphanumeric());
            if !(is_name_start(c) || c.is_ascii_digit() || c == '.' || inner_hyphen) {
                break;
            }
            self.at += 1;
        }
        self.chars[start..self.at].iter().collect()
    }

    fn quoted(&mut self) -> Result<String, AssertionFault> {
        let column = self.at + 1;
        self.at += 1;
        let name = self.take_while(|c| c != '"');
        if self.peek(0).is_none() {
            return Err(AssertionFault::new(column, "this quote is not closed"));
        }
        self.at += 1;
        Ok(name)
    }

    fn number(&mut self) -> Result<Token, AssertionFault> {
        let column = self.at + 1;
        let mut digits = self.take_while(|c| c.is_ascii_digit() || c == '_' || c == '.');
        let signed = usize::from(matches!(self.peek(1), Some('+' | '-')));
        if matches!(self.peek(0), Some('e' | 'E'))
            && self.peek(1 + signed).is_some_and(|c| c.is_ascii_digit())
        {
            digits.extend(&self.chars[self.at..=self.at + signed]);
            self.at += 1 + signed;
            digits.push_str(&self.take_while(|c| c.is_ascii_digit()));
        }
        let value: f64 = digits.replace('_', "").parse().map_err(|_| {
            AssertionFault::new(column, format!("{digits} is not a number"))
                .suggest("write it like 2.5, 1_000 or 1e6")
        })?;
        let unit_column = self.at + 1;
        let unit = self.take_while(|c| c.is_ascii_alphabetic() || c == '%');
        let (factor, kind) = if unit.is_empty() {
            (1.0, Kind::PLAIN)
        } else {
            unit_of(&unit, unit_column)?
        };
        let kind = if self.per_second() {
            kind.over(Kind::TIME)
        } else {
            kind
        };
        Ok(Token::Number(value * factor, kind))
    }

    /// Takes `/s` when that is what follows.
    fn per_second(&mut self) -> bool {
        let follows = self.peek(0) == Some('/')
            && self.peek(1) == Some('s')
            && !self
                .peek(2)
                .is_some_and(|c| is_name_start(c) || c.is_ascii_digit() || c == ':');
        if follows {
            self.at += 2;
        }
        follows
    }
}

fn unit_of(unit: &str, column: usize) -> Result<(f64, Kind), AssertionFault> {
    if let Some((_, factor, kind)) = UNITS.iter().find(|(name, ..)| *name == unit) {
        return Ok((*factor, *kind));
    }
    let fault = AssertionFault::new(column, format!("no unit {unit}"));
    let same_letters = UNITS
        .iter()
        .map(|row| row.0)
        .find(|name| name.eq_ignore_ascii_case(unit));
    let near = same_letters.or_else(|| nearest(unit, UNITS.iter().map(|row| row.0)));
    Err(match near {
        Some(near) => fault.suggest(format!("did you mean {near}?")),
        None => fault.suggest("units are ns us ms s min h, B KiB MiB GiB TiB, kB MB GB TB and %"),
    })
}

fn is_name_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}
