//! `delalloc import`: what a trace holds and what of it a replay loses; `-o` converts it.
//!
//! A trace replays as it is, so converting is for keeping: the result is delalloc's own CSV, one
//! line per operation that a replay would carry out, times in nanoseconds from the first request.
//! What that form cannot say (renames) is counted and left out.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use delalloc_results::ExitCode;
use delalloc_workloads::plan::{
    Bound, ContentPlan, JobPlan, Pace, PhaseEnd, PhasePlan, PhaseRole, TraceFormat, TracePlan,
    TraceTiming, Work,
};
use delalloc_workloads::trace::{TraceSummary, summarize};
use delalloc_workloads::{Cursors, FileSlot, LoadPlan, Op, TimedOp};

use crate::args::ImportArgs;
use crate::failure::{Failure, OrExit};

/// A trace with more lines than this that make no sense is probably of another format.
const MALFORMED_MAX: u64 = 1000;

/// What was written, and what could not be.
#[derive(Debug, Default, serde::Serialize)]
struct Converted {
    lines: u64,
    renames_lost: u64,
}

pub(super) fn import(args: &ImportArgs) -> Result<ExitCode, Failure> {
    let format = args
        .format
        .as_deref()
        .map(format_of)
        .transpose()
        .or_usage()?;
    let summary = summarize(&args.trace, format, MALFORMED_MAX).or_usage()?;
    let converted = match &args.output {
        Some(output) => Some(convert(&summary, output).or_failed()?),
        None => None,
    };
    if args.json {
        println!(
            "{}",
            serde_json::json!({ "summary": summary, "converted": converted })
        );
        return Ok(ExitCode::Good);
    }
    print!("{}", summary.text());
    if let (Some(converted), Some(output)) = (&converted, &args.output) {
        println!(
            "converted={} lines={} renames_lost={}",
            output.display(),
            converted.lines,
            converted.renames_lost
        );
    }
    Ok(ExitCode::Good)
}

fn format_of(name: &str) -> anyhow::Result<TraceFormat> {
    Ok(match name {
        "delalloc-csv" => TraceFormat::DelallocCsv,
        "blkparse" => TraceFormat::Blkparse,
        other => bail!("--format {other}: delalloc-csv or blkparse"),
    })
}

fn convert(summary: &TraceSummary, output: &Path) -> anyhow::Result<Converted> {
    let load = load_of(summary);
    let streams = load.streams(0, &Arc::new(Cursors::new(&load)))?;
    let file = File::create(output).with_context(|| output.display().to_string())?;
    let mut out = BufWriter::new(file);
    writeln!(out, "ts_ns,op,thread,file,offset,len")?;
    let mut converted = Converted::default();
    for timed in streams.into_iter().flatten() {
        let timed = timed?;
        match line(&timed, |file| load.file_name(file).into_owned()) {
            Some(line) => {
                writeln!(out, "{line}")?;
                converted.lines += 1;
            }
            None => converted.renames_lost += 1,
        }
    }
    out.flush()?;
    Ok(converted)
}

/// A load of one phase that replays the trace at its own pace.
fn load_of(summary: &TraceSummary) -> LoadPlan {
    let trace = TracePlan {
        path: summary.path.clone(),
        format: Some(summary.format),
        timing: TraceTiming::Recorded { time_scale: 1.0 },
        limit_ops: None,
        limit_time_ns: None,
        limit_bytes: None,
        malformed_max: MALFORMED_MAX,
        first_slot: FileSlot(0),
        slot_step: 1,
    };
    let job = JobPlan {
        name: "trace".to_owned(),
        clients: 1,
        work: Work::Trace(trace),
        pace: Pace::Recorded,
        bound: Bound::Once,
    };
    let phase = PhasePlan {
        name: "trace".to_owned(),
        role: PhaseRole::Measured,
        duration_ns: None,
        drop_caches: false,
        end: PhaseEnd::None,
        jobs: vec![job],
    };
    LoadPlan {
        seed: 0,
        content: ContentPlan::Zeros,
        files: Vec::new(),
        phases: vec![phase],
    }
}

/// An operation as a line; none for what the form cannot say.
fn line(timed: &TimedOp, name: impl Fn(FileSlot) -> String) -> Option<String> {
    let (word, offset, len) = match timed.op {
        Op::Read { offset, bytes, .. } => ("read", offset, bytes),
        Op::Write { offset, bytes, .. } => ("write", offset, bytes),
        Op::PunchHole { offset, bytes, .. } => ("discard", offset, bytes),
        Op::Sync { .. } => ("fsync", 0, 0),
        Op::VolumeSync => ("flush", 0, 0),
        Op::Truncate { bytes, .. } => ("truncate", 0, bytes),
        Op::Create { .. } => ("create", 0, 0),
        Op::Open { .. } => ("open", 0, 0),
        Op::Remove { .. } => ("unlink", 0, 0),
        Op::Rename { .. } => return None,
    };
    let file = timed.op.file().map(name).unwrap_or_default();
    let at_ns = timed.due_ns.unwrap_or(0);
    Some(format!("{at_ns},{word},0,{file},{offset},{len}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_a_line_and_a_rename_is_lost() {
        let name = |file: FileSlot| format!("f{}", file.0);
        let file = FileSlot(3);
        let write = Op::Write {
            file,
            offset: 4096,
            bytes: 512,
            version: 9,
        };
        let timed = TimedOp {
            op: write,
            due_ns: Some(1500),
            think_ns: 0,
        };
        assert_eq!(line(&timed, name).unwrap(), "1500,write,0,f3,4096,512");
        let rename = TimedOp::asap(Op::Rename { file, serial: 1 });
        assert_eq!(line(&rename, name), None);
        assert_eq!(
            line(&TimedOp::asap(Op::VolumeSync), name).unwrap(),
            "0,flush,0,,0,0"
        );
    }
}
