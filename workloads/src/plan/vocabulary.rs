//! What the results of a plan are called, so that a question about them can be refused before anything runs: targets, phases,
//! their jobs, and, as far as that is known, operations.
//!
//! A path is `PHASE`, `PHASE.OP`, `PHASE.JOB` or `PHASE.JOB.OP`. No name of a workload has a dot. Where a job is called like a
//! kind of operation, `PHASE.OP` is the operation of all jobs, as results take it.
//!
//! Operations of a recording are not known before it is replayed: a phase that replays one may do anything.

use std::collections::BTreeSet;

use super::{JobPlan, LoadPlan, MixVerb, PhaseRole, Step, SyncEveryPlan, Verb, Work};
use crate::decode::nearest;
use crate::op::OpKind;

/// The words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vocabulary {
    targets: Vec<String>,
    phases: Vec<PhaseWords>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct PhaseWords {
    name: String,
    /// It is in the results; a phase that warms up is not.
    counts: bool,
    /// What it can do; none for anything.
    ops: Option<BTreeSet<OpKind>>,
    jobs: Vec<JobWords>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct JobWords {
    name: String,
    /// What it can do; none for anything.
    ops: Option<BTreeSet<OpKind>>,
}

/// Why a name means nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownWord {
    /// One line.
    pub message: String,
    /// What was meant, or what there is.
    pub help: String,
}

impl Vocabulary {
    /// The words of `targets` and of everything that the points of a sweep replay.
    pub(crate) fn of<'p>(
        targets: impl IntoIterator<Item = &'p str>,
        loads: impl IntoIterator<Item = &'p LoadPlan>,
    ) -> Self {
        let mut words = Self {
            targets: targets.into_iter().map(str::to_owned).collect(),
            phases: Vec::new(),
        };
        for phase in loads.into_iter().flat_map(|load| &load.phases) {
            let known = words
                .phases
                .iter()
                .position(|known| known.name == phase.name);
            let at = known.unwrap_or_else(|| {
                words.phases.push(PhaseWords {
                    name: phase.name.clone(),
                    counts: false,
                    ops: Some(BTreeSet::new()),
                    jobs: Vec::new(),
                });
                words.phases.len() - 1
            });
            let known = &mut words.phases[at];
            known.counts |= phase.role != PhaseRole::WarmUp;
            for job in &phase.jobs {
                known.add(job);
            }
        }
        words
    }

    /// Is there a target of this name?
    ///
    /// # Errors
    /// What there is instead.
    pub fn check_target(&self, name: &str) -> Result<(), UnknownWord> {
        if self.targets.iter().any(|target| target == name) {
            return Ok(());
        }
        let known = self.targets.iter().map(String::as_str).collect();
        Err(unknown(
            format!("no target is called `{name}`"),
            "targets",
            name,
            known,
        ))
    }

    /// Is there a phase of the name that `path` begins with, and can it, or the job that is named behind it, do what is asked for?
    ///
    /// # Errors
    /// What there is instead.
    pub fn check_path(&self, path: &str) -> Result<(), UnknownWord> {
        let (name, rest) = match path.split_once('.') {
            Some((name, rest)) => (name, Some(rest)),
            None => (path, None),
        };
        let Some(phase) = self.phases.iter().find(|phase| phase.name == name) else {
            let counted = self.phases.iter().filter(|phase| phase.counts);
            let known = counted.map(|phase| phase.name.as_str()).collect();
            return Err(unknown(
                format!("no phase is called `{name}`"),
                "phases",
                name,
                known,
            ));
        };
        if !phase.counts {
            return Err(UnknownWord {
                message: format!("the phase `{name}` warms up and is in no result"),
                help: "ask about a phase that counts".to_owned(),
            });
        }
        rest.map_or(Ok(()), |rest| phase.check(rest))
    }
}

impl PhaseWords {
    /// Adds what `job` is called and can do. Points of a sweep may have jobs of one name.
    fn add(&mut self, job: &JobPlan) {
        let ops = ops_of(job);
        extend(&mut self.ops, ops.as_ref());
        match self.jobs.iter_mut().find(|known| known.name == job.name) {
            Some(known) => extend(&mut known.ops, ops.as_ref()),
            None => self.jobs.push(JobWords {
                name: job.name.clone(),
                ops,
            }),
        }
    }

