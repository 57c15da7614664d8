//! Assertions of a workload, as its loader asks about them: the grammar is that of `delalloc-results`, which evaluates them.

use std::ops::Range;

use delalloc_results::{Assertion, AssertionFault, Goal};
use delalloc_workloads::knob::{AssertCheck, AssertFault};
use delalloc_workloads::plan::{UnknownWord, Vocabulary};

/// The check.
pub(crate) struct Assertions;

impl AssertCheck for Assertions {
    fn check(&self, text: &str) -> Result<(), AssertFault> {
        let read = Assertion::parse(text).map(drop);
        read.map_err(|fault| placed(text, fault))
    }

    fn check_measure(&self, text: &str) -> Result<(), AssertFault> {
        Goal::check_measure(text).map_err(|fault| placed(text, fault))
    }

    fn check_condition(&self, text: &str) -> Result<(), AssertFault> {
        Goal::check_limit(text).map_err(|fault| placed(text, fault))
    }

    fn check_words(&self, text: &str, words: &Vocabulary) -> Result<(), AssertFault> {
        let Ok(assertion) = Assertion::parse(text) else {
            return Ok(());
        };
        let fault = |name: &str, unknown: UnknownWord| AssertFault {
            message: unknown.message,
            help: Some(unknown.help),
            range: place(text, name),
        };
        for target in assertion.targets() {
            words
                .check_target(target)
                .map_err(|unknown| fault(target, unknown))?;
        }
        for path in assertion.paths() {
            words
                .check_path(path)
                .map_err(|unknown| fault(path, unknown))?;
        }
        Ok(())
    }
}

/// Columns count characters, places in a file bytes.
fn placed(text: &str, fault: AssertionFault) -> AssertFault {
    let at = |characters: usize| {
        text.char_indices()
            .nth(characters)
            .map_or(text.len(), |(at, _)| at)
    };
    let start = at(fault.column.saturating_sub(1));
    let end = at(fault.column).max(start);
    AssertFault {
        message: fault.message,
        help: fault.suggestion,
        range: start..end,
    }
}

/// Where `name` stands in `text` as a whole name.
fn place(text: &str, name: &str) -> Range<usize> {
    let is_of_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-');
    let is_whole = |start: &usize| {
        !text[..*start].ends_with(is_of_name) && !text[start + name.len()..].starts_with(is_of_name)
    };
    let mut starts = text.match_indices(name).map(|(start, _)| start);
    match starts.find(is_whole) {
        Some(start) => start..start + name.len(),
        None => 0..text.len(),
    }
}

#[cfg(test)]
mod tests {
    use delalloc_results::OPERATIONS;
    use delalloc_workloads::OpKind;

    use super::*;

    #[test]
    fn results_know_every_kind_of_operation() {
        let kinds = OpKind::ALL.map(OpKind::name);
        assert_eq!(kinds, OPERATIONS, "a job is told from an operation by this");
    }

    #[test]
    fn a_name_is_found_where_it_is_whole() {
        let text = "p99(engine, engine-2.read) + p99(engine-2, load) <= 1ms";
        assert_eq!(place(text, "engine"), 4..10);
        assert_eq!(place(text, "engine-2"), 33..41);
        assert_eq!(place(text, "load"), 43..47);
        assert_eq!(place(text, "absent"), 0..text.len());
    }
}
