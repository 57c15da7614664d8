//! What the bytes of a load cost its clients: making those of writes, and comparing those of reads where they are verified.
//!
//! By itself, on the operations that the clients really draw: no target, no clock but for this. As many clients as run at once do it
//! side by side, since they share the memory that content is copied through.
//!
//! Not here: remembering which version is where, which verification does as well (verify).

use std::sync::Arc;
use std::time::Instant;

use delalloc_workloads::{Content, Cursors, LoadPlan, Op, OpStream, StreamError};

use super::client::room;
use super::pacer::{Pacer, SleepSlack};

/// Of each client so many operations,
const OPS_MAX: usize = 4096;
/// or so many bytes,
const BYTES_MAX: u64 = 64 << 20;
/// or so long.
const NS_MAX: u64 = 100_000_000;

/// The bytes of a load.
#[derive(Debug, Clone, Copy)]
pub struct Bytes<'a> {
    /// Makes them.
    pub content: &'a Content,
    /// Compares what is read.
    pub verify: bool,
}

/// What they cost.
#[derive(Debug, Clone, Copy)]
pub struct BytesCost {
    /// Of an operation of any kind, on average.
    pub ns_per_op: f64,
    /// Bytes that one client makes or compares in a second of it.
    pub bytes_per_s: f64,
}

/// Measures `bytes` on the first `clients` clients of phase `index`; none where they move no bytes.
pub fn bytes_cost(
    load: &LoadPlan,
    index: usize,
    bytes: Bytes<'_>,
    clients: u32,
) -> Result<Option<BytesCost>, StreamError> {
    let mut streams = load.streams(index, &Arc::new(Cursors::new(load)))?;
    streams.truncate(clients as usize);
    let spent: Vec<Result<Spent, StreamError>> = std::thread::scope(|scope| {
        let clients: Vec<_> = streams
            .into_iter()
            .map(|stream| scope.spawn(move || spent_by(stream, bytes)))
            .collect();
        clients
            .into_iter()
            .map(|client| client.join().expect("making bytes does not panic"))
            .collect()
    });
    let mut all = Spent::default();
    for spent in spent {
        let spent = spent?;
        all.ops += spent.ops;
        all.bytes += spent.bytes;
        all.ns += spent.ns;
    }
    Ok((all.bytes > 0).then(|| BytesCost {
        ns_per_op: all.ns as f64 / all.ops as f64,
        // What takes no nanosecond takes less than one.
        bytes_per_s: all.bytes as f64 / all.ns.max(1) as f64 * 1e9,
    }))
}

/// What one client did.
#[derive(Debug, Default)]
struct Spent {
    ops: u64,
    bytes: u64,
    ns: u64,
}

fn spent_by(stream: OpStream, of: Bytes<'_>) -> Result<Spent, StreamError> {
    let pacer = Pacer::new(Instant::now(), SleepSlack::NONE);
    let mut buffer = Vec::new();
    let mut spent = Spent::default();
    for timed in stream.take(OPS_MAX) {
        spent.ops += 1;
        let op = timed?.op;
        let (file, offset, version) = match op {
            Op::Write {
                file,
                offset,
                version,
                ..
            } => (file, offset, version),
            // Any version costs as much.
            Op::Read { file, offset, .. } if of.verify => (file, offset, 1),
            _ => continue,
        };
        let bytes = op.payload_bytes();
        let part = room(&mut buffer, bytes);
        let is_read = matches!(op, Op::Read { .. });
        if is_read {
            of.content.fill(file, offset, version, part);
        }
        let begin_ns = pacer.now_ns();
        if is_read {
            let compared = of.content.verify(file, offset, version, part);
            assert!(compared.is_ok(), "what was just made is right");
        } else {
            of.content.fill(file, offset, version, part);
        }
        let end_ns = pacer.now_ns();
        spent.ns += end_ns.saturating_sub(begin_ns);
        spent.bytes += bytes;
        if spent.bytes >= BYTES_MAX || end_ns >= NS_MAX {
            break;
        }
    }
    Ok(spent)
}

#[cfg(test)]
mod tests {
    use delalloc_workloads::{Checks, load_str};

    use super::*;

    fn cost(job: &str, verify: bool) -> Option<BytesCost> {
        let text = format!(
            "version: 1\ntargets: {{ n: null }}\ncontent: random\nfiles: {{ t: {{ size: 64MiB, filled: true }} }}\nphases: [{{ name: p, duration: 60s, jobs: [{job}] }}]\n"
        );
        let plan = load_str(&text, "w", &[], Checks::none()).unwrap();
        let load = &plan.loads[0];
        let content = Content::build(load).unwrap();
        let bytes = Bytes {
            content: &content,
            verify,
        };
        // Filling the file comes first.
        bytes_cost(load, 1, bytes, 2).unwrap()
    }

    #[test]
    fn a_larger_write_costs_more_and_what_moves_no_bytes_nothing() {
        let small = cost("{ write: t, block: 4KiB, clients: 3 }", true).unwrap();
        let large = cost("{ write: t, block: 4MiB, clients: 3 }", true).unwrap();
        // 1024 times as many bytes.
        assert!(
            large.ns_per_op > 8.0 * small.ns_per_op,
            "{small:?} {large:?}"
        );
        assert!(cost("{ sync: t }", true).is_none());
    }

    #[test]
    fn a_read_is_compared_where_it_is_verified() {
        let read = "{ read: t, block: 64KiB, pattern: random }";
        assert!(cost(read, true).unwrap().ns_per_op > 0.0);
        assert!(cost(read, false).is_none());
    }

    #[test]
    fn what_moves_no_bytes_counts_as_an_operation_too() {
        let alone = cost("{ write: t, block: 1MiB }", true).unwrap();
        let synced = cost("{ write: t, block: 1MiB, fsync_every: 1 }", true).unwrap();
        // Half of the operations are syncs.
        let ratio = alone.ns_per_op / synced.ns_per_op;
        let per_byte = alone.bytes_per_s / synced.bytes_per_s;
        assert!(
            (ratio * per_byte / 2.0 - 1.0).abs() < 0.1,
            "{ratio} {per_byte}"
        );
    }
}
