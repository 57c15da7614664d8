//! What a user sees of a workload that is wrong: everything, each under its own bytes, with a guess.
//!
//! Here stand the workload that is right, and how one with a line changed is loaded; its faults are in the modules.

mod drawn;
mod fio;
mod language;
mod places;

use delalloc_workloads::knob::{AssertCheck, AssertFault, KnobCheck, KnobFault};
use delalloc_workloads::{Checks, LoadError, WorkloadPlan, load_str};

struct TwoKnobs;

impl KnobCheck for TwoKnobs {
    fn check(&self, name: &str, value: &str) -> Result<(), KnobFault> {
        match name {
            "thread_pool_size" | "compression.level" if value.parse::<u32>().is_ok() => Ok(()),
            "thread_pool_size" | "compression.level" => Err(KnobFault {
                message: format!("`{value}` is no number for {name}"),
                suggestion: None,
                is_unknown_name: false,
            }),
            _ => Err(KnobFault {
                message: format!("there is no knob `{name}`"),
                suggestion: Some("thread_pool_size".to_owned()),
                is_unknown_name: true,
            }),
        }
    }
}

struct NoQuestionMarks;

impl AssertCheck for NoQuestionMarks {
    fn check(&self, text: &str) -> Result<(), AssertFault> {
        match text.find('?') {
            None => Ok(()),
            Some(at) => Err(AssertFault {
                message: "an assertion does not ask".to_owned(),
                help: None,
                range: at..at + 1,
            }),
        }
    }

    fn check_measure(&self, text: &str) -> Result<(), AssertFault> {
        self.check(text)
    }

    fn check_condition(&self, text: &str) -> Result<(), AssertFault> {
        self.check(text)
    }
}

fn try_load(text: &str, sets: &[&str]) -> Result<WorkloadPlan, LoadError> {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    let checks = Checks {
        knobs: &TwoKnobs,
        asserts: &NoQuestionMarks,
        reads_recordings: false,
    };
    load_str(text, "w.yaml", &sets, checks)
}

fn rendered(text: &str, sets: &[&str]) -> String {
    match try_load(text, sets) {
        Err(LoadError::Faults(faults)) => faults.render(false),
        other => panic!("faults were expected: {other:?}"),
    }
}

/// `line:column message [guess]` of each fault.
fn short(text: &str, sets: &[&str]) -> Vec<String> {
    let Err(LoadError::Faults(faults)) = try_load(text, sets) else {
        panic!("faults were expected");
    };
    faults
        .faults
        .iter()
        .map(|fault| {
            let (line, column) = faults.line_column(fault);
            let guess = fault
                .help
                .iter()
                .find_map(|help| help.strip_prefix("did you mean `")?.strip_suffix("`?"));
            match guess {
                Some(guess) => format!("{line}:{column} {} [{guess}]", fault.message),
                None => format!("{line}:{column} {}", fault.message),
            }
        })
        .collect()
}

const GOOD: &str = "\
version: 1
targets:
  engine: { engine: { backend: { mem: { size: 1GiB } } } }
files:
  table: { size: 256MiB }
phases:
  - name: load
    jobs: [{ write: table, block: 1MiB }]
";

/// GOOD with a line instead of one of its own.
fn with(old: &str, new: &str) -> String {
    assert!(GOOD.contains(old), "{old}");
    GOOD.replacen(old, new, 1)
}
