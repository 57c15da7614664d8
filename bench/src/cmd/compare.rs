//! `delalloc compare A B`: what both measured, side by side, in the terminal, as a page or as text.
//!
//! A look, not a verdict: only `gate` says what is worse. In a terminal a line is coloured by how its
//! number stands, and says it in words too.

use std::io::IsTerminal;

use anyhow::Context;
use delalloc_results::compare::{Comparison, Row, Standing, csv, markdown};
use delalloc_results::export::go_bench;
use delalloc_results::metric::Unit;
use delalloc_results::printable::one_line;
use delalloc_results::{ExitCode, RunRecord, render_comparison};

use super::find_record;
use crate::args::{CompareArgs, Format};
use crate::failure::{Failure, OrExit};
use crate::out;
use crate::spark::sparkline;
use crate::table::Table;

/// Shapes shown unless all is asked for.
const SHAPES_MAX: usize = 8;
/// Beyond as many rows those that tell nothing are left out, unless all is asked for.
const ROWS_MAX: usize = 60;

pub(super) fn compare(args: &CompareArgs) -> Result<ExitCode, Failure> {
    let (before, _) = find_record(&args.before)?;
    let (after, _) = find_record(&args.after)?;
    let names = (
        args.before.display().to_string(),
        args.after.display().to_string(),
    );
    if let Some(page) = &args.html {
        let text = render_comparison((&names.0, &before), (&names.1, &after));
        std::fs::write(page, text)
            .with_context(|| format!("writing {}", page.display()))
            .or_failed()?;
    }
    let comparison = Comparison::of(&before, &after);
    let rows: Vec<&Row> = comparison
        .rows
        .iter()
        .filter(|row| args.all || row.is_of_operation || row.unit == Unit::Ratio)
        .collect();
    match args.format.or_else(|| args.json.then_some(Format::Json)) {
        Some(Format::Json) => out::print(format_args!("{}\n", json(&comparison)))?,
        Some(Format::Csv) => out::print(csv(&rows))?,
        Some(Format::Markdown) => out::print(markdown(&comparison, &rows))?,
        Some(Format::GoBench) => {
            let (before, after) = (go_bench(&before, &names.0), go_bench(&after, &names.1));
            out::print(format_args!("{before}\n{after}"))?;
        }
        None => {
            let is_coloured =
                std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            let records = [(names.0.as_str(), &before), (names.1.as_str(), &after)];
            out::print(text(&comparison, &rows, records, args.all, is_coloured))?;
        }
    }
    if let Some(page) = &args.html {
        out::say(format_args!("comparison={}", page.display()));
    }
    Ok(ExitCode::Good)
}

fn json(comparison: &Comparison) -> serde_json::Value {
    let rows: Vec<_> = comparison
        .rows
        .iter()
        .map(|row| {
            let interval = |spread: &delalloc_results::stats::Spread| {
                spread
                    .interval
                    .map(|interval| [interval.low, interval.high])
            };
            serde_json::json!({
                "target": row.target, "point": row.point, "number": row.number, "unit": row.unit,
                "before": row.before.median, "before_interval": interval(&row.before),
                "after": row.after.median, "after_interval": interval(&row.after),
                "ratio": row.ratio, "standing": row.standing,
            })
        })
        .collect();
    serde_json::json!({
        "same_workload": comparison.same_workload, "cautions": comparison.cautions,
        "unlike": comparison.unlike, "only_one": comparison.only_one, "shapes": comparison.shapes,
        "told_by_chance": comparison.told_by_chance(),
        "rows": rows,
    })
}

fn text(
    comparison: &Comparison,
    rows: &[&Row],
    records: [(&str, &RunRecord); 2],
    all: bool,
    is_coloured: bool,
) -> String {
    let mut text = String::new();
    for (word, (name, record)) in ["before", "after"].into_iter().zip(records) {
        let (workload, status) = (&record.workload.name, record.status.word());
        let head = format!(
            "{word:<6}  {name}  {workload}, {}, {status}",
            record.started_at
        );
        text.push_str(&one_line(&head));
        text.push('\n');
    }
    for caution in &comparison.cautions {
        let line = format!("caution: {caution}");
        text.push_str(&coloured(&one_line(&line), Some("33"), is_coloured));
        text.push('\n');
    }
    let unlike = comparison.unlike.iter();
    let shown = if all { usize::MAX } else { 12 };
    for one in unlike.take(shown) {
        let line = format!("unlike: {}: {} | {}", one.what, one.before, one.after);
        text.push_str(&one_line(&line));
        text.push('\n');
    }
    text.push('\n');
    let is_told = |row: &Row| !matches!(row.standing, Standing::CannotTell | Standing::Same);
    let mut shown_rows = rows.to_vec();
    if !all && rows.len() > ROWS_MAX {
        shown_rows.retain(|row| is_told(row));
    }
    text.push_str(&numbers(&shown_rows, is_coloured));
    let left_out = comparison.rows.len() - shown_rows.len();
    if left_out > 0 {
        text.push_str(&format!(
            "{left_out} more numbers: the same, not told apart, or counters; --all shows them\n"
        ));
    }
    text.push_str(&shapes(comparison, all));
    text.push_str(&format!(
        "\nbetter={} worse={} differs={} same={} cannot_tell={} only_one={} told_by_chance={:.1}\n",
        comparison.count(Standing::Better),
        comparison.count(Standing::Worse),
        comparison.count(Standing::Differs),
        comparison.count(Standing::Same),
        comparison.count(Standing::CannotTell),
        comparison.only_one,
        comparison.told_by_chance()
    ));
    text
}

