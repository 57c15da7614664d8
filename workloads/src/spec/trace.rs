//! Recordings as written: which, how it is read, what of it is replayed, and when.

use std::path::PathBuf;

use schemars::JsonSchema;

use crate::decode::{At, Fields, Report, flag, number, quantity, size, text, word};
use crate::fault::Span;
use crate::plan::{FioWait, TraceDeal, TraceEvents, TraceFormat, TraceOnly, TraceReading};
use crate::units;
use crate::yaml::Node;

/// Less than a page is no place to replay into.
const FOLD_BYTES_MIN: u64 = 4096;

/// A recording to replay.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TraceSpec {
    pub(crate) path: At<PathBuf>,
    pub(crate) reading: TraceReading,
    /// Where `events` stands, if it does.
    pub(crate) events: Option<Span>,
    /// Where `fio_wait` stands, if it does.
    pub(crate) fio_wait: Option<Span>,
    pub(crate) timing: TimingWord,
    pub(crate) time_scale: Option<At<f64>>,
    pub(crate) deal: TraceDeal,
    pub(crate) only: TraceOnly,
    pub(crate) gap_max_ns: Option<At<u64>>,
    pub(crate) fold_bytes: Option<u64>,
    pub(crate) filled: Option<At<bool>>,
    pub(crate) skip_ops: u64,
    pub(crate) skip_time_ns: u64,
    pub(crate) limit_ops: Option<u64>,
    pub(crate) limit_time_ns: Option<u64>,
    pub(crate) limit_bytes: Option<u64>,
}

/// A recording to replay.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Trace")]
#[expect(dead_code, reason = "lends its shape to the schema")]
pub(super) struct TraceMap {
    /// The file, packed (zstd, gzip) or not.
    path: String,
    /// Its form (default: told by how it begins).
    format: Option<FormatWord>,
    /// Of a block layer's recording, which events are requests (default queue).
    events: Option<EventsWord>,
    /// Of a fio log of version 2, what a wait means (default absolute_ms, as fio's code takes it).
    fio_wait: Option<FioWaitWord>,
    /// Which client does what: that of the file, or that of the recorded thread (default file).
    clients_by: Option<DealWord>,
    /// Replay reads alone, or everything but reads (default: all). Skips and limits count what is left out too.
    only: Option<OnlyWord>,
    /// Longer gaps between requests are cut to this, in recorded time, such as 1s.
    gap_max: Option<String>,
    /// Addresses are folded into so much of each file or device, such as 1GiB; what would cross the end, ends there.
    fold: Option<String>,
    /// What it reads before it writes it is written once before the first phase, outside the results (default false). Takes the
    /// recording once through and two bits of memory for each 4 KiB that it touches.
    filled: Option<bool>,
    /// Begin after so many requests.
    skip_ops: Option<u64>,
    /// Begin after so much recorded time, such as 30s.
    skip_time: Option<String>,
    /// When the requests are due (default recorded).
    timing: Option<TimingWord>,
    /// Recorded times are multiplied by it: 0.5 replays twice as fast (default 1).
    #[schemars(range(min = 0.000_001, max = 1_000_000.0))]
    time_scale: Option<f64>,
    /// Through after so many requests.
    limit_ops: Option<u64>,
    /// Through after so much recorded time, such as 30s.
    limit_time: Option<String>,
    /// Through after so many bytes, such as 1GiB.
    limit_bytes: Option<String>,
    /// Give up at more malformed lines than this (default 100).
    malformed_max: Option<u64>,
}

#[derive(JsonSchema)]
#[schemars(rename = "TraceFormat", rename_all = "kebab-case")]
#[expect(dead_code, reason = "lends its shape to the schema")]
enum FormatWord {
    Delalloc,
    DelallocCsv,
    Blkparse,
    Blktrace,
    FioIolog,
    Msr,
    Alibaba,
    Tencent,
    Spc,
    Vscsi,
    Heimdall,
    Strace,
    Mobigen,
}

#[derive(JsonSchema)]
#[schemars(rename = "TraceEvents", rename_all = "snake_case")]
#[expect(dead_code, reason = "lends its shape to the schema")]
enum EventsWord {
    /// What was asked for (Q).
    Queue,
    /// What the device got (D).
    Issue,
}

#[derive(JsonSchema)]
#[schemars(rename = "FioWait", rename_all = "snake_case")]
#[expect(dead_code, reason = "lends its shape to the schema")]
enum FioWaitWord {
    /// Until so many milliseconds after the start: what fio's code does.
    AbsoluteMs,
    /// So many microseconds after the wait before it: what its manual says.
    RelativeUs,
}

#[derive(JsonSchema)]
#[schemars(rename = "TraceDeal", rename_all = "snake_case")]
#[expect(dead_code, reason = "lends its shape to the schema")]
enum DealWord {
    /// Requests of a file to one client, those of a device by megabyte.
    File,
    /// Requests of a recorded thread to one client.
    Thread,
}

