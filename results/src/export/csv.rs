//! Tidy tables: one observation per row, one variable per column, every unit in the header.
//!
//! Every swept knob is a column of its own, named `knob:NAME`, so that a data frame groups by it
//! without parsing. Several runs are one table: `run` says whose a row is. `fault` is why a cell did not end well, and empty
//! where it did: who groups without looking at it mixes what is whole with what is not.
//!
//! Texts are foreign. One that a spreadsheet would take for a formula begins with an apostrophe here.

use crate::record::{
    Cell, KnobValue, Latency, OpRecord, PhaseRecord, PhaseRole, RunRecord, ScheduleRecord,
    SpanRecord,
};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// One row per cell, phase and operation of each run, which goes by the name beside it; `start_ns`, from the beginning of
/// the cell, tells repetitions of a phase apart. Where a phase has several jobs, rows of each follow with its name in `job`:
/// they add up to the rows above them, whose `job` is empty, so that whoever sums takes either. Rates are over the time of the
/// phase in both. `late` is the generator's own lateness in the whole phase, or in the job, where it has a schedule. A cell with a fault and without operations has a row that says so.
#[must_use]
pub fn cells_csv(runs: &[(&str, &RunRecord)]) -> String {
    let mut table = Table::new(
        runs,
        &[
            "phase",
            "role",
            "start_ns",
            "job",
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
    for (run, cell) in cells(runs) {
        let has_ops = cell.phases.iter().any(|phase| !phase.ops.is_empty());
        if cell.fault.is_some() && !has_ops {
            table.row(run, cell, &[]);
        }
        for phase in &cell.phases {
            for op in &phase.ops {
                let fields = op_fields(phase, "", op, phase.schedule.as_ref());
                table.row(run, cell, &fields);
            }
            for job in &phase.jobs {
                for op in &job.ops {
                    let fields = op_fields(phase, &job.name, op, job.schedule.as_ref());
                    table.row(run, cell, &fields);
                }
            }
        }
    }
    table.text
}

/// One kind of operation, of one job or of all.
fn op_fields(
    phase: &PhaseRecord,
    job: &str,
    op: &OpRecord,
    schedule: Option<&ScheduleRecord>,
) -> [String; 23] {
    let seconds = phase.wall_ns as f64 / 1e9;
    let late = |ns: fn(&Latency) -> u64| {
        schedule.map_or_else(String::new, |schedule| ns(&schedule.late).to_string())
    };
    let per_second = |amount: u64| {
        if seconds > 0.0 {
            format!("{:.3}", amount as f64 / seconds)
        } else {
            String::new()
        }
    };
    [
        text(&phase.name),
        role_word(phase.role).to_owned(),
        phase.start_ns.to_string(),
        text(job),
        text(&op.op),
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
    ]
}

/// One row per interval. The first interval of a phase begins at 0. `latency_counts` is where a bucket of
/// responses begins, in ns, and how many are in it.
#[must_use]
pub fn intervals_csv(runs: &[(&str, &RunRecord)]) -> String {
    let mut table = Table::new(
        runs,
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
    for (run, cell) in cells(runs) {
        for phase in &cell.phases {
            interval_rows(&mut table, run, cell, phase);
        }
    }
    table.text
}

/// One row for each time that the target itself took: of single items in a part of a stage, and of whole ways, which have no
/// stage. `phase` is empty where the row is of the whole cell. `coarse` and `max_is_edge` say which numbers are upper edges of
/// powers of two.
#[must_use]
pub fn times_csv(runs: &[(&str, &RunRecord)]) -> String {
    let mut table = Table::new(
        runs,
        &[
            "phase",
            "role",
            "start_ns",
            "stage",
            "time",
            "count",
            "ns_mean",
            "ns_p50",
            "ns_p99",
            "ns_max",
            "coarse",
            "max_is_edge",
        ],
    );
    for (run, cell) in cells(runs) {
        let of_phases = cell.phases.iter();
        let of_phases = of_phases.map(|phase| (Some(phase), &phase.stages, &phase.spans));
        let all = std::iter::once((None, &cell.stages, &cell.spans)).chain(of_phases);
        for (phase, stages, spans) in all {
            let items = stages
                .iter()
                .flat_map(|stage| stage.times.iter().map(|time| (stage.name.as_str(), time)));
            let ways = spans.iter().map(|span| ("", span));
            for (stage, time) in items.chain(ways) {
                let mut fields = phase_fields(phase).to_vec();
                fields.push(text(stage));
                fields.extend(time_fields(time));
                table.row(run, cell, &fields);
            }
        }
    }
    table.text
}

/// One row for each counter of a cell, and for each that the target had in a phase: what it grew by there. `phase` is empty where the row is of the whole cell.
#[must_use]
pub fn counters_csv(runs: &[(&str, &RunRecord)]) -> String {
    let mut table = Table::new(runs, &["phase", "role", "start_ns", "counter", "value"]);
    for (run, cell) in cells(runs) {
        let of_phases = cell.phases.iter();
        let of_phases = of_phases.map(|phase| (Some(phase), &phase.counters));
        for (phase, counters) in std::iter::once((None, &cell.counters)).chain(of_phases) {
            for (name, value) in counters {
                let mut fields = phase_fields(phase).to_vec();
                fields.extend([text(name), value.to_string()]);
                table.row(run, cell, &fields);
            }
        }
    }
    table.text
}

/// Which phase, its role and its beginning; nothing for the whole cell.
fn phase_fields(phase: Option<&PhaseRecord>) -> [String; 3] {
    phase.map_or_else(Default::default, |phase| {
        [
            text(&phase.name),
            role_word(phase.role).to_owned(),
            phase.start_ns.to_string(),
        ]
    })
}

fn time_fields(time: &SpanRecord) -> [String; 8] {
    [
        text(&time.name),
        time.count.to_string(),
        format!("{:.1}", time.ns_mean),
        time.ns_p50.to_string(),
        time.ns_p99.to_string(),
        time.ns_max.to_string(),
        time.coarse.to_string(),
        time.max_is_edge.to_string(),
    ]
}

/// Every cell with the name of its run.
fn cells<'a>(runs: &'a [(&str, &RunRecord)]) -> impl Iterator<Item = (&'a str, &'a Cell)> {
    let of_run = |(run, record): &'a (&str, &RunRecord)| {
        let cells = record.cells.iter();
        cells.map(move |cell| (*run, cell))
    };
    runs.iter().flat_map(of_run)
}

fn interval_rows(table: &mut Table<'_>, run: &str, cell: &Cell, phase: &PhaseRecord) {
    let mut previous_ns = 0;
    for sample in &phase.series {
        let levels = |levels: &BTreeMap<String, u64>| {
            let named = levels.iter().map(|(name, level)| format!("{name}={level}"));
            named.collect::<Vec<_>>().join(";")
        };
        let counts = sample.spectrum.iter();
        let counts: Vec<String> = counts.map(|(floor, n)| format!("{floor}={n}")).collect();
        table.row(
            run,
            cell,
            &[
                text(&phase.name),
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
                text(&levels(&sample.queues)),
                text(&levels(&sample.workers)),
                counts.join(";"),
            ],
        );
        previous_ns = sample.t_ns;
    }
}

/// The columns every row begins with (run, target, round, one per swept knob) and ends with (the fault), and the text so
/// far.
struct Table<'a> {
    knobs: Vec<&'a str>,
    /// Between those.
    columns: usize,
    text: String,
}

