//! Many reads at once, answered in the order asked.
//!
//! Not here: what the bytes are (walk, check).

use std::sync::mpsc;

use delalloc_backends::{AlignedBuf, Backend, Completion, Done, Request};

use crate::error::Result;

/// Reads each (offset, bytes) of `wanted` and waits for all of them. The caller bounds how many.
pub(super) fn read_many(backend: &dyn Backend, wanted: &[(u64, usize)]) -> Vec<Result<AlignedBuf>> {
    let (sender, receiver) = mpsc::channel::<(usize, Completion)>();
    let mut batch = Vec::with_capacity(wanted.len());
    for (at, &(offset, len_bytes)) in wanted.iter().enumerate() {
        let sender = sender.clone();
        let done: Done = Box::new(move |completion| {
            // The receiver stays until every sender has sent or is gone.
            let _ = sender.send((at, completion));
        });
        let buf = AlignedBuf::zeroed(len_bytes);
        batch.push((Request::Read { offset, buf }, done));
    }
    drop(sender);
    backend.submit_batch(batch);
    let mut answers: Vec<Option<Result<AlignedBuf>>> = wanted.iter().map(|_| None).collect();
    for (at, completion) in receiver {
        let buf = completion.buf.expect("a read gives its buffer back");
        answers[at] = Some(completion.result.map(|()| buf).map_err(Into::into));
    }
    answers
        .into_iter()
        .map(|answer| answer.expect("every request is answered once"))
        .collect()
}
