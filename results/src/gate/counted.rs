//! Instructions of a deterministic replay against committed ones.
//!
//! A replay in virtual time does the same work every time, so its count moves by what the code does differently. It moves
//! as well with whatever made or runs the binary: compiler, C compiler and library, profile, target, valgrind. The baseline
//! names these, and with others the gate abstains instead of comparing what does not compare. The dependencies are not among them:
//! their versions are committed, and a slower one is a regression like any other.
//!
//! Not here: counting (the binary starts callgrind), the rule for two builds counted side by side (`ab`).

use super::{
    BASELINE_VERSION, Baseline, Entry, GateError, GateReport, GateRow, Reason, Tolerance, Verdict,
    baseline::unblessed, verdict,
};
use crate::exit::{ExitCode, Outcome};
use crate::metric::{Better, Unit};
use std::collections::BTreeMap;

/// Changes up to this part are nobody's business: several times what one source was seen to differ by between
/// directories, environments and users, and less than anything worth a review.
pub const COUNTED_FLOOR: f64 = 0.03;

/// Two counts of one build at a blessing that differ by more come from a replay that is not the same twice. What a program reads of its
/// machine at its start differs a little each time.
const AGAIN_MAX: f64 = COUNTED_FLOOR / 3.0;

/// What was counted of which workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// The workload's name.
    pub workload: String,
    /// Its hash.
    pub workload_hash: String,
    /// The code revision.
    pub revision: String,
    /// What made the binary and counts it, by name: all that decides how many instructions the same source takes.
    pub tools: BTreeMap<String, String>,
    /// Instructions by part, or why there are none.
    pub parts: Result<BTreeMap<String, u64>, Uncounted>,
}

/// Why there is no count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uncounted {
    /// As a word.
    pub reason: Reason,
    /// For people.
    pub detail: String,
}

impl Baseline {
    /// Holds the instructions of a count. `again` is a second one of the same build.
    pub fn of_count(
        count: &Count,
        again: &BTreeMap<String, u64>,
        reason: &str,
        blessed_at: &str,
    ) -> Result<Self, GateError> {
        if reason.trim().is_empty() {
            return Err(unblessed("say why these numbers are the ones to hold"));
        }
        let parts = count
            .parts
            .as_ref()
            .map_err(|uncounted| unblessed(&uncounted.detail))?;
        let mut baseline = Self {
            baseline_version: BASELINE_VERSION,
            workload: count.workload.clone(),
            workload_hash: count.workload_hash.clone(),
            revision: count.revision.clone(),
            blessed_at: blessed_at.to_owned(),
            reason: reason.trim().to_owned(),
            tools: count.tools.clone(),
            ..Self::default()
        };
        for (name, instructions) in parts.iter().filter(|(_, instructions)| **instructions > 0) {
            let (value, other) = (*instructions as f64, again.get(name).copied());
            let apart = other.map_or(1.0, |other| (other as f64 / value - 1.0).abs());
            if apart > AGAIN_MAX {
                return Err(unblessed(&format!(
                    "{name}: {instructions} and {} in two counts of one build; is the workload deterministic?",
                    other.unwrap_or(0)
                )));
            }
            baseline.entries.push(Entry {
                expression: name.clone(),
                point: Vec::new(),
                value,
                unit: Unit::Count,
                better: Better::Lower,
                tolerance: Tolerance::Relative(COUNTED_FLOOR),
                rounds: Vec::new(),
            });
        }
        if baseline.entries.is_empty() {
            return Err(unblessed("nothing was counted"));
        }
        Ok(baseline)
    }

    /// How `tools` are not those that these numbers were counted with; none where they are the same.
    #[must_use]
    pub fn other_tools(&self, tools: &BTreeMap<String, String>) -> Option<String> {
        let said = |tools: &BTreeMap<String, String>, name: &str| {
            tools.get(name).map_or("nothing", String::as_str).to_owned()
        };
        let mut names: Vec<&String> = self.tools.keys().chain(tools.keys()).collect();
        names.sort_unstable();
        names.dedup();
        let differences: Vec<String> = names
            .into_iter()
            .map(|name| (name, said(&self.tools, name), said(tools, name)))
            .filter(|(_, held, here)| held != here)
            .map(|(name, held, here)| format!("{name}: {held}; here {here}"))
            .collect();
        (!differences.is_empty())
            .then(|| format!("counted with other tools ({})", differences.join(", ")))
    }
}