fn numbers(rows: &[&Row], is_coloured: bool) -> String {
    let head = [
        "target", "point", "number", "before", "after", "ratio", "stands",
    ];
    let mut table = Table::new(3, &head);
    for row in rows {
        let ratio = row.ratio;
        table.row(vec![
            row.target.clone(),
            row.point.clone(),
            row.number.clone(),
            row.unit.format(row.before.median),
            row.unit.format(row.after.median),
            ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.3}")),
            row.standing.words().to_owned(),
        ]);
    }
    // Colour comes after the columns are laid out, since a terminal's codes have no width.
    let mut text = String::new();
    for (nth, line) in table.to_string().lines().enumerate() {
        let row = nth.checked_sub(1).and_then(|nth| rows.get(nth));
        let code = row.and_then(|row| match row.standing {
            Standing::Better => Some("36"),
            Standing::Worse => Some("33"),
            Standing::Differs => Some("1"),
            Standing::Same | Standing::CannotTell => None,
        });
        text.push_str(&coloured(line, code, is_coloured));
        text.push('\n');
    }
    text
}

/// Throughput over time, both runs on one time axis and one scale.
fn shapes(comparison: &Comparison, all: bool) -> String {
    if comparison.shapes.is_empty() {
        return String::new();
    }
    let mut text = String::from("\nthroughput over time, first round, one scale for both\n");
    let shown = if all { usize::MAX } else { SHAPES_MAX };
    for shape in comparison.shapes.iter().take(shown) {
        let values = shape.before.iter().chain(&shape.after);
        let top = values.copied().fold(0.0_f64, f64::max);
        for (word, values) in [("before", &shape.before), ("after", &shape.after)] {
            let name = format!("{} {}", shape.target, shape.point);
            let line = format!("{word:<6} |{}| {name}", sparkline(values, top));
            text.push_str(&one_line(&line));
            text.push('\n');
        }
    }
    text
}

fn coloured(line: &str, code: Option<&str>, is_coloured: bool) -> String {
    match code.filter(|_| is_coloured) {
        Some(code) => format!("\x1b[{code}m{line}\x1b[0m"),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use delalloc_results::LatencyHist;
    use delalloc_results::record::{
        Cell, OpRecord, PhaseRecord, RunStatus, Sample, Target, Tool, Workload,
    };

    /// Three rounds of a write with this p50, half of the bytes in the first of two intervals.
    fn record(ns: u64) -> RunRecord {
        let mut record =
            RunRecord::begin(Tool::default(), "2026-01-01T00:00:00Z", Workload::default());
        record.status = RunStatus::Complete;
        record.targets.push(Target {
            name: "engine".to_owned(),
            ..Target::default()
        });
        for round in 0..3 {
            let mut hist = LatencyHist::new();
            hist.record_n(ns + u64::from(round), 1000);
            let sample = |t_ns, bytes| Sample {
                t_ns,
                bytes,
                ..Sample::default()
            };
            record.cells.push(Cell {
                target: "engine".to_owned(),
                round,
                phases: vec![PhaseRecord {
                    name: "load".to_owned(),
                    wall_ns: 1_000_000_000,
                    ops: vec![OpRecord::new("write", 1 << 20, 0, &hist, &hist)],
                    series: vec![sample(500_000_000, 4 << 20), sample(1_000_000_000, 1 << 20)],
                    ..PhaseRecord::default()
                }],
                ..Cell::default()
            });
        }
        record
    }

    fn said(is_coloured: bool) -> String {
        let (before, after) = (record(1000), record(100_000));
        let comparison = Comparison::of(&before, &after);
        let rows: Vec<&Row> = comparison.rows.iter().collect();
        let records = [("a", &before), ("\u{1b}[2Jb", &after)];
        text(&comparison, &rows, records, true, is_coloured)
    }

    #[test]
    fn colours_follow_how_a_number_stands_and_change_no_word() {
        let (plain, coloured) = (said(false), said(true));
        assert!(!plain.contains('\u{1b}'), "{plain}");
        let of = |number: &str| {
            let line = coloured.lines().find(|line| line.contains(number));
            line.expect("its line").to_owned()
        };
        // Slower in yellow to its end, what is the same in no colour.
        let slower = of("p50(load.write)");
        assert!(slower.starts_with("\u{1b}[33mengine") && slower.ends_with("worse\u{1b}[0m"));
        assert!(!of("iops(load.write)").contains('\u{1b}'));
        let stripped = coloured.replace("\u{1b}[33m", "").replace("\u{1b}[0m", "");
        assert_eq!(stripped, plain, "no other code, and no other word");
    }

    #[test]
    fn both_shapes_stand_on_one_scale() {
        let plain = said(false);
        let line = |word: &str| {
            let is_shape = |line: &&str| line.starts_with(word) && line.contains('|');
            plain.lines().find(is_shape).expect("a shape").to_owned()
        };
        for word in ["before", "after "] {
            let line = line(word);
            let shape: Vec<char> = line.split('|').nth(1).expect("a shape").chars().collect();
            assert_eq!(shape.len(), 32, "{line}");
            assert!(
                shape[..16].iter().all(|block| *block == '\u{2588}'),
                "{line}"
            );
            assert!(
                shape[16..].iter().all(|block| *block == '\u{2582}'),
                "{line}"
            );
        }
    }
}
