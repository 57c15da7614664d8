//! Is one build slower than another? For numbers the clock has a say in, measured side by side.
//!
//! Nothing stored is compared here: both builds ran in turns on this machine, a moment apart, and beside them
//! the base ran against itself. Every cluster (process pair, ABBA block) is one effect; the rule is
//!
//! ```text
//!   base against base is found to differ             abstained: this machine cannot tell now
//!   fewer clusters than `clusters_min`               abstained
//!   whole interval beyond the floor, Holm agrees     regressed or improved
//!   interval wider than the budget                   unstable: nothing would be seen
//!   else                                             pass, with what would have been seen
//! ```
//!
//! A regression of a class that confirms (rounds, tail) stands only if a fresh measurement says so again; one that
//! it does not confirm is not forgotten: the row keeps what the first stage said. Both stages together are the evidence
//! for Holm's correction: what chance alone brings twice is as rare as the product of both p-values.
//!
//! Numbers that are only shown are neither doubt nor comparison.
//!
//! Not here: how effects are measured.

use super::{Reason, Verdict};
use crate::exit::{ExitCode, Outcome};
use crate::metric::Better;
use crate::stats::{Estimate, RESAMPLES, cluster_bootstrap, holm, resamples_for};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How sure an interval is. One-sided, a false alarm has half of what is missing to 1.
pub const CONFIDENCE: f64 = 0.99;

/// How a number of two builds is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AbClass {
    /// Instructions, counted by callgrind.
    Counted,
    /// Median of the ratios of short slices, two processes in turns.
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
    /// ln(head / base) of the fresh stage, where there was one.
    pub confirm: Vec<f64>,
    /// Why it is not judged.
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
    /// p of "no worse than the floor" (or "no better"), corrected for all timed numbers of this gate.
    pub p_adjusted: Option<f64>,
    /// The floor.
    pub floor: f64,
    /// The change that nine of ten such gates would find: floor and one and a half half-widths.
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

/// Judges all numbers of one gate together. `floor` overrides the floors of the classes; `seed` draws clusters.
#[must_use]
pub fn judge(arms: &[AbArm], floor: &dyn Fn(AbClass) -> f64, seed: u64) -> Vec<AbRow> {
    let mut judged: Vec<Judged<'_>> = arms
        .iter()
        .map(|arm| Judged::of(arm, floor(arm.class), seed))
        .collect();
    let tests = judged.iter().filter(|judged| judged.fit()).count();
    for judged in &mut judged {
        judged.refine(resamples_for(tests), seed);
    }
    // A difference between a build and itself makes every timing of these minutes doubtful, not only its own.
    let flagged = judged.iter().find(|judged| judged.null_flagged());
    let flagged = flagged.map(|judged| {
        let null = judged.null.as_ref().map_or(0.0, |null| null.centre);
        format!(
            "the base differs from itself: {} {:+.1} %",
            judged.arm.metric,
            percent(null)
        )
    });
    let tests = judged.iter().filter_map(Judged::p);
    let mut adjusted = holm(&tests.collect::<Vec<f64>>()).into_iter();
    judged
        .iter()
        .map(|judged| {
            let p = judged.p().and_then(|_| adjusted.next());
            judged.row(p, flagged.as_deref())
        })
        .collect()
}

/// Instructions of one run of each build, and of a second run of the base.
#[must_use]
pub fn judge_counted(metric: &str, base: [u64; 2], head: u64, floor: f64) -> AbRow {
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
        metric: metric.to_owned(),
        class: AbClass::Counted,
        better: Better::Lower,
        change: Some(exactly(effect)),
        null: Some(exactly(null)),
        confirm: None,
        p_adjusted: None,
        floor,
        detectable: Some(floor + null.abs()),
        verdict,
        reason,
        detail,
        effects: vec![effect],
        null_effects: vec![null],
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
        p_adjusted: None,
        floor: class.rule().floor,
        detectable: None,
        verdict: Verdict::Abstained,
        reason,
        detail: detail.to_owned(),
        effects: Vec::new(),
        null_effects: Vec::new(),
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

struct Judged<'a> {
    arm: &'a AbArm,
    rule: AbRule,
    change: Option<Estimate>,
    null: Option<Estimate>,
    confirm: Option<Estimate>,
}

