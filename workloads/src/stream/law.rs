//! Places drawn by a law: the exact source of each.
//!
//! | law | source | exact |
//! |---|---|---|
//! | zipf | rejection-inversion, Hoermann and Derflinger 1996 (`zipf`) | for every exponent and number of places |
//! | pareto | self-similar, Gray et al., "Quickly Generating Billion-Record Synthetic Databases", SIGMOD 1994 | places below k get (k/n)^(ln(1-h)/ln h) |
//! | normal | Box and Muller 1958 (`random`), what falls outside the region drawn again | a truncated normal |
//! | zones | weights, then each place of the zone alike | yes |
//!
//! Draws have 53 random bits: in a space of more than 2^53 places some are never drawn.

use super::zipf::Zipf;
use crate::plan::{PatternPlan, ZonePlan};
use crate::random::{Dice, Weights};

/// A law over `0..ranks`.
#[derive(Debug)]
pub(crate) enum Law {
    Zipf(Zipf),
    Pareto {
        ranks: u64,
        exponent: f64,
    },
    Normal {
        ranks: u64,
        center: f64,
        deviation: f64,
    },
    Zones {
        shares: Weights,
        /// First place of each zone and the one after its last.
        bounds: Vec<(u64, u64)>,
    },
}

impl Law {
    /// The law of `pattern`, and whether its ranks are spread over the region; none for patterns that are no law.
    pub(crate) fn of(pattern: &PatternPlan, ranks: impl Fn() -> u64) -> Option<(Self, bool)> {
        Some(match pattern {
            PatternPlan::Zipf { theta, scatter } => {
                (Self::Zipf(Zipf::new(ranks(), *theta)), *scatter)
            }
            PatternPlan::Pareto { share, scatter } => {
                let exponent = libm::log(*share) / libm::log(1.0 - *share);
                let ranks = ranks();
                (Self::Pareto { ranks, exponent }, *scatter)
            }
            PatternPlan::Normal { center, deviation } => {
                let law = Self::Normal {
                    ranks: ranks(),
                    center: *center,
                    deviation: *deviation,
                };
                (law, false)
            }
            PatternPlan::Zones(zones) => {
                let wanted = |(zone, bounds)| -> Option<(&ZonePlan, (u64, u64))> {
                    let zone: &ZonePlan = zone;
                    (zone.accesses > 0.0).then_some((zone, bounds))
                };
                let zones: Vec<(&ZonePlan, (u64, u64))> = zones
                    .iter()
                    .zip(zone_bounds(zones, ranks()))
                    .filter_map(wanted)
                    .collect();
                let law = Self::Zones {
                    shares: Weights::new(zones.iter().map(|(zone, _)| zone.accesses)),
                    bounds: zones.iter().map(|(_, bounds)| *bounds).collect(),
                };
                (law, false)
            }
            _ => return None,
        })
    }

    /// A rank.
    pub(crate) fn draw(&self, dice: &mut Dice) -> u64 {
        match self {
            Self::Zipf(law) => law.draw(dice),
            Self::Pareto { ranks, exponent } => place(libm::pow(dice.unit(), *exponent), *ranks),
            Self::Normal {
                ranks,
                center,
                deviation,
            } => loop {
                let x = center + deviation * dice.normal();
                if (0.0..1.0).contains(&x) {
                    return place(x, *ranks);
                }
            },
            Self::Zones { shares, bounds } => {
                let (start, end) = bounds[shares.pick(dice.bits())];
                start + dice.below(end - start)
            }
        }
    }
}

/// The place at the share `x` of the way.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of the ranks, clamped below them"
)]
fn place(x: f64, ranks: u64) -> u64 {
    ((x * ranks as f64) as u64).min(ranks - 1)
}

