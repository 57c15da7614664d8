//! What makes two runs unlike: workload, code, machine, targets, knobs; and what of it is worth a caution.

use crate::metric::Unit;
use crate::record::{RunRecord, RunStatus, Target};
use serde::Serialize;
use std::collections::BTreeMap;

/// One property in which the runs are unlike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unlike {
    /// Which: `kernel`, `knob engine.thread_pool_size`, ...
    pub what: String,
    /// In the first run.
    pub before: String,
    /// In the second run.
    pub after: String,
}

pub(super) fn cautions(before: &RunRecord, after: &RunRecord) -> Vec<String> {
    let mut cautions = Vec::new();
    if before.workload.hash != after.workload.hash {
        cautions.push(format!(
            "different workloads: {} and {}; no number of the one says anything of the other unless you know why",
            before.workload.name, after.workload.name
        ));
    }
    if before.machine.cpu_model != after.machine.cpu_model
        || before.machine.logical_cores != after.machine.logical_cores
    {
        cautions.push("different machines: only counted numbers can be compared".to_owned());
    }
    if before.machine.build != after.machine.build {
        cautions.push(format!(
            "different builds: {:?} and {:?}",
            before.machine.build, after.machine.build
        ));
    }
    for (name, record) in [("first", before), ("second", after)] {
        if record.status != RunStatus::Complete {
            cautions.push(format!(
                "the {name} run is {}: {}",
                record.status.word(),
                record.status.reason()
            ));
        }
        let (_, wrong) = record.verified();
        if wrong > 0 {
            cautions.push(format!(
                "the {name} run read {wrong} blocks back wrong: none of its timings counts"
            ));
        }
    }
    cautions
}

pub(super) fn unlike(before: &RunRecord, after: &RunRecord) -> Vec<Unlike> {
    let mut found = Vec::new();
    let mut look = |what: String, before: String, after: String| {
        if before != after {
            found.push(Unlike {
                what,
                before,
                after,
            });
        }
    };
    let facts = |record: &RunRecord| {
        let (tool, machine) = (&record.tool, &record.machine);
        [
            ("workload", record.workload.name.clone()),
            ("workload hash", record.workload.hash.clone()),
            ("seed", record.workload.seed.to_string()),
            ("version", tool.version.clone()),
            ("revision", tool.revision.clone()),
            ("build", machine.build.clone()),
            ("processor", machine.cpu_model.clone()),
            ("cores", machine.logical_cores.to_string()),
            ("memory", Unit::Bytes.format(machine.memory_bytes as f64)),
            ("kernel", machine.kernel.clone()),
            ("filesystem", machine.filesystem.clone()),
            ("device", machine.device.clone()),
        ]
    };
    for ((what, left), (_, right)) in facts(before).into_iter().zip(facts(after)) {
        look(what.to_owned(), left, right);
    }
    let absent = || "not there".to_owned();
    let other =
        |record: &RunRecord, name: &str| record.targets.iter().find(|t| t.name == name).cloned();
    for target in &before.targets {
        let Some(twin) = other(after, &target.name) else {
            look(
                format!("target {}", target.name),
                target.kind.clone(),
                absent(),
            );
            continue;
        };
        let name = format!("target {}", target.name);
        look(name, target.describe.clone(), twin.describe.clone());
        let (left, right) = (knobs(target), knobs(&twin));
        for (knob, value) in &left {
            let twin = right.get(knob).cloned().unwrap_or_else(absent);
            look(format!("knob {}.{knob}", target.name), value.clone(), twin);
        }
        for (knob, value) in right.iter().filter(|(knob, _)| !left.contains_key(*knob)) {
            look(
                format!("knob {}.{knob}", target.name),
                absent(),
                value.clone(),
            );
        }
    }
    for target in &after.targets {
        if other(before, &target.name).is_none() {
            look(
                format!("target {}", target.name),
                absent(),
                target.kind.clone(),
            );
        }
    }
    found
}

fn knobs(target: &Target) -> BTreeMap<&str, String> {
    target
        .knobs
        .iter()
        .map(|knob| (knob.name.as_str(), knob.value.to_string()))
        .collect()
}
