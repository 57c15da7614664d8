//! Where and how it ran: the machine, the knobs, and the lines that run it again.

use super::table::{Table, marked, words};
use crate::metric::Unit;
use crate::record::{Knob, RunRecord};
use serde::Serialize;

/// The knobs of one target.
#[derive(Serialize)]
pub(super) struct KnobTable {
    target: String,
    describe: String,
    set: usize,
    table: Table,
}

pub(super) fn environment(record: &RunRecord) -> Vec<(String, String)> {
    let machine = &record.machine;
    let known = |value: String| {
        if value.is_empty() {
            "unknown".to_owned()
        } else {
            value
        }
    };
    let counted = |value: f64, text: String| {
        if value > 0.0 {
            text
        } else {
            "unknown".to_owned()
        }
    };
    let memory = machine.memory_bytes as f64;
    let row = |name: &str, value: String| (name.to_owned(), value);
    let mut rows = vec![
        row("processor", known(machine.cpu_model.clone())),
        row(
            "cores",
            counted(
                f64::from(machine.logical_cores),
                machine.logical_cores.to_string(),
            ),
        ),
        row("memory", counted(memory, Unit::Bytes.format(memory))),
        row("kernel", known(machine.kernel.clone())),
        row(
            "virtualization",
            if machine.cpu_model.is_empty() {
                "unknown".to_owned()
            } else if machine.virtualization.is_empty() {
                "none seen".to_owned()
            } else {
                machine.virtualization.clone()
            },
        ),
        row("filesystem", known(machine.filesystem.clone())),
        row("device", known(machine.device.clone())),
        row("build", known(machine.build.clone())),
    ];
    if record.deterministic {
        let why = "any: all numbers follow from workload, seed and code";
        rows = vec![row("machine", why.to_owned())];
    }
    let codecs = record.tool.codecs.iter();
    rows.extend(codecs.map(|(codec, library)| row(&format!("{codec} by"), library.clone())));
    let tool = &record.tool;
    let revision = if tool.revision.is_empty() {
        "unknown revision"
    } else {
        &tool.revision
    };
    rows.push(row(
        "tool",
        format!("{} {} ({revision})", tool.name, tool.version),
    ));
    rows.push(row("workload hash", known(record.workload.hash.clone())));
    rows.push(row("seed", record.workload.seed.to_string()));
    rows
}

pub(super) fn knobs(record: &RunRecord) -> Vec<KnobTable> {
    record
        .targets
        .iter()
        .map(|target| {
            let mut table = Table::new(&["knob", "value", "unit", "set"]);
            let mut rows: Vec<&Knob> = target.knobs.iter().collect();
            // What somebody chose comes first.
            rows.sort_by_key(|knob| knob.is_default);
            for knob in rows {
                table.row(vec![
                    words(&knob.name),
                    words(knob.value.to_string()),
                    words(&knob.unit),
                    if knob.is_default {
                        words("default")
                    } else {
                        marked("set", "chosen")
                    },
                ]);
            }
            KnobTable {
                target: target.name.clone(),
                describe: [target.kind.as_str(), target.describe.as_str()]
                    .into_iter()
                    .filter(|text| !text.is_empty())
                    .collect::<Vec<_>>()
                    .join(": "),
                set: target.knobs.iter().filter(|knob| !knob.is_default).count(),
                table,
            }
        })
        .collect()
}

/// The lines that run it again: the code's revision where it is known, then the command, quoted so that a
/// shell reads it as it was typed.
pub(super) fn reproduction(record: &RunRecord) -> Vec<String> {
    let revision = &record.tool.revision;
    let mut lines = Vec::new();
    if !revision.is_empty() && revision.chars().all(|c| c.is_ascii_alphanumeric()) {
        lines.push(format!("git checkout {revision} && cargo build --release"));
    }
    if !record.command_line.is_empty() {
        let quoted: Vec<String> = record
            .command_line
            .iter()
            .map(|word| quoted(word))
            .collect();
        lines.push(quoted.join(" "));
    }
    lines
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Tool, Workload};

    #[test]
    fn the_line_reads_in_a_shell_as_it_was_typed() {
        let tool = Tool {
            revision: "b4ac5c5".to_owned(),
            ..Tool::default()
        };
        let mut record = RunRecord::begin(tool, "2026-01-01T00:00:00Z", Workload::default());
        record.command_line = ["delalloc", "replay", "it's.yaml", ""]
            .map(str::to_owned)
            .to_vec();
        assert_eq!(
            reproduction(&record),
            [
                "git checkout b4ac5c5 && cargo build --release",
                "delalloc replay 'it'\\''s.yaml' ''"
            ]
        );
        record.tool.revision = "x; rm -rf".to_owned();
        assert_eq!(reproduction(&record).len(), 1);
    }
}
