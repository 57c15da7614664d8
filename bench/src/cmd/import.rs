//! `delalloc import`: what a trace holds and what of it is lost; `--to` and `-o` convert it.
//!
//! A trace replays as it is, so converting is for keeping. `--to` makes delalloc's own packed and indexed form, which keeps every
//! request as it was understood. `-o` makes CSV, one line per operation that a replay would carry out, times in nanoseconds from the first
//! request, with thread and duration: replayed, it does the same. Of several devices beside files it keeps no more than that they
//! are one. Where anything is lost, a conversion is refused unless it is asked for a second time, with `--lossy`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use delalloc_results::ExitCode;
use delalloc_results::printable::lines;
use delalloc_workloads::plan::{
    Bound, ContentPlan, FioWait, JobPlan, Pace, PhaseEnd, PhasePlan, PhaseRole, TraceEvents,
    TraceFormat, TracePlan, TraceReading, Work,
};
use delalloc_workloads::trace::{Converted, TraceStep, TraceSummary, convert, summarize};
use delalloc_workloads::{Cursors, FileSlot, LoadPlan, Op, TimedOp};

use crate::args::ImportArgs;
use crate::failure::{Failure, OrExit};

const MADE_BY: &str = concat!("delalloc ", env!("CARGO_PKG_VERSION"));

/// What was written as CSV.
#[derive(Debug, Default, serde::Serialize)]
struct Listed {
    lines: u64,
}

/// What the lines of a file address, each with its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Columns {
    Devices,
    Files,
    /// A blank file is the device under the files.
    FilesOnADevice,
}

pub(super) fn import(args: &ImportArgs) -> Result<ExitCode, Failure> {
    let reading = reading_of(args);
    let summary = summarize(&args.trace, &reading).or_usage()?;
    refuse_loss(args, &summary)?;
    let converted = match &args.to {
        Some(to) => Some(convert(&summary, &reading, to, MADE_BY).or_failed()?),
        None => None,
    };
    let listed = match &args.output {
        Some(output) => Some(list(&summary, &reading, output).or_failed()?),
        None => None,
    };
    if args.json {
        println!(
            "{}",
            serde_json::json!({ "summary": summary, "converted": converted, "listed": listed })
        );
        return Ok(ExitCode::Good);
    }
    print!("{}", lines(&summary.text()));
    if let (Some(converted), Some(to)) = (&converted, &args.to) {
        print_converted(converted, to);
    }
    if let (Some(listed), Some(output)) = (&listed, &args.output) {
        println!("converted={} lines={}", output.display(), listed.lines);
    }
    Ok(ExitCode::Good)
}

fn print_converted(converted: &Converted, to: &Path) {
    println!(
        "converted={} operations={} bytes={} source_sha256={}",
        to.display(),
        converted.operations,
        converted.bytes,
        converted.source_sha256
    );
}

fn reading_of(args: &ImportArgs) -> TraceReading {
    let named = |name: &String| TraceFormat::ALL.iter().find(|(known, _)| known == name);
    TraceReading {
        format: args
            .format
            .as_ref()
            .and_then(named)
            .map(|(_, format)| *format),
        events: match args.events.as_str() {
            "issue" => TraceEvents::Issue,
            _ => TraceEvents::Queue,
        },
        fio_wait: match args.fio_wait.as_str() {
            "relative_us" => FioWait::RelativeUs,
            _ => FioWait::AbsoluteMs,
        },
        malformed_max: args.malformed_max,
    }
}

/// A conversion that keeps less than the trace holds is somebody's decision.
fn refuse_loss(args: &ImportArgs, summary: &TraceSummary) -> Result<(), Failure> {
    if args.lossy || (args.to.is_none() && args.output.is_none()) {
        return Ok(());
    }
    let mut lost = summary.lost_counts();
    if args.output.is_some() {
        let replayed = summary.not_replayed.iter();
        lost.extend(replayed.map(|(reason, tally)| (reason.clone(), tally.count)));
        if Columns::of(summary) == Columns::FilesOnADevice && summary.devices > 1 {
            let reason = "devices beside files: CSV tells one from none, and not apart".to_owned();
            lost.insert(reason, summary.devices);
        }
    }
    if lost.is_empty() {
        return Ok(());
    }
    let reasons: Vec<String> = lost
        .iter()
        .map(|(reason, count)| format!("\n  {count} x {reason}"))
        .collect();
    Err(Failure::usage(anyhow!(
        "{}: converting it would lose{}\n{}--lossy converts it all the same",
        args.trace.display(),
        reasons.concat(),
        summary.text(),
    )))
}

