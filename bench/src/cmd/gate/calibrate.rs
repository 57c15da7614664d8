//! `delalloc gate calibrate`: what the sliced gate is worth on this machine, by trying it.
//!
//! A null trial is a whole sliced gate of this build against itself; whatever it finds is a false alarm. A planted trial
//! judges this build with its writes slowed down; whatever it does not find is missed. Both go through the code that `gate ab`
//! goes through. Each trial is told on stderr as it ends; one that is interrupted counts nowhere, those before it do.

use anyhow::Context;
use delalloc_results::ExitCode;
use delalloc_results::gate::ab::judge;
use delalloc_results::gate::{AbClass, AbRow, Verdict};
use delalloc_results::stats::{median, upper_bound};
use serde::Serialize;

use super::ab::slices;
use crate::ab::serve::sliced_phase;
use crate::ab::sliced::{self, Plan};
use crate::ab::{Build, Trio};
use crate::failure::{Failure, OrExit};
use crate::gate_args::CalibrateArgs;
use crate::out;
use crate::plan;
use crate::signals::Signals;
use crate::table::Table;

/// How trials of one sort ended.
#[derive(Debug, Default, Serialize)]
struct Tally {
    /// The planted slowdown of writes in per cent; none in null trials.
    planted_percent: Option<f64>,
    trials: u32,
    pass: u32,
    regressed: u32,
    improved: u32,
    unstable: u32,
    abstained: u32,
    /// Median of the ratios found.
    ratio: Option<f64>,
    /// Median of the changes that could have been detected.
    detectable: Option<f64>,
    #[serde(skip)]
    ratios: Vec<f64>,
    #[serde(skip)]
    detectables: Vec<f64>,
}

#[derive(Serialize)]
struct Report {
    null: Tally,
    /// Null trials that found something, and the rate they are compatible with at 95 %.
    false_alarms: u32,
    false_alarm_rate_max: f64,
    planted: Vec<Tally>,
}

pub(super) fn calibrate(args: &CalibrateArgs) -> Result<ExitCode, Failure> {
    let workload = plan::load(&args.task.replay())?;
    sliced_phase(&workload.loads[0], args.phase.as_deref())
        .context("--phase")
        .or_usage()?;
    if let Some(bad) = args
        .plants
        .iter()
        .find(|plant| !(0.0..=10_000.0).contains(*plant))
    {
        return Err(Failure::usage(anyhow::anyhow!(
            "--plants {bad}: is 0 to 10000 per cent"
        )));
    }
    let signals = Signals::catch().or_failed()?;
    let null = tally(args, None, args.trials, &signals)?;
    let mut planted = Vec::new();
    for percent in &args.plants {
        planted.push(tally(args, Some(*percent), args.planted_trials, &signals)?);
    }
    let false_alarms = null.regressed + null.improved;
    let report = Report {
        false_alarm_rate_max: upper_bound(false_alarms, null.trials, 0.95),
        false_alarms,
        null,
        planted,
    };
    if args.json {
        out::print(format_args!(
            "{}\n",
            serde_json::to_string_pretty(&report).or_failed()?
        ))?;
    } else {
        print(&report)?;
    }
    Ok(if signals.interrupted() {
        ExitCode::Interrupted
    } else {
        ExitCode::Good
    })
}

fn tally(
    args: &CalibrateArgs,
    planted_percent: Option<f64>,
    trials: u32,
    signals: &Signals,
) -> Result<Tally, Failure> {
    let binary = std::env::current_exe()
        .context("finding this binary")
        .or_failed()?;
    let build = |plant| Build {
        binary: binary.clone(),
        plant,
    };
    let trio = Trio {
        base: build(None),
        head: build(planted_percent.map(|percent| format!("slow-writes={percent}"))),
    };
    let floor = AbClass::Sliced.rule().floor;
    let detect = args.slicing.detect(floor).map_err(anyhow::Error::msg);
    let detect = detect.or_usage()?;
    let mut tally = Tally {
        planted_percent,
        ..Tally::default()
    };
    for trial in 0..trials {
        let seed = u64::from(trial) + 1;
        let plan = Plan {
            phase: args.phase.as_deref(),
            pairs: args.slicing.pairs.into(),
            turns: args.slicing.slices.into(),
            floor,
            detect,
            seed,
        };
        let found = sliced::measure(&trio, &args.task.task(), plan, signals)?;
        if signals.interrupted() {
            break;
        }
        let rows = judge(&[slices("slices", found)], &|_| floor, seed);
        for row in &rows {
            tally.add(row);
            tell(row, planted_percent, (trial + 1, trials));
        }
    }
    tally.ratio = median(&tally.ratios);
    tally.detectable = median(&tally.detectables);
    Ok(tally)
}

/// One line as soon as a trial is over: many of them take long.
fn tell(row: &AbRow, planted_percent: Option<f64>, (trial, trials): (u32, u32)) {
    let planted = planted_percent.map_or_else(
        || "nothing planted".to_owned(),
        |percent| format!("{percent} % planted"),
    );
    out::say(format_args!(
        "delalloc: trial {trial} of {trials}, {planted}: {} ({}), {}",
        row.verdict.word(),
        row.reason.word(),
        row.numbers()
    ));
}

impl Tally {
    fn add(&mut self, row: &AbRow) {
        self.trials += 1;
        *match row.verdict {
            Verdict::Pass => &mut self.pass,
            Verdict::Regressed => &mut self.regressed,
            Verdict::Improved => &mut self.improved,
            Verdict::Unstable => &mut self.unstable,
            Verdict::Abstained => &mut self.abstained,
        } += 1;
        self.ratios.extend(row.change.map(|change| change.ratio));
        self.detectables.extend(row.detectable);
    }
}

fn print(report: &Report) -> Result<(), Failure> {
    let mut table = Table::new(
        1,
        &[
            "planted",
            "trials",
            "regressed",
            "improved",
            "pass",
            "unstable",
            "abstained",
            "found",
            "could detect",
        ],
    );
    let percent = |part: Option<f64>| {
        part.map_or_else(|| "-".to_owned(), |part| format!("{:+.1} %", part * 100.0))
    };
    for tally in std::iter::once(&report.null).chain(&report.planted) {
        let counts = [
            tally.trials,
            tally.regressed,
            tally.improved,
            tally.pass,
            tally.unstable,
            tally.abstained,
        ];
        let planted = tally
            .planted_percent
            .map_or_else(|| "nothing".to_owned(), |percent| format!("{percent} %"));
        let mut row = vec![planted];
        row.extend(counts.map(|count| count.to_string()));
        row.extend([
            percent(tally.ratio.map(|ratio| ratio - 1.0)),
            percent(tally.detectable),
        ]);
        table.row(row);
    }
    out::print(table)?;
    out::print(format_args!(
        "false_alarms={} trials={} rate_at_most={:.4} confidence=0.95\n",
        report.false_alarms, report.null.trials, report.false_alarm_rate_max
    ))
}