    /// Is `rest` an operation that the phase can do, one of its jobs, or an operation that one of its jobs can do?
    fn check(&self, rest: &str) -> Result<(), UnknownWord> {
        let phase = &self.name;
        let job = |name: &str| self.jobs.iter().find(|job| job.name == name);
        let jobs: Vec<&str> = self.jobs.iter().map(|job| job.name.as_str()).collect();
        let known = words_of(self.ops.as_ref());
        if known.contains(&rest) || (job(rest).is_some() && !is_operation(rest)) {
            return Ok(());
        }
        let Some((name, op)) = rest.split_once('.') else {
            if job(rest).is_some() {
                return Err(UnknownWord {
                    message: format!("no job of the phase `{phase}` does `{rest}`"),
                    help: format!(
                        "what the job of that name does is asked for as `{phase}.{rest}.OPERATION`"
                    ),
                });
            }
            return Err(if is_operation(rest) {
                let message = format!("no job of the phase `{phase}` does `{rest}`");
                unknown(message, "operations there", rest, known)
            } else {
                let message =
                    format!("no operation is called `{rest}`, and no job of the phase `{phase}`");
                let what = "operations and jobs there";
                unknown(message, what, rest, [known, jobs].concat())
            });
        };
        let Some(of_job) = job(name) else {
            let message = format!("no job of the phase `{phase}` is called `{name}`");
            return Err(unknown(message, "jobs there", name, jobs));
        };
        let known = words_of(of_job.ops.as_ref());
        if known.contains(&op) {
            return Ok(());
        }
        let message = if is_operation(op) {
            format!("the job `{name}` of the phase `{phase}` does no `{op}`")
        } else {
            format!("no operation is called `{op}`")
        };
        Err(unknown(message, "operations there", op, known))
    }
}

/// What can be done is also what `more` can do; none for anything.
fn extend(all: &mut Option<BTreeSet<OpKind>>, more: Option<&BTreeSet<OpKind>>) {
    match (more, all.as_mut()) {
        (Some(more), Some(all)) => all.extend(more),
        _ => *all = None,
    }
}

fn words_of(ops: Option<&BTreeSet<OpKind>>) -> Vec<&'static str> {
    let kinds = OpKind::ALL.into_iter();
    let known = kinds.filter(|kind| ops.is_none_or(|ops| ops.contains(kind)));
    known.map(OpKind::name).collect()
}

fn is_operation(word: &str) -> bool {
    OpKind::ALL.iter().any(|kind| kind.name() == word)
}

fn unknown(message: String, what: &str, name: &str, known: Vec<&str>) -> UnknownWord {
    UnknownWord {
        message,
        help: match nearest(name, known.iter().copied()) {
            Some(guess) => format!("did you mean `{guess}`?"),
            None => format!("the {what} are {}", known.join(", ")),
        },
    }
}

/// What a job can do; none for anything.
fn ops_of(job: &JobPlan) -> Option<BTreeSet<OpKind>> {
    let mut ops = BTreeSet::new();
    match &job.work {
        Work::Trace(_) => return None,
        Work::Access(access) => {
            if access.mix.is_empty() {
                ops.extend(ops_of_verb(access.verb));
            } else {
                ops.extend(access.mix.iter().map(|share| op_of_mix(share.verb)));
                // Where no file is there to do something else to, one is made.
                ops.insert(OpKind::Create);
            }
            if ops.contains(&OpKind::Write) {
                ops.extend(ops_of_syncs(access.syncs));
            }
        }
        Work::Fill { .. } => {
            ops.insert(OpKind::Write);
        }
        Work::Append { syncs, .. } => {
            ops.insert(OpKind::Write);
            ops.extend(ops_of_syncs(*syncs));
        }
        Work::Truncate { .. } => {
            ops.insert(OpKind::Truncate);
        }
        Work::Create { .. } => {
            ops.insert(OpKind::Create);
        }
        Work::Remove { .. } => {
            ops.insert(OpKind::Remove);
        }
        Work::Rename { .. } => {
            ops.insert(OpKind::Rename);
        }
        Work::Sync { .. } => {
            ops.insert(OpKind::Sync);
        }
        Work::Each { steps, .. } => ops.extend(steps.iter().map(|step| op_of_step(*step))),
    }
    Some(ops)
}

fn ops_of_verb(verb: Verb) -> Vec<OpKind> {
    match verb {
        Verb::Read => vec![OpKind::Read],
        Verb::Write => vec![OpKind::Write],
        Verb::Trim => vec![OpKind::PunchHole],
        Verb::Mix {
            read_weight,
            write_weight,
        } => [(read_weight, OpKind::Read), (write_weight, OpKind::Write)]
            .into_iter()
            .filter_map(|(weight, kind)| (weight > 0).then_some(kind))
            .collect(),
    }
}

fn ops_of_syncs(syncs: SyncEveryPlan) -> Option<OpKind> {
    if syncs.fsync_every > 0 {
        Some(OpKind::Sync)
    } else {
        (syncs.fdatasync_every > 0).then_some(OpKind::DataSync)
    }
}

fn op_of_mix(verb: MixVerb) -> OpKind {
    match verb {
        MixVerb::Read => OpKind::Read,
        MixVerb::Write | MixVerb::Append => OpKind::Write,
        MixVerb::Trim => OpKind::PunchHole,
        MixVerb::Create => OpKind::Create,
        MixVerb::Remove => OpKind::Remove,
        MixVerb::Rename => OpKind::Rename,
        MixVerb::Sync => OpKind::Sync,
    }
}

