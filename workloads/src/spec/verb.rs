//! Verbs as written: what a job does, and to which file.

use schemars::JsonSchema;

use super::TraceSpec;
use crate::decode::{At, Fields, Report, list, number, size, text, word};
use crate::fault::{Fault, Span};
use crate::plan::{MixVerb, Step};
use crate::yaml::{Data, Node};

/// The verbs of a job, in the order in which they are explained.
pub(crate) const VERBS: [&str; 12] = [
    "read", "write", "mix", "append", "trim", "truncate", "create", "remove", "rename", "sync",
    "each", "trace",
];
/// The verbs of a mix.
const MIX_VERBS: [(&str, MixVerb); 8] = [
    ("read", MixVerb::Read),
    ("write", MixVerb::Write),
    ("append", MixVerb::Append),
    ("trim", MixVerb::Trim),
    ("create", MixVerb::Create),
    ("remove", MixVerb::Remove),
    ("rename", MixVerb::Rename),
    ("sync", MixVerb::Sync),
];
/// The steps of a loop over files.
const STEPS: [(&str, Step); 8] = [
    ("create", Step::Create),
    ("write", Step::Write),
    ("append", Step::Append),
    ("read", Step::Read),
    ("sync", Step::Sync),
    ("fdatasync", Step::DataSync),
    ("rename", Step::Rename),
    ("remove", Step::Remove),
];
/// A loop with more steps than this is a program.
const STEP_COUNT_MAX: usize = 64;

/// What a job does, and to which file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum VerbSpec {
    Read(At<String>),
    Write(At<String>),
    Trim(At<String>),
    Mix {
        /// Those with a weight above 0, in the order of the language.
        shares: Vec<(MixVerb, u32)>,
        file: At<String>,
    },
    Append(At<String>),
    Truncate {
        file: At<String>,
        to_bytes: u64,
    },
    Create(At<String>),
    Remove(At<String>),
    Rename(At<String>),
    Sync(At<String>),
    Each {
        file: At<String>,
        steps: Vec<Step>,
    },
    Trace(Box<TraceSpec>),
}

impl VerbSpec {
    /// The word that it is written with.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Read(_) => "read",
            Self::Write(_) => "write",
            Self::Trim(_) => "trim",
            Self::Mix { .. } => "mix",
            Self::Append(_) => "append",
            Self::Truncate { .. } => "truncate",
            Self::Create(_) => "create",
            Self::Remove(_) => "remove",
            Self::Rename(_) => "rename",
            Self::Sync(_) => "sync",
            Self::Each { .. } => "each",
            Self::Trace(_) => "trace",
        }
    }

    /// The file that it is about; none for a recording.
    pub(crate) fn file(&self) -> Option<&At<String>> {
        match self {
            Self::Read(file)
            | Self::Write(file)
            | Self::Trim(file)
            | Self::Mix { file, .. }
            | Self::Append(file)
            | Self::Truncate { file, .. }
            | Self::Create(file)
            | Self::Remove(file)
            | Self::Rename(file)
            | Self::Sync(file)
            | Self::Each { file, .. } => Some(file),
            Self::Trace(_) => None,
        }
    }

    /// Puts something into its file.
    pub(crate) fn writes(&self) -> bool {
        match self {
            Self::Write(_) | Self::Append(_) => true,
            Self::Mix { shares, .. } => shares
                .iter()
                .any(|(verb, _)| matches!(verb, MixVerb::Write | MixVerb::Append)),
            Self::Each { steps, .. } => steps
                .iter()
                .any(|step| matches!(step, Step::Write | Step::Append)),
            _ => false,
        }
    }
}

/// Shares of what is done; one with no share is not done.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Mix", extend("minProperties" = 1))]
#[expect(dead_code, reason = "lends its shape to the schema")]
pub(crate) struct MixMap {
    /// Read a block.
    #[schemars(range(max = 1_000_000))]
    read: Option<u32>,
    /// Write a block.
    #[schemars(range(max = 1_000_000))]
    write: Option<u32>,
    /// Write a block at the end of a file.
    #[schemars(range(max = 1_000_000))]
    append: Option<u32>,
    /// Punch a hole the size of a block.
    #[schemars(range(max = 1_000_000))]
    trim: Option<u32>,
    /// Make a file that was removed; where none was, make one afresh.
    #[schemars(range(max = 1_000_000))]
    create: Option<u32>,
    /// Remove a file.
    #[schemars(range(max = 1_000_000))]
    remove: Option<u32>,
    /// Give a file another name.
    #[schemars(range(max = 1_000_000))]
    rename: Option<u32>,
    /// Sync a file.
    #[schemars(range(max = 1_000_000))]
    sync: Option<u32>,
}

