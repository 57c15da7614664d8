//! The process that is killed: a thread per file, which says on stdout what was acknowledged.
//!
//! A line is `FILE STEP`: the `sync` that is step number STEP of that file was answered. A line is in
//! the pipe before the next step begins, and a pipe outlives its writer.

use std::io::Write;
use std::path::Path;
use std::thread;

use delalloc_engine::{EngineError, File, FileRange, Result, Volume};

use crate::image;
use crate::judge::known_files;
use crate::stream::{Known, Step, Stream};

/// Files, and threads.
pub(crate) const FILES: usize = 3;

/// Writes until it is killed. A file that is not there was last what `incarnations` says: names are not used again, and who
/// judges has to count as this does.
pub(crate) fn write(path: &Path, seed: u64, round: u64, incarnations: [u64; FILES]) {
    let backend = image::open(path);
    let volume = image::volume(&backend);
    let known = known_files(&volume);
    thread::scope(|scope| {
        for (file, mut known) in known.into_iter().enumerate() {
            if !known.there {
                known.incarnation = incarnations[file];
            }
            let volume = &volume;
            scope.spawn(move || {
                if let Err(error) = write_file(volume, file, known, seed, round) {
                    eprintln!("writer: file {file}: {error}");
                    std::process::exit(1);
                }
            });
        }
    });
}

fn write_file(volume: &Volume, file: usize, start: Known, seed: u64, round: u64) -> Result<()> {
    let stream = Stream::new(seed, round, file, &start);
    let mut known = start;
    let mut open: Option<File> = None;
    if known.there {
        open = Some(volume.open_file(&known.name(file))?);
    }
    for (number, step) in stream.enumerate() {
        let next = known.after(&step);
        let handle = || {
            open.as_ref()
                .ok_or_else(|| EngineError::NotFound(known.name(file)))
        };
        match &step {
            Step::Write { at, bytes } => handle()?.write_at(*at, bytes)?,
            Step::Truncate { size_bytes } => handle()?.truncate(*size_bytes)?,
            Step::Punch { start, end } => handle()?.punch_hole(FileRange::new(*start, *end))?,
            Step::Rename => volume.rename(&known.name(file), &next.name(file))?,
            Step::Remove => {
                volume.remove(&known.name(file))?;
                open = None;
            }
            Step::Create => open = Some(volume.create(&next.name(file))?),
            Step::Sync => {
                handle()?.sync()?;
                acknowledge(file, number);
            }
        }
        known = next;
    }
    Ok(())
}

fn acknowledge(file: usize, number: usize) {
    let line = format!("{file} {number}\n");
    let mut stdout = std::io::stdout().lock();
    let written = stdout
        .write_all(line.as_bytes())
        .and_then(|()| stdout.flush());
    written.expect("the pipe is read to its end");
}
