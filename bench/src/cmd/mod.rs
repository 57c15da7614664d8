//! One file per command. A command returns the exit code, or the failure that has one.

mod check;
mod compare;
mod doctor;
mod export;
mod gate;
mod import;
mod library;
mod params;
mod replay;
mod report;
mod schema;
mod times;

use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use delalloc_backends::{Backend, BlockOptions, FileCaching, FileOpening, FileOptions};
use delalloc_engine::meta::signatures;
use delalloc_results::{ExitCode, RunRecord, load, salvage};

use crate::args::{Args, Command};
use crate::failure::{Failure, OrExit};

/// Carries out what was typed.
pub fn dispatch(args: Args) -> Result<ExitCode, Failure> {
    match args.command {
        Command::Replay(args) => replay::replay(&args),
        Command::Report(args) => report::report(&args),
        Command::Compare(args) => compare::compare(&args),
        Command::Gate(args) => gate::gate(&args),
        Command::Import(args) => import::import(&args),
        Command::Check(args) => check::check(&args),
        Command::Export(args) => export::export(&args),
        Command::Params(args) => params::params(&args),
        Command::Schema(args) => schema::schema(&args),
        Command::Doctor(args) => doctor::doctor(&args),
        Command::Library(args) => library::library(&args),
    }
}

/// The record a path means: a result.json, an events.ndjson, or a directory that holds one of them.
fn find_record(path: &Path) -> Result<(RunRecord, PathBuf), Failure> {
    let file = if path.is_dir() {
        let whole = path.join("result.json");
        if whole.exists() {
            whole
        } else {
            path.join("events.ndjson")
        }
    } else {
        path.to_owned()
    };
    let record = if file.extension().is_some_and(|ending| ending == "ndjson") {
        salvage(&file).or_usage()?.record
    } else {
        load(&file).or_usage()?
    };
    Ok((record, file))
}

/// An image to read, through the page cache: it is read once, and may be on any filesystem.
fn open_image(image: &Path, opening: FileOpening) -> anyhow::Result<Arc<dyn Backend>> {
    let metadata = std::fs::metadata(image).with_context(|| image.display().to_string())?;
    if metadata.file_type().is_block_device() {
        let options = BlockOptions {
            ours: signatures().to_vec(),
            ..BlockOptions::new(image)
        };
        return Ok(Arc::new(options.open()?));
    }
    let options = FileOptions {
        opening,
        caching: FileCaching::Buffered,
        ..FileOptions::existing(image)
    };
    Ok(Arc::new(options.open()?))
}
