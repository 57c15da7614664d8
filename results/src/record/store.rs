//! A record as a file: written whole or not at all, read with its version checked.

use super::run::{RunRecord, SCHEMA_VERSION};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A record that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file itself.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Not a record, or a damaged one.
    #[error(
        "{path}:{line}:{column}: {message}; this is not a whole result.json (a killed run leaves \
         events.ndjson, which can be salvaged)",
        path = path.display()
    )]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Line from 1; 0 when the place is unknown.
        line: usize,
        /// Column from 1; 0 when the place is unknown.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// Written by a later version whose shape this one would misread.
    #[error(
        "{path}: schema_version {found}, this build reads up to {supported}; read it with the \
         version that wrote it or a later one",
        path = path.display()
    )]
    TooNew {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// The newest this build reads.
        supported: u32,
    },
}

impl RecordError {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn json(path: &Path, error: &serde_json::Error) -> Self {
        Self::Malformed {
            path: path.to_owned(),
            line: error.line(),
            column: error.column(),
            message: error.to_string(),
        }
    }
}

/// Reads a record from a file.
pub fn load(path: &Path) -> Result<RunRecord, RecordError> {
    let text = fs::read_to_string(path).map_err(|source| RecordError::io(path, source))?;
    parse(&text, path)
}

/// Reads a record from text; `path` is for messages only.
///
/// The version is looked at first, apart from the rest, so that a later record is refused for its
/// version and not for the first field that moved.
pub fn parse(text: &str, path: &Path) -> Result<RunRecord, RecordError> {
    #[derive(serde::Deserialize)]
    struct Version {
        schema_version: u64,
    }
    let version: Version =
        serde_json::from_str(text).map_err(|error| RecordError::json(path, &error))?;
    check_version(version.schema_version, path)?;
    serde_json::from_str(text).map_err(|error| RecordError::json(path, &error))
}

/// Refuses a version that this build does not know.
pub(crate) fn check_version(found: u64, path: &Path) -> Result<(), RecordError> {
    if found > u64::from(SCHEMA_VERSION) {
        return Err(RecordError::TooNew {
            path: path.to_owned(),
            found,
            supported: SCHEMA_VERSION,
        });
    }
    Ok(())
}

/// Writes a record beside its place and renames it in, so that a crash leaves the old or the new.
pub fn save(record: &RunRecord, path: &Path) -> Result<(), RecordError> {
    let text = serde_json::to_string_pretty(record).expect("a record has only string keys");
    write_whole(path, text.as_bytes()).map_err(|source| RecordError::io(path, source))
}

pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let mut file = fs::File::create(&partial)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&partial, path)
}

/// The JSON Schema (2020-12) of a record, as the committed `result.schema.json` holds it.
#[must_use]
pub fn result_schema() -> String {
    let schema = schemars::schema_for!(RunRecord);
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is plain JSON");
    text.push('\n');
    text
}
