//! From a recording of any form to one of our own.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::own::{OwnFile, TraceHeader, Units};
use super::reader::TraceReader;
use super::request::RequestKind;
use super::summary::TraceSummary;
use crate::plan::TraceReading;
use crate::stream::StreamError;

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Converted {
    /// Operations in it.
    pub operations: u64,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of the source, in hexadecimal digits.
    pub source_sha256: String,
}

/// Writes the recording of `summary` to `to`, in our own form: every request with its time, range, flags and thread, and what
/// its files are called. `made_by` says who does it.
///
/// # Errors
/// Where the recording cannot be read as it was for the summary, or the file cannot be written.
pub fn convert(
    summary: &TraceSummary,
    reading: &TraceReading,
    to: &Path,
    made_by: &str,
) -> Result<Converted, StreamError> {
    let fails = |path: &Path| {
        let path = path.to_owned();
        move |error: io::Error| StreamError::Trace {
            path: path.clone(),
            reason: error.to_string(),
        }
    };
    let source_sha256 = sha256(&summary.path).map_err(fails(&summary.path))?;
    let mut reader = TraceReader::open(&summary.path, reading, 0)?;
    reader.keep_names();
    let header = TraceHeader {
        source: summary
            .path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default(),
        source_format: Some(summary.format.name().to_owned()),
        source_sha256: Some(source_sha256.clone()),
        made_by: made_by.to_owned(),
        units: Units::default(),
        has_opens: reader.has_opens(),
        lost: summary.lost_counts(),
    };
    let fails = fails(to);
    let mut file = OwnFile::create(to, &header).map_err(&fails)?;
    while let Some(request) = reader.next()? {
        let writer = file.writer();
        for (place, name) in reader.take_names() {
            writer.name(place, &name).map_err(&fails)?;
        }
        writer.push(&request).map_err(&fails)?;
        if request.kind == RequestKind::Remove {
            reader.forget(request.place);
        }
    }
    let (operations, bytes) = file.finish().map_err(&fails)?;
    Ok(Converted {
        operations,
        bytes,
        source_sha256,
    })
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut sum = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => sum.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sum
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_the_known_one() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "abc").unwrap();
        assert_eq!(
            sha256(file.path()).unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
