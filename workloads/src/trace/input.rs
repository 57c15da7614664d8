//! A file that may be packed, by lines or by bytes.
//!
//! Packing is told by the first bytes: zstd (one frame or many), gzip (one member or many), or none. Nothing is held
//! but one buffer and one line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

/// What is read from the file at a time.
const BUFFER_BYTES: usize = 256 << 10;
/// A longer line is no line of a recording: the rest of it is passed over.
pub(crate) const LINE_BYTES_MAX: u64 = 64 << 10;
/// So much is looked at before anything is taken.
const HEAD_BYTES: usize = 512;

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// A file, line by line or by so many bytes, in one buffer.
pub(crate) struct Input {
    source: Box<dyn Source>,
    /// The first bytes, unpacked.
    head: Vec<u8>,
    line: Vec<u8>,
    number: u64,
    /// The line goes on beyond what is held of it.
    is_cut: bool,
}

/// Where the bytes come from.
trait Source: BufRead + Send {
    /// Goes to `offset`; false where that cannot be done, which is what is unpacked on the way.
    fn seek_to(&mut self, offset: u64) -> io::Result<bool>;

    /// How long it is; none where that cannot be known.
    fn total_bytes(&mut self) -> io::Result<Option<u64>>;
}

impl<R: Read + Send> Source for BufReader<Once<R>> {
    fn seek_to(&mut self, _offset: u64) -> io::Result<bool> {
        Ok(false)
    }

    fn total_bytes(&mut self) -> io::Result<Option<u64>> {
        Ok(None)
    }
}

impl<R: Read + Seek + Send> Source for BufReader<Often<R>> {
    fn seek_to(&mut self, offset: u64) -> io::Result<bool> {
        self.seek(SeekFrom::Start(offset)).map(|_| true)
    }

    fn total_bytes(&mut self) -> io::Result<Option<u64>> {
        let here = self.stream_position()?;
        let end = self.seek(SeekFrom::End(0))?;
        self.seek(SeekFrom::Start(here))?;
        Ok(Some(end))
    }
}

/// Bytes that can be read once.
struct Once<R>(R);

/// Bytes that can be sought in.
struct Often<R>(R);

impl<R: Read> Read for Once<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<R: Read> Read for Often<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<R: Seek> Seek for Often<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

