//! `delalloc export`: copies the files of an image out, for tools that know nothing of volumes.
//!
//! The image is read through the engine, so every byte has passed its checksum, and nothing is written to it:
//! what opening puts right stays in memory. Names are data: a file is called in the directory what its name is
//! with everything but letters, digits, `.`, `_` and `-` percent-encoded, so no name leaves the directory.
//! Zeros become holes.
//!
//! Damage ends neither a file nor the export: where bytes cannot be read the copy has a hole, and it is named
//! with what was wrong. The same goes for a file that cannot be made, also because it is there already.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use delalloc_backends::{FileOpening, OsClock, OverlayBackend};
use delalloc_engine::compress::is_zero;
use delalloc_engine::{EngineConfig, EngineError, File, Volume};
use delalloc_results::printable::lines;
use delalloc_results::{ExitCode, Unit};

use super::open_image;
use crate::args::ExportArgs;
use crate::failure::{Failure, OrExit};
use crate::out;

/// Copied at once; whole extents, so each is decoded once.
const CHUNK_LEN: usize = 1 << 20;
/// Tried by itself where a chunk cannot be read.
const PAGE_LEN: usize = 4096;

pub(super) fn export(args: &ExportArgs) -> Result<ExitCode, Failure> {
    let backend = open_image(&args.image, FileOpening::ReadOnly).or_usage()?;
    fs::create_dir_all(&args.directory)
        .with_context(|| args.directory.display().to_string())
        .or_usage()?;
    let clock = Arc::new(OsClock::new());
    let untouched = Arc::new(OverlayBackend::new(backend));
    let volume = Volume::open(untouched, clock, EngineConfig::default())
        .with_context(|| args.image.display().to_string())
        .or_usage()?;
    let mut done = Done::default();
    for left in volume.left_alone() {
        say(format!("file {} is damaged: {}", left.file.0, left.error));
    }
    for info in &volume.list().or_failed()? {
        let path = args.directory.join(file_name(&info.name));
        let copied = volume
            .open_file(&info.name)
            .map_err(anyhow::Error::from)
            .and_then(|file| copy(&file, &path));
        let what = format!("{:?} to {}", info.name, path.display());
        match copied {
            Ok(copied) => done.add(&what, &copied),
            Err(error) => {
                say(format!("{what}: {error:#}"));
                done.failed += 1;
            }
        }
    }
    out::print(format_args!(
        "{} files, {} to {}\n",
        done.files,
        Unit::Bytes.format(done.bytes as f64),
        args.directory.display()
    ))?;
    if done.damaged + done.failed == 0 {
        return Ok(ExitCode::Good);
    }
    out::print(format_args!(
        "{} of them damaged, where {} are holes now; {} files not copied\n",
        done.damaged,
        Unit::Bytes.format(done.lost_bytes as f64),
        done.failed
    ))?;
    Ok(ExitCode::Failed)
}

/// A line for whoever waits; names and errors are data.
fn say(what: String) {
    out::say(format_args!("delalloc: {}", lines(&what)));
}

/// Sums of an export.
#[derive(Debug, Default)]
struct Done {
    files: u64,
    bytes: u64,
    damaged: u64,
    lost_bytes: u64,
    failed: u64,
}

impl Done {
    fn add(&mut self, what: &str, copied: &Copied) {
        let lost_bytes = copied.lost.iter().map(|lost| lost.bytes).sum::<u64>();
        for Lost { at, bytes, error } in &copied.lost {
            say(format!(
                "{what}: {bytes} bytes at {at} are not copied: {error}"
            ));
        }
        self.files += 1;
        self.bytes += copied.size_bytes - lost_bytes;
        self.damaged += u64::from(!copied.lost.is_empty());
        self.lost_bytes += lost_bytes;
    }
}

/// A file that was copied.
#[derive(Debug)]
struct Copied {
    size_bytes: u64,
    /// What could not be read, neighbours together.
    lost: Vec<Lost>,
}

/// A part of a file that cannot be read, with the first reason.
#[derive(Debug)]
struct Lost {
    at: u64,
    bytes: u64,
    error: EngineError,
}

impl Copied {
    fn lose(&mut self, at: u64, bytes: u64, error: EngineError) {
        match self.lost.last_mut() {
            Some(last) if last.at + last.bytes == at => last.bytes += bytes,
            _ => self.lost.push(Lost { at, bytes, error }),
        }
    }
}

fn copy(from: &File, to: &Path) -> anyhow::Result<Copied> {
    let target = OpenOptions::new().write(true).create_new(true).open(to)?;
    let size_bytes = from.size_bytes();
    target.set_len(size_bytes)?;
    let mut copied = Copied {
        size_bytes,
        lost: Vec::new(),
    };
    let mut chunk = vec![0; CHUNK_LEN];
    for offset in (0..size_bytes).step_by(CHUNK_LEN) {
        if copy_part(from, &target, offset, &mut chunk)?.is_err() {
            let end = size_bytes.min(offset + CHUNK_LEN as u64);
            for page in (offset..end).step_by(PAGE_LEN) {
                let part = &mut chunk[..PAGE_LEN];
                if let Err(error) = copy_part(from, &target, page, part)? {
                    copied.lose(page, (end - page).min(PAGE_LEN as u64), error);
                }
            }
        }
    }
    Ok(copied)
}

/// Copies what fits `chunk`; the inner error is one of reading.
fn copy_part(
    from: &File,
    target: &fs::File,
    offset: u64,
    chunk: &mut [u8],
) -> anyhow::Result<Result<(), EngineError>> {
    let read = match from.read_at(offset, chunk) {
        Ok(read) => read,
        Err(error) => return Ok(Err(error)),
    };
    let part = &chunk[..read];
    if !is_zero(part) {
        target.write_all_at(part, offset)?;
    }
    Ok(Ok(()))
}

/// A name that is one component of a path, and different for different names.
fn file_name(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let dots_only = name.bytes().all(|byte| byte == b'.');
    name.bytes()
        .map(|byte| {
            if plain(byte) && !dots_only {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02x}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leaves_the_directory() {
        assert_eq!(file_name("table-1.sst"), "table-1.sst");
        assert_eq!(file_name("../etc/passwd"), "..%2fetc%2fpasswd");
        assert_eq!(file_name(".."), "%2e%2e");
        assert_ne!(file_name("a/b"), file_name("a%2fb"));
    }
}
