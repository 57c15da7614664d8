//! What is told of a failure: what differed, what had touched that range before, how to see it again.

use std::collections::VecDeque;
use std::fmt::Write as _;

use delalloc_engine::FileRange;

use super::ops::{Op, Step};
use super::setup::Setup;

/// Steps that are remembered.
const KEPT: usize = 50_000;
/// Steps that are told.
const TOLD: usize = 20;

/// The volume is not what the model is.
#[derive(Debug, Clone)]
pub(crate) struct Mismatch {
    pub(crate) number: u32,
    /// The file and the part of it that differs, where it is about one.
    pub(crate) place: Option<(u64, FileRange)>,
    pub(crate) what: String,
    /// The last steps that touched it.
    pub(crate) history: Vec<String>,
}

/// What steps did to which file.
#[derive(Debug, Default)]
pub(crate) struct History(VecDeque<(Step, Option<(u64, FileRange)>)>);

impl History {
    /// `place` is none for what concerns all files.
    pub(crate) fn note(&mut self, step: Step, place: Option<(u64, FileRange)>) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back((step, place));
    }

    /// The last steps that touched `place`, reads left out.
    pub(crate) fn of(&self, place: Option<(u64, FileRange)>) -> Vec<String> {
        let touches = |(step, touched): &&(Step, Option<(u64, FileRange)>)| match (place, touched) {
            (Some((file, range)), Some((other, touched))) => {
                *other == file
                    && touched.overlaps(range)
                    && !matches!(step.op, Op::Read { .. } | Op::Shut { .. })
            }
            _ => true,
        };
        let mut lines: Vec<String> = self
            .0
            .iter()
            .rev()
            .filter(touches)
            .take(TOLD)
            .map(|(step, touched)| match touched {
                Some((file, range)) => {
                    format!("{:>8}  file {file} {range:?}  {:?}", step.number, step.op)
                }
                None => format!("{:>8}  {:?}", step.number, step.op),
            })
            .collect();
        lines.reverse();
        lines
    }
}

/// All that is to be said of a failure.
pub(crate) fn failure(seed: u64, setup: &Setup, mismatch: &Mismatch, minimal: &[Step]) -> String {
    let mut text = String::new();
    let mut line = |args: std::fmt::Arguments<'_>| {
        text.write_fmt(args).expect("a string grows");
        text.push('\n');
    };
    line(format_args!(
        "seed {seed}, setup {:?}, step {}: {}",
        setup.name, mismatch.number, mismatch.what
    ));
    line(format_args!(
        "again: DELALLOC_SEED={seed} cargo test -p delalloc-engine --test exerciser random"
    ));
    line(format_args!("{setup:?}"));
    line(format_args!("the last steps that touched it:"));
    for step in &mismatch.history {
        line(format_args!("{step}"));
    }
    line(format_args!("{} steps are enough:", minimal.len()));
    for step in minimal {
        line(format_args!("    ({}, Op::{:?}),", step.number, step.op));
    }
    text
}
