//! The jobs of a phase: rows of their own where there are several.
//!
//! A phase mixes what its jobs do: two that write share one row, and an open loop beside a closed one shares its
//! percentiles. Here they are apart. The rows of all jobs add up to those of the phase, so whoever sums takes either.
//!
//! A phase of one job has no rows here: its own are the job's, and only the name is kept.

use super::cell::{OpRecord, PhaseRecord};
use super::schedule::ScheduleRecord;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One of several jobs in one phase.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct JobRecord {
    /// Its name in the workload, unique in the phase.
    pub name: String,
    /// How many clients did it side by side.
    pub clients: u32,
    /// One row per kind of operation.
    pub ops: Vec<OpRecord>,
    /// How its schedule was kept, where its operations had a time to begin at: it was an open loop, or a recording in its
    /// own time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleRecord>,
}

/// What one job of a phase did, wherever the record keeps it.
#[derive(Clone, Copy, Debug)]
pub struct JobRows<'a> {
    /// One row per kind of operation.
    pub ops: &'a [OpRecord],
    /// How its schedule was kept.
    pub schedule: Option<&'a ScheduleRecord>,
}

impl PhaseRecord {
    /// What the job of this name did; none where there is no such job, or the record tells none apart.
    #[must_use]
    pub fn job(&self, name: &str) -> Option<JobRows<'_>> {
        if self.jobs.is_empty() {
            return (!name.is_empty() && self.only_job == name).then_some(JobRows {
                ops: &self.ops,
                schedule: self.schedule.as_ref(),
            });
        }
        let job = self.jobs.iter().find(|job| job.name == name)?;
        Some(JobRows {
            ops: &job.ops,
            schedule: job.schedule.as_ref(),
        })
    }

    /// What its jobs are called, as far as the record says.
    pub fn job_names(&self) -> impl Iterator<Item = &str> {
        let only = Some(&self.only_job).filter(|name| self.jobs.is_empty() && !name.is_empty());
        let names = self.jobs.iter().map(|job| &job.name).chain(only);
        names.map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_of_a_phase_are_those_of_its_only_job() {
        let op = OpRecord {
            op: "read".to_owned(),
            count: 3,
            ..OpRecord::default()
        };
        let mut phase = PhaseRecord {
            only_job: "reader".to_owned(),
            ops: vec![op.clone()],
            ..PhaseRecord::default()
        };
        assert_eq!(phase.job("reader").map(|job| job.ops), Some(&[op][..]));
        assert!(phase.job("writer").is_none());
        assert_eq!(phase.job_names().collect::<Vec<_>>(), ["reader"]);
        phase.only_job.clear();
        assert!(phase.job("").is_none() && phase.job_names().next().is_none());
    }

    #[test]
    fn a_phase_of_before_jobs_were_told_apart_reads() {
        let phase: PhaseRecord = serde_json::from_str(r#"{ "name": "load" }"#).expect("it reads");
        assert!(phase.jobs.is_empty() && phase.only_job.is_empty());
        let text = serde_json::to_string(&phase).expect("plain data");
        assert!(!text.contains("job"), "{text}");
    }
}
