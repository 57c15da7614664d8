//! Assertions as a workload carries them: handed to whoever knows their grammar, and refused under their own bytes.
//!
//! Not here: the words that they may name (`vocabulary`), what they say (the caller).

use super::Vocabulary;
use crate::decode::{At, Report};
use crate::fault::{Fault, Span};
use crate::knob::{AssertFault, Checks};

/// Each is an assertion.
pub(super) fn check_asserts(asserts: &[At<String>], checks: Checks<'_>, report: &mut Report) {
    for assert in asserts {
        if let Err(why) = checks.asserts.check(&assert.value) {
            refuse(assert, why, report);
        }
    }
}

/// An assertion about what no result will hold would be known to be unknown only after the whole run.
pub(super) fn check_assert_words(
    asserts: &[At<String>],
    words: &Vocabulary,
    checks: Checks<'_>,
    report: &mut Report,
) {
    for assert in asserts {
        if let Err(why) = checks.asserts.check_words(&assert.value, words) {
            refuse(assert, why, report);
        }
    }
}

/// Draws why a text was refused under its place.
pub(super) fn refuse(assert: &At<String>, why: AssertFault, report: &mut Report) {
    let fault = Fault::new(within(assert, &why.range), why.message);
    report.add(match why.help {
        Some(help) => fault.help(help),
        None => fault,
    });
}

/// The bytes `range` of a scalar. Only where the scalar stands in the file as it is read (no escapes, no folding) is that a shift.
fn within(scalar: &At<String>, range: &std::ops::Range<usize>) -> Span {
    let written = scalar.span.end - scalar.span.start;
    let quote = written.saturating_sub(scalar.value.len()) / 2;
    let is_verbatim = written == scalar.value.len() || written == scalar.value.len() + 2;
    if !is_verbatim || range.start >= range.end || range.end > scalar.value.len() {
        return scalar.span;
    }
    Span {
        text: scalar.span.text,
        start: scalar.span.start + quote + range.start,
        end: scalar.span.start + quote + range.end,
    }
}
