//! Steps that change or list the names of files, and those whose arguments have to be refused.

use delalloc_engine::{EngineError, FILE_BYTES_MAX};

use super::ops::NAMES;
use super::run::{Exerciser, Said, told};

impl Exerciser {
    pub(super) fn create(&mut self, slot: usize) -> Said {
        let exists = self.model.get(slot).is_some();
        match self.volume().create(NAMES[slot]) {
            Ok(file) if !exists => {
                self.handles[slot] = Some(file);
                self.model.create(slot);
                Ok(())
            }
            Err(EngineError::Exists(_)) if exists => Ok(()),
            Err(EngineError::NoSpace { .. }) if self.setup.fills && !exists => self.refused(),
            other => Err(format!("making a file, which {exists}: {other:?}")),
        }
    }

    pub(super) fn rename(&mut self, from: usize, to: usize) -> Said {
        let there = self.model.get(from).is_some();
        match self.volume().rename(NAMES[from], NAMES[to]) {
            Err(EngineError::NotFound(_)) if !there => Ok(()),
            Err(EngineError::NoSpace { .. }) if there && from != to && self.setup.fills => {
                self.refused()
            }
            Ok(()) if there => {
                if from != to {
                    self.set_aside(to);
                    self.model.files[to] = self.model.files[from].take();
                    self.handles[to] = self.handles[from].take();
                }
                Ok(())
            }
            other => Err(format!("a rename, {there}: {other:?}")),
        }
    }

    /// The file in `slot` has lost its name: it goes on where it is held.
    pub(super) fn set_aside(&mut self, slot: usize) {
        let (handle, file) = (self.handles[slot].take(), self.model.files[slot].take());
        if handle.is_none() {
            return;
        }
        let aside = if self.model.get(NAMES.len()).is_none() {
            NAMES.len()
        } else {
            NAMES.len() + 1
        };
        self.handles[aside] = handle;
        self.model.files[aside] = file;
    }

    pub(super) fn remove(&mut self, slot: usize, held: bool) -> Said {
        if !held {
            self.handles[slot] = None;
        } else if self.model.get(slot).is_some() {
            self.handle(slot)?;
        }
        let there = self.model.get(slot).is_some();
        match self.volume().remove(NAMES[slot]) {
            Err(EngineError::NotFound(_)) if !there => Ok(()),
            Ok(()) if there => {
                self.set_aside(slot);
                Ok(())
            }
            other => Err(format!("a removal, {there}: {other:?}")),
        }
    }

    pub(super) fn list(&self) -> Said {
        let found = told("a list", self.volume().list())?;
        let found: Vec<(&str, u64)> = found
            .iter()
            .map(|info| (info.name.as_str(), info.size_bytes))
            .collect();
        let expected = self.model.listing();
        if found == expected {
            Ok(())
        } else {
            Err(format!("files {found:?} instead of {expected:?}"))
        }
    }

    pub(super) fn misuse(&mut self, slot: usize) -> Said {
        let long = "x".repeat(256);
        for name in ["", &long] {
            if !matches!(self.volume().create(name), Err(EngineError::Invalid(_))) {
                return Err(format!("a file was made with {} bytes of name", name.len()));
            }
        }
        let Some(file) = self.handle(slot)? else {
            return Ok(());
        };
        let answers = [
            file.write_at(FILE_BYTES_MAX, b"x"),
            file.write_at(u64::MAX, b"x"),
            file.truncate(FILE_BYTES_MAX + 1),
            self.volume().create(NAMES[slot]).map(drop),
        ];
        let [
            Err(EngineError::Invalid(_)),
            Err(EngineError::Invalid(_)),
            Err(EngineError::Invalid(_)),
            Err(EngineError::Exists(_)),
        ] = answers
        else {
            return Err(format!("misuse was answered with {answers:?}"));
        };
        if !matches!(file.read_at(FILE_BYTES_MAX - 1, &mut [0; 9]), Ok(0)) {
            return Err("bytes were read at the end of all files".to_owned());
        }
        self.size_is(slot, &file)
    }
}