/// What a loop does to each file.
#[derive(JsonSchema)]
#[schemars(rename = "Step", rename_all = "snake_case")]
#[expect(dead_code, reason = "lends its shape to the schema")]
pub(crate) enum StepWord {
    /// Make it afresh.
    Create,
    /// Write it from start to end, block by block.
    Write,
    /// Write one block at its end.
    Append,
    /// Read it from start to end, block by block.
    Read,
    /// Sync it.
    Sync,
    /// Sync its data, and of its metadata what reading needs.
    Fdatasync,
    /// Give it another name.
    Rename,
    /// Remove it.
    Remove,
}

/// A job without a verb, or with several.
pub(crate) fn report_verbs(
    verbs: &[(&str, Span, &Node)],
    mut fields: Fields<'_>,
    before: usize,
    report: &mut Report,
) {
    let span = fields.span();
    // These belong to some verbs; without the verb nobody knows whether they are wanted.
    for key in ["file", "to", "do"] {
        fields.take(key);
    }
    fields.finish(report);
    if let [(first, first_span, _), (second, second_span, _), ..] = verbs[..] {
        report.add(
            Fault::new(
                second_span,
                format!("a job does one thing, not `{first}` and `{second}`"),
            )
            .other(first_span, "first here")
            .help("jobs of one phase run side by side: make it two jobs"),
        );
    } else if report.faults.len() == before {
        report.add(
            Fault::new(span, "a job says what it does")
                .help(format!("one of {}", VERBS.join(", "))),
        );
    }
}

/// Reads `value` of `verb`, and of the job what belongs to that verb alone.
pub(crate) fn read_verb(
    verb: &str,
    value: &Node,
    fields: &mut Fields<'_>,
    report: &mut Report,
) -> Option<VerbSpec> {
    if verb == "trace" {
        return super::trace::read_trace(value, report)
            .map(|trace| VerbSpec::Trace(Box::new(trace)));
    }
    if verb == "mix" {
        let shares = read_shares(value, report);
        let file = fields
            .require("file", report)
            .and_then(|n| text(n, "a file", report));
        return Some(VerbSpec::Mix {
            shares: shares?,
            file: file?,
        });
    }
    let file = text(value, "a file", report);
    Some(match verb {
        "read" => VerbSpec::Read(file?),
        "write" => VerbSpec::Write(file?),
        "trim" => VerbSpec::Trim(file?),
        "append" => VerbSpec::Append(file?),
        "create" => VerbSpec::Create(file?),
        "remove" => VerbSpec::Remove(file?),
        "rename" => VerbSpec::Rename(file?),
        "sync" => VerbSpec::Sync(file?),
        "each" => {
            let steps = fields
                .require("do", report)
                .and_then(|n| read_steps(n, report));
            VerbSpec::Each {
                file: file?,
                steps: steps?,
            }
        }
        "truncate" => {
            let to_bytes = fields
                .take("to")
                .and_then(|n| size(n, "to", 0..=super::file::FILE_BYTES_MAX, report))
                .map_or(0, |at| at.value);
            VerbSpec::Truncate {
                file: file?,
                to_bytes,
            }
        }
        other => unreachable!("{other} is not among VERBS"),
    })
}

fn read_shares(node: &Node, report: &mut Report) -> Option<Vec<(MixVerb, u32)>> {
    let before = report.faults.len();
    let mut fields = Fields::open(node, "a mix", report)?;
    let mut shares = Vec::new();
    for (name, verb) in MIX_VERBS {
        let share = fields
            .take(name)
            .and_then(|n| number(n, "a share", 0..=1_000_000u32, report));
        shares.extend(share.map(|share| (verb, share.value)));
    }
    fields.finish(report);
    shares.retain(|(_, share)| *share > 0);
    if shares.is_empty() && report.faults.len() == before {
        report.add(
            Fault::new(node.span, "a mix of nothing and nothing")
                .help("such as { read: 70, write: 30 }"),
        );
    }
    (report.faults.len() == before).then_some(shares)
}

fn read_steps(node: &Node, report: &mut Report) -> Option<Vec<Step>> {
    let before = report.faults.len();
    let items = list(node, "do", report);
    if matches!(node.data, Data::List(_)) && (items.is_empty() || items.len() > STEP_COUNT_MAX) {
        report.add(Fault::new(
            node.span,
            format!("a loop has from 1 to {STEP_COUNT_MAX} steps"),
        ));
    }
    let steps: Vec<Step> = items
        .iter()
        .filter_map(|item| Some(word(item, "step of a loop", &STEPS, report)?.value))
        .collect();
    (report.faults.len() == before).then_some(steps)
}