impl<'a> Judged<'a> {
    fn of(arm: &'a AbArm, floor: f64, seed: u64) -> Self {
        let estimate =
            |effects: &[f64]| cluster_bootstrap(&worse(arm, effects), CONFIDENCE, RESAMPLES, seed);
        Self {
            arm,
            rule: AbRule {
                floor,
                ..arm.class.rule()
            },
            change: estimate(&arm.effects),
            null: estimate(&arm.null_effects),
            confirm: estimate(&arm.confirm),
        }
    }

    /// Draws a change that is beyond its floor more often, so that its p can be small enough.
    fn refine(&mut self, resamples: usize, seed: u64) {
        let floor = limit(self.rule.floor);
        let beyond = |change: &Estimate| side(change.low, change.high, floor).is_some();
        if resamples > RESAMPLES && self.change.as_ref().is_some_and(beyond) {
            let effects = worse(self.arm, &self.arm.effects);
            self.change = cluster_bootstrap(&effects, CONFIDENCE, resamples, seed);
        }
    }

    /// Unfit numbers have no say in how many tests there were, nor in the null arm.
    fn fit(&self) -> bool {
        self.arm.unfit.is_none()
            && [&self.change, &self.null].into_iter().all(|estimate| {
                estimate
                    .as_ref()
                    .is_some_and(|estimate| estimate.clusters >= self.rule.clusters_min)
            })
    }

    fn null_flagged(&self) -> bool {
        let beyond = |null: &Estimate| side(null.low, null.high, limit(self.rule.floor)).is_some();
        self.fit() && self.null.as_ref().is_some_and(beyond)
    }

    /// The smaller of both directions' p; worse twice has the product of both. None where it is not fit.
    fn p(&self) -> Option<f64> {
        let floor = limit(self.rule.floor);
        let change = self.change.as_ref().filter(|_| self.fit())?;
        let again = self
            .confirm
            .as_ref()
            .map_or(1.0, |again| again.p_above(floor));
        let worse = change.p_above(floor) * again;
        Some(worse.min(change.p_below(-floor)))
    }

    fn row(&self, p_adjusted: Option<f64>, flagged: Option<&str>) -> AbRow {
        let (verdict, reason, detail) = self.verdict(p_adjusted, flagged);
        let sign = if self.arm.better == Better::Higher {
            -1.0
        } else {
            1.0
        };
        let shown =
            |estimate: &Option<Estimate>| estimate.as_ref().map(|estimate| ratio(estimate, sign));
        let detectable =
            |change: &Estimate| (limit(self.rule.floor) + 1.5 * change.half_width()).exp_m1();
        AbRow {
            metric: self.arm.metric.clone(),
            class: self.arm.class,
            better: self.arm.better,
            change: shown(&self.change),
            null: shown(&self.null),
            confirm: shown(&self.confirm),
            p_adjusted,
            floor: self.rule.floor,
            detectable: self.change.as_ref().filter(|_| self.fit()).map(detectable),
            verdict,
            reason,
            detail,
            effects: self.arm.effects.clone(),
            null_effects: self.arm.null_effects.clone(),
        }
    }