/// First place of each zone and the one after its last.
fn zone_bounds(zones: &[ZonePlan], ranks: u64) -> Vec<(u64, u64)> {
    let mut upto = 0.0;
    let mut start = 0;
    let mut bounds = Vec::with_capacity(zones.len());
    for (nth, zone) in zones.iter().enumerate() {
        upto += zone.space;
        let end = if nth + 1 == zones.len() {
            ranks
        } else {
            edge(upto, ranks)
        };
        bounds.push((start, end.max(start)));
        start = end.max(start);
    }
    bounds
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of the ranks, clamped to them"
)]
fn edge(share: f64, ranks: u64) -> u64 {
    ((share * ranks as f64).round() as u64).min(ranks)
}

/// Is there a zone that is accessed and has no place among `ranks`?
pub(crate) fn has_empty_zone(zones: &[ZonePlan], ranks: u64) -> bool {
    zones
        .iter()
        .zip(zone_bounds(zones, ranks))
        .any(|(zone, (start, end))| zone.accesses > 0.0 && start == end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(pattern: &PatternPlan, ranks: u64, draws: u32) -> Vec<f64> {
        let (law, _) = Law::of(pattern, || ranks).unwrap();
        let mut dice = Dice::new(&[31]);
        let mut counts = vec![0.0; usize::try_from(ranks).unwrap()];
        for _ in 0..draws {
            counts[usize::try_from(law.draw(&mut dice)).unwrap()] += 1.0;
        }
        counts
    }

    #[test]
    fn pareto_keeps_its_rule_at_every_scale() {
        for share in [0.1, 0.2, 0.3, 0.5] {
            let pattern = PatternPlan::Pareto {
                share,
                scatter: false,
            };
            let counts = counts(&pattern, 1000, 1_000_000);
            for k in [1_usize, 10, 40, 200, 500, 900] {
                let found: f64 = counts[..k].iter().sum::<f64>() / 1e6;
                let expected = (k as f64 / 1000.0).powf((1.0 - share).ln() / share.ln());
                let slack = 5.0 * (expected * (1.0 - expected) / 1e6).sqrt();
                assert!(
                    (found - expected).abs() < slack,
                    "{share} {k}: {found} {expected}"
                );
            }
        }
    }

    #[test]
    fn normal_is_cut_off_at_the_ends_and_has_its_moments() {
        let pattern = |center| PatternPlan::Normal {
            center,
            deviation: 0.1,
        };
        let middle = counts(&pattern(0.5), 1000, 400_000);
        let mean = (0..1000).map(|k| middle[k] * (k as f64 + 0.5)).sum::<f64>() / 4e5;
        let variance = (0..1000)
            .map(|k| middle[k] * (k as f64 + 0.5 - mean).powi(2))
            .sum::<f64>()
            / 4e5;
        assert!((mean - 500.0).abs() < 1.0, "{mean}");
        assert!((variance.sqrt() - 100.0).abs() < 0.6, "{variance}");
        // At the edge it is half a bell: its mean is deviation * sqrt(2 / pi).
        let edge = counts(&pattern(0.0), 1000, 400_000);
        let mean = (0..1000).map(|k| edge[k] * (k as f64 + 0.5)).sum::<f64>() / 4e5;
        assert!((mean - 79.79).abs() < 0.6, "{mean}");
    }

    #[test]
    fn zones_get_their_shares_and_each_place_of_one_alike() {
        let zone = |accesses, space| ZonePlan { accesses, space };
        let zones = vec![
            zone(0.6, 0.1),
            zone(0.3, 0.3),
            zone(0.0, 0.5),
            zone(0.1, 0.1),
        ];
        assert!(!has_empty_zone(&zones, 10));
        assert!(has_empty_zone(&zones, 4));
        let counts = counts(&PatternPlan::Zones(zones), 100, 1_000_000);
        let share = |range: std::ops::Range<usize>| counts[range].iter().sum::<f64>() / 1e6;
        for (range, expected) in [(0..10, 0.6), (10..40, 0.3), (40..90, 0.0), (90..100, 0.1)] {
            assert!((share(range.clone()) - expected).abs() < 0.003, "{range:?}");
        }
        let hottest = &counts[..10];
        assert!(
            hottest
                .iter()
                .all(|count| (count - 60_000.0).abs() < 1300.0)
        );
    }
}
