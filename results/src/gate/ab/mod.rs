//! Is one build slower than another? For numbers the clock has a say in, measured side by side.
//!
//! Nothing stored is compared here: both builds ran in turns on this machine, a moment apart, and beside them
//! the base ran against itself. Every cluster (process pair, ABBA block) is one effect; the rule is
//!
//! ```text
//!   base against base is found to differ             abstained: this machine cannot tell now
//!   fewer clusters than `clusters_min`               abstained
//!   whole interval worse than the floor              regressed if Holm agrees, else unstable
//!   whole interval better than the floor             improved if Holm agrees, else like the next two
//!   interval wider than the budget                   unstable: nothing would be seen
//!   else                                             pass, with what would have been seen
//! ```
//!
//! A regression of a class that confirms (rounds, tail) stands only if a fresh measurement says so again, with a null arm of
//! its own. One is cleared where that says the floor or less, or lies below what the first stage said; where it says
//! neither it stays unstable. The row keeps what both said. Both stages together are the evidence for Holm's correction.
//!
//! Numbers that are only shown are neither doubt nor comparison.
//!
//! Not here: how effects are measured; one number's evidence and the rule itself (`judged`).

mod judged;

use super::{Reason, Verdict};
use crate::exit::{ExitCode, Outcome};
use crate::metric::Better;
use crate::stats::{Estimate, RESAMPLES, cluster_bootstrap, holm, resamples_for};
use judged::{Judged, limit, percent, side};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How sure an interval is. One-sided, a false alarm has half of what is missing to 1.
pub const CONFIDENCE: f64 = 0.99;

/// What p-values are compared with: the share of false alarms on one side.
const LEVEL: f64 = (1.0 - CONFIDENCE) / 2.0;

/// How a number of two builds is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AbClass {
    /// Instructions, counted by callgrind.
    Counted,
    /// The middle half of the ratios of short slices, processes in turns.
    Sliced,
    /// Whole replays, in ABBA blocks.
    Rounds,
    /// A high percentile of whole replays, in ABBA blocks.
    Tail,
}

/// When a class is called what.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AbRule {
    /// Changes up to this part are nobody's business.
    pub floor: f64,
    /// The widest half interval (as a part) that still tells anything.
    pub budget: f64,
    /// The fewest clusters an interval may rest on.
    pub clusters_min: usize,
    /// A regression has to be seen twice.
    pub confirms: bool,
}

/// What was measured of one number.
#[derive(Clone, Debug, PartialEq)]
pub struct AbArm {
    /// Its name.
    pub metric: String,
    /// How it was measured.
    pub class: AbClass,
    /// Which way is better.
    pub better: Better,
    /// ln(head / base), one per cluster.
    pub effects: Vec<f64>,
    /// ln(base / base), one per cluster: the null arm.
    pub null_effects: Vec<f64>,
    /// The fresh stage, where there was one.
    pub confirm: Option<Stage>,
    /// Why it is not judged.
    pub unfit: Option<Unfit>,
}

/// One number measured once more, from the beginning.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stage {
    /// ln(head / base), one per cluster.
    pub effects: Vec<f64>,
    /// ln(base / base), one per cluster.
    pub null_effects: Vec<f64>,
    /// Why it says nothing.
    pub unfit: Option<Unfit>,
}

/// Why a number is not judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It could not be measured, which is doubt.
    NotMeasured(String),
    /// It says too little to be judged on this workload, which is no fault of either build.
    Informational(String),
}

/// A ratio head / base with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// Median over clusters.
    pub ratio: f64,
    /// Lower end of the 99 % interval.
    pub low: f64,
    /// Upper end of it.
    pub high: f64,
    /// Clusters it rests on.
    pub clusters: usize,
}