fn op_of_step(step: Step) -> OpKind {
    match step {
        Step::Create => OpKind::Create,
        Step::Write | Step::Append => OpKind::Write,
        Step::Read => OpKind::Read,
        Step::Sync => OpKind::Sync,
        Step::DataSync => OpKind::DataSync,
        Step::Rename => OpKind::Rename,
        Step::Remove => OpKind::Remove,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::knob::Checks;
    use crate::load::load_str;

    fn words() -> Vocabulary {
        let text = "version: 1
targets: { engine: null, btrfs: null }
files: { t: { size: 1MiB, filled: true }, m: { count: 4, size: 8KiB } }
phases:
  - { name: warm, warm_up: true, jobs: [{ read: t, block: 4KiB }] }
  - name: serve
    jobs: [{ mix: { read: 1, write: 1 }, file: t, block: 4KiB, fdatasync_every: 3 }, { trim: t, block: 4KiB }]
  - { name: mail, jobs: [{ mix: { read: 1, append: 1, remove: 1 }, file: m, block: 4KiB, ops: 9, fsync_every: 2 }] }
  - { name: loop, jobs: [{ each: m, do: [rename, sync] }] }
  - { name: only, jobs: [{ mix: { read: 1, write: 0 }, file: t, block: 4KiB, fsync_every: 2 }] }
  - { name: replay, jobs: [{ trace: { path: absent } }, { truncate: m }] }
  - name: many
    jobs: [{ name: reader, read: t, block: 4KiB }, { name: write, write: t, block: 4KiB }, { name: sync, write: t, block: 4KiB }]
";
        let plan = load_str(text, "t", &[], Checks::none()).unwrap();
        let targets = plan.targets.iter().map(|target| target.name.as_str());
        Vocabulary::of(targets, plan.loads.iter().map(AsRef::as_ref))
    }

    #[test]
    fn what_results_will_hold_is_known() {
        let words = words();
        for path in [
            "prepare",
            "prepare.write",
            "serve",
            "serve.read",
            "serve.write",
            "serve.fdatasync",
            "serve.punch_hole",
            "mail.create",
            "mail.write",
            "mail.sync",
            "mail.remove",
            "loop.rename",
            "loop.sync",
            "only.read",
            "replay.open",
            "replay.volume_sync",
            "prepare.fill-t",
            "prepare.fill-t.write",
            "serve.mix-t.fdatasync",
            "only.mix-t.read",
            "replay.trace.open",
            "replay.truncate-m",
            "many.reader",
            "many.reader.read",
            "many.write",
            "many.write.write",
            "many.sync.write",
        ] {
            assert_eq!(words.check_path(path), Ok(()), "{path}");
        }
        assert_eq!(words.check_target("btrfs"), Ok(()));
    }

    #[test]
    fn what_they_will_not_hold_is_refused_with_what_there_is() {
        let words = words();
        let said = |path: &str| {
            let unknown = words.check_path(path).unwrap_err();
            format!("{}; {}", unknown.message, unknown.help)
        };
        assert_eq!(
            said("sevre.read"),
            "no phase is called `sevre`; did you mean `serve`?"
        );
        assert_eq!(
            said("nope.read"),
            "no phase is called `nope`; the phases are prepare, serve, mail, loop, only, replay, many"
        );
        assert_eq!(
            said("serve.raed"),
            "no operation is called `raed`, and no job of the phase `serve`; did you mean `read`?"
        );
        assert_eq!(
            said("many.raeder"),
            "no operation is called `raeder`, and no job of the phase `many`; did you mean `reader`?"
        );
        assert_eq!(
            said("many.raeder.read"),
            "no job of the phase `many` is called `raeder`; did you mean `reader`?"
        );
        assert_eq!(
            said("many.nobody.read"),
            "no job of the phase `many` is called `nobody`; the jobs there are reader, write, sync"
        );
        assert_eq!(
            said("many.reader.write"),
            "the job `reader` of the phase `many` does no `write`; the operations there are read"
        );
        assert_eq!(
            said("many.reader.raed"),
            "no operation is called `raed`; did you mean `read`?"
        );
        assert_eq!(
            said("many.sync"),
            "no job of the phase `many` does `sync`; what the job of that name does is asked for as `many.sync.OPERATION`"
        );
        assert_eq!(
            said("sevre.reader.read"),
            "no phase is called `sevre`; did you mean `serve`?"
        );
        assert_eq!(
            said("serve.sync"),
            "no job of the phase `serve` does `sync`; the operations there are read, write, punch_hole, fdatasync"
        );
        assert_eq!(
            said("warm.read"),
            "the phase `warm` warms up and is in no result; ask about a phase that counts"
        );
        assert!(said("only.write").starts_with("no job of the phase `only`"));
        assert!(said("only.sync").starts_with("no job of the phase `only`"));
        assert!(said("replay.raed").starts_with("no operation is called `raed`"));
        let target = words.check_target("engin").unwrap_err();
        assert_eq!(target.help, "did you mean `engine`?");
    }
}
