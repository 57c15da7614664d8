//! Writes nodes: neighbours in one request, many requests at once, encoded on workers if there are any.
//!
//! Nodes come sorted by address. The tree places them downward in one stretch, so most of a commit is
//! a few long writes. An image is a copy of the node and its checksum; with workers each run of
//! neighbours is one job for them.
//!
//! Not here: which nodes, what comes after them (commit).

use std::fmt;
use std::sync::Arc;

use delalloc_backends::{AlignedBuf, Backend, BackendError, Durability, Request};
use parking_lot::{Condvar, Mutex};

use super::node::Node;
use super::node_store::NodeShape;
use crate::error::{EngineError, Result};

/// Bytes of one write.
const RUN_BYTES_MAX: u64 = 512 * 1024;
/// Writes in flight; their buffers are what a commit costs in memory besides the nodes.
const RUNS_IN_FLIGHT_MAX: usize = 32;

/// Threads that encode nodes for a commit; a pool of the volume.
pub trait NodeWorkers: Send + Sync + fmt::Debug {
    /// Runs `job` soon, on any thread.
    fn run(&self, job: Box<dyn FnOnce() + Send>);
}

/// Writes all nodes and waits until each is on the device (not flushed). Returns the bytes written.
pub(crate) fn write_nodes(
    backend: &Arc<dyn Backend>,
    shape: NodeShape,
    nodes: &[Arc<Node>],
    workers: Option<&dyn NodeWorkers>,
) -> Result<u64> {
    let slot_bytes = shape.slot_len() as u64;
    let request_bytes_max = u64::from(backend.geometry().request_bytes_max);
    let run_nodes_max = (RUN_BYTES_MAX.min(request_bytes_max) / slot_bytes).max(1);
    let writes = Arc::new(Writes::default());
    let mut rest = nodes;
    while !rest.is_empty() {
        let run_nodes = neighbours(rest, slot_bytes, run_nodes_max);
        let (run, after) = rest.split_at(run_nodes);
        rest = after;
        let in_flight = Writes::begin(&writes);
        let (backend, run) = (Arc::clone(backend), run.to_vec());
        let job = move || write_run(backend.as_ref(), shape, &run, in_flight);
        match workers {
            Some(workers) => workers.run(Box::new(job)),
            None => job(),
        }
    }
    writes.wait_all()?;
    Ok(nodes.len() as u64 * slot_bytes)
}

/// How many of the first nodes follow each other on the device.
fn neighbours(nodes: &[Arc<Node>], slot_bytes: u64, nodes_max: u64) -> usize {
    let first = nodes[0].pointer().address.0;
    (0..nodes_max)
        .zip(nodes)
        .take_while(|(n, node)| node.pointer().address.0 == first + n * slot_bytes)
        .count()
}

fn write_run(backend: &dyn Backend, shape: NodeShape, run: &[Arc<Node>], in_flight: InFlight) {
    let mut buf = AlignedBuf::zeroed(run.len() * shape.slot_len());
    for (node, image) in run.iter().zip(buf.chunks_exact_mut(shape.slot_len())) {
        node.image(shape.volume, image);
    }
    backend.submit(
        Request::Write {
            offset: run[0].pointer().address.0,
            buf,
            durability: Durability::Cached,
        },
        Box::new(move |completion| in_flight.end(completion.result)),
    );
}

#[derive(Debug, Default)]
struct Writes {
    state: Mutex<WritesState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct WritesState {
    in_flight: usize,
    error: Option<EngineError>,
}

/// One write that counts as in flight until it ends, or fails by being dropped.
#[derive(Debug)]
struct InFlight {
    writes: Arc<Writes>,
    ended: bool,
}

impl Writes {
    fn begin(this: &Arc<Self>) -> InFlight {
        let mut state = this.state.lock();
        while state.in_flight >= RUNS_IN_FLIGHT_MAX {
            this.changed.wait(&mut state);
        }
        state.in_flight += 1;
        drop(state);
        InFlight {
            writes: Arc::clone(this),
            ended: false,
        }
    }

    fn wait_all(&self) -> Result<()> {
        let mut state = self.state.lock();
        while state.in_flight > 0 {
            self.changed.wait(&mut state);
        }
        match state.error.take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

impl InFlight {
    fn end(mut self, result: std::result::Result<(), BackendError>) {
        self.ended = true;
        self.record(result.err().map(EngineError::from));
    }

    fn record(&self, error: Option<EngineError>) {
        let mut state = self.writes.state.lock();
        state.in_flight -= 1;
        if state.error.is_none() {
            state.error = error;
        }
        drop(state);
        self.writes.changed.notify_all();
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if !self.ended {
            let lost = "a write of tree nodes was dropped before it was done";
            self.record(Some(EngineError::ReadOnly(lost.into())));
        }
    }
}
