//! Fewer steps that fail as well: delta debugging.
//!
//! Parts of the sequence are left out, large ones first; what fails without them goes on without
//! them. A sequence that does not fail is tried a few times, because threads have a say in it. A
//! bound on the tries keeps the time bounded.

use super::ops::Step;

/// The shortest failing part of `steps` that `tries_max` calls of `fails` can find.
pub(crate) fn shrink(
    steps: Vec<Step>,
    tries_max: usize,
    mut fails: impl FnMut(&[Step]) -> bool,
) -> Vec<Step> {
    let mut kept = steps;
    let mut tries = 0;
    let mut part = kept.len().div_ceil(2);
    while part > 0 {
        let mut at = 0;
        let before = kept.len();
        while at < kept.len() {
            if tries == tries_max {
                return kept;
            }
            tries += 1;
            let end = (at + part).min(kept.len());
            let without = [&kept[..at], &kept[end..]].concat();
            if !without.is_empty() && fails(&without) {
                kept = without;
            } else {
                at = end;
            }
        }
        if part == 1 && kept.len() == before {
            break;
        }
        part = if part == 1 {
            1
        } else {
            part.div_ceil(2).min(kept.len())
        };
    }
    kept
}
