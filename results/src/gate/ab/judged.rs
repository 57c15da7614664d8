//! One number of two builds: its evidence, and the rule of `ab` over it.
//!
//! Invariant: up is worse everywhere here; only a finished row goes the number's own way.
//!
//! Not here: what the numbers of one gate have to do with each other, but for how many there are.

use super::{AbArm, AbRow, AbRule, CONFIDENCE, Change, LEVEL, Unfit};
use crate::gate::{Reason, Verdict};
use crate::metric::Better;
use crate::stats::{Estimate, RESAMPLES, cluster_bootstrap, p_min};

/// An arm and its intervals, worse up whichever way the number itself goes.
pub(super) struct Judged<'a> {
    pub(super) arm: &'a AbArm,
    rule: AbRule,
    change: Option<Estimate>,
    null: Option<Estimate>,
    confirm: Option<Estimate>,
    confirm_null: Option<Estimate>,
}

impl<'a> Judged<'a> {
    pub(super) fn of(arm: &'a AbArm, floor: f64, seed: u64) -> Self {
        let estimate =
            |effects: &[f64]| cluster_bootstrap(&worse(arm, effects), CONFIDENCE, RESAMPLES, seed);
        let again = arm.confirm.as_ref();
        Self {
            arm,
            rule: AbRule {
                floor,
                ..arm.class.rule()
            },
            change: estimate(&arm.effects),
            null: estimate(&arm.null_effects),
            confirm: again.and_then(|again| estimate(&again.effects)),
            confirm_null: again.and_then(|again| estimate(&again.null_effects)),
        }
    }

    /// Draws a change that is beyond its floor more often, so that its p can be small enough.
    pub(super) fn refine(&mut self, resamples: usize, seed: u64) {
        let floor = limit(self.rule.floor);
        let beyond = |change: &Estimate| side(change.low, change.high, floor).is_some();
        if resamples > RESAMPLES && self.change.as_ref().is_some_and(beyond) {
            let effects = worse(self.arm, &self.arm.effects);
            self.change = cluster_bootstrap(&effects, CONFIDENCE, resamples, seed);
        }
    }

    /// Unfit numbers have no say in how many tests there were, nor in the null arm.
    pub(super) fn fit(&self) -> bool {
        self.arm.unfit.is_none() && self.enough(&self.change) && self.enough(&self.null)
    }

    fn enough(&self, estimate: &Option<Estimate>) -> bool {
        let clusters = estimate.as_ref().map_or(0, |estimate| estimate.clusters);
        clusters >= self.rule.clusters_min
    }

    /// What the fresh stage says and its null arm, where they say anything.
    fn second(&self) -> Option<(&Estimate, &Estimate)> {
        let says = self.arm.confirm.as_ref()?.unfit.is_none()
            && self.enough(&self.confirm)
            && self.enough(&self.confirm_null);
        let both = self.confirm.as_ref().zip(self.confirm_null.as_ref());
        both.filter(|_| says)
    }

    /// The null arm of either stage that is beyond the floor, and which stage that is.
    pub(super) fn null_flagged(&self) -> Option<(&Estimate, &'static str)> {
        let beyond = |null: &Estimate| side(null.low, null.high, limit(self.rule.floor)).is_some();
        let first = self.null.as_ref().map(|null| (null, ""));
        let second = self.second();
        let second = second.map(|(_, null)| (null, " in the second measurement"));
        let mut stages = first.into_iter().chain(second);
        stages.find(|(null, _)| self.fit() && beyond(null))
    }

    /// The smaller of both directions' p; worse twice has that of both stages. None where it is not fit.
    pub(super) fn p(&self) -> Option<f64> {
        let floor = limit(self.rule.floor);
        let change = self.change.as_ref().filter(|_| self.fit())?;
        let worse = change.p_above(floor);
        let worse = match self.second() {
            Some((again, _)) => twice(worse, again.p_above(floor)),
            None => worse,
        };
        Some(worse.min(change.p_below(-floor)))
    }

    pub(super) fn row(
        &self,
        p_adjusted: Option<f64>,
        tests: usize,
        flagged: Option<&str>,
    ) -> AbRow {
        let (verdict, reason, detail) = self.verdict(p_adjusted, tests, flagged);
        let again = self.arm.confirm.clone().unwrap_or_default();
        let sign = if self.arm.better == Better::Higher {
            -1.0
        } else {
            1.0
        };
        let shown =
            |estimate: &Option<Estimate>| estimate.as_ref().map(|estimate| ratio(estimate, sign));
        AbRow {
            metric: self.arm.metric.clone(),
            class: self.arm.class,
            better: self.arm.better,
            change: shown(&self.change),
            null: shown(&self.null),
            confirm: shown(&self.confirm),
            confirm_null: shown(&self.confirm_null),
            p_adjusted,
            floor: self.rule.floor,
            detectable: self
                .change
                .as_ref()
                .filter(|_| self.fit())
                .map(|change| self.rule.detectable(change)),
            verdict,
            reason,
            detail,
            effects: self.arm.effects.clone(),
            null_effects: self.arm.null_effects.clone(),
            confirm_effects: again.effects,
            confirm_null_effects: again.null_effects,
        }
    }

