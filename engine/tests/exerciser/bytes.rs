//! Steps that change or read the bytes of a file.
//!
//! A change that is refused for want of room must have changed nothing: size and bytes around it are
//! compared at once. A write of several batches may have been taken up to one of them.

use delalloc_engine::{EngineError, File, FileRange};

use super::content::whose;
use super::model::ModelFile;
use super::ops::SLOTS;
use super::run::{Exerciser, Said, length, told};

/// Bytes promised under one promise of space.
const BATCH_BYTES: u64 = 2 << 20;

impl Exerciser {
    pub(super) fn write(&mut self, slot: usize, offset: u64) -> Said {
        let bytes = std::mem::take(&mut self.bytes);
        let said = self.write_bytes(slot, offset, &bytes);
        self.bytes = bytes;
        said
    }

    pub(super) fn write_bytes(&mut self, slot: usize, offset: u64, bytes: &[u8]) -> Said {
        let Some(file) = self.made(slot)? else {
            return Ok(());
        };
        if bytes.is_empty() {
            return told("a write of nothing", file.write_at(offset, bytes));
        }
        let taken = match file.write_at(offset, bytes) {
            Ok(()) => {
                self.took(slot, offset, bytes);
                true
            }
            Err(EngineError::NoSpace { .. }) if self.setup.fills => {
                self.refused()?;
                self.take_batches(slot, &file, offset, bytes)?;
                false
            }
            Err(error) => return Err(format!("a write: {error}")),
        };
        self.size_is(slot, &file)?;
        if taken {
            return Ok(());
        }
        let around_bytes = bytes.len() as u64 + 16_384;
        self.read(slot, offset.saturating_sub(8192), around_bytes)
    }

    fn took(&mut self, slot: usize, offset: u64, bytes: &[u8]) {
        self.counts.written_bytes += bytes.len() as u64;
        self.opened.written_bytes += bytes.len() as u64;
        self.model_mut(slot).write(length(offset), bytes);
    }

    /// A refused write may have been taken in part: whole batches from its front, where it has several.
    fn take_batches(&mut self, slot: usize, file: &File, offset: u64, bytes: &[u8]) -> Said {
        let whole = FileRange::new(offset, offset + bytes.len() as u64);
        if whole.to_pages().bytes() <= BATCH_BYTES {
            return Ok(());
        }
        let mut at = whole.start;
        loop {
            let next = (at / BATCH_BYTES + 1) * BATCH_BYTES;
            if next >= whole.end {
                return Ok(());
            }
            let part = &bytes[length(at - offset)..length(next - offset)];
            let mut now = vec![0; part.len()];
            let count = told("a read", file.read_at(at, &mut now))?;
            if count < now.len() || now != part {
                return Ok(());
            }
            let before = self.model_mut(slot);
            if before.bytes.get(length(at)..length(next)) == Some(part) {
                // It was so before: nothing tells whether it was written again.
                before.touch(length(at), length(next));
            } else {
                self.took(slot, at, part);
            }
            at = next;
        }
    }

    pub(super) fn model_mut(&mut self, slot: usize) -> &mut ModelFile {
        self.model.files[slot].as_mut().expect("the file is there")
    }

    pub(super) fn size_is(&self, slot: usize, file: &File) -> Said {
        let (found, expected) = (
            file.size_bytes(),
            self.model.get(slot).map_or(0, ModelFile::size),
        );
        if found == expected {
            Ok(())
        } else {
            Err(format!("the file has {found} bytes instead of {expected}"))
        }
    }

    pub(super) fn read(&mut self, slot: usize, offset: u64, len: u64) -> Said {
        let Some(file) = self.handle(slot)? else {
            return Ok(());
        };
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        found.resize(length(len), 0xee);
        let count = told("a read", file.read_at(offset, &mut found))?;
        self.counts.read_bytes += count as u64;
        self.opened.read_bytes += count as u64;
        let bytes = &self.model.files[slot]
            .as_ref()
            .expect("it has a handle")
            .bytes;
        let start = length(offset).min(bytes.len());
        let expected = &bytes[start..(start + length(len)).min(bytes.len())];
        let said = same(&found[..count], expected, offset);
        self.found = found;
        if let Err((at, _)) = &said {
            let id = self.model.id(slot).unwrap_or(0);
            self.place = Some((id, FileRange::new(*at, *at + 1)));
        }
        said.map_err(|(_, what)| what)
    }

    pub(super) fn truncate(&mut self, slot: usize, size: u64) -> Said {
        let Some(file) = self.made(slot)? else {
            return Ok(());
        };
        let grows = size > self.model_mut(slot).size();
        match file.truncate(size) {
            Ok(()) => self.model_mut(slot).truncate(length(size)),
            Err(EngineError::NoSpace { .. }) if self.setup.fills && grows => self.refused()?,
            Err(error) => return Err(format!("a truncation: {error}")),
        }
        self.size_is(slot, &file)
    }

    pub(super) fn punch(&mut self, slot: usize, range: FileRange) -> Said {
        let Some(file) = self.handle(slot)? else {
            return Ok(());
        };
        match file.punch_hole(range) {
            Ok(()) => self
                .model_mut(slot)
                .punch(length(range.start), length(range.end)),
            Err(EngineError::NoSpace { .. }) if self.setup.fills => {
                self.refused()?;
                self.read(slot, range.start, range.bytes())?;
            }
            Err(error) => return Err(format!("a punch: {error}")),
        }
        self.size_is(slot, &file)
    }

    pub(super) fn read_all(&mut self) -> Said {
        for slot in 0..SLOTS {
            if let Some(size) = self.model.get(slot).map(ModelFile::size) {
                self.read(slot, 0, size + 10)?;
            }
        }
        Ok(())
    }
}

/// Equal, or the first place in the file where they differ.
fn same(found: &[u8], expected: &[u8], offset: u64) -> Result<(), (u64, String)> {
    if found == expected {
        return Ok(());
    }
    if found.len() != expected.len() {
        let what = format!(
            "{} bytes were read instead of {}",
            found.len(),
            expected.len()
        );
        return Err((offset, what));
    }
    let differs = |at: &usize| found[*at] != expected[*at];
    let count = (0..found.len()).filter(differs).count();
    let at = (0..found.len()).find(differs).unwrap_or(0);
    let place = offset + at as u64;
    let what = format!(
        "byte {place} is {:#x} ({}) instead of {:#x} ({}); {count} bytes differ",
        found[at],
        whose(found, at),
        expected[at],
        whose(expected, at)
    );
    Err((place, what))
}
