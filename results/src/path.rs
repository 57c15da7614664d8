//! What a path names in one cell.
//!
//! ```text
//!   serve                 a phase: all operations of all jobs
//!   serve.read            one kind of operation, of all jobs
//!   serve.reader          all operations of one job
//!   serve.reader.read     one kind of operation of one job
//! ```
//!
//! A workload gives no name a dot. Names from elsewhere may have one, and then the longest phase wins, and after it the
//! longest job. A kind of operation wins over a job that is called like it: `serve.read` is what all jobs read, and of a job
//! called `read` there is `serve.read.read`.
//!
//! Not here: the number that is asked for (`query`).

use crate::query::not_found;
use crate::record::{Cell, OpRecord, PhaseRecord, PhaseRole, ScheduleRecord};

/// The kinds of operation, as records call them.
pub const OPERATIONS: [&str; 11] = [
    "read",
    "write",
    "sync",
    "volume_sync",
    "truncate",
    "punch_hole",
    "create",
    "open",
    "remove",
    "rename",
    "fdatasync",
];

/// Phases of one name, perhaps one job of them, perhaps one kind of operation.
pub(crate) struct Named<'a> {
    pub(crate) phases: Vec<&'a PhaseRecord>,
    job: Option<&'a str>,
    op: Option<&'a str>,
}

impl<'a> Named<'a> {
    /// What `path` names. A phase that warms up is none.
    pub(crate) fn of(cell: &'a Cell, path: &'a str) -> Result<Self, String> {
        let found = splits(path).find_map(|(phase, rest)| {
            let phases: Vec<&PhaseRecord> = cell.phases_named(phase).collect();
            (!phases.is_empty()).then_some((phases, rest))
        });
        let Some((phases, rest)) = found else {
            let phase = path.split_once('.').map_or(path, |(phase, _)| phase);
            let known = cell
                .phases
                .iter()
                .filter(|phase| phase.role != PhaseRole::WarmUp)
                .map(|phase| phase.name.as_str());
            return Err(not_found("phase", phase, known));
        };
        let (job, op) = rest.map_or(Ok((None, None)), |rest| within(&phases, rest))?;
        Ok(Self { phases, job, op })
    }

    /// The rows it names, of one kind of operation or of all.
    pub(crate) fn ops(&self) -> Result<Vec<&'a OpRecord>, String> {
        let all = |phase: &'a PhaseRecord| match self.job {
            None => &phase.ops[..],
            Some(job) => phase.job(job).map_or(&[][..], |job| job.ops),
        };
        let rows = || self.phases.iter().flat_map(|phase| all(phase));
        let Some(op) = self.op else {
            return Ok(rows().collect());
        };
        let ops: Vec<&OpRecord> = rows().filter(|row| row.op == op).collect();
        if ops.is_empty() {
            let known = rows().map(|row| row.op.as_str());
            return Err(match self.job {
                None if !OPERATIONS.contains(&op) => {
                    not_found("operation or job", op, known.chain(jobs(&self.phases)))
                }
                _ => not_found("operation", op, known),
            });
        }
        Ok(ops)
    }

    /// How the schedules behind it were kept, each with the time of its phase and whose it is.
    pub(crate) fn schedules(&self) -> impl Iterator<Item = (String, u64, &'a ScheduleRecord)> {
        self.phases.iter().filter_map(|phase| {
            let (whose, schedule) = match self.job {
                None => (phase.name.clone(), phase.schedule.as_ref()),
                Some(job) => (
                    format!("{}.{job}", phase.name),
                    phase.job(job).and_then(|job| job.schedule),
                ),
            };
            Some((whose, phase.wall_ns, schedule?))
        })
    }
}

/// The job and the kind of operation that `rest` names, behind the phases.
fn within<'a>(
    phases: &[&'a PhaseRecord],
    rest: &'a str,
) -> Result<(Option<&'a str>, Option<&'a str>), String> {
    let is_job = |name: &str| phases.iter().any(|phase| phase.job(name).is_some());
    if OPERATIONS.contains(&rest) {
        return Ok((None, Some(rest)));
    }
    if is_job(rest) {
        return Ok((Some(rest), None));
    }
    match rest.rsplit_once('.') {
        // A kind of operation of a later version, or nothing.
        None => Ok((None, Some(rest))),
        Some((job, op)) if is_job(job) => Ok((Some(job), Some(op))),
        Some((job, _)) => Err(not_found("job", job, jobs(phases))),
    }
}

