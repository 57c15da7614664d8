//! `delalloc export`: copies the files of an image out, for tools that know nothing of volumes.
//!
//! The image is read through the engine, so every byte has passed its checksum. Names are data: a
//! file is called in the directory what its name is with everything but letters, digits, `.`, `_`
//! and `-` percent-encoded, so no name leaves the directory. Zeros become holes.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use delalloc_backends::{FileOpening, OsClock};
use delalloc_engine::compress::is_zero;
use delalloc_engine::{EngineConfig, File, Volume};
use delalloc_results::{ExitCode, Unit};

use super::open_image;
use crate::args::ExportArgs;
use crate::failure::{Failure, OrExit};

/// Copied at once; whole extents, so each is decoded once.
const CHUNK_LEN: usize = 1 << 20;

pub(super) fn export(args: &ExportArgs) -> Result<ExitCode, Failure> {
    let backend = open_image(&args.image, FileOpening::Existing).or_usage()?;
    fs::create_dir_all(&args.directory)
        .with_context(|| args.directory.display().to_string())
        .or_usage()?;
    let clock = Arc::new(OsClock::new());
    let volume = Volume::open(backend, clock, EngineConfig::default())
        .with_context(|| args.image.display().to_string())
        .or_usage()?;
    let mut bytes = 0;
    let files = volume.list().or_failed()?;
    for info in &files {
        let file = volume.open_file(&info.name).or_failed()?;
        let path = args.directory.join(file_name(&info.name));
        copy(&file, &path)
            .with_context(|| format!("{:?} to {}", info.name, path.display()))
            .or_failed()?;
        bytes += info.size_bytes;
    }
    println!(
        "{} files, {} to {}",
        files.len(),
        Unit::Bytes.format(bytes as f64),
        args.directory.display()
    );
    Ok(ExitCode::Good)
}

fn copy(from: &File, to: &Path) -> anyhow::Result<()> {
    let target = OpenOptions::new().write(true).create_new(true).open(to)?;
    let size_bytes = from.size_bytes();
    target.set_len(size_bytes)?;
    let mut chunk = vec![0; CHUNK_LEN];
    let mut offset = 0;
    while offset < size_bytes {
        let read = from.read_at(offset, &mut chunk)?;
        let part = &chunk[..read];
        if !is_zero(part) {
            target.write_all_at(part, offset)?;
        }
        offset += read as u64;
    }
    Ok(())
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
