//! Phases as written.

use schemars::JsonSchema;

use super::steady::{SteadyMap, read_steady};
use super::{JobSpec, read_name};
use crate::decode::{At, Fields, Report, flag, list, number, quantity, text, word};
use crate::fault::{Fault, Span};
use crate::plan::{PhaseEnd, SteadyPlan};
use crate::units;
use crate::yaml::{Data, Node};

/// Jobs side by side.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Phase")]
pub(crate) struct PhaseSpec {
    /// Unique in the workload; assertions and results use it.
    #[schemars(with = "String")]
    pub(crate) name: At<String>,
    /// Ends then, such as 10s; jobs without a bound of their own start over until then, but for `remove` and `trace`, which run
    /// once.
    #[schemars(with = "Option<String>", rename = "duration")]
    pub(crate) duration_ns: Option<At<u64>>,
    /// Side by side.
    #[schemars(length(min = 1))]
    pub(crate) jobs: Vec<JobSpec>,
    /// When the jobs are through: `sync` the files, `commit` the target, or `none` (default). Part of the phase's time.
    #[schemars(with = "Option<EndWord>")]
    pub(crate) end: PhaseEnd,
    /// Drop the target's and the kernel's caches before it (default false).
    #[schemars(with = "Option<bool>")]
    pub(crate) drop_caches: bool,
    /// Run it, leave it out of the results (default false).
    #[schemars(with = "Option<bool>")]
    pub(crate) warm_up: bool,
    /// So many times, one after the other; the times count as one phase (default 1).
    #[schemars(with = "Option<u32>", range(min = 1, max = 1000))]
    pub(crate) repeat: u32,
    /// Operations run so long before any is counted, such as 5s; comes on top of the duration.
    #[schemars(with = "Option<String>", rename = "warmup")]
    pub(crate) warm_up_ns: Option<At<u64>>,
    /// After the warm-up, counting waits for a steady state; comes on top of the duration.
    #[schemars(with = "Option<SteadyMap>")]
    pub(crate) steady: Option<At<SteadyPlan>>,
    /// `duration:` is there, even if it could not be read.
    #[schemars(skip)]
    pub(crate) has_duration: bool,
}

/// What happens when the jobs are through.
#[derive(JsonSchema)]
#[schemars(rename = "PhaseEnd", rename_all = "snake_case")]
#[expect(dead_code, reason = "lends its shape to the schema")]
enum EndWord {
    None,
    Sync,
    Commit,
}

/// More repetitions than this are a slip.
const REPEAT_MAX: u32 = 1000;

/// What is not counted at first needs a time after which it is.
fn refuse_untimed(key: &str, span: Option<Span>, has_duration: bool, report: &mut Report) {
    if let (Some(span), false) = (span, has_duration) {
        report.add(
            Fault::new(span, format!("`{key}` needs a `duration:`"))
                .help("the time that counts, after what does not"),
        );
    }
}

impl PhaseSpec {
    pub(crate) fn read(node: &Node, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::open(node, "a phase", report)?;
        let name = fields
            .require("name", report)
            .and_then(|n| text(n, "the name of a phase", report))
            .and_then(|at| read_name(&at.value, at.span, "a phase", report));
        let duration = fields.take("duration");
        let duration_ns = duration
            .and_then(|n| quantity(n, "duration", units::parse_duration, report))
            .filter(|at| {
                if at.value == 0 {
                    report.add(Fault::new(at.span, "a phase of no time at all"));
                }
                at.value > 0
            });
        let jobs_node = fields.require("jobs", report);
        let jobs: Vec<JobSpec> = jobs_node
            .map(|n| list(n, "jobs", report))
            .unwrap_or_default()
            .iter()
            .filter_map(|item| JobSpec::read(item, report))
            .collect();
        if let Some(node) = jobs_node
            && matches!(&node.data, Data::List(items) if items.is_empty())
        {
            report.add(Fault::new(node.span, "a phase without jobs"));
        }
        let ends = [
            ("none", PhaseEnd::None),
            ("sync", PhaseEnd::Sync),
            ("commit", PhaseEnd::Commit),
        ];
        let end = fields
            .take("end")
            .and_then(|n| word(n, "end of a phase", &ends, report))
            .map_or(PhaseEnd::None, |at| at.value);
        let mut is_set = |key, report: &mut Report| {
            fields
                .take(key)
                .and_then(|n| flag(n, key, report))
                .unwrap_or(false)
        };
        let drop_caches = is_set("drop_caches", report);
        let warm_up = is_set("warm_up", report);
        let repeat = fields
            .take("repeat")
            .and_then(|n| number(n, "repeat", 1..=REPEAT_MAX, report))
            .map_or(1, |at| at.value);
        let warm_up_ns = fields
            .take_keyed("warmup")
            .and_then(|(_, n)| quantity(n, "warmup", units::parse_duration, report));
        let steady = fields
            .take_keyed("steady")
            .and_then(|(span, n)| Some(At::new(read_steady(n, report)?, span)));
        fields.finish(report);
        for (key, span) in [
            ("warmup", warm_up_ns.as_ref().map(|at| at.span)),
            ("steady", steady.as_ref().map(|at| at.span)),
        ] {
            refuse_untimed(key, span, duration.is_some(), report);
        }
        Some(Self {
            name: name?,
            duration_ns,
            jobs,
            end,
            drop_caches,
            warm_up,
            repeat,
            warm_up_ns,
            steady,
            has_duration: duration.is_some(),
        })
    }
}
