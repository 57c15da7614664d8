//! From nodes to values, collecting every fault on the way.
//!
//! Each reader returns `None` where it has reported a fault, and reading goes on with the neighbours. A map is
//! read through [`Fields`], which notices keys written twice when it opens and keys nobody asked for when it is
//! finished; since it has seen what was asked for by then, it also knows what may have been meant.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::fault::{Fault, Span};
use crate::units::{self, UnitFault};
use crate::yaml::{Data, Entry, Node};

/// What is wrong so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) faults: Vec<Fault>,
}

impl Report {
    pub(crate) fn add(&mut self, fault: Fault) {
        // A sweep over the workload reads the same text once per value; one report of a fault is enough.
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }
}

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

impl<T> At<T> {
    pub(crate) fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

/// The closest of `known` to `word`, if any is close: a slip in three letters, no more. A wrong guess is worse than none.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let word = word.to_ascii_lowercase();
    known
        .into_iter()
        .map(|k| {
            (
                strsim::damerau_levenshtein(&word, &k.to_ascii_lowercase()),
                k,
            )
        })
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, k)| *distance <= (word.len().min(k.len()) / 3).max(1))
        .map(|(_, k)| k)
}

/// A map being read.
pub(crate) struct Fields<'n> {
    what: &'static str,
    span: Span,
    entries: &'n [Entry],
    used: Vec<bool>,
    asked: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// Opens `node` as a map; `what` is what messages call it.
    pub(crate) fn open(node: &'n Node, what: &'static str, report: &mut Report) -> Option<Self> {
        let entries: &[Entry] = match &node.data {
            Data::Map(entries) => entries,
            Data::Null => &[],
            _ => {
                report.add(Fault::new(
                    node.span,
                    format!("{what} is a map of keys, not {}", node.kind()),
                ));
                return None;
            }
        };
        let used = repeated(entries, report);
        Some(Self {
            what,
            span: node.span,
            entries,
            used,
            asked: Vec::new(),
        })
    }

    pub(crate) fn span(&self) -> Span {
        self.span
    }

    /// The value of `key`, if it is there.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<&'n Node> {
        self.asked.push(key);
        let at =
            (0..self.entries.len()).find(|&at| !self.used[at] && self.entries[at].key == key)?;
        self.used[at] = true;
        Some(&self.entries[at].value)
    }

    /// The same, with the place of the key.
    pub(crate) fn take_keyed(&mut self, key: &'static str) -> Option<(Span, &'n Node)> {
        let value = self.take(key)?;
        let entry = self
            .entries
            .iter()
            .find(|entry| std::ptr::eq(&raw const entry.value, value))
            .expect("a value that was taken has an entry");
        Some((entry.key_span, value))
    }

    /// The value of `key`; missing is a fault.
    pub(crate) fn require(&mut self, key: &'static str, report: &mut Report) -> Option<&'n Node> {
        let value = self.take(key);
        if value.is_none() {
            report.add(Fault::new(
                self.span,
                format!("{} needs `{key}:`", self.what),
            ));
        }
        value
    }

    /// Reports the keys that nobody asked for.
    pub(crate) fn finish(self, report: &mut Report) {
        for (entry, used) in self.entries.iter().zip(&self.used) {
            if *used {
                continue;
            }
            let guess = nearest(&entry.key, self.asked.iter().copied());
            let fault = Fault::new(
                entry.key_span,
                format!("{} has no key `{}`", self.what, entry.key),
            )
            .label("unknown key");
            report.add(match guess {
                Some(_) => fault.did_you_mean(guess),
                None => fault.help(format!("the keys are {}", self.asked.join(", "))),
            });
        }
    }
}

/// Which entries repeat a key before them; they are reported and count as used.
fn repeated(entries: &[Entry], report: &mut Report) -> Vec<bool> {
    let mut used = vec![false; entries.len()];
    for (at, entry) in entries.iter().enumerate() {
        let first = entries[..at].iter().find(|before| before.key == entry.key);
        if let Some(first) = first {
            used[at] = true;
            report.add(
                Fault::new(entry.key_span, format!("`{}` is written twice", entry.key))
                    .label("again here")
                    .other(first.key_span, "first here"),
            );
        }
    }
    used
}