fn jobs<'a>(phases: &[&'a PhaseRecord]) -> impl Iterator<Item = &'a str> {
    phases.iter().flat_map(|phase| phase.job_names())
}

/// The whole path, then what stands before each of its dots, the last one first, with what stands behind.
fn splits(path: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let parts = path.rmatch_indices('.');
    let parts = parts.map(|(at, dot)| (&path[..at], Some(&path[at + dot.len()..])));
    std::iter::once((path, None)).chain(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hist::LatencyHist;
    use crate::record::JobRecord;

    fn op(name: &str, count: u64) -> OpRecord {
        let mut hist = LatencyHist::new();
        hist.record_n(1000, count);
        OpRecord::new(name, 0, 0, &hist, &hist)
    }

    fn job(name: &str, ops: Vec<OpRecord>) -> JobRecord {
        JobRecord {
            name: name.to_owned(),
            clients: 1,
            ops,
            schedule: None,
        }
    }

    /// `serve` reads in jobs `a` and `read`, and `a` writes; `once` has one job.
    fn cell() -> Cell {
        let serve = PhaseRecord {
            name: "serve".to_owned(),
            ops: vec![op("read", 30), op("write", 4)],
            jobs: vec![
                job("a", vec![op("read", 10), op("write", 4)]),
                job("read", vec![op("read", 20)]),
                job("idle", Vec::new()),
            ],
            ..PhaseRecord::default()
        };
        let once = PhaseRecord {
            name: "once".to_owned(),
            ops: vec![op("sync", 1)],
            only_job: "syncer".to_owned(),
            ..PhaseRecord::default()
        };
        Cell {
            phases: vec![serve, once],
            ..Cell::default()
        }
    }

    fn counts(cell: &Cell, path: &str) -> Result<Vec<u64>, String> {
        let ops = Named::of(cell, path)?.ops()?;
        Ok(ops.iter().map(|op| op.count).collect())
    }

    #[test]
    fn a_kind_of_operation_wins_over_a_job_that_is_called_like_it() {
        let cell = cell();
        for (path, wanted) in [
            ("serve", vec![30, 4]),
            ("serve.read", vec![30]),
            ("serve.a", vec![10, 4]),
            ("serve.a.write", vec![4]),
            ("serve.read.read", vec![20]),
            ("serve.idle", vec![]),
            ("once.syncer", vec![1]),
            ("once.syncer.sync", vec![1]),
            ("once.sync", vec![1]),
        ] {
            assert_eq!(counts(&cell, path), Ok(wanted), "{path}");
        }
    }

    #[test]
    fn of_names_with_dots_the_longest_wins() {
        let mut cell = cell();
        cell.phases[1].name = "serve.a".to_owned();
        assert_eq!(counts(&cell, "serve.a"), Ok(vec![1]), "the phase");
        assert_eq!(counts(&cell, "serve.a.sync"), Ok(vec![1]));
        assert_eq!(counts(&cell, "serve.read.read"), Ok(vec![20]));
        cell.phases[0].jobs[1].name = "a.read".to_owned();
        cell.phases[1].name = "once".to_owned();
        assert_eq!(counts(&cell, "serve.a.read"), Ok(vec![20]), "the job");
        assert_eq!(counts(&cell, "serve.a.write"), Ok(vec![4]));
    }

    #[test]
    fn what_is_not_there_is_said_with_what_is() {
        let cell = cell();
        for (path, said) in [
            ("sevre.a.read", "no phase sevre; did you mean serve?"),
            ("serve.idel.read", "no job idel; did you mean idle?"),
            ("serve.nobody.read", "no job nobody; there is a, idle, read"),
            (
                "serve.wriet",
                "no operation or job wriet; did you mean write?",
            ),
            ("serve.idl", "no operation or job idl; did you mean idle?"),
            ("serve.sync", "no operation sync; there is read, write"),
            ("serve.read.write", "no operation write; there is read"),
            ("once.a.sync", "no job a; there is syncer"),
        ] {
            assert_eq!(counts(&cell, path), Err(said.to_owned()), "{path}");
        }
        let mut old = cell;
        old.phases[0].jobs.clear();
        let said = counts(&old, "serve.a.read").expect_err("nobody wrote it down");
        assert_eq!(said, "no job a, and no other either");
    }
}
