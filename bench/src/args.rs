//! What was typed.
//!
//! Only shapes are checked here; what the arguments mean, and whether that can be done, is the
//! business of `plan` and of the commands.

use std::path::PathBuf;
use std::sync::LazyLock;

use clap::{Parser, Subcommand};
use delalloc_results::{ExitCode, Objective};
use delalloc_workloads::plan::TraceFormat;

use crate::gate_args::GateArgs;

/// A workbench for compressed writeback: replay workloads, sweep knobs, gate regressions.
#[derive(Debug, Parser)]
#[command(name = "delalloc", version, after_help = EXIT_CODES.as_str(), max_term_width = 100)]
#[command(arg_required_else_help = true, propagate_version = true)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

static EXIT_CODES: LazyLock<String> = LazyLock::new(|| {
    let rows: Vec<String> = ExitCode::ALL
        .iter()
        .map(|code| format!("  {:>3}  {}", code.code(), code.meaning()))
        .collect();
    format!("Exit codes:\n{}", rows.join("\n"))
});

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Replay a workload; leaves result.json, events.ndjson, report.html, CSV and an HDR log
    #[command(after_help = EXIT_CODES.as_str())]
    Replay(ReplayArgs),
    /// Render report.html of results (or of the events.ndjson that a killed run left), or print their numbers
    Report(ReportArgs),
    /// Compare two results side by side, in the terminal or as a page
    Compare(CompareArgs),
    /// Compare a result with a committed baseline, or two builds with each other
    #[command(after_help = EXIT_CODES.as_str())]
    Gate(Box<GateArgs>),
    /// Look at a trace: what is in it, what cannot be replayed; --to converts it
    Import(ImportArgs),
    /// Check an image: every tree, checksum and reference
    #[command(after_help = EXIT_CODES.as_str())]
    Check(CheckArgs),
    /// Copy the files of an image into a directory
    Export(ExportArgs),
    /// List the knobs: name, default, range, meaning
    Params(ParamsArgs),
    /// Print the JSON Schema of workloads or of results
    Schema(SchemaArgs),
    /// What of this machine would disturb a measurement, and what it supports
    Doctor(DoctorArgs),
    /// List the workloads that come along, or print one
    Library(LibraryArgs),
}

/// Arguments of `replay`.
#[derive(Debug, Default, clap::Args)]
pub struct ReplayArgs {
    /// A workload file, or the name of one that comes along (see `delalloc library`)
    pub workload: String,
    /// Set a value of the workload or a knob, as if it stood in the file; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub sets: Vec<String>,
    /// Where results go [default: results/runs/NAME-TIMESTAMP]
    #[arg(long, short, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replay on these targets of the workload alone; may be repeated
    #[arg(long = "target", value_name = "NAME")]
    pub targets: Vec<String>,
    /// Print what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Everything random comes from here
    #[arg(long)]
    pub seed: Option<u64>,
    /// On one thread in virtual time: the same result for a seed, byte for byte, on any machine
    #[arg(long)]
    pub deterministic: bool,
    /// How often each point is replayed on each target
    #[arg(long)]
    pub rounds: Option<u32>,
    /// Write down every operation as a trace, which `trace:` replays; for one target and one round
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Print the outcome as JSON
    #[arg(long)]
    pub json: bool,
    /// End with 0 where nothing went wrong and it cannot be told whether all is well: an assertion that could not be evaluated,
    /// clients that were late, a phase that never became steady, nothing measured
    #[arg(long)]
    pub allow_inconclusive: bool,
}

/// Arguments of `report`.
#[derive(Debug, clap::Args)]
pub struct ReportArgs {
    /// Each a result.json, an events.ndjson, or a directory that holds one
    #[arg(required = true, value_name = "RESULT")]
    pub results: Vec<PathBuf>,
    /// Where to write it [default: report.html beside result.json, NAME.html beside NAME.json]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// What a recommended point of a sweep serves: `p99`, `p99 within 10%` (of the best rate), `rate`, `rate p99<=20ms`
    /// [default: the workload's objective, or p99]
    #[arg(long, value_name = "TEXT")]
    pub objective: Option<Objective>,
    /// Print this instead of writing a page
    #[arg(long, value_name = "FORMAT", conflicts_with = "output")]
    pub format: Option<Format>,
}

