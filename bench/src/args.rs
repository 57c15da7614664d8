//! What was typed.
//!
//! Only shapes are checked here; what the arguments mean, and whether that can be done, is the
//! business of `plan` and of the commands.

use std::path::PathBuf;
use std::sync::LazyLock;

use clap::{Parser, Subcommand};
use delalloc_results::ExitCode;

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
    /// Render report.html of a result (or of the events.ndjson that a killed run left)
    Report(ReportArgs),
    /// Compare two results, or the targets and points of one
    Compare(CompareArgs),
    /// Compare a result with a committed baseline, or two builds with each other
    #[command(after_help = EXIT_CODES.as_str())]
    Gate(GateArgs),
    /// Look at a trace: what is in it, what cannot be replayed; -o converts it
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
    /// How often each point is replayed on each target
    #[arg(long)]
    pub rounds: Option<u32>,
    /// Print the outcome as JSON
    #[arg(long)]
    pub json: bool,
    /// End with 0 where an assertion could not be evaluated
    #[arg(long)]
    pub allow_inconclusive: bool,
}

/// Arguments of `report`.
#[derive(Debug, clap::Args)]
pub struct ReportArgs {
    /// A result.json, an events.ndjson, or a directory that holds one
    pub result: PathBuf,
    /// Where to write it [default: report.html beside the result]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Arguments of `compare`.
#[derive(Debug, clap::Args)]
pub struct CompareArgs {
    /// The reference: a result.json or a run's directory
    pub before: PathBuf,
    /// What is compared with it
    pub after: PathBuf,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `import`.
#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    /// The trace; .zst is decompressed on the way
    pub trace: PathBuf,
    /// Its format, where its first lines do not tell [delalloc-csv, blkparse]
    #[arg(long, value_name = "NAME")]
    pub format: Option<String>,
    /// Convert it to this file, in delalloc's own CSV
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
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
            Command::Compare(args) => args.json,
            Command::Gate(args) => args.json(),
            Command::Import(args) => args.json,
            Command::Check(args) => args.json,
            Command::Params(args) => args.json,
            Command::Doctor(args) => args.json,
            Command::Library(args) => args.json,
            Command::Export(_) | Command::Report(_) | Command::Schema(_) => false,
        }
    }
}
