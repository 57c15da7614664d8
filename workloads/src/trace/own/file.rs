//! A file of our own that appears under its name when it is whole.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use super::layout::TraceHeader;
use super::writer::OwnWriter;

/// A file that is being written, beside its place.
pub(crate) struct OwnFile {
    writer: Option<OwnWriter<BufWriter<File>>>,
    part: PathBuf,
    path: PathBuf,
}

impl OwnFile {
    pub(crate) fn create(path: &Path, header: &TraceHeader) -> io::Result<Self> {
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let out = BufWriter::new(File::create(&part)?);
        Ok(Self {
            writer: Some(OwnWriter::new(out, header)?),
            part: part.into(),
            path: path.to_owned(),
        })
    }

    /// Takes requests and names.
    pub(crate) fn writer(&mut self) -> &mut OwnWriter<BufWriter<File>> {
        self.writer.as_mut().expect("there until it is finished")
    }

    /// Ends the file and gives it its name; how many operations it holds, and bytes.
    pub(crate) fn finish(mut self) -> io::Result<(u64, u64)> {
        let writer = self.writer.take().expect("finished once");
        let (out, ops) = writer.finish()?;
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        fs::rename(&self.part, &self.path)?;
        Ok((ops, file.metadata()?.len()))
    }
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        // What was not finished is of no use; a file that is gone already is no error.
        let _ = fs::remove_file(&self.part);
    }
}