/// The entries of a map whose keys are names of the user's choosing.
pub(crate) fn named<'n>(node: &'n Node, what: &str, report: &mut Report) -> Vec<&'n Entry> {
    let entries: &[Entry] = match &node.data {
        Data::Map(entries) => entries,
        Data::Null => &[],
        _ => {
            report.add(Fault::new(
                node.span,
                format!("{what} is a map from names, not {}", node.kind()),
            ));
            &[]
        }
    };
    let again = repeated(entries, report);
    entries
        .iter()
        .zip(again)
        .filter_map(|(entry, again)| (!again).then_some(entry))
        .collect()
}

/// The items of a list.
pub(crate) fn list<'n>(node: &'n Node, what: &str, report: &mut Report) -> &'n [Node] {
    match &node.data {
        Data::List(items) => items,
        _ => {
            report.add(
                Fault::new(node.span, format!("{what} is a list, not {}", node.kind()))
                    .help("write it as [a, b] or with one `- ` per item"),
            );
            &[]
        }
    }
}

/// A scalar's text.
pub(crate) fn text(node: &Node, what: &str, report: &mut Report) -> Option<At<String>> {
    match &node.data {
        Data::Scalar(text) => Some(At::new(text.clone(), node.span)),
        _ => {
            report.add(Fault::new(
                node.span,
                format!("{what} is a single value, not {}", node.kind()),
            ));
            None
        }
    }
}

/// One of `known` words.
pub(crate) fn word<T: Copy>(
    node: &Node,
    what: &str,
    known: &[(&'static str, T)],
    report: &mut Report,
) -> Option<At<T>> {
    let written = text(node, what, report)?;
    if let Some((_, value)) = known.iter().find(|(name, _)| *name == written.value) {
        return Some(At::new(*value, node.span));
    }
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    report.add(
        Fault::new(
            node.span,
            format!(
                "`{}` is no {what}; there are {}",
                written.value,
                names.join(", ")
            ),
        )
        .did_you_mean(nearest(&written.value, names.iter().copied())),
    );
    None
}

/// Yes or no.
pub(crate) fn flag(node: &Node, what: &str, report: &mut Report) -> Option<bool> {
    let known = [("true", true), ("false", false)];
    word(node, what, &known, report).map(|at| at.value)
}

/// A whole number within `range`.
pub(crate) fn number<T>(
    node: &Node,
    what: &str,
    range: RangeInclusive<T>,
    report: &mut Report,
) -> Option<At<T>>
where
    T: FromStr + PartialOrd + Display + Copy,
{
    let written = text(node, what, report)?;
    match written.value.replace('_', "").parse::<T>() {
        Ok(value) if range.contains(&value) => Some(At::new(value, node.span)),
        _ => {
            report.add(Fault::new(
                node.span,
                format!(
                    "{what} is a number from {} to {}, not `{}`",
                    range.start(),
                    range.end(),
                    written.value
                ),
            ));
            None
        }
    }
}

/// A size within `range`.
pub(crate) fn size(
    node: &Node,
    what: &str,
    range: RangeInclusive<u64>,
    report: &mut Report,
) -> Option<At<u64>> {
    let bytes = quantity(node, what, units::parse_size, report)?;
    if !range.contains(&bytes.value) {
        report.add(Fault::new(
            node.span,
            format!(
                "{what} is from {} to {}",
                units::format_size(*range.start()),
                units::format_size(*range.end())
            ),
        ));
        return None;
    }
    Some(bytes)
}

/// A share within `range`, 1 being the whole.
pub(crate) fn percent(
    node: &Node,
    what: &str,
    range: RangeInclusive<f64>,
    report: &mut Report,
) -> Option<At<f64>> {
    let share = quantity(node, what, units::parse_percent, report)?;
    if !range.contains(&share.value) {
        report.add(Fault::new(
            node.span,
            format!(
                "{what} is from {} to {}",
                units::format_percent(*range.start()),
                units::format_percent(*range.end())
            ),
        ));
        return None;
    }
    Some(share)
}

/// Anything with a unit.
pub(crate) fn quantity<T>(
    node: &Node,
    what: &str,
    parse: impl Fn(&str) -> Result<T, UnitFault>,
    report: &mut Report,
) -> Option<At<T>> {
    let written = text(node, what, report)?;
    match parse(&written.value) {
        Ok(value) => Some(At::new(value, node.span)),
        Err(why) => {
            report.add(
                Fault::new(node.span, format!("{what}: {}", why.message)).did_you_mean(why.guess),
            );
            None
        }
    }
}
