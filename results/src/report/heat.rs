//! Latency over time as a heat map: how many operations took how long in each interval.
//!
//! After Gregg, "Visualizing System Latency", CACM 53(7), 2010: two modes, a rare slow band or a slow
//! start show here and in no percentile. The shade is the logarithm of the count, so that one operation
//! is seen beside a hundred thousand. Intervals are joined where there are more than columns; their
//! counts add, and nothing is left out. Those between which nothing was recorded are not joined.

use super::plot::Plot;
use super::timeline::follows;
use crate::hist::{bucket_end, bucket_floor};
use crate::report::canvas::Ink;
use std::collections::BTreeMap;

/// Most columns of intervals without a gap; beyond them intervals are joined.
const COLUMNS_MAX: usize = 110;
/// Shades that can be told apart.
const SHADES: f64 = 7.0;
/// The shade of a single operation.
const FAINTEST: f64 = 0.16;

/// One interval: its place in seconds, and its responses by bucket.
pub(super) struct Slice<'a> {
    pub(super) from_s: f64,
    pub(super) to_s: f64,
    pub(super) spectrum: &'a [(u64, u64)],
}

/// Counts of joined intervals.
struct Column {
    from_s: f64,
    to_s: f64,
    counts: BTreeMap<u64, u64>,
}

/// The largest count of any cell of a map, and where its buckets begin and end. None without counts.
pub(super) fn extent(slices: &[Slice<'_>]) -> Option<(u64, u64, u64)> {
    let columns = columns(slices);
    let cells = || columns.iter().flat_map(|column| &column.counts);
    let most = cells()
        .map(|(_, count)| *count)
        .max()
        .filter(|most| *most > 0)?;
    let low = cells().map(|(floor, _)| *floor).min()?;
    let high = cells().map(|(floor, _)| bucket_end(*floor)).max()?;
    Some((most, low, high))
}

/// Draws the cells; neighbours of one shade in a row become one rectangle.
pub(super) fn draw(plot: &Plot<'_, '_>, slices: &[Slice<'_>], most: u64, ink: Ink) {
    let columns = columns(slices);
    let mut floors: Vec<u64> = columns
        .iter()
        .flat_map(|column| column.counts.keys().copied())
        .collect();
    floors.sort_unstable();
    floors.dedup();
    for floor in floors {
        let (low, high) = (floor as f64, bucket_end(floor) as f64);
        let mut open: Option<(f64, f64, f64)> = None;
        for column in &columns {
            let count = column.counts.get(&floor).copied().unwrap_or(0);
            let shade = shade(count, most);
            match &mut open {
                Some((_, to_s, known)) if *known == shade && *to_s >= column.from_s => {
                    *to_s = column.to_s;
                }
                _ => {
                    if let Some((from_s, to_s, known)) = open.take() {
                        plot.block((from_s, to_s), (low, high), ink, known);
                    }
                    open = (shade > 0.0).then_some((column.from_s, column.to_s, shade));
                }
            }
        }
        if let Some((from_s, to_s, known)) = open {
            plot.block((from_s, to_s), (low, high), ink, known);
        }
    }
}

/// The opacity of a count: 0 for none, 1 for the most.
fn shade(count: u64, most: u64) -> f64 {
    if count == 0 || most == 0 {
        return 0.0;
    }
    let part = (count as f64).ln_1p() / (most as f64).ln_1p();
    FAINTEST + (1.0 - FAINTEST) * ((part * SHADES).round() / SHADES).min(1.0)
}

fn columns(slices: &[Slice<'_>]) -> Vec<Column> {
    let joined = slices.len().div_ceil(COLUMNS_MAX).max(1);
    slices
        .chunk_by(|before, next| follows(before.to_s, next.from_s, next.to_s))
        .flat_map(|stretch| stretch.chunks(joined))
        .filter_map(|chunk| {
            let mut counts = BTreeMap::new();
            for (floor, count) in chunk.iter().flat_map(|slice| slice.spectrum) {
                let sum: &mut u64 = counts.entry(bucket_floor(*floor)).or_default();
                *sum = sum.saturating_add(*count);
            }
            Some(Column {
                from_s: chunk.first()?.from_s,
                to_s: chunk.last()?.to_s,
                counts,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joining_intervals_loses_no_operation() {
        let spectra: Vec<[(u64, u64); 2]> = (0..1000).map(|_| [(8, 1), (64, 3)]).collect();
        let slices: Vec<Slice<'_>> = (0_i32..)
            .zip(&spectra)
            .map(|(nth, spectrum)| Slice {
                from_s: f64::from(nth),
                to_s: f64::from(nth + 1),
                spectrum,
            })
            .collect();
        let columns = columns(&slices);
        assert!(columns.len() <= COLUMNS_MAX, "{}", columns.len());
        let total: u64 = columns.iter().flat_map(|one| one.counts.values()).sum();
        assert_eq!(total, 4000);
        assert_eq!((columns[0].from_s, columns[0].to_s), (0.0, 10.0));
        assert_eq!(extent(&slices), Some((30, 8, 96)));
        assert_eq!(extent(&[]), None);
    }

    #[test]
    fn one_operation_is_seen_beside_many_and_none_is_not() {
        assert_eq!(shade(0, 100_000), 0.0);
        assert!(shade(1, 100_000) > 0.15);
        assert!(shade(1, 100_000) < shade(1000, 100_000));
        assert_eq!(shade(100_000, 100_000), 1.0);
    }

    #[test]
    fn columns_end_where_nothing_was_recorded() {
        let spectrum = [(8, 1)];
        let at = |nth: i32, after: f64| Slice {
            from_s: f64::from(nth) + after,
            to_s: f64::from(nth + 1) + after,
            spectrum: &spectrum,
        };
        let before = (0..505).map(|nth| at(nth, 0.0));
        let slices: Vec<Slice<'_>> = before
            .chain((505..1000).map(|nth| at(nth, 300.0)))
            .collect();
        let columns = columns(&slices);
        let total: u64 = columns.iter().flat_map(|one| one.counts.values()).sum();
        assert_eq!(total, 1000);
        for column in columns {
            assert!(
                column.to_s <= 505.0 || column.from_s >= 805.0,
                "{} to {}",
                column.from_s,
                column.to_s
            );
        }
    }
}
