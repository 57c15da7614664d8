//! The HDR interval log of a record: one line per cell, phase and operation, tagged.
//!
//! Where a phase has several jobs, a line for each of them follows, whose tag has the job between phase and operation:
//! whoever merges takes the tags without one, or those with one.
//!
//! Every HDR tool reads it. Times are relative to the run's beginning and cells are laid end to end
//! in the order they ran, which is how they ran but for the pauses between. The maximum column is
//! in milliseconds, as the format's readers expect.

use crate::hist::HistError;
use crate::record::{RunRecord, point_label};
use crate::stats::sum;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use std::time::Duration;

const NS_PER_MS: f64 = 1e6;

/// The whole log as text.
pub fn hdr_log(record: &RunRecord) -> Result<String, HistError> {
    let mut text = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut builder = IntervalLogWriterBuilder::new();
    builder
        .add_comment(&one_line(&format!("delalloc {}", record.workload.name)))
        .add_comment("response times in ns, from when each operation was due")
        .with_max_value_divisor(NS_PER_MS);
    let mut log = builder
        .begin_log_with(&mut text, &mut serializer)
        .expect("writing to memory does not fail");
    let mut cell_start_ns = 0;
    for cell in &record.cells {
        let mut cell_end_ns = cell_start_ns;
        for phase in &cell.phases {
            let start = Duration::from_nanos(sum([cell_start_ns, phase.start_ns]));
            cell_end_ns = cell_end_ns.max(sum([cell_start_ns, phase.start_ns, phase.wall_ns]));
            let of_phase = phase.ops.iter().map(|op| (op.op.clone(), op));
            let of_jobs = phase.jobs.iter().flat_map(|job| {
                let ops = job.ops.iter();
                ops.map(|op| (format!("{}/{}", job.name, op.op), op))
            });
            for (what, op) in of_phase.chain(of_jobs) {
                let hist = op.response.hist()?;
                if hist.is_empty() {
                    continue;
                }
                let name = format!(
                    "{}/{}/{}/{}/{what}",
                    cell.target,
                    point_label(&cell.point),
                    cell.round,
                    phase.name,
                );
                let tag = tag_text(&name);
                log.write_histogram(
                    hist.inner(),
                    start,
                    Duration::from_nanos(phase.wall_ns),
                    Tag::new(&tag),
                )
                .expect("writing to memory does not fail");
            }
        }
        cell_start_ns = cell_end_ns;
    }
    drop(log);
    Ok(String::from_utf8(text).expect("the log is ASCII but for tags, which are UTF-8"))
}

/// A tag may hold no comma, space or line break.
fn tag_text(name: &str) -> String {
    name.chars()
        .map(|c| match c {
            ',' => ';',
            c if c.is_whitespace() || c.is_control() => '_',
            c => c,
        })
        .collect()
}

fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
