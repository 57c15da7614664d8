//! `delalloc import`: what a trace holds and what of it is lost; `--to` and `-o` convert it.
//!
//! A trace replays as it is, so converting is for keeping. `--to` makes delalloc's own packed and indexed form, which keeps every
//! request as it was understood. `-o` makes CSV, one line per operation that a replay would carry out, times in nanoseconds from the first
//! request, with thread and duration: replayed, it does the same. Of several devices beside files it keeps no more than that they
//! are one. Where anything is lost, a conversion is refused unless it is asked for a second time, with `--lossy`.
//!
//! What is written has its name when it is whole: until then it is `FILE.part`. Neither is ever the trace itself.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
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
use crate::out;

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
    refuse_writing_over(args)?;
    let reading = reading_of(args);
    if let Some(format) = reading.format {
        refuse_unread(args, format)?;
    }
    let summary = summarize(&args.trace, &reading).or_usage()?;
    refuse_unread(args, summary.format)?;
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
        let said =
            serde_json::json!({ "summary": summary, "converted": converted, "listed": listed });
        out::print(format_args!("{said}\n"))?;
        return Ok(ExitCode::Good);
    }
    let mut text = lines(&summary.text()).into_owned();
    if let (Some(converted), Some(to)) = (&converted, &args.to) {
        text.push_str(&converted_text(converted, to));
    }
    if let (Some(listed), Some(output)) = (&listed, &args.output) {
        let line = format!("converted={} lines={}\n", output.display(), listed.lines);
        text.push_str(&line);
    }
    out::print(text)?;
    Ok(ExitCode::Good)
}

fn converted_text(converted: &Converted, to: &Path) -> String {
    format!(
        "converted={} operations={} bytes={} source_sha256={}\n",
        to.display(),
        converted.operations,
        converted.bytes,
        converted.source_sha256
    )
}

/// A recording cannot be made again: what is written lies beside it, also while it is written.
fn refuse_writing_over(args: &ImportArgs) -> Result<(), Failure> {
    if args.to.is_some() && args.to == args.output {
        return Err(Failure::usage(anyhow!(
            "--to and -o name one file; give them one each"
        )));
    }
    let place = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    let Some(trace) = place(&args.trace) else {
        return Ok(());
    };
    for output in args.to.iter().chain(&args.output) {
        for written in [output, &part_of(output)] {
            if place(written) == Some(trace) {
                return Err(Failure::usage(anyhow!(
                    "{}: is the trace itself, and would be written over; convert it to another file",
                    written.display()
                )));
            }
        }
    }
    Ok(())
}

/// An option that nothing of this form is read by was meant for another.
fn refuse_unread(args: &ImportArgs, format: TraceFormat) -> Result<(), Failure> {
    for (option, is_given, is_read, forms) in [
        (
            "--events",
            args.events.is_some(),
            format.has_events(),
            "blkparse or blktrace",
        ),
        (
            "--fio-wait",
            args.fio_wait.is_some(),
            format.has_waits(),
            "fio-iolog",
        ),
    ] {
        if is_given && !is_read {
            return Err(Failure::usage(anyhow!(
                "{option} means nothing to a trace of the form {}, only to {forms}; leave it out",
                format.name()
            )));
        }
    }
    Ok(())
}

fn reading_of(args: &ImportArgs) -> TraceReading {
    let named = |name: &String| TraceFormat::ALL.iter().find(|(known, _)| known == name);
    TraceReading {
        format: args
            .format
            .as_ref()
            .and_then(named)
            .map(|(_, format)| *format),
        events: match args.events.as_deref() {
            Some("issue") => TraceEvents::Issue,
            _ => TraceEvents::Queue,
        },
        fio_wait: match args.fio_wait.as_deref() {
            Some("relative_us") => FioWait::RelativeUs,
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
    let named = || output.display().to_string();
    // A pipe or a terminal has no bytes to lose and no name to give.
    if fs::metadata(output).is_ok_and(|found| !found.is_file()) {
        let file = File::create(output).with_context(named)?;
        return write_lines(summary, reading, (&file, output));
    }
    // Of a link the file behind it is replaced, and not the link.
    let whole = fs::canonicalize(output).unwrap_or_else(|_| output.to_owned());
    let part = part_of(&whole);
    let write = || -> anyhow::Result<Listed> {
        let file = File::create(&part).with_context(|| part.display().to_string())?;
        let listed = write_lines(summary, reading, (&file, &part))?;
        file.sync_all().with_context(named)?;
        fs::rename(&part, &whole).with_context(named)?;
        Ok(listed)
    };
    let written = write();
    if written.is_err() {
        // What is not whole is of no use; it may never have been made.
        let _removed = fs::remove_file(&part);
    }
    written
}

/// What a file is called until it is whole.
fn part_of(output: &Path) -> PathBuf {
    let mut part = output.as_os_str().to_owned();
    part.push(".part");
    part.into()
}

fn write_lines(
    summary: &TraceSummary,
    reading: &TraceReading,
    (file, path): (&File, &Path),
) -> anyhow::Result<Listed> {
    let named = || path.display().to_string();
    let load = load_of(summary, reading);
    let streams = load.streams(0, &Arc::new(Cursors::new(&load)))?;
    let mut out = BufWriter::new(file);
    let columns = Columns::of(summary);
    writeln!(out, "{}", columns.header()).with_context(named)?;
    let mut listed = Listed::default();
    for mut stream in streams {
        while let Some(timed) = stream.next() {
            let timed = timed?;
            let step = stream.step().expect("the load replays a trace");
            let line = columns.line(&timed, step, |file| load.file_name(file).into_owned());
            writeln!(out, "{line}").with_context(named)?;
            listed.lines += 1;
        }
    }
    out.flush().with_context(named)?;
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

    /// An operation as a line. The last field says what the head says already: opens are in the list.
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
                format!("{at_ns},{word},{thread},,,{offset},{len},{took_ns},1")
            }
            Self::FilesOnADevice => {
                format!("{at_ns},{word},{thread},{file},{offset},,{len},{took_ns},1")
            }
            Self::Devices | Self::Files => {
                format!("{at_ns},{word},{thread},{file},{offset},{len},{took_ns},1")
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
        assert_eq!(
            line(Columns::Files, &timed),
            "1500,write,7,f3,4096,512,20,1"
        );
        let mixed = Columns::FilesOnADevice;
        assert_eq!(line(mixed, &timed), "1500,write,7,,,4096,512,20,1");
        let rename = TimedOp::asap(Op::Rename { file, serial: 1 });
        assert_eq!(line(Columns::Files, &rename), "0,moveto,7,f3,0,0,20,1");
        let flush = TimedOp::asap(Op::VolumeSync);
        assert_eq!(line(Columns::Devices, &flush), "0,flush,7,,0,0,20,1");
        for columns in [Columns::Devices, Columns::Files, mixed] {
            let count = |text: &str| text.split(',').count();
            assert_eq!(count(columns.header()), count(&line(columns, &timed)));
        }
    }
}