/// Judges a count by a baseline of counts.
pub fn gate_counted(baseline: &Baseline, count: &Count) -> Result<GateReport, GateError> {
    baseline.readable()?;
    if baseline.tools.is_empty() {
        return Err(GateError::OtherSort {
            held: "counters of a run",
            command: "delalloc gate RUN --baseline FILE",
        });
    }
    baseline.is_of(&count.workload, &count.workload_hash)?;
    let uncounted = |reason, detail| Err(Uncounted { reason, detail });
    let parts = match (&count.parts, baseline.other_tools(&count.tools)) {
        (Ok(_), Some(why)) => uncounted(Reason::OtherTools, why),
        (parts, _) => parts.clone(),
    };
    let mut rows: Vec<GateRow> = baseline
        .entries
        .iter()
        .map(|entry| row(entry, parts.as_ref()))
        .collect();
    rows.sort_by_key(|row| row.verdict.urgency());
    let held = |name: &String| {
        baseline
            .entries
            .iter()
            .any(|entry| entry.expression == *name)
    };
    let new = |(name, count): (&String, &u64)| (*count > 0 && !held(name)).then(|| name.clone());
    let parts = parts.unwrap_or_default();
    Ok(GateReport {
        workload: count.workload.clone(),
        baseline_reason: baseline.reason.clone(),
        exit: conclude(&rows),
        rows,
        notes: parts
            .iter()
            .filter_map(new)
            .map(|name| format!("{name} is new since the baseline"))
            .collect(),
    })
}

fn row(entry: &Entry, parts: Result<&BTreeMap<String, u64>, &Uncounted>) -> GateRow {
    let counted = parts.map(|parts| parts.get(&entry.expression).map(|count| *count as f64));
    let gone = |measured: f64| measured == 0.0 && entry.value > 0.0;
    let (measured, (verdict, code, reason)) = match counted {
        // A profile names every part. One without instructions was renamed, or is done elsewhere: no gain either way.
        Ok(Some(measured)) if gone(measured) => {
            let detail = "nothing was counted for it, so it is not compared".to_owned();
            (None, (Verdict::Abstained, Reason::NotMeasured, detail))
        }
        Ok(Some(measured)) => (Some(measured), verdict(entry, &[measured])),
        Ok(None) => {
            let detail = "this build has no such part".to_owned();
            (None, (Verdict::Abstained, Reason::NotMeasured, detail))
        }
        Err(uncounted) => {
            let detail = uncounted.detail.clone();
            (None, (Verdict::Abstained, uncounted.reason, detail))
        }
    };
    GateRow {
        expression: entry.expression.clone(),
        point: Vec::new(),
        baseline: entry.value,
        rounds: measured.into_iter().collect(),
        measured,
        ratio: measured
            .filter(|_| entry.value != 0.0)
            .map(|measured| measured / entry.value),
        unit: entry.unit,
        better: entry.better,
        tolerance: entry.tolerance,
        verdict,
        code,
        reason,
    }
}

