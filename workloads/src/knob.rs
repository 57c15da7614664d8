//! Knobs, as far as a workload knows them: dotted names with scalar values.
//!
//! This crate knows no engine. It flattens whatever stands under `engine:` and in `sweep:` to
//! `name -> value`, keeps where each was written, and asks the caller through [`KnobCheck`] whether
//! such a knob exists and takes such a value. The refusal comes back as a message and is drawn under the very
//! scalar it is about, like a fault of the language itself.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::plan::Vocabulary;

/// Who knows the knobs.
pub trait KnobCheck {
    /// Does `name` exist, and does it take `value` as written in the file?
    ///
    /// # Errors
    /// What is wrong with it, for the user's eyes.
    fn check(&self, name: &str, value: &str) -> Result<(), KnobFault>;
}

/// Why a knob was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnobFault {
    /// One line: what is wrong.
    pub message: String,
    /// What to write instead, where that can be guessed.
    pub suggestion: Option<String>,
    /// The name is unknown (the caret goes under the name) rather than the value bad.
    pub is_unknown_name: bool,
}

/// Takes every knob: for tests of the language and for looking at a plan without an engine.
#[derive(Debug, Clone, Copy, Default)]
pub struct AnyKnob;

impl KnobCheck for AnyKnob {
    fn check(&self, _name: &str, _value: &str) -> Result<(), KnobFault> {
        Ok(())
    }
}

/// Who knows the grammar of assertions, and of objectives, which are made of the same.
pub trait AssertCheck {
    /// Is `text` an assertion?
    ///
    /// # Errors
    /// What is wrong, and where in `text`.
    fn check(&self, text: &str) -> Result<(), AssertFault>;
    /// Is `text` a measure that an objective can bring up or down?
    ///
    /// # Errors
    /// What is wrong, and where in `text`.
    fn check_measure(&self, text: &str) -> Result<(), AssertFault>;
    /// Is `text` a condition that an objective can keep?
    ///
    /// # Errors
    /// What is wrong, and where in `text`.
    fn check_condition(&self, text: &str) -> Result<(), AssertFault>;
    /// Are the targets, phases and operations that it names among `words`? What is no assertion has been refused before.
    ///
    /// # Errors
    /// The first that is not.
    fn check_words(&self, _text: &str, _words: &Vocabulary) -> Result<(), AssertFault> {
        Ok(())
    }
}

/// Why an assertion was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssertFault {
    /// One line: what is wrong.
    pub message: String,
    /// A line of help: what to write instead.
    pub help: Option<String>,
    /// Bytes of the text that the fault is about.
    pub range: std::ops::Range<usize>,
}

/// Takes every assertion.
#[derive(Debug, Clone, Copy, Default)]
pub struct AnyAssert;

impl AssertCheck for AnyAssert {
    fn check(&self, _text: &str) -> Result<(), AssertFault> {
        Ok(())
    }

    fn check_measure(&self, _text: &str) -> Result<(), AssertFault> {
        Ok(())
    }

    fn check_condition(&self, _text: &str) -> Result<(), AssertFault> {
        Ok(())
    }
}

/// What the caller lends to the loader.
#[derive(Clone, Copy)]
pub struct Checks<'a> {
    /// Knobs.
    pub knobs: &'a dyn KnobCheck,
    /// Assertions.
    pub asserts: &'a dyn AssertCheck,
    /// Recordings are opened: one that cannot be replayed is a fault, and the plan knows what each holds.
    pub reads_recordings: bool,
}

impl Checks<'static> {
    /// Takes every knob and every assertion, and reads no recording.
    pub fn none() -> Self {
        Self {
            knobs: &AnyKnob,
            asserts: &AnyAssert,
            reads_recordings: false,
        }
    }
}

/// Knobs that were set, by dotted name, as written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Knobs(pub BTreeMap<String, String>);

impl Knobs {
    /// `over` wins where both set a knob.
    #[must_use]
    pub fn overlaid(&self, over: &Self) -> Self {
        let mut all = self.0.clone();
        all.extend(over.0.iter().map(|(k, v)| (k.clone(), v.clone())));
        Self(all)
    }

    /// In order of name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// None is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
