//! Tidy tables: one observation per row, one variable per column, every unit in the header.
//!
//! Every swept knob is a column of its own, named `knob:NAME`, so that a data frame groups by it
//! without parsing.

use crate::record::{Cell, KnobValue, Latency, PhaseRecord, PhaseRole, RunRecord};
use std::collections::BTreeMap;

/// One row per cell, phase and operation; `start_ns`, from the beginning of the cell, tells repetitions of a phase apart. `late` is the generator's own lateness in the whole phase, where it has a
/// schedule.
#[must_use]
pub fn cells_csv(record: &RunRecord) -> String {
    let mut table = Table::new(
        record,
        &[
            "phase",
            "role",
            "start_ns",
            "op",
            "count",
            "bytes",
            "errors",
            "wall_ns",
            "ops_per_s",
            "bytes_per_s",
            "ns_mean",
            "ns_p50",
            "ns_p90",
            "ns_p99",
            "ns_p999",
            "ns_max",
            "service_ns_p50",
            "service_ns_p99",
            "service_ns_max",
            "late_ns_p50",
            "late_ns_p99",
            "late_ns_max",
        ],
    );
    for cell in &record.cells {
        for phase in &cell.phases {
            let seconds = phase.wall_ns as f64 / 1e9;
            let late = |ns: fn(&Latency) -> u64| {
                let schedule = phase.schedule.as_ref();
                schedule.map_or_else(String::new, |schedule| ns(&schedule.late).to_string())
            };
            for op in &phase.ops {
                let per_second = |amount: u64| {
                    if seconds > 0.0 {
                        format!("{:.3}", amount as f64 / seconds)
                    } else {
                        String::new()
                    }
                };
                table.row(
                    cell,
                    &[
                        phase.name.clone(),
                        role_word(phase.role).to_owned(),
                        phase.start_ns.to_string(),
                        op.op.clone(),
                        op.count.to_string(),
                        op.bytes.to_string(),
                        op.errors.to_string(),
                        phase.wall_ns.to_string(),
                        per_second(op.count),
                        per_second(op.bytes),
                        format!("{:.1}", op.response.ns_mean),
                        op.response.ns_p50.to_string(),
                        op.response.ns_p90.to_string(),
                        op.response.ns_p99.to_string(),
                        op.response.ns_p999.to_string(),
                        op.response.ns_max.to_string(),
                        op.service.ns_p50.to_string(),
                        op.service.ns_p99.to_string(),
                        op.service.ns_max.to_string(),
                        late(|late| late.ns_p50),
                        late(|late| late.ns_p99),
                        late(|late| late.ns_max),
                    ],
                );
            }
        }
    }
    table.text
}

/// One row per interval. The first interval of a phase begins at 0. `latency_counts` is where a bucket of
/// responses begins, in ns, and how many are in it.
#[must_use]
pub fn intervals_csv(record: &RunRecord) -> String {
    let mut table = Table::new(
        record,
        &[
            "phase",
            "role",
            "start_ns",
            "t_ns",
            "interval_ns",
            "ops",
            "bytes",
            "ns_p50",
            "ns_p99",
            "ns_max",
            "dirty_bytes",
            "stalled_ns",
            "queues",
            "workers",
            "latency_counts",
        ],
    );
    for cell in &record.cells {
        for phase in &cell.phases {
            interval_rows(&mut table, cell, phase);
        }
    }
    table.text
}

fn interval_rows(table: &mut Table<'_>, cell: &Cell, phase: &PhaseRecord) {
    let mut previous_ns = 0;
    for sample in &phase.series {
        let levels = |levels: &BTreeMap<String, u64>| {
            let named = levels.iter().map(|(name, level)| format!("{name}={level}"));
            named.collect::<Vec<_>>().join(";")
        };
        let counts = sample.spectrum.iter();
        let counts: Vec<String> = counts.map(|(floor, n)| format!("{floor}={n}")).collect();
        table.row(
            cell,
            &[
                phase.name.clone(),
                role_word(phase.role).to_owned(),
                phase.start_ns.to_string(),
                sample.t_ns.to_string(),
                sample.t_ns.saturating_sub(previous_ns).to_string(),
                sample.ops.to_string(),
                sample.bytes.to_string(),
                sample.ns_p50.to_string(),
                sample.ns_p99.to_string(),
                sample.ns_max.to_string(),
                sample
                    .dirty_bytes
                    .map_or_else(String::new, |bytes| bytes.to_string()),
                sample.stalled_ns().to_string(),
                levels(&sample.queues),
                levels(&sample.workers),
                counts.join(";"),
            ],
        );
        previous_ns = sample.t_ns;
    }
}

/// The columns every row begins with (target, round, one per swept knob), and the text so far.
struct Table<'a> {
    knobs: Vec<&'a str>,
    text: String,
}

impl<'a> Table<'a> {
    fn new(record: &'a RunRecord, columns: &[&str]) -> Self {
        let mut knobs: Vec<&str> = record.sweep.iter().map(|axis| axis.knob.as_str()).collect();
        for setting in record.cells.iter().flat_map(|cell| &cell.point) {
            if !knobs.contains(&setting.knob.as_str()) {
                knobs.push(&setting.knob);
            }
        }
        let mut table = Self {
            knobs,
            text: String::new(),
        };
        let mut head = vec!["target".to_owned(), "round".to_owned()];
        head.extend(table.knobs.iter().map(|knob| format!("knob:{knob}")));
        head.extend(columns.iter().map(|&column| column.to_owned()));
        table.line(&head);
        table
    }

    fn row(&mut self, cell: &Cell, values: &[String]) {
        let mut fields = vec![cell.target.clone(), cell.round.to_string()];
        for knob in &self.knobs {
            let setting = cell.point.iter().find(|setting| setting.knob == *knob);
            fields.push(setting.map_or_else(String::new, |setting| plain(&setting.value)));
        }
        fields.extend_from_slice(values);
        self.line(&fields);
    }

    fn line(&mut self, fields: &[String]) {
        for (index, field) in fields.iter().enumerate() {
            if index > 0 {
                self.text.push(',');
            }
            quote(&mut self.text, field);
        }
        self.text.push('\n');
    }
}

fn plain(value: &KnobValue) -> String {
    value.to_string()
}

/// RFC 4180: quoted where it must be, quotes doubled.
pub(crate) fn quote(text: &mut String, field: &str) {
    if field.contains([',', '"', '\n', '\r']) {
        text.push('"');
        text.push_str(&field.replace('"', "\"\""));
        text.push('"');
    } else {
        text.push_str(field);
    }
}

const fn role_word(role: PhaseRole) -> &'static str {
    match role {
        PhaseRole::Prepare => "prepare",
        PhaseRole::WarmUp => "warm_up",
        PhaseRole::Steady => "steady",
        PhaseRole::Drain => "drain",
    }
}