    fn verdict(
        &self,
        p_adjusted: Option<f64>,
        tests: usize,
        flagged: Option<&str>,
    ) -> (Verdict, Reason, String) {
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
        let by_chance = p_adjusted.is_none_or(|p| p > LEVEL);
        let many = || format!("{}: {}", said(change), self.among(tests));
        let mut within = (Reason::Within, String::new());
        match side(change.low, change.high, floor) {
            Some((Verdict::Regressed, _)) if self.rule.confirms => {
                return self.twice_worse(change, by_chance.then(many), said, wide);
            }
            Some((Verdict::Regressed, _)) if by_chance => {
                return (Verdict::Unstable, Reason::Multiplicity, many());
            }
            // Whether it is better is open; that it is no worse is not.
            Some(_) if by_chance => within = (Reason::Multiplicity, many()),
            Some((verdict, reason)) => return (verdict, reason, String::new()),
            None => {}
        }
        if wide(change) {
            let detail = format!("+-{:.1} % tells nothing", percent(change.half_width()));
            return (Verdict::Unstable, Reason::TooWide, detail);
        }
        (Verdict::Pass, within.0, within.1)
    }

    /// The first stage said worse: what the fresh one makes of it. `many` says why chance may have brought both.
    fn twice_worse(
        &self,
        change: &Estimate,
        many: Option<String>,
        said: impl Fn(&Estimate) -> String,
        wide: impl Fn(&Estimate) -> bool,
    ) -> (Verdict, Reason, String) {
        let Some((again, _)) = self.second() else {
            let why = self
                .arm
                .confirm
                .as_ref()
                .and_then(|again| again.unfit.as_ref());
            let why = why.map_or(String::new(), |why| format!(": {}", why.text()));
            let detail = format!("{}, not measured a second time{why}", said(change));
            return (Verdict::Unstable, Reason::Unconfirmed, detail);
        };
        let floor = limit(self.rule.floor);
        let both = format!(
            "the first stage said {}, the second {}",
            said(change),
            said(again)
        );
        match (side(again.low, again.high, floor), many) {
            (Some((Verdict::Regressed, _)), Some(many)) => {
                (Verdict::Unstable, Reason::Multiplicity, many)
            }
            (Some((Verdict::Regressed, reason)), None) => {
                (Verdict::Regressed, reason, "confirmed".to_owned())
            }
            _ if wide(again) => (Verdict::Unstable, Reason::TooWide, both),
            _ if again.centre <= floor || again.high < change.centre => {
                (Verdict::Pass, Reason::Cleared, both)
            }
            _ => {
                let detail = format!("{both}: neither confirmed nor cleared");
                (Verdict::Unstable, Reason::Unconfirmed, detail)
            }
        }
    }

    /// Why a change beyond the floor may be chance's, and what would tell where there were too few clusters to.
    fn among(&self, tests: usize) -> String {
        let first = p_min(self.arm.effects.len());
        let least = match self.second() {
            Some((again, _)) => twice(first, p_min(again.clusters)),
            None => first,
        };
        if self.p().is_none_or(|p| p > least) {
            return "not beyond chance among so many numbers".to_owned();
        }
        let enough = clusters_for(tests, self.second().is_some());
        format!(
            "not beyond chance among {tests} numbers, and so few clusters cannot be surer; {} {enough} can",
            self.arm.class.clusters_option()
        )
    }
}

impl Unfit {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::NotMeasured(why) | Self::Informational(why) => why,
        }
    }
}

/// The p of two independent stages of a rule that wants each below [`LEVEL`]: how often chance alone brings two such
/// whose product is no larger. That is more often than the product says, which many pairs have.
///
/// Zaykin and others, "Truncated product method for combining P-values", Genetic Epidemiology 22, 2002.
pub(super) fn twice(first: f64, second: f64) -> f64 {
    let larger = first.max(second);
    if larger > LEVEL {
        return larger;
    }
    let product = first * second;
    product * (1.0 + (LEVEL * LEVEL / product).ln())
}

/// The fewest clusters with which a change of all of them is beyond chance among so many numbers.
fn clusters_for(numbers: usize, confirms: bool) -> usize {
    let p = |clusters: usize| match (p_min(clusters), confirms) {
        (p, true) => twice(p, p),
        (p, false) => p,
    };
    let sure = |clusters: &usize| p(*clusters) * numbers as f64 <= LEVEL;
    (1..).find(sure).expect("it falls to nothing")
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
pub(super) fn side(low: f64, high: f64, floor: f64) -> Option<(Verdict, Reason)> {
    if low > floor {
        Some((Verdict::Regressed, Reason::Worse))
    } else if high < -floor {
        Some((Verdict::Improved, Reason::Better))
    } else {
        None
    }
}

pub(super) fn limit(part: f64) -> f64 {
    part.ln_1p()
}

pub(super) fn percent(effect: f64) -> f64 {
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
