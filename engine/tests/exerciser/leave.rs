//! Leaving a volume, looking at its image, and opening it again.

use delalloc_engine::EngineError;

use super::ops::{NAMES, Reopen, SLOTS};
use super::run::{Counts, Exerciser, Said, told};
use crate::support::open;

const LAST_NAME: &str = "after all others";

impl Exerciser {
    pub(super) fn reopen(&mut self, how: Reopen, held: bool, knobs: u64) -> Said {
        self.leave(how, held)?;
        let config = self.setup.config(knobs);
        self.zero_detect |= config.compression.how.zero_detect;
        self.volume = Some(open(self.image.backend(), &config));
        self.opened = Counts::default();
        self.counts.reopened += 1;
        self.list()?;
        self.read_all()
    }

    fn leave(&mut self, how: Reopen, held: bool) -> Said {
        if !held {
            self.let_orphans_go();
            self.handles = Default::default();
        }
        match how {
            Reopen::Close => {}
            Reopen::DropAfterSync => told("a volume sync", self.volume().sync())?,
            Reopen::DropAfterFileSyncs => self.sync_each()?,
        }
        let volume = self.volume.take().expect("the volume is open");
        if how == Reopen::Close {
            told("closing", volume.close())?;
        } else {
            drop(volume);
        }
        for file in self.handles.iter().flatten() {
            if !matches!(file.write_at(0, b"x"), Err(EngineError::Closed)) {
                return Err("a handle outlived its volume".to_owned());
            }
        }
        self.place = None;
        let said = match how {
            Reopen::DropAfterFileSyncs => self.image.check(),
            Reopen::Close | Reopen::DropAfterSync => {
                self.image.compare(&self.model, self.zero_detect)
            }
        };
        said.map_err(|what| format!("{how:?}: {what}"))?;
        self.let_orphans_go();
        self.handles = Default::default();
        Ok(())
    }

    fn let_orphans_go(&mut self) {
        for slot in NAMES.len()..SLOTS {
            self.handles[slot] = None;
            self.model.files[slot] = None;
        }
    }

    /// Syncs each file, and last one that was changed last: a sync makes durable what its file shows,
    /// and every change of names before the last change of that file.
    fn sync_each(&mut self) -> Said {
        let has_bytes = |slot: &usize| self.model.get(*slot).is_some_and(|file| file.size() > 0);
        let Some(last) = (0..NAMES.len()).find(has_bytes) else {
            return told("a volume sync", self.volume().sync());
        };
        let file = self.handle(last)?.ok_or("a file is gone")?;
        let again = self.model_mut(last).bytes[0];
        match file.write_at(0, &[again]) {
            Ok(()) => self.model_mut(last).touch(0, 1),
            Err(EngineError::NoSpace { .. }) if self.setup.fills => {
                self.refused()?;
                return told("a volume sync", self.volume().sync());
            }
            Err(error) => return Err(format!("a write: {error}")),
        }
        for slot in (0..SLOTS).filter(|slot| *slot != last) {
            if self.model.get(slot).is_some()
                && let Some(file) = self.handle(slot)?
            {
                told("a sync", file.sync())?;
            }
        }
        told("a sync", file.sync())
    }

    /// Everything once more, by the door; then nothing, and there is room again.
    pub(super) fn end(&mut self) -> Said {
        self.read_all()?;
        self.reopen(Reopen::Close, false, 0)?;
        for slot in 0..NAMES.len() {
            self.remove(slot, false)?;
        }
        self.leave(Reopen::DropAfterSync, false)?;
        let volume = open(self.image.backend(), &self.setup.config(0));
        let file = told("making a file", volume.create(LAST_NAME))?;
        told("a write", file.write_at(0, &vec![b'x'; 64 << 10]))?;
        told("closing", volume.close())
    }
}