/// One number of two builds, judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AbRow {
    /// Its name.
    pub metric: String,
    /// How it was compared.
    pub class: AbClass,
    /// Which way is better.
    pub better: Better,
    /// head / base.
    pub change: Option<Change>,
    /// base / base, measured the same way in the same minutes.
    pub null: Option<Change>,
    /// The fresh stage, where the first one said regressed.
    pub confirm: Option<Change>,
    /// Its base / base.
    pub confirm_null: Option<Change>,
    /// p of "no worse than the floor" (or "no better"), corrected for all timed numbers of this gate.
    pub p_adjusted: Option<f64>,
    /// The floor.
    pub floor: f64,
    /// The change that nine of ten such gates would find: floor and 1.5 half-widths, or 1.65 where it has to be seen twice.
    pub detectable: Option<f64>,
    /// The verdict.
    pub verdict: Verdict,
    /// Why, as a word for scripts.
    pub reason: Reason,
    /// Why, for people.
    pub detail: String,
    /// The effects as measured, ln(head / base), so that the interval can be computed again.
    pub effects: Vec<f64>,
    /// The same of the null arm.
    pub null_effects: Vec<f64>,
    /// The same of the fresh stage.
    pub confirm_effects: Vec<f64>,
    /// The same of its null arm.
    pub confirm_null_effects: Vec<f64>,
}

impl AbRule {
    /// The change that nine of ten gates with an interval as wide as this one would find, as a part.
    fn detectable(&self, estimate: &Estimate) -> f64 {
        (limit(self.floor) + self.detects() * estimate.half_width()).exp_m1()
    }

    /// How many half intervals beyond the floor a change has to be for nine of ten gates that judge it alone to find it.
    /// Half an interval is 2.576 deviations: one stage needs 1.28 more (nine of ten), each of two 1.67 (19 of 20).
    const fn detects(&self) -> f64 {
        if self.confirms { 1.65 } else { 1.5 }
    }
}

impl From<AbArm> for Stage {
    fn from(arm: AbArm) -> Self {
        Self {
            effects: arm.effects,
            null_effects: arm.null_effects,
            unfit: arm.unfit,
        }
    }
}

impl AbClass {
    /// The one word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counted => "counted",
            Self::Sliced => "sliced",
            Self::Rounds => "rounds",
            Self::Tail => "tail",
        }
    }

    /// What asks for more clusters of it.
    const fn clusters_option(self) -> &'static str {
        match self {
            Self::Counted | Self::Sliced => "--pairs",
            Self::Rounds | Self::Tail => "--blocks",
        }
    }

    /// Its rule, unless the caller has a better one. Floors are what this kind of measurement was seen to resolve on
    /// a small shared virtual machine, rounded up.
    #[must_use]
    pub const fn rule(self) -> AbRule {
        let (floor, budget, clusters_min, confirms) = match self {
            Self::Counted => (0.01, 0.005, 1, false),
            Self::Sliced => (0.03, 0.03, 8, false),
            Self::Rounds => (0.05, 0.10, 8, true),
            Self::Tail => (0.20, 0.30, 8, true),
        };
        AbRule {
            floor,
            budget,
            clusters_min,
            confirms,
        }
    }
}

/// Judges all numbers of one gate together. `floor` says what change of a number is nobody's business; `seed` draws clusters.
#[must_use]
pub fn judge(arms: &[AbArm], floor: &dyn Fn(&AbArm) -> f64, seed: u64) -> Vec<AbRow> {
    let mut judged: Vec<Judged<'_>> = arms
        .iter()
        .map(|arm| Judged::of(arm, floor(arm), seed))
        .collect();
    let tests = judged.iter().filter(|judged| judged.fit()).count();
    for judged in &mut judged {
        judged.refine(resamples_for(tests), seed);
    }
    // A difference between a build and itself makes every timing of these minutes doubtful, not only its own.
    let flagged = judged.iter().find_map(|judged| {
        let (null, stage) = judged.null_flagged()?;
        let (metric, by) = (&judged.arm.metric, percent(null.centre));
        Some(format!(
            "the base differs from itself{stage}: {metric} {by:+.1} %"
        ))
    });
    let p_values = judged.iter().filter_map(Judged::p);
    let mut adjusted = holm(&p_values.collect::<Vec<f64>>()).into_iter();
    judged
        .iter()
        .map(|judged| {
            let p = judged.p().and_then(|_| adjusted.next());
            judged.row(p, tests, flagged.as_deref())
        })
        .collect()
}

