//! Real files as content.
//!
//! All files of a directory, in order of name, one after the other in memory; `.zst` ones unpacked. Files of 4 KiB and more are cut to whole
//! 4 KiB and come first, so that the pages of a database stay pages; the small ones follow, packed.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::ContentError;
use super::pool::{CELL_BYTES, Pool};
use crate::trace;

/// A corpus is held in memory: beyond this it was not meant.
const CORPUS_BYTES_MAX: u64 = 4 << 30;

/// The files of `directory`.
pub(super) fn pool(directory: &Path) -> Result<Pool, ContentError> {
    let mut large = Vec::new();
    let mut small = Vec::new();
    let mut total: u64 = 0;
    for path in files(directory)? {
        let bytes = read(&path, CORPUS_BYTES_MAX - total)?;
        total += bytes.len() as u64;
        if bytes.len() >= CELL_BYTES {
            let whole = bytes.len() / CELL_BYTES * CELL_BYTES;
            large.extend_from_slice(&bytes[..whole]);
        } else {
            small.extend_from_slice(&bytes);
        }
    }
    large.append(&mut small);
    large.truncate(large.len() / CELL_BYTES * CELL_BYTES);
    if large.is_empty() {
        return Err(fault(directory, "it holds less than 4 KiB"));
    }
    Ok(Pool::new(large, false))
}

/// What the files of `directory` hold, in order of name; none where they cannot be read.
pub(crate) fn digest(directory: &Path) -> Option<String> {
    let files = files(directory).ok()?;
    let digests: Vec<String> = files
        .iter()
        .map(|path| trace::digest(path).ok())
        .collect::<Option<_>>()?;
    let sum = xxh3_64(digests.join(" ").as_bytes());
    Some(format!("{sum:016x}"))
}

fn fault(path: &Path, reason: impl ToString) -> ContentError {
    ContentError::Corpus {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

/// The regular files, in order of name. Those that begin with a dot are not content.
fn files(directory: &Path) -> Result<Vec<PathBuf>, ContentError> {
    let entries = std::fs::read_dir(directory).map_err(|error| fault(directory, error))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| fault(directory, error))?.path();
        let is_hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.is_file() && !is_hidden {
            paths.push(path);
        }
    }
    paths.sort();
    if paths.is_empty() {
        return Err(fault(directory, "there are no files in it"));
    }
    Ok(paths)
}

fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, ContentError> {
    let file = File::open(path).map_err(|error| fault(path, error))?;
    let mut input: Box<dyn Read> = if path.extension().is_some_and(|e| e == "zst") {
        Box::new(zstd::stream::read::Decoder::new(file).map_err(|error| fault(path, error))?)
    } else {
        Box::new(file)
    };
    let mut bytes = Vec::new();
    let read = input.by_ref().take(bytes_max + 1).read_to_end(&mut bytes);
    read.map_err(|error| fault(path, error))?;
    if bytes.len() as u64 > bytes_max {
        return Err(fault(path, "the corpus is larger than 4 GiB in all"));
    }
    Ok(bytes)
}