    fn verdict(&self, p_adjusted: Option<f64>, flagged: Option<&str>) -> (Verdict, Reason, String) {
        match &self.arm.unfit {
            Some(Unfit::NotMeasured(why)) => {
                return (Verdict::Abstained, Reason::NotMeasured, why.clone());
            }
            Some(Unfit::Informational(why)) => {
                return (Verdict::Abstained, Reason::Informational, why.clone());
            }
            None => {}
        }
        let (true, Some(change)) = (self.fit(), &self.change) else {
            let detail = format!(
                "{} clusters and {} of the null arm; {} are the fewest",
                self.arm.effects.len(),
                self.arm.null_effects.len(),
                self.rule.clusters_min
            );
            return (Verdict::Abstained, Reason::TooFew, detail);
        };
        if let Some(flagged) = flagged {
            return (Verdict::Abstained, Reason::NullArm, flagged.to_owned());
        }
        let floor = limit(self.rule.floor);
        let wide = |estimate: &Estimate| estimate.half_width() > limit(self.rule.budget);
        let said = |estimate: &Estimate| {
            let (word, worst) = (percent(estimate.centre), percent(estimate.half_width()));
            format!("worse by {word:+.1} % within {worst:.1} %")
        };
        if let Some((verdict, reason)) = side(change.low, change.high, floor) {
            let by_chance = p_adjusted.is_none_or(|p| p > (1.0 - CONFIDENCE) / 2.0);
            let many = || {
                let detail = format!("{}: not beyond chance among so many numbers", said(change));
                (Verdict::Unstable, Reason::Multiplicity, detail)
            };
            if verdict != Verdict::Regressed || !self.rule.confirms {
                return if by_chance {
                    many()
                } else {
                    (verdict, reason, String::new())
                };
            }
            let enough = |confirm: &&Estimate| confirm.clusters >= self.rule.clusters_min;
            let Some(confirm) = self.confirm.as_ref().filter(enough) else {
                return (
                    Verdict::Unstable,
                    Reason::Unconfirmed,
                    "not measured a second time".to_owned(),
                );
            };
            let first = format!("the first stage said {}", said(change));
            return match side(confirm.low, confirm.high, floor) {
                Some((Verdict::Regressed, _)) if by_chance => many(),
                Some((Verdict::Regressed, reason)) => {
                    (Verdict::Regressed, reason, "confirmed".to_owned())
                }
                _ if wide(confirm) => (Verdict::Unstable, Reason::TooWide, first),
                _ => (Verdict::Pass, Reason::Cleared, first),
            };
        }
        if wide(change) {
            let detail = format!("+-{:.1} % tells nothing", percent(change.half_width()));
            return (Verdict::Unstable, Reason::TooWide, detail);
        }
        (Verdict::Pass, Reason::Within, String::new())
    }
}

/// Effects of an arm, worse up whichever way the number itself goes.
fn worse(arm: &AbArm, effects: &[f64]) -> Vec<f64> {
    let sign = if arm.better == Better::Higher {
        -1.0
    } else {
        1.0
    };
    effects.iter().map(|effect| sign * effect).collect()
}

/// Where an interval lies, if it lies wholly on one side. Up is worse.
fn side(low: f64, high: f64, floor: f64) -> Option<(Verdict, Reason)> {
    if low > floor {
        Some((Verdict::Regressed, Reason::Worse))
    } else if high < -floor {
        Some((Verdict::Improved, Reason::Better))
    } else {
        None
    }
}

fn limit(part: f64) -> f64 {
    part.ln_1p()
}

fn percent(effect: f64) -> f64 {
    effect.exp_m1() * 100.0
}