#[derive(JsonSchema)]
#[schemars(rename = "TraceOnly", rename_all = "snake_case")]
#[expect(dead_code, reason = "lends its shape to the schema")]
enum OnlyWord {
    /// Reads, and nothing else.
    Reads,
    /// Everything but reads: syncs and whole-file operations too.
    Writes,
}

/// When the requests of a recording are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(rename = "TraceTiming", rename_all = "snake_case")]
pub(crate) enum TimingWord {
    /// At the recorded time, times `time_scale`: open loop.
    Recorded,
    /// One after the other without a rest.
    AsFastAsPossible,
    /// The recorded gap is a rest after each request: closed loop.
    ClosedLoop,
}

pub(super) fn read_trace(node: &Node, report: &mut Report) -> Option<TraceSpec> {
    let mut fields = Fields::open(node, "a trace", report)?;
    let path = fields
        .require("path", report)
        .and_then(|n| text(n, "a path", report));
    let format = fields
        .take("format")
        .and_then(|n| word(n, "form of a trace", &TraceFormat::ALL, report));
    let kinds = [("queue", TraceEvents::Queue), ("issue", TraceEvents::Issue)];
    let events = fields
        .take("events")
        .and_then(|n| word(n, "kind of events", &kinds, report));
    let waits = [
        ("absolute_ms", FioWait::AbsoluteMs),
        ("relative_us", FioWait::RelativeUs),
    ];
    let fio_wait = fields
        .take("fio_wait")
        .and_then(|n| word(n, "meaning of a wait", &waits, report));
    let deals = [("file", TraceDeal::File), ("thread", TraceDeal::Thread)];
    let deal = fields
        .take("clients_by")
        .and_then(|n| word(n, "way to deal out a trace", &deals, report));
    let kinds = [("reads", TraceOnly::Reads), ("writes", TraceOnly::Writes)];
    let only = fields
        .take("only")
        .and_then(|n| word(n, "kind of requests", &kinds, report));
    let gap_max_ns = fields
        .take("gap_max")
        .and_then(|n| quantity(n, "gap_max", units::parse_duration, report));
    let fold_range = FOLD_BYTES_MIN..=super::file::FILE_BYTES_MAX;
    let fold_bytes = fields
        .take("fold")
        .and_then(|n| size(n, "fold", fold_range, report));
    let filled = fields.take_keyed("filled").and_then(|(span, n)| {
        let value = flag(n, "filled", report)?;
        Some(At::new(value, span))
    });
    let timings = [
        ("recorded", TimingWord::Recorded),
        ("as_fast_as_possible", TimingWord::AsFastAsPossible),
        ("closed_loop", TimingWord::ClosedLoop),
    ];
    let timing = fields
        .take("timing")
        .and_then(|n| word(n, "timing of a trace", &timings, report));
    let time_scale = fields
        .take("time_scale")
        .and_then(|n| number(n, "time_scale", 0.000_001..=1_000_000.0, report));
    let skip_ops = fields
        .take("skip_ops")
        .and_then(|n| number(n, "skip_ops", 0..=u64::MAX, report));
    let skip_time = fields
        .take("skip_time")
        .and_then(|n| quantity(n, "skip_time", units::parse_duration, report));
    let limit_ops = fields
        .take("limit_ops")
        .and_then(|n| number(n, "limit_ops", 1..=u64::MAX, report));
    let limit_time = fields
        .take("limit_time")
        .and_then(|n| quantity(n, "limit_time", units::parse_duration, report));
    let limit_bytes = fields
        .take("limit_bytes")
        .and_then(|n| size(n, "limit_bytes", 1..=u64::MAX, report));
    let malformed_max = fields
        .take("malformed_max")
        .and_then(|n| number(n, "malformed_max", 0..=u64::MAX, report));
    fields.finish(report);
    Some(TraceSpec {
        path: path.map(|at| At::new(at.value.into(), at.span))?,
        events: events.as_ref().map(|at| at.span),
        fio_wait: fio_wait.as_ref().map(|at| at.span),
        reading: TraceReading {
            format: format.map(|at| at.value),
            events: events.map_or_else(TraceEvents::default, |at| at.value),
            fio_wait: fio_wait.map_or_else(FioWait::default, |at| at.value),
            malformed_max: malformed_max.map_or(100, |at| at.value),
        },
        deal: deal.map_or_else(TraceDeal::default, |at| at.value),
        only: only.map_or_else(TraceOnly::default, |at| at.value),
        gap_max_ns,
        fold_bytes: fold_bytes.map(|at| at.value),
        filled,
        skip_ops: skip_ops.map_or(0, |at| at.value),
        skip_time_ns: skip_time.map_or(0, |at| at.value),
        timing: timing.map_or(TimingWord::Recorded, |at| at.value),
        time_scale,
        limit_ops: limit_ops.map(|at| at.value),
        limit_time_ns: limit_time.map(|at| at.value),
        limit_bytes: limit_bytes.map(|at| at.value),
    })
}