impl Input {
    /// Opens `path`.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        if file.metadata()?.is_file() {
            Self::seekable(file)
        } else {
            Self::over(file)
        }
    }

    /// What can be sought in.
    pub(crate) fn seekable(mut source: impl Read + Seek + Send + 'static) -> io::Result<Self> {
        let head = head_of(&mut source)?;
        source.rewind()?;
        if is_packed(&head) {
            return Self::over(source);
        }
        let source = BufReader::with_capacity(BUFFER_BYTES, Often(source));
        Ok(Self::of(Box::new(source), head))
    }

    /// What can be read once.
    pub(crate) fn over(mut source: impl Read + Send + 'static) -> io::Result<Self> {
        let head = head_of(&mut source)?;
        let is_zstd = head.starts_with(&ZSTD_MAGIC);
        let is_gzip = head.starts_with(&GZIP_MAGIC);
        let whole = Cursor::new(head).chain(source);
        if is_zstd {
            Self::once(zstd::stream::read::Decoder::new(whole)?)
        } else if is_gzip {
            Self::once(flate2::read::MultiGzDecoder::new(whole))
        } else {
            Self::once(whole)
        }
    }

    fn once(mut source: impl Read + Send + 'static) -> io::Result<Self> {
        let head = head_of(&mut source)?;
        let whole = Once(Cursor::new(head.clone()).chain(source));
        let source = BufReader::with_capacity(BUFFER_BYTES, whole);
        Ok(Self::of(Box::new(source), head))
    }

    fn of(source: Box<dyn Source>, head: Vec<u8>) -> Self {
        Self {
            source,
            head,
            line: Vec::new(),
            number: 0,
            is_cut: false,
        }
    }

    /// The first bytes of all, unpacked: a few hundred, or what there is.
    pub(crate) fn head(&self) -> &[u8] {
        &self.head
    }

    /// Goes to the next line; false at the end.
    pub(crate) fn advance(&mut self) -> io::Result<bool> {
        if std::mem::take(&mut self.is_cut) {
            self.source.skip_until(b'\n')?;
        }
        self.line.clear();
        let mut limited = Read::take(&mut self.source, LINE_BYTES_MAX);
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

    /// Fills `buffer`, which begins the next record; false where the file ends before it.
    pub(crate) fn record(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        let held = read_up_to(&mut self.source, buffer)?;
        if held == 0 && !buffer.is_empty() {
            return Ok(false);
        }
        if held < buffer.len() {
            return Err(cut_short());
        }
        self.number += 1;
        self.line.clear();
        self.line.extend_from_slice(&buffer[..buffer.len().min(48)]);
        Ok(true)
    }

    /// Fills `buffer` with what goes on in a record.
    pub(crate) fn rest(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let held = read_up_to(&mut self.source, buffer)?;
        if held < buffer.len() {
            return Err(cut_short());
        }
        Ok(())
    }

    /// Passes over `bytes`.
    pub(crate) fn skip(&mut self, mut bytes: u64) -> io::Result<()> {
        while bytes > 0 {
            let held = self.source.fill_buf()?.len();
            if held == 0 {
                return Err(cut_short());
            }
            let step = bytes.min(held as u64);
            self.source
                .consume(usize::try_from(step).expect("no more than is held"));
            bytes -= step;
        }
        Ok(())
    }

    /// Goes to `offset`; false where that cannot be done.
    pub(crate) fn seek_to(&mut self, offset: u64) -> io::Result<bool> {
        self.source.seek_to(offset)
    }

    /// How long the file is, where that can be known.
    pub(crate) fn total_bytes(&mut self) -> io::Result<Option<u64>> {
        self.source.total_bytes()
    }

    /// Is the line longer than any line of a recording, so that only its beginning is held?
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The line, if it is text.
    pub(crate) fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.line).ok()
    }

    /// The line as far as it can be shown; a record in hexadecimal digits.
    pub(crate) fn shown(&self, is_text: bool) -> String {
        if is_text {
            let shown = String::from_utf8_lossy(&self.line);
            return shown.chars().take(120).collect();
        }
        self.line.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The number of the line or record, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }
}

fn is_packed(head: &[u8]) -> bool {
    head.starts_with(&ZSTD_MAGIC) || head.starts_with(&GZIP_MAGIC)
}

fn cut_short() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the file ends within it")
}

fn head_of(source: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = vec![0; HEAD_BYTES];
    let held = read_up_to(source, &mut head)?;
    head.truncate(held);
    Ok(head)
}

/// Fills `buffer` as far as the source goes.
fn read_up_to(source: &mut (impl Read + ?Sized), buffer: &mut [u8]) -> io::Result<usize> {
    let mut held = 0;
    while held < buffer.len() {
        match source.read(&mut buffer[held..]) {
            Ok(0) => break,
            Ok(read) => held += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(held)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn lines(bytes: Vec<u8>) -> Vec<String> {
        let mut input = Input::seekable(Cursor::new(bytes)).unwrap();
        let mut lines = Vec::new();
        while input.advance().unwrap() {
            lines.push(input.text().unwrap().to_owned());
        }
        assert_eq!(input.number(), lines.len() as u64);
        lines
    }

    #[test]
    fn packing_is_told_by_the_first_bytes() {
        let text = b"one\ntwo\r\nthree";
        let zstd = zstd::bulk::compress(text, 1).unwrap();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text).unwrap();
        let gzip = gzip.finish().unwrap();
        let twice = [zstd.clone(), zstd.clone()].concat();
        for packed in [text.to_vec(), zstd, gzip] {
            assert_eq!(lines(packed), ["one", "two", "three"]);
        }
        assert_eq!(lines(twice), ["one", "two", "threeone", "two", "three"]);
    }

    #[test]
    fn records_are_whole_or_refused() {
        let mut input = Input::over(Cursor::new(vec![7; 10])).unwrap();
        let mut record = [0; 4];
        assert!(input.record(&mut record).unwrap());
        input.skip(2).unwrap();
        input.rest(&mut record).unwrap();
        assert!(!input.record(&mut record).unwrap());
        assert!(!input.seek_to(0).unwrap());
        let mut short = Input::over(Cursor::new(vec![7; 3])).unwrap();
        assert!(short.record(&mut record).is_err());
    }
}
