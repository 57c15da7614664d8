//! `delalloc gate`: a result against a committed baseline, and the making of one.

use std::collections::BTreeMap;

use anyhow::Context;
use delalloc_results::gate::{Rules, Tolerance};
use delalloc_results::{Baseline, ExitCode, gate as judge};

use super::find_record;
use crate::args::GateArgs;
use crate::failure::{Failure, OrExit, allowing};
use crate::stamp::Stamp;

pub(super) fn gate(args: &GateArgs) -> Result<ExitCode, Failure> {
    let (record, _) = find_record(&args.result)?;
    let Some(baseline) = &args.baseline else {
        return bless(args, &record);
    };
    let baseline = Baseline::load(baseline).or_usage()?;
    let report = judge(&baseline, &record).or_usage()?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report).or_failed()?);
    } else {
        print!("{}", report.table());
        for note in &report.notes {
            println!("note: {note}");
        }
        println!("{}", report.last_line());
    }
    Ok(allowing(report.exit.code, args.allow_inconclusive))
}

fn bless(args: &GateArgs, record: &delalloc_results::RunRecord) -> Result<ExitCode, Failure> {
    let reason = args.reason.as_deref().unwrap_or_default();
    let output = args
        .output
        .as_deref()
        .context("--bless needs -o FILE")
        .or_usage()?;
    let rules = rules();
    let baseline =
        Baseline::from_record(record, &rules, reason, &Stamp::now().rfc3339()).or_usage()?;
    baseline.save(output).or_failed()?;
    for demoted in &baseline.demoted {
        println!("not judged: {}: {}", demoted.expression, demoted.reason);
    }
    println!(
        "baseline={} entries={}",
        output.display(),
        baseline.entries.len()
    );
    Ok(ExitCode::Good)
}

/// How far counted numbers may be off. They follow from the workload but for one thing: when dirty
/// data is written back decides how it is cut into extents, and that may depend on the clock.
fn rules() -> Rules {
    let tolerances = [
        ("user.*", Tolerance::Exact),
        ("stored_ratio", Tolerance::Relative(0.01)),
        ("write_amplification", Tolerance::Relative(0.02)),
        ("read_amplification", Tolerance::Relative(0.02)),
        ("data.*", Tolerance::Relative(0.02)),
        ("device.*", Tolerance::Relative(0.02)),
        ("meta.*", Tolerance::Relative(0.05)),
    ];
    let tolerances: BTreeMap<String, Tolerance> = tolerances
        .into_iter()
        .map(|(name, tolerance)| (name.to_owned(), tolerance))
        .collect();
    Rules {
        tolerances,
        ..Rules::default()
    }
}
