//! In which order the places of a job are visited by one client: the patterns.
//!
//! Sequential and strided clients have contiguous shares of the places, like so many copies running beside each other. Shuffled
//! clients take turns in one permutation. Those that draw draw from all places.

use super::hotspot::Hotspot;
use super::law::Law;
use super::layout::{Layout, Spot};
use super::permute::Permutation;
use super::runs::Runs;
use super::share::Share;
use crate::plan::{AccessPlan, PatternPlan};
use crate::random::Dice;

/// The order of one client.
#[derive(Debug)]
pub(crate) enum Order {
    /// One or several sequential streams in turns.
    Runs {
        runs: Vec<Run>,
        turn: usize,
        backward: bool,
    },
    Stride {
        range: Run,
        stride_bytes: u64,
        backward: bool,
    },
    /// Indices `at`, `at + clients` and so on of a permutation; another one each lap.
    Shuffle {
        seed: u64,
        lap: u64,
        at: u64,
        share: Share,
        order: Permutation,
    },
    Random,
    RandomRuns(Runs),
    /// Any block has to fit at any place here too.
    Hotspot {
        spot: Hotspot,
        room_bytes: u64,
    },
    Drawn {
        law: Law,
        scatter: Option<Permutation>,
        /// Any block has to fit at any place, so that the law does not depend on the size drawn.
        room_bytes: u64,
    },
}

/// A stretch of places, and how far it has been walked.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    start: u64,
    end: u64,
    done: u64,
}

/// What follows a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// This place.
    Spot(Spot),
    /// All places of the client were visited; the next call starts over.
    Lap,
}

impl Run {
    fn new(range: std::ops::Range<u64>) -> Self {
        Self {
            start: range.start,
            end: range.end,
            done: 0,
        }
    }

    fn is_over(&self) -> bool {
        self.start + self.done == self.end
    }

    /// The next piece of at most `size`, which moves on by as many places as it covers.
    fn next(&mut self, layout: &Layout, size: u64, backward: bool) -> Spot {
        let step = layout.step();
        let left = self.end - self.start - self.done;
        let spot = if backward {
            let last = self.end - self.done - 1;
            let in_file = layout.before_in_file(last) + 1;
            let places = size.div_ceil(step).min(in_file).min(left);
            layout.spot(last + 1 - places, places.saturating_mul(step))
        } else {
            let most = left.saturating_mul(step);
            layout.spot(self.start + self.done, size.min(most))
        };
        self.done += layout.covering(spot.bytes);
        spot
    }
}

impl Order {
    pub(crate) fn new(plan: &AccessPlan, layout: &Layout, share: Share, seed: u64) -> Self {
        let places = layout.places();
        let runs = |streams: u32, backward| {
            let own = share.range(places);
            let part = |client| {
                let part = Share {
                    client,
                    clients: streams,
                };
                let range = part.range(own.end - own.start);
                Run::new(own.start + range.start..own.start + range.end)
            };
            Self::Runs {
                runs: (0..streams).map(part).collect(),
                turn: 0,
                backward,
            }
        };
        let room_bytes = plan.largest_block();
        if let Some((law, scatter)) = Law::of(&plan.pattern, || layout.fitting(room_bytes)) {
            let ranks = layout.fitting(room_bytes);
            return Self::Drawn {
                law,
                scatter: scatter.then(|| Permutation::new(ranks, &[seed, 3])),
                room_bytes,
            };
        }
        match plan.pattern {
            PatternPlan::Backward => runs(1, true),
            PatternPlan::Interleaved { streams, backward } => runs(streams, backward),
            PatternPlan::Stride {
                stride_bytes,
                backward,
            } => {
                let files = u64::from(layout.files().count);
                let steps = stride_steps(layout, stride_bytes).saturating_mul(files);
                Self::Stride {
                    range: Run::new(share.range(steps)),
                    stride_bytes,
                    backward,
                }
            }
            PatternPlan::Shuffle => Self::Shuffle {
                seed,
                lap: 0,
                at: u64::from(share.client),
                share,
                order: Permutation::new(places, &[seed, 2, 0]),
            },
            PatternPlan::Random => Self::Random,
            PatternPlan::Runs(length) => Self::RandomRuns(Runs::new(length)),
            PatternPlan::Hotspot(plan) => Self::Hotspot {
                spot: Hotspot::new(plan, layout.fitting(room_bytes), share.clients),
                room_bytes,
            },
            _ => runs(1, false),
        }
    }

