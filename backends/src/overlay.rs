//! Wrapper: whatever is written stays in memory, and the base is only read. For looking at an image through
//! an engine that replays, removes and commits while it opens, with the image left as it is.
//!
//! Memory: a block for each block written, until the wrapper is dropped. Nothing survives that, whatever was
//! flushed. Discards do nothing.
//!
//! A read goes to the base, and what was written lies over it when the base answers.
//!
//! Locks: `written` is a leaf. `open` is held shared while a request is answered here, exclusively by `close`.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::{AlignedBuf, Backend, BackendError, Completion, Done, Geometry, Request};

/// Keeps writes in memory, over a base that is only read.
#[derive(Debug)]
pub struct OverlayBackend {
    base: Arc<dyn Backend>,
    written: Arc<RwLock<Written>>,
    open: RwLock<bool>,
}

/// Blocks by their offset.
#[derive(Debug, Default)]
struct Written(BTreeMap<u64, Box<[u8]>>);

impl Written {
    fn lay_over(&self, offset: u64, buf: &mut AlignedBuf) {
        for (&at, block) in self.0.range(offset..offset + buf.len() as u64) {
            let index = usize::try_from(at - offset).expect("inside the buffer");
            buf[index..index + block.len()].copy_from_slice(block);
        }
    }
}

impl OverlayBackend {
    /// Nothing written yet, over `base`.
    pub fn new(base: Arc<dyn Backend>) -> Self {
        Self {
            base,
            written: Arc::default(),
            open: RwLock::new(true),
        }
    }

    /// Everything but a read: done here.
    fn keep(&self, request: &Request) -> Result<(), BackendError> {
        let geometry = self.base.geometry();
        geometry.check(request)?;
        if !*self.open.read() {
            return Err(BackendError::Closed);
        }
        if let Request::Write { offset, buf, .. } = request {
            let block_len = geometry.block_bytes as usize;
            let mut written = self.written.write();
            let blocks = buf.chunks_exact(block_len);
            for (at, block) in (*offset..).step_by(block_len).zip(blocks) {
                written.0.insert(at, block.into());
            }
        }
        Ok(())
    }
}

impl Backend for OverlayBackend {
    fn geometry(&self) -> Geometry {
        self.base.geometry()
    }

    fn submit(&self, request: Request, done: Done) {
        let Request::Read { offset, .. } = request else {
            let result = self.keep(&request);
            let buf = request.into_buf();
            return done(Completion { result, buf });
        };
        let written = Arc::clone(&self.written);
        let lay_over = move |mut completion: Completion| {
            if let (Ok(()), Some(buf)) = (&completion.result, &mut completion.buf) {
                written.read().lay_over(offset, buf);
            }
            done(completion);
        };
        self.base.submit(request, Box::new(lay_over));
    }

    fn execute(&self, request: Request) -> Completion {
        let Request::Read { offset, .. } = request else {
            let result = self.keep(&request);
            let buf = request.into_buf();
            return Completion { result, buf };
        };
        let mut completion = self.base.execute(request);
        if let (Ok(()), Some(buf)) = (&completion.result, &mut completion.buf) {
            self.written.read().lay_over(offset, buf);
        }
        completion
    }

    fn close(&self) -> Result<(), BackendError> {
        *self.open.write() = false;
        self.base.close()
    }

    fn describe(&self) -> String {
        format!("{}, only read", self.base.describe())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BackendExt, Durability, MemBackend};

    #[test]
    fn what_is_written_is_read_and_the_base_stays() {
        let base = MemBackend::with_block(64 << 10, 512);
        let (blank, own) = (base.image(), base.reopen());
        let overlay = OverlayBackend::new(Arc::new(base));
        let bytes = AlignedBuf::copy_of(&[7; 1024]);
        let written = overlay.write_blocking(512, bytes, Durability::Fua);
        written.expect("memory");
        overlay.flush_blocking().expect("nothing to do");
        let read = overlay.read_blocking(0, 4096).expect("memory");
        assert_eq!((read[511], read[512], read[1535], read[1536]), (0, 7, 7, 0));
        assert_eq!(own.image(), blank);
    }
}
