//! Where and how it ran: the machine, the knobs, and the lines that run it again.

use super::summary::Summary;
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

/// The knobs of each target; of a swept one the value at the point shown, and all there were.
pub(super) fn knobs(summary: &Summary<'_>) -> Vec<KnobTable> {
    summary
        .targets
        .iter()
        .map(|found| {
            let target = found.target;
            let point = found.shown().map_or(&[][..], |point| &point.point);
            let mut table = Table::new(&["knob", "value", "unit", "set"]);
            let mut rows: Vec<&Knob> = target.knobs.iter().collect();
            // What somebody chose comes first.
            let swept = |knob: &Knob| {
                let mut axes = summary.record.sweep.iter();
                axes.find(|axis| axis.knob_name() == knob.name)
            };
            rows.sort_by_key(|knob| (swept(knob).is_none(), knob.is_default));
            for knob in rows {
                let axis = swept(knob);
                let here = axis.and_then(|axis| point.iter().find(|set| set.knob == axis.knob));
                let value = here.map_or(&knob.value, |setting| &setting.value);
                table.row(vec![
                    words(&knob.name),
                    words(value.to_string()),
                    words(&knob.unit),
                    match (axis, knob.is_default) {
                        (Some(axis), _) => {
                            marked(format!("swept: {}", axis.values_text()), "chosen")
                        }
                        (None, true) => words("default"),
                        (None, false) => marked("set", "chosen"),
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

/// The lines that run it again: the code's revision, or why there is none to check out, then the command, quoted so that
/// a shell reads it as it was typed.
pub(super) fn reproduction(record: &RunRecord) -> Vec<String> {
    let named = record.tool.revision.as_str();
    let (revision, is_changed) = match named.strip_suffix("-dirty") {
        Some(revision) => (revision, true),
        None => (named, false),
    };
    let is_known = !revision.is_empty() && revision.chars().all(|c| c.is_ascii_alphanumeric());
    let mut lines = Vec::new();
    if is_known && !is_changed {
        lines.push(format!("git checkout {revision} && cargo build --release"));
    } else if is_known {
        lines.push(format!(
            "# nothing to check out: it was built from {revision} with changes that no commit holds"
        ));
    } else if !record.command_line.is_empty() {
        lines
            .push("# nothing to check out: the revision it was built from is not known".to_owned());
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
        for (revision, why) in [
            ("x; rm -rf\nreboot", "is not known"),
            ("", "is not known"),
            ("b4ac5c5-dirty", "built from b4ac5c5 with changes"),
        ] {
            record.tool.revision = revision.to_owned();
            let lines = reproduction(&record);
            assert_eq!(lines.len(), 2, "{lines:?}");
            assert!(
                lines[0].starts_with("# nothing to check out: "),
                "{lines:?}"
            );
            assert!(
                lines[0].contains(why) && !lines[0].contains("rm"),
                "{lines:?}"
            );
        }
    }
}
