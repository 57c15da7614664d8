//! What a job that replays a recording does: which file, how it is read, which part, when, and by whom.
//!
//! Not here: reading it (`trace`).

use std::path::PathBuf;

use serde::Serialize;

use super::work::is_false;
use crate::op::FileSlot;

/// A recording to replay.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TracePlan {
    /// The file, packed (zstd, gzip) or not.
    pub path: PathBuf,
    /// What it holds, as a digest; none where it was not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holds: Option<String>,
    /// What it comes to; none where it was not read through. It decides nothing of the replay.
    #[serde(skip)]
    pub measured: Option<TraceMeasure>,
    /// How it is read.
    #[serde(flatten)]
    pub reading: TraceReading,
    /// When.
    pub timing: TraceTiming,
    /// Which client does what.
    pub deal: TraceDeal,
    /// Which requests are replayed.
    #[serde(skip_serializing_if = "TraceOnly::is_all")]
    pub only: TraceOnly,
    /// Longer gaps between requests that are replayed are cut to this, in recorded time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap_max_ns: Option<u64>,
    /// Addresses are folded into so much of each file or device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fold_bytes: Option<u64>,
    /// What it reads before it writes it is written first, in a phase that does not count.
    #[serde(skip_serializing_if = "is_false")]
    pub filled: bool,
    /// Begins after so many requests.
    pub skip_ops: u64,
    /// Begins after so much recorded time.
    pub skip_time_ns: u64,
    /// Ends after so many requests.
    pub limit_ops: Option<u64>,
    /// Ends after so much recorded time.
    pub limit_time_ns: Option<u64>,
    /// Ends after so many bytes.
    pub limit_bytes: Option<u64>,
    /// The slot of the first file that the recording brings.
    pub first_slot: FileSlot,
    /// From there to the slot of the next: the traces of a plan take turns, so that slots have no gaps.
    pub slot_step: u32,
}

impl TracePlan {
    /// All of the recording at `path`, by one client at its recorded times, with slots from the first on.
    pub fn whole(path: PathBuf, reading: TraceReading) -> Self {
        Self {
            path,
            holds: None,
            measured: None,
            reading,
            timing: TraceTiming::Recorded { time_scale: 1.0 },
            deal: TraceDeal::File,
            only: TraceOnly::All,
            gap_max_ns: None,
            fold_bytes: None,
            filled: false,
            skip_ops: 0,
            skip_time_ns: 0,
            limit_ops: None,
            limit_time_ns: None,
            limit_bytes: None,
            first_slot: FileSlot(0),
            slot_step: 1,
        }
    }
}

/// What a recording comes to when it is replayed by one client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TraceMeasure {
    /// Bytes read and written.
    pub bytes: u64,
    /// When the last is due, or how long it rests in all; 0 where it does neither.
    pub duration_ns: u64,
    /// The most that one operation reads or writes.
    pub op_bytes_max: u64,
    /// Entries that remembering what was written takes at most.
    pub entries: u64,
    /// Files and devices that it addresses.
    pub files: u64,
}

/// How a recording is read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TraceReading {
    /// Its form; none to tell it by its beginning.
    pub format: Option<TraceFormat>,
    /// Which events of a block layer's recording are requests.
    pub events: TraceEvents,
    /// What a `wait` of a fio log of version 2 means.
    pub fio_wait: FioWait,
    /// Gives up at more malformed lines than this.
    pub malformed_max: u64,
}

/// Forms of recordings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TraceFormat {
    /// delalloc's own: packed, indexed, checksummed.
    Delalloc,
    /// Comma-separated with a header, in one of the three dialects.
    DelallocCsv,
    /// The default text of blkparse.
    Blkparse,
    /// The binary records of blktrace, in either byte order.
    Blktrace,
    /// The log of fio, version 2 or 3.
    FioIolog,
    /// MSR Cambridge and others at SNIA: comma-separated, FILETIME, host and disk.
    Msr,
    /// Alibaba's block traces.
    Alibaba,
    /// Tencent's block traces: whole seconds, sectors.
    Tencent,
    /// The SPC trace file format, as UMass publishes it.
    Spc,
    /// The binary records of CloudPhysics (vscsiStats), version 1 or 2.
    Vscsi,
    /// Five columns of text: milliseconds, device, offset, bytes, 1 for a read.
    Heimdall,
    /// The text of strace, with times.
    Strace,
    /// Mobibench's calls of an Android program.
    Mobigen,
}

impl TraceFormat {
    /// All of them, by the names that `format:` and `--format` take.
    pub const ALL: [(&'static str, Self); 13] = [
        ("delalloc", Self::Delalloc),
        ("delalloc-csv", Self::DelallocCsv),
        ("blkparse", Self::Blkparse),
        ("blktrace", Self::Blktrace),
        ("fio-iolog", Self::FioIolog),
        ("msr", Self::Msr),
        ("alibaba", Self::Alibaba),
        ("tencent", Self::Tencent),
        ("spc", Self::Spc),
        ("vscsi", Self::Vscsi),
        ("heimdall", Self::Heimdall),
        ("strace", Self::Strace),
        ("mobigen", Self::Mobigen),
    ];

    /// Its name there.
    pub fn name(self) -> &'static str {
        let known = Self::ALL.iter().find(|(_, format)| *format == self);
        known.expect("every form has a name").0
    }

    /// Does it tell what was asked for from what the device got?
    pub fn has_events(self) -> bool {
        matches!(self, Self::Blkparse | Self::Blktrace)
    }

    /// Does it have waits that two readers take for two things?
    pub fn has_waits(self) -> bool {
        matches!(self, Self::FioIolog)
    }

    /// What to call one unit of it in a message.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Delalloc => "operation",
            Self::Blktrace | Self::Vscsi => "record",
            _ => "line",
        }
    }
}

/// Which events of a block layer's recording are requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TraceEvents {
    /// `Q`: what was asked for, before the block layer merged and sorted it.
    #[default]
    Queue,
    /// `D`: what the device got.
    Issue,
}

/// What a `wait` of a fio log of version 2 means: its manual says one thing and its code does another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FioWait {
    /// Until so many milliseconds after the start of the job: what the code does.
    #[default]
    AbsoluteMs,
    /// So many microseconds after the wait before it: what the manual says.
    RelativeUs,
}

/// How the requests of a recording are dealt out to the clients of its job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TraceDeal {
    /// Those of a file to one client, those of a device by megabyte.
    #[default]
    File,
    /// Those of a thread of the recording to one client; threads take turns.
    Thread,
}

/// Which requests of a recording are replayed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TraceOnly {
    /// All of them.
    #[default]
    All,
    /// Reads, and nothing else.
    Reads,
    /// Everything but reads.
    Writes,
}

impl TraceOnly {
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the form that serde asks for"
    )]
    fn is_all(&self) -> bool {
        *self == Self::All
    }
}

/// When the requests of a recording are due.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TraceTiming {
    /// At the recorded time, times `time_scale`: open loop.
    Recorded {
        /// 0.5 is twice as fast.
        time_scale: f64,
    },
    /// One after the other without a rest.
    AsFastAsPossible,
    /// What the recorded program rested between two requests of a client, times `time_scale`, is a rest: closed loop. The
    /// rest is the gap between their starts, less how long the first took, where the recording says that.
    ClosedLoop {
        /// 0.5 is half the rest.
        time_scale: f64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_called_what_they_are_written_as() {
        for (name, format) in TraceFormat::ALL {
            assert_eq!(format.name(), name);
            assert_eq!(serde_json::to_value(format).unwrap(), name);
        }
    }
}