fn ratio(estimate: &Estimate, sign: f64) -> Change {
    let ends = [estimate.low, estimate.high].map(|end| (sign * end).exp());
    Change {
        ratio: (sign * estimate.centre).exp(),
        low: ends[0].min(ends[1]),
        high: ends[0].max(ends[1]),
        clusters: estimate.clusters,
    }
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
mod tests {
    use super::*;

    fn arm(class: AbClass, shift: f64, noise: f64) -> AbArm {
        // Twelve values around the shift, symmetric, none alike.
        let around = |shift: f64| {
            (0..12)
                .map(|i| shift + noise * (f64::from(i) - 5.5) / 5.5)
                .collect()
        };
        AbArm {
            metric: "write ns".to_owned(),
            class,
            better: Better::Lower,
            effects: around(shift),
            null_effects: around(0.0),
            confirm: Vec::new(),
            unfit: None,
        }
    }

    fn one(arm: AbArm) -> AbRow {
        judge(&[arm], &|class| class.rule().floor, 1).remove(0)
    }

    fn exit(row: AbRow) -> ExitCode {
        conclude(&[row]).code
    }

    #[test]
    fn each_verdict_has_its_way_and_its_code() {
        let row = one(arm(AbClass::Sliced, 0.05, 0.01));
        assert_eq!(
            (row.verdict, row.reason),
            (Verdict::Regressed, Reason::Worse)
        );
        assert_eq!(exit(row), ExitCode::Regression);
        let row = one(arm(AbClass::Sliced, -0.05, 0.01));
        assert_eq!(
            (row.verdict, row.reason),
            (Verdict::Improved, Reason::Better)
        );
        let row = one(arm(AbClass::Sliced, 0.0, 0.01));
        assert_eq!((row.verdict, row.reason), (Verdict::Pass, Reason::Within));
        let detectable = row.detectable.expect("beside every pass");
        assert!((0.03..0.06).contains(&detectable), "{detectable}");
        assert_eq!(exit(row), ExitCode::Good);
        let row = one(arm(AbClass::Sliced, 0.0, 0.2));
        assert_eq!(
            (row.verdict, row.reason),
            (Verdict::Unstable, Reason::TooWide)
        );
        assert_eq!(exit(row), ExitCode::Inconclusive);
    }

    #[test]
    fn a_change_beyond_zero_and_within_the_floor_passes() {
        let row = one(arm(AbClass::Sliced, 0.02, 0.01));
        assert!(row.change.expect("measured").low > 1.0);
        assert_eq!(row.verdict, Verdict::Pass);
    }

    #[test]
    fn less_throughput_is_worse() {
        let mut arm = arm(AbClass::Sliced, -0.05, 0.01);
        arm.better = Better::Higher;
        let row = one(arm);
        assert_eq!(row.verdict, Verdict::Regressed);
        let change = row.change.expect("measured");
        assert!(change.low <= change.ratio && change.ratio <= change.high && change.high < 1.0);
    }

    #[test]
    fn a_base_that_differs_from_itself_silences_every_timing() {
        let mut loud = arm(AbClass::Rounds, 0.0, 0.01);
        loud.null_effects = vec![0.08; 12];
        let rows = judge(
            &[arm(AbClass::Sliced, 0.2, 0.01), loud],
            &|class| class.rule().floor,
            1,
        );
        assert!(
            rows.iter()
                .all(|row| row.verdict == Verdict::Abstained && row.reason == Reason::NullArm)
        );
        assert_eq!(conclude(&rows).code, ExitCode::Inconclusive);
    }

    #[test]
    fn comparing_nothing_is_not_good() {
        assert_eq!(conclude(&[]).code, ExitCode::Inconclusive);
        let mut few = arm(AbClass::Sliced, 0.0, 0.01);
        few.effects.truncate(7);
        assert_eq!(one(few).reason, Reason::TooFew);
        let mut blind = arm(AbClass::Sliced, 0.0, 0.01);
        blind.null_effects.clear();
        assert_eq!(one(blind).reason, Reason::TooFew);
        let mut unfit = arm(AbClass::Tail, 0.0, 0.01);
        unfit.unfit = Some(Unfit::NotMeasured(
            "one build has no such number".to_owned(),
        ));
        let row = one(unfit);
        assert_eq!(
            (row.verdict, row.reason),
            (Verdict::Abstained, Reason::NotMeasured)
        );
        assert_eq!(exit(row), ExitCode::Inconclusive);
    }

    #[test]
    fn what_is_only_shown_is_neither_doubt_nor_comparison() {
        let mut shown = arm(AbClass::Tail, 0.5, 0.01);
        shown.unfit = Some(Unfit::Informational("50 operations make no p99".to_owned()));
        let floor = |class: AbClass| class.rule().floor;
        let rows = judge(&[shown.clone()], &floor, 1);
        assert_eq!(rows[0].reason, Reason::Informational);
        assert_eq!(conclude(&rows).code, ExitCode::Inconclusive);
        let rows = judge(&[arm(AbClass::Sliced, 0.0, 0.01), shown], &floor, 1);
        assert_eq!(conclude(&rows).code, ExitCode::Good);
    }

    #[test]
    fn a_change_of_everything_is_seen_among_any_number_of_numbers() {
        let floor = |class: AbClass| class.rule().floor;
        let regressed = |row: &AbRow| row.verdict == Verdict::Regressed;
        for class in [AbClass::Sliced, AbClass::Rounds] {
            let mut worse = arm(class, 0.7, 0.01);
            worse.confirm = worse.effects.clone();
            let mut many = vec![arm(class, 0.0, 0.01); 99];
            many.push(worse);
            let rows = judge(&many, &floor, 1);
            assert!(regressed(&rows[99]), "{:?}", rows[99]);
        }
    }

    #[test]
    fn numbers_that_are_not_judged_do_not_make_the_others_less_sure() {
        let floor = |class: AbClass| class.rule().floor;
        let fit = vec![arm(AbClass::Sliced, 0.05, 0.02); 20];
        let mut mixed = fit.clone();
        let mut unfit = arm(AbClass::Tail, 0.0, 0.01);
        unfit.unfit = Some(Unfit::Informational("few".to_owned()));
        mixed.extend(vec![unfit; 40]);
        let (alone, among) = (judge(&fit, &floor, 1), judge(&mixed, &floor, 1));
        assert_eq!(alone[0].p_adjusted, among[0].p_adjusted);
        assert_eq!(alone[0].verdict, among[0].verdict);
        assert_eq!(among[20].p_adjusted, None);
    }

    #[test]
    fn a_second_stage_of_few_confirms_nothing() {
        let mut regressed = arm(AbClass::Rounds, 0.12, 0.01);
        regressed.confirm = vec![0.11; 7];
        assert_eq!(one(regressed).reason, Reason::Unconfirmed);
    }

    #[test]
    fn rounds_have_to_be_seen_twice_and_what_is_cleared_is_kept() {
        let fresh = |shift: f64| (0..12).map(|_| shift).collect::<Vec<f64>>();
        let mut regressed = arm(AbClass::Rounds, 0.12, 0.01);
        assert_eq!(one(regressed.clone()).reason, Reason::Unconfirmed);
        regressed.confirm = fresh(0.11);
        assert_eq!(one(regressed.clone()).verdict, Verdict::Regressed);
        regressed.confirm = fresh(0.0);
        let row = one(regressed);
        assert_eq!((row.verdict, row.reason), (Verdict::Pass, Reason::Cleared));
        assert!(row.detail.contains("+12"), "{}", row.detail);
    }

    #[test]
    fn twenty_numbers_have_to_be_surer_than_one() {
        // Three of twelve pairs are on this side of the floor: sure enough alone, not among twenty.
        let mut edge = arm(AbClass::Sliced, 0.05, 0.001);
        for effect in &mut edge.effects[..2] {
            *effect = 0.0;
        }
        edge.effects[2] = 0.0;
        let alone = one(edge.clone());
        let p = alone.p_adjusted.expect("fit");
        let mut many = vec![edge];
        many.extend(vec![arm(AbClass::Sliced, 0.0, 0.01); 19]);
        let among = judge(&many, &|class| class.rule().floor, 1).remove(0);
        let p_among = among.p_adjusted.expect("fit");
        assert!(
            (p_among / p - 20.0).abs() < 1e-9 || p_among == 1.0,
            "{p} {p_among}"
        );
        assert!(among.verdict != Verdict::Regressed || p_among <= 0.005);
    }

    #[test]
    fn instructions_are_held_to_one_per_cent_and_need_a_base_that_repeats() {
        let of = |base, head| judge_counted("instructions", base, head, 0.01);
        assert_eq!(of([1_000_000, 1_000_000], 1_005_000).verdict, Verdict::Pass);
        assert_eq!(
            of([1_000_000, 1_000_000], 1_011_000).verdict,
            Verdict::Regressed
        );
        assert_eq!(
            of([1_000_000, 1_000_000], 900_000).verdict,
            Verdict::Improved
        );
        let row = of([1_000_000, 1_020_000], 1_100_000);
        assert_eq!(
            (row.verdict, row.reason),
            (Verdict::Abstained, Reason::NullArm)
        );
    }
}