/// The change that nine of ten gates with such effects would find, as a part; none where nothing was measured. It follows from the
/// width of the interval alone, wherever its centre is: who measures on until it is small makes no verdict likelier.
#[must_use]
pub fn detectable(class: AbClass, effects: &[f64], floor: f64, seed: u64) -> Option<f64> {
    let estimate = cluster_bootstrap(effects, CONFIDENCE, RESAMPLES, seed)?;
    let rule = AbRule {
        floor,
        ..class.rule()
    };
    Some(rule.detectable(&estimate))
}

/// Instructions of one run of each build, and of a second run of the base.
#[must_use]
pub fn judge_counted(metric: &str, base: [u64; 2], head: u64, floor: f64) -> AbRow {
    if head == 0 && base[0] > 0 {
        let why = format!(
            "{} instructions of the base and none of head: renamed, or done elsewhere",
            base[0]
        );
        return AbRow {
            floor,
            ..abstained(metric, AbClass::Counted, Reason::NotMeasured, &why)
        };
    }
    let ln = |over: u64, under: u64| (over.max(1) as f64 / under.max(1) as f64).ln();
    let (effect, null) = (ln(head, base[0]), ln(base[1], base[0]));
    let (verdict, reason, detail) = if null.abs() > AbClass::Counted.rule().budget {
        let detail = format!(
            "two runs of the base differ by {:.2} %: its counts follow the scheduler",
            percent(null.abs())
        );
        (Verdict::Abstained, Reason::NullArm, detail)
    } else {
        let detail = format!("{} to {head} instructions", base[0]);
        let (verdict, reason) =
            side(effect, effect, limit(floor)).unwrap_or((Verdict::Pass, Reason::Within));
        (verdict, reason, detail)
    };
    AbRow {
        change: Some(exactly(effect)),
        null: Some(exactly(null)),
        floor,
        detectable: Some(floor + null.abs()),
        verdict,
        effects: vec![effect],
        null_effects: vec![null],
        ..abstained(metric, AbClass::Counted, reason, &detail)
    }
}

/// A number that could not be compared, aloud.
#[must_use]
pub fn abstained(metric: &str, class: AbClass, reason: Reason, detail: &str) -> AbRow {
    AbRow {
        metric: metric.to_owned(),
        class,
        better: Better::Lower,
        change: None,
        null: None,
        confirm: None,
        confirm_null: None,
        p_adjusted: None,
        floor: class.rule().floor,
        detectable: None,
        verdict: Verdict::Abstained,
        reason,
        detail: detail.to_owned(),
        effects: Vec::new(),
        null_effects: Vec::new(),
        confirm_effects: Vec::new(),
        confirm_null_effects: Vec::new(),
    }
}

/// From the worst down: a regression, doubt, good. Nothing that was compared is doubt.
#[must_use]
pub fn conclude(rows: &[AbRow]) -> Outcome {
    let count = |wanted: Verdict| rows.iter().filter(|row| row.verdict == wanted).count();
    let (regressed, unstable, abstained) = (
        count(Verdict::Regressed),
        count(Verdict::Unstable),
        count(Verdict::Abstained),
    );
    if regressed > 0 {
        let reason = format!("{regressed} of {} numbers regressed", rows.len());
        return Outcome::new(ExitCode::Regression, reason);
    }
    let shown = rows
        .iter()
        .filter(|row| row.reason == Reason::Informational)
        .count();
    let judged = rows.len() - shown;
    if judged == 0 {
        return Outcome::new(ExitCode::Inconclusive, "nothing was compared");
    }
    let doubtful = abstained - shown;
    if unstable + doubtful > 0 {
        let reason = format!("{unstable} unstable and {doubtful} abstained of {judged} numbers");
        return Outcome::new(ExitCode::Inconclusive, reason);
    }
    let reason = format!("{judged} numbers within their floor or better");
    Outcome::new(ExitCode::Good, reason)
}

fn exactly(effect: f64) -> Change {
    let ratio = effect.exp();
    Change {
        ratio,
        low: ratio,
        high: ratio,
        clusters: 1,
    }
}

#[cfg(test)]
mod tests;