    /// The next place for `size` bytes.
    #[inline]
    pub(crate) fn next(&mut self, layout: &Layout, size: u64, dice: &mut Dice) -> Step {
        match self {
            Self::Runs {
                runs,
                turn,
                backward,
            } => {
                let streams = runs.len();
                for _ in 0..streams {
                    let run = &mut runs[*turn];
                    *turn += 1;
                    if *turn == streams {
                        *turn = 0;
                    }
                    if !run.is_over() {
                        return Step::Spot(run.next(layout, size, *backward));
                    }
                }
                runs.iter_mut().for_each(|run| run.done = 0);
                *turn = 0;
                Step::Lap
            }
            Self::Stride {
                range,
                stride_bytes,
                backward,
            } => loop {
                if range.is_over() {
                    range.done = 0;
                    return Step::Lap;
                }
                let at = if *backward {
                    range.end - 1 - range.done
                } else {
                    range.start + range.done
                };
                range.done += 1;
                if let Some(spot) = strided(layout, *stride_bytes, at, size) {
                    return Step::Spot(spot);
                }
            },
            Self::Shuffle {
                seed,
                lap,
                at,
                share,
                order,
            } => {
                let places = layout.places();
                if *at >= places {
                    *lap += 1;
                    *at = u64::from(share.client);
                    *order = Permutation::new(places, &[*seed, 2, *lap]);
                    return Step::Lap;
                }
                let place = order.at(*at);
                *at += u64::from(share.clients);
                Step::Spot(layout.spot(place, size))
            }
            Self::Random => {
                let place = dice.below(layout.fitting(size));
                Step::Spot(layout.fitting_spot(place, size, size))
            }
            Self::RandomRuns(runs) => Step::Spot(runs.next(layout, size, dice)),
            Self::Hotspot { spot, room_bytes } => {
                let place = spot.draw(dice);
                Step::Spot(layout.fitting_spot(place, *room_bytes, size))
            }
            Self::Drawn {
                law,
                scatter,
                room_bytes,
            } => {
                let rank = law.draw(dice);
                let place = scatter.as_ref().map_or(rank, |order| order.at(rank));
                Step::Spot(layout.fitting_spot(place, *room_bytes, size))
            }
        }
    }
}

/// Steps of a file walked in strides: sweep after sweep, each a block further, until the gaps are filled.
fn stride_steps(layout: &Layout, stride_bytes: u64) -> u64 {
    let sweeps = stride_bytes.div_ceil(layout.step());
    sweeps.saturating_mul(layout.region_bytes(0).div_ceil(stride_bytes))
}

/// The piece of step `at`; none where the last stride of a sweep is beyond the region. Where the stride is no multiple of the
/// block, the last piece of each gap is what is left of it, so that no byte is visited twice.
fn strided(layout: &Layout, stride_bytes: u64, at: u64, size: u64) -> Option<Spot> {
    let steps = stride_steps(layout, stride_bytes);
    let region_bytes = layout.region_bytes(0);
    let per_sweep = region_bytes.div_ceil(stride_bytes);
    let nth = u32::try_from(at / steps).expect("a step is in one of the files");
    let (sweep, hop) = (at % steps / per_sweep, at % steps % per_sweep);
    let into_gap = sweep * layout.step();
    let within = hop
        .checked_mul(stride_bytes)
        .and_then(|hop| hop.checked_add(into_gap))
        .filter(|within| *within < region_bytes)?;
    Some(layout.piece(nth, within, size.min(stride_bytes - into_gap)))
}
