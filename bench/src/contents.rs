//! The contents of a run, made and measured before anything else.
//!
//! A ratio out of reach or a missing corpus is a fault of the workload: it ends the run before a target is opened. What each
//! content turned out to be goes into the record, beside what was asked for.

use std::sync::Arc;

use delalloc_results::record::{ContentRecord, WrittenRecord};
use delalloc_workloads::content::{Achieved, AsWritten};
use delalloc_workloads::{Content, ContentError, LoadPlan};

/// The content of each load, and what they are, each once. Loads that differ in what is done alone share one.
pub(crate) fn make(
    loads: &[Arc<LoadPlan>],
) -> Result<(Vec<Arc<Content>>, Vec<ContentRecord>), ContentError> {
    let mut contents: Vec<Arc<Content>> = Vec::with_capacity(loads.len());
    let mut measured = Vec::new();
    for (nth, load) in loads.iter().enumerate() {
        let is_alike = |other: &Arc<LoadPlan>| {
            (other.seed, &other.content, &other.files) == (load.seed, &load.content, &load.files)
        };
        if let Some(known) = loads[..nth].iter().position(is_alike) {
            contents.push(Arc::clone(&contents[known]));
            continue;
        }
        let content = Content::build(load)?;
        let alike = loads[nth..].iter().filter(|other| is_alike(other));
        let alike: Vec<&LoadPlan> = alike.map(|load| &**load).collect();
        for achieved in content.achieved(&alike) {
            let row = row(achieved);
            if !measured.contains(&row) {
                measured.push(row);
            }
        }
        contents.push(Arc::new(content));
    }
    Ok((contents, measured))
}

fn row(achieved: Achieved) -> ContentRecord {
    ContentRecord {
        describe: achieved.plan.to_string(),
        files: achieved.files,
        file_count: achieved.file_count,
        codec: achieved.codec.to_string(),
        ratio_asked: achieved.ratio_asked,
        ratio: achieved.ratio,
        written: achieved.written.into_iter().map(written).collect(),
        dedupe_asked: achieved.dedupe_asked,
        dedupe: achieved.dedupe,
    }
}

fn written(as_written: AsWritten) -> WrittenRecord {
    WrittenRecord {
        block_bytes: as_written.block_bytes,
        extent_bytes: as_written.extent_bytes,
        ratio: as_written.ratio,
    }
}
