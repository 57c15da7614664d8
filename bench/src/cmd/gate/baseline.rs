//! A result against a committed baseline, and the making of one.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use delalloc_results::assertion::better_of;
use delalloc_results::gate::{Findings, RatioRule, Rules, Tolerance};
use delalloc_results::{Baseline, ExitCode, gate as judge};

use super::super::find_record;
use super::outputs;
use crate::failure::{Failure, OrExit, allowing};
use crate::gate_args::GateArgs;
use crate::stamp::Stamp;

pub(super) fn gate(args: &GateArgs) -> Result<ExitCode, Failure> {
    let result = args.result.as_deref().context("name a result").or_usage()?;
    let Some(held) = &args.baseline else {
        let output = args
            .output
            .as_deref()
            .context("--bless needs -o FILE")
            .or_usage()?;
        return bless(
            result,
            args.reason.as_deref().unwrap_or_default(),
            output,
            &[],
            args.outputs.json,
        );
    };
    let record = find_record(result).map(|(record, _)| record);
    let workload = match &record {
        Ok(record) => record.workload.name.clone(),
        Err(_) => result.display().to_string(),
    };
    let judged = record.and_then(|record| {
        let baseline = Baseline::load(held).or_usage()?;
        judge(&baseline, &record).or_usage()
    });
    let report = match judged {
        Ok(report) => report,
        Err(failure) => return outputs::leave_failure(&args.outputs, &workload, &failure),
    };
    let found = Findings::of_baseline(&report);
    outputs::leave(&args.outputs, &found, &report.table(), &report)?;
    Ok(allowing(report.exit.code, args.outputs.allow_inconclusive))
}

/// `ratios` are expressions, each with its tolerance as a part of it.
pub(super) fn bless(
    result: &Path,
    reason: &str,
    output: &Path,
    ratios: &[(String, f64)],
    json: bool,
) -> Result<ExitCode, Failure> {
    let (record, _) = find_record(result)?;
    let ratios = ratios
        .iter()
        .map(|(expression, tolerance)| {
            Ok(RatioRule {
                better: better_of(&record, expression)
                    .with_context(|| format!("--ratio {expression}"))?,
                expression: expression.clone(),
                tolerance: *tolerance,
            })
        })
        .collect::<anyhow::Result<Vec<RatioRule>>>()
        .or_usage()?;
    let now = Stamp::now().rfc3339();
    let mut baseline = Baseline::from_record(&record, &rules(ratios), reason, &now).or_usage()?;
    if output.exists() {
        baseline
            .succeed(&Baseline::load(output).or_usage()?)
            .or_usage()?;
    }
    baseline.save(output).or_failed()?;
    outputs::blessed(&baseline, output, json)?;
    Ok(ExitCode::Good)
}

/// How far counted numbers may be off. They follow from the workload but for one thing: when dirty
/// data is written back decides how it is cut into extents, and that may depend on the clock.
fn rules(ratios: Vec<RatioRule>) -> Rules {
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
        ratios,
        ..Rules::default()
    }
}