fn list(summary: &TraceSummary, reading: &TraceReading, output: &Path) -> anyhow::Result<Listed> {
    let load = load_of(summary, reading);
    let streams = load.streams(0, &Arc::new(Cursors::new(&load)))?;
    let file = File::create(output).with_context(|| output.display().to_string())?;
    let mut out = BufWriter::new(file);
    let columns = Columns::of(summary);
    writeln!(out, "{}", columns.header())?;
    let mut listed = Listed::default();
    for mut stream in streams {
        while let Some(timed) = stream.next() {
            let timed = timed?;
            let step = stream.step().expect("the load replays a trace");
            let line = columns.line(&timed, step, |file| load.file_name(file).into_owned());
            writeln!(out, "{line}")?;
            listed.lines += 1;
        }
    }
    out.flush()?;
    Ok(listed)
}

/// A load of one phase that replays the trace at its own pace.
fn load_of(summary: &TraceSummary, reading: &TraceReading) -> LoadPlan {
    let reading = TraceReading {
        format: Some(summary.format),
        ..reading.clone()
    };
    let trace = TracePlan::whole(summary.path.clone(), reading);
    let job = JobPlan {
        name: "trace".to_owned(),
        clients: 1,
        work: Work::Trace(trace),
        pace: Pace::Recorded,
        bound: Bound::Once,
        delay_ns: 0,
        duration_ns: None,
        start_after: None,
    };
    let phase = PhasePlan {
        name: "trace".to_owned(),
        role: PhaseRole::Measured,
        duration_ns: None,
        warm_up_ns: 0,
        steady: None,
        repetition: 0,
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

impl Columns {
    /// Those that keep what the recording addresses.
    fn of(summary: &TraceSummary) -> Self {
        match summary.devices {
            0 => Self::Files,
            devices if devices == summary.files => Self::Devices,
            _ => Self::FilesOnADevice,
        }
    }

    fn header(self) -> &'static str {
        match self {
            Self::Devices => "ts_ns,op,thread,dev,offset,len,took_ns,has_opens",
            Self::Files => "ts_ns,op,thread,file,offset,len,took_ns,has_opens",
            Self::FilesOnADevice => {
                "ts_ns,op,thread,file,file_offset,dev_offset,len,took_ns,has_opens"
            }
        }
    }

    /// An operation as a line.
    fn line(self, timed: &TimedOp, step: &TraceStep, name: impl Fn(FileSlot) -> String) -> String {
        let (word, offset, len) = match timed.op {
            Op::Read { offset, bytes, .. } => ("read", offset, bytes),
            Op::Write { offset, bytes, .. } => ("write", offset, bytes),
            Op::PunchHole { offset, bytes, .. } => ("discard", offset, bytes),
            Op::Sync { .. } => ("fsync", 0, 0),
            Op::DataSync { .. } => ("fdatasync", 0, 0),
            Op::VolumeSync => ("flush", 0, 0),
            Op::Truncate { bytes, .. } => ("truncate", 0, bytes),
            Op::Create { .. } => ("create", 0, 0),
            Op::Open { .. } => ("open", 0, 0),
            Op::Remove { .. } => ("unlink", 0, 0),
            Op::Rename { .. } => ("moveto", 0, 0),
        };
        let file = timed.op.file().map(name).unwrap_or_default();
        let at_ns = timed.due_ns.unwrap_or(0);
        let (thread, took_ns) = (step.thread, step.took_ns);
        match self {
            Self::FilesOnADevice if step.is_device => {
                format!("{at_ns},{word},{thread},,,{offset},{len},{took_ns}")
            }
            Self::FilesOnADevice => {
                format!("{at_ns},{word},{thread},{file},{offset},,{len},{took_ns}")
            }
            Self::Devices | Self::Files => {
                format!("{at_ns},{word},{thread},{file},{offset},{len},{took_ns}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_a_line_with_who_asked_and_how_long_it_took() {
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
        let step = TraceStep {
            thread: 7,
            took_ns: 20,
            is_device: true,
            ..TraceStep::default()
        };
        let line = |columns: Columns, timed| columns.line(timed, &step, name);
        assert_eq!(line(Columns::Files, &timed), "1500,write,7,f3,4096,512,20");
        let mixed = Columns::FilesOnADevice;
        assert_eq!(line(mixed, &timed), "1500,write,7,,,4096,512,20");
        let rename = TimedOp::asap(Op::Rename { file, serial: 1 });
        assert_eq!(line(Columns::Files, &rename), "0,moveto,7,f3,0,0,20");
        let flush = TimedOp::asap(Op::VolumeSync);
        assert_eq!(line(Columns::Devices, &flush), "0,flush,7,,0,0,20");
    }
}
