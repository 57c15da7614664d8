//! A hot stretch of places that moves through all of them, round and round.

use crate::plan::HotspotPlan;
use crate::random::Dice;

/// The stretch as one client sees it. Clients count their own operations and take the others to have done as many.
#[derive(Debug)]
pub(crate) struct Hotspot {
    accesses: f64,
    every_ops: u64,
    clients: u64,
    ops: u64,
    places: u64,
    /// Places of the stretch; fewer than there are, but where there is one alone.
    hot: u64,
    by: u64,
}

impl Hotspot {
    /// The stretch among `places`, for one of `clients`.
    pub(crate) fn new(plan: HotspotPlan, places: u64, clients: u32) -> Self {
        let share = |share: f64| share_of(places, share).clamp(1, places.saturating_sub(1).max(1));
        Self {
            accesses: plan.accesses,
            every_ops: plan.every_ops,
            clients: u64::from(clients),
            ops: 0,
            places,
            hot: share(plan.space),
            by: share(plan.by),
        }
    }

    /// The next place.
    pub(crate) fn draw(&mut self, dice: &mut Dice) -> u64 {
        let moves = u128::from(self.ops) * u128::from(self.clients) / u128::from(self.every_ops);
        self.ops += 1;
        let places = u128::from(self.places);
        let start = moves % places * u128::from(self.by) % places;
        let cold = self.places - self.hot;
        let within = if cold == 0 || dice.unit() < self.accesses {
            dice.below(self.hot)
        } else {
            self.hot + dice.below(cold)
        };
        u64::try_from((start + u128::from(within)) % places).expect("below the places")
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of the places, clamped to them"
)]
fn share_of(places: u64, share: f64) -> u64 {
    (places as f64 * share).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(every_ops: u64, by: f64) -> HotspotPlan {
        HotspotPlan {
            accesses: 0.9,
            space: 0.1,
            every_ops,
            by,
        }
    }

    #[test]
    fn it_has_its_share_and_moves_on_and_round() {
        let (clients, every_ops) = (2, 20_000);
        let mut spot = Hotspot::new(plan(every_ops, 0.4), 1000, clients);
        let mut dice = Dice::new(&[5]);
        for start in [0, 400, 800, 200, 600, 0] {
            let own_ops = every_ops / u64::from(clients);
            let is_hot = |place: u64| (place + 1000 - start) % 1000 < 100;
            let hot = (0..own_ops)
                .filter(|_| is_hot(spot.draw(&mut dice)))
                .count();
            let share = hot as f64 / own_ops as f64;
            assert!((share - 0.9).abs() < 0.015, "{start}: {share}");
        }
    }

    #[test]
    fn one_place_or_two_are_places_too() {
        for places in [1, 2] {
            let mut spot = Hotspot::new(plan(1, 0.1), places, 1);
            let mut dice = Dice::new(&[5]);
            let mut seen = vec![0; usize::try_from(places).unwrap()];
            for _ in 0..100 {
                seen[usize::try_from(spot.draw(&mut dice)).unwrap()] += 1;
            }
            assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
        }
    }
}