/// From the worst down: a regression, doubt, good. No row is doubt.
fn conclude(rows: &[GateRow]) -> Outcome {
    let with = |wanted: Verdict| rows.iter().filter(move |row| row.verdict == wanted);
    let regressed = with(Verdict::Regressed).count();
    if regressed > 0 {
        let reason = format!("{regressed} of {} counts regressed", rows.len());
        return Outcome::new(ExitCode::Regression, reason);
    }
    let Some(doubt) = with(Verdict::Abstained).next() else {
        return if rows.is_empty() {
            let reason = "the baseline holds no count, so nothing was compared";
            Outcome::new(ExitCode::Inconclusive, reason)
        } else {
            let reason = format!("{} counts within their floor or better", rows.len());
            Outcome::new(ExitCode::Good, reason)
        };
    };
    let reason = format!(
        "{} of {} counts abstained: {}",
        with(Verdict::Abstained).count(),
        rows.len(),
        doubt.reason
    );
    Outcome::new(ExitCode::Inconclusive, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(engine: u64) -> Count {
        let tools = [("rustc", "1.95.0"), ("valgrind", "3.19.0")];
        let parts = [
            ("instructions", 100_000 + engine),
            ("instructions(codecs)", 0),
            ("instructions(engine)", engine),
        ];
        Count {
            workload: "counted".to_owned(),
            workload_hash: "h1".to_owned(),
            revision: "abc".to_owned(),
            tools: tools.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            parts: Ok(parts.map(|(name, n)| (name.to_owned(), n)).into()),
        }
    }

    fn blessed() -> Baseline {
        let count = count(10_000);
        let again = count.parts.clone().expect("counted");
        Baseline::of_count(&count, &again, "first", "2026-01-02").expect("blessed")
    }

    fn of(report: &GateReport, name: &str) -> (Verdict, Reason) {
        let row = report.rows.iter().find(|row| row.expression == name);
        row.map(|row| (row.verdict, row.code)).expect("a row")
    }

    #[test]
    fn more_work_in_one_part_is_red_where_the_whole_hides_it() {
        let judged = |engine| gate_counted(&blessed(), &count(engine)).expect("comparable");
        let report = judged(10_500);
        assert_eq!(of(&report, "instructions"), (Verdict::Pass, Reason::Within));
        let engine = of(&report, "instructions(engine)");
        assert_eq!(engine, (Verdict::Regressed, Reason::Worse));
        assert_eq!(report.exit.code, ExitCode::Regression);
        assert_eq!(report.rows[0].expression, "instructions(engine)");

        assert_eq!(judged(10_299).exit.code, ExitCode::Good);
        let better = judged(9_000);
        assert_eq!(of(&better, "instructions(engine)").0, Verdict::Improved);
        assert_eq!(better.exit.code, ExitCode::Good);
    }

    #[test]
    fn other_tools_and_no_tool_abstain_and_name_what_differs() {
        let mut other = count(99_000);
        other.tools.insert("rustc".to_owned(), "1.96.0".to_owned());
        let report = gate_counted(&blessed(), &other).expect("of the same workload");
        assert_eq!(report.exit.code, ExitCode::Inconclusive);
        assert!(report.exit.reason.contains("rustc: 1.95.0; here 1.96.0"));
        let verdict = of(&report, "instructions");
        assert_eq!(verdict, (Verdict::Abstained, Reason::OtherTools));
        assert!(
            report.last_line().contains(" pass=0 "),
            "nothing is called compared and good"
        );

        other.parts = Err(Uncounted {
            reason: Reason::ToolMissing,
            detail: "valgrind is not installed".to_owned(),
        });
        let report = gate_counted(&blessed(), &other).expect("of the same workload");
        assert_eq!(of(&report, "instructions").1, Reason::ToolMissing);
    }

    #[test]
    fn a_part_that_is_gone_abstains_and_a_new_one_is_noted() {
        let mut other = count(10_000);
        let parts = other.parts.as_mut().expect("counted");
        let gone = parts.remove("instructions(engine)").expect("there");
        parts.insert("instructions(codecs)".to_owned(), gone);
        let report = gate_counted(&blessed(), &other).expect("of the same workload");
        assert_eq!(of(&report, "instructions(engine)").1, Reason::NotMeasured);
        assert_eq!(report.exit.code, ExitCode::Inconclusive);
        assert_eq!(
            report.notes,
            ["instructions(codecs) is new since the baseline"]
        );
    }

    /// A profile in which nothing matched names every part all the same, with 0.
    #[test]
    fn a_held_part_of_nothing_abstains_and_is_no_improvement() {
        let report = gate_counted(&blessed(), &count(0)).expect("of the same workload");
        let engine = of(&report, "instructions(engine)");
        assert_eq!(engine, (Verdict::Abstained, Reason::NotMeasured));
        assert_eq!(report.exit.code, ExitCode::Inconclusive);
        assert!(
            report.exit.reason.contains("nothing was counted for it"),
            "{}",
            report.exit.reason
        );
    }

    #[test]
    fn a_part_that_is_gone_is_not_dropped_by_the_next_blessing() {
        let gone = count(0);
        let again = gone.parts.clone().expect("counted");
        let mut next = Baseline::of_count(&gone, &again, "second", "now").expect("by itself");
        let before = next.clone();
        let why = next.succeed(&blessed()).expect_err("a part is gone");
        let why = why.to_string();
        assert!(
            why.contains("instructions(engine)") && why.contains("remove"),
            "{why}"
        );
        assert_eq!(next, before, "what is refused changes nothing");
        next.succeed(&before).expect("that one holds no such part");
    }

    #[test]
    fn counts_that_differ_by_themselves_are_not_blessed() {
        let again = count(10_200).parts.expect("counted");
        let refused = Baseline::of_count(&count(10_000), &again, "first", "now");
        let why = refused.expect_err("unlike").to_string();
        assert!(why.contains("10000 and 10200"), "{why}");
        let again = count(10_000).parts.expect("counted");
        assert!(Baseline::of_count(&count(10_000), &again, " ", "now").is_err());
    }

    #[test]
    fn baselines_of_another_workload_or_sort_are_errors() {
        let mut other = count(10_000);
        other.workload_hash = "h2".to_owned();
        let error = gate_counted(&blessed(), &other).expect_err("another workload");
        assert!(matches!(error, GateError::OtherWorkload { .. }));
        let of_a_run = Baseline {
            tools: BTreeMap::new(),
            ..blessed()
        };
        let error = gate_counted(&of_a_run, &count(1)).expect_err("counters");
        assert!(error.to_string().contains("gate RUN --baseline"), "{error}");
        let newer = Baseline {
            baseline_version: BASELINE_VERSION + 1,
            ..blessed()
        };
        assert!(gate_counted(&newer, &count(1)).is_err());
    }
}