impl<'a> Table<'a> {
    fn new(runs: &[(&str, &'a RunRecord)], columns: &[&str]) -> Self {
        let mut knobs: Vec<&str> = Vec::new();
        for (_, record) in runs {
            let axes = record.sweep.iter().map(|axis| axis.knob.as_str());
            let settings = record.cells.iter().flat_map(|cell| &cell.point);
            for knob in axes.chain(settings.map(|setting| setting.knob.as_str())) {
                if !knobs.contains(&knob) {
                    knobs.push(knob);
                }
            }
        }
        let mut table = Self {
            knobs,
            columns: columns.len(),
            text: String::new(),
        };
        let mut head = ["run", "target", "round"].map(str::to_owned).to_vec();
        head.extend(table.knobs.iter().map(|knob| format!("knob:{knob}")));
        head.extend(columns.iter().map(|&column| column.to_owned()));
        head.push("fault".to_owned());
        table.line(&head);
        table
    }

    /// A row with these values, or without any.
    fn row(&mut self, run: &str, cell: &Cell, values: &[String]) {
        let mut fields = vec![text(run), text(&cell.target), cell.round.to_string()];
        for knob in &self.knobs {
            let setting = cell.point.iter().find(|setting| setting.knob == *knob);
            fields.push(setting.map_or_else(String::new, |setting| plain(&setting.value)));
        }
        fields.extend_from_slice(values);
        let missing = self.columns - values.len();
        fields.extend(std::iter::repeat_n(String::new(), missing));
        fields.push(cell.fault.as_deref().map_or_else(String::new, text));
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
    match value {
        KnobValue::Text(value) => text(value),
        value => value.to_string(),
    }
}

fn text(foreign: &str) -> String {
    harmless(foreign).into_owned()
}

/// A text from outside as a field that no spreadsheet takes for a formula.
pub(crate) fn harmless(text: &str) -> Cow<'_, str> {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => Cow::Owned(format!("'{text}")),
        false => Cow::Borrowed(text),
    }
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