/// Text for other programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Tables for a comment or a CI summary
    Markdown,
    /// One row per number, units in the head or in a column
    Csv,
    /// Everything
    Json,
    /// The Go benchmark format, for benchstat
    GoBench,
}

/// Arguments of `compare`.
#[derive(Debug, clap::Args)]
pub struct CompareArgs {
    /// The reference: a result.json or a run's directory
    pub before: PathBuf,
    /// What is compared with it
    pub after: PathBuf,
    /// Every counter too, not operations and ratios alone
    #[arg(long)]
    pub all: bool,
    /// Write it as one offline page too
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Print this instead of columns
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Print it as JSON; short for --format json
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
}

fn formats() -> clap::builder::PossibleValuesParser {
    TraceFormat::ALL.map(|(name, _)| name).into()
}

/// Arguments of `import`.
#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    /// The trace; zstd and gzip are unpacked on the way
    pub trace: PathBuf,
    /// Its format, where its beginning does not tell
    #[arg(long, value_name = "NAME", value_parser = formats())]
    pub format: Option<String>,
    /// Which events of a block layer's trace are requests: what was asked for (Q), or what the device got (D) [default: queue]
    #[arg(long, value_name = "KIND", value_parser = ["queue", "issue"])]
    pub events: Option<String>,
    /// What a wait of a fio log of version 2 means: milliseconds from the start, as fio's code takes it, or microseconds from
    /// the wait before it, as its manual says [default: absolute_ms]
    #[arg(long, value_name = "MEANING", value_parser = ["absolute_ms", "relative_us"])]
    pub fio_wait: Option<String>,
    /// Convert it to this file, in delalloc's own packed and indexed form
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,
    /// Convert it to this file, in delalloc's own CSV
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Convert it though something of it is lost
    #[arg(long)]
    pub lossy: bool,
    /// Give up at more malformed lines than this
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    pub malformed_max: u64,
    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// An image file or a block device; it is only read
    pub image: PathBuf,
    /// List every file and every stored extent: address, codec, stored, plain, live and dead bytes
    #[arg(long)]
    pub extents: bool,
    /// Believe checksums, and do not decode what is compressed
    #[arg(long)]
    pub no_decode: bool,
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `export`.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// An image file or a block device
    pub image: PathBuf,
    /// Where the files go; it is made if it is not there, and no file in it is overwritten
    pub directory: PathBuf,
}

/// Arguments of `params`.
#[derive(Debug, clap::Args)]
pub struct ParamsArgs {
    /// Only knobs whose name contains this
    pub filter: Option<String>,
    /// Print them as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `schema`.
#[derive(Debug, clap::Args)]
pub struct SchemaArgs {
    /// Of what
    pub what: SchemaOf,
    /// Print the reference page of the workload language, made from its schema, instead
    #[arg(long)]
    pub markdown: bool,
}

/// What has a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum SchemaOf {
    /// Workload files
    Workload,
    /// result.json
    Result,
}

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub struct DoctorArgs {
    /// Where images would lie
    #[arg(default_value = ".")]
    pub directory: PathBuf,
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `library`.
#[derive(Debug, clap::Args)]
pub struct LibraryArgs {
    /// Print this one
    pub name: Option<String>,
    /// Print names and summaries as JSON
    #[arg(long)]
    pub json: bool,
}

impl Args {
    /// Whether stdout is read by a program.
    pub fn json(&self) -> bool {
        match &self.command {
            Command::Replay(args) => args.json,
            Command::Compare(args) => args.json || args.format == Some(Format::Json),
            Command::Gate(args) => args.json(),
            Command::Import(args) => args.json,
            Command::Check(args) => args.json,
            Command::Params(args) => args.json,
            Command::Doctor(args) => args.json,
            Command::Library(args) => args.json,
            Command::Report(args) => args.format == Some(Format::Json),
            Command::Export(_) | Command::Schema(_) => false,
        }
    }
}
