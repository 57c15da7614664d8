//! Lines of a file that may be compressed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// What is read from the file at a time.
const BUFFER_BYTES: usize = 256 << 10;
/// A longer line is no line of a recording: the rest of it is passed over.
pub(crate) const LINE_BYTES_MAX: u64 = 64 << 10;

/// A file, line by line, in one buffer.
pub(crate) struct Lines {
    input: Box<dyn BufRead + Send>,
    line: Vec<u8>,
    number: u64,
    /// The line goes on beyond what is held of it.
    is_cut: bool,
}

impl Lines {
    /// Opens `path`; one that ends in `.zst` is unpacked as it is read.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Self::over(
            File::open(path)?,
            path.extension().is_some_and(|e| e == "zst"),
        )
    }

    /// Lines of `source`, unpacked as they are read where it is packed.
    pub(crate) fn over(source: impl Read + Send + 'static, is_packed: bool) -> io::Result<Self> {
        let input: Box<dyn BufRead + Send> = if is_packed {
            let decoder = zstd::stream::read::Decoder::new(source)?;
            Box::new(BufReader::with_capacity(BUFFER_BYTES, decoder))
        } else {
            Box::new(BufReader::with_capacity(BUFFER_BYTES, source))
        };
        Ok(Self {
            input,
            line: Vec::new(),
            number: 0,
            is_cut: false,
        })
    }

    /// Goes to the next line; false at the end.
    pub(crate) fn advance(&mut self) -> io::Result<bool> {
        if std::mem::take(&mut self.is_cut) {
            self.input.skip_until(b'\n')?;
        }
        self.line.clear();
        let mut limited = Read::take(&mut self.input, LINE_BYTES_MAX);
        if limited.read_until(b'\n', &mut self.line)? == 0 {
            return Ok(false);
        }
        self.number += 1;
        self.is_cut = self.line.len() as u64 == LINE_BYTES_MAX && !self.line.ends_with(b"\n");
        while matches!(self.line.last(), Some(b'\n' | b'\r')) {
            self.line.pop();
        }
        Ok(true)
    }

    /// Is the line longer than any line of a recording, so that only its beginning is held?
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The line, if it is text.
    pub(crate) fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.line).ok()
    }

    /// The line as far as it can be shown.
    pub(crate) fn shown(&self) -> String {
        let shown = String::from_utf8_lossy(&self.line);
        shown.chars().take(120).collect()
    }

    /// Its number, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }
}
