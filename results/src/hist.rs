//! Latencies of one kind of operation, mergeable, at three digits.
//!
//! A thin wrapper, so that the choice of `hdrhistogram` and its settings is made once: 1 ns and up,
//! three digits, growing by itself past the ten seconds it starts with. Inside JSON a histogram is
//! the base64 of V2 with deflate, which every HDR tool reads; it stays text until somebody asks,
//! since decoded it takes some 200 KiB and a sweep holds thousands.
//!
//! Locks and threads: none. One histogram per thread, merged where an interval ends.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::ZlibDecoder;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::io::Read as _;

/// Values up to this need no growth while recording.
const NS_PREALLOCATED: u64 = 10_000_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;
/// Most digits of a histogram that is read: with five it may take 50 MiB.
const DIGITS_MAX: u32 = 4;
/// First bytes of a histogram behind deflate, and how many there are before the deflate stream.
const PACKED_COOKIE: [u8; 4] = 0x1c84_9314_u32.to_be_bytes();
const PACKED_HEADER_BYTES: usize = 8;
/// More operations than a run makes, and few enough that the sums of many runs are numbers.
const OPERATIONS_MAX: u64 = 1 << 53;
/// Bytes before the counts: cookie, length, offset, digits, lowest, highest, ratio.
const HEADER_BYTES: usize = 40;
/// Most bytes of counts: 64 bits of values at four digits are below 840,000 counts of up to 9 bytes.
const PAYLOAD_BYTES_MAX: usize = 8 << 20;

/// Latencies in nanoseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct LatencyHist {
    inner: Histogram<u64>,
}

/// A stored histogram that does not decode.
#[derive(Debug, thiserror::Error)]
#[error("histogram does not decode: {what}; the record is damaged, measure again")]
pub struct HistError {
    what: String,
}

impl Default for LatencyHist {
    fn default() -> Self {
        Self::new()
    }
}

impl LatencyHist {
    /// An empty histogram.
    #[must_use]
    pub fn new() -> Self {
        let mut inner = Histogram::new_with_bounds(1, NS_PREALLOCATED, SIGNIFICANT_DIGITS)
            .expect("the bounds are constants hdrhistogram takes");
        inner.auto(true);
        Self { inner }
    }

    /// One operation took `ns`. Zero counts as 1 ns, the lowest value held.
    pub fn record(&mut self, ns: u64) {
        self.record_n(ns, 1);
    }

    /// `count` operations took `ns` each.
    pub fn record_n(&mut self, ns: u64, count: u64) {
        self.inner
            .record_n(ns.max(1), count)
            .expect("an automatically growing histogram takes any value");
    }

    /// Adds another histogram's counts.
    pub fn merge(&mut self, other: &Self) {
        self.inner
            .add(&other.inner)
            .expect("an automatically growing histogram takes any other");
    }

    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.inner.reset();
    }

    /// How many operations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.inner.len()
    }

    /// Whether nothing was recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.is_empty()
    }

    /// The value at a quantile in 0..=1; 0 when empty.
    #[must_use]
    pub fn ns_at(&self, quantile: f64) -> u64 {
        if self.is_empty() {
            0
        } else {
            self.inner.value_at_quantile(quantile)
        }
    }

    /// The mean; 0 when empty.
    #[must_use]
    pub fn ns_mean(&self) -> f64 {
        if self.is_empty() {
            0.0
        } else {
            self.inner.mean()
        }
    }

    /// The smallest value, within the histogram's resolution; 0 when empty.
    #[must_use]
    pub fn ns_min(&self) -> u64 {
        if self.is_empty() { 0 } else { self.inner.min() }
    }

    /// The largest value, within the histogram's resolution; 0 when empty.
    #[must_use]
    pub fn ns_max(&self) -> u64 {
        if self.is_empty() { 0 } else { self.inner.max() }
    }

    /// How many took longer than `ns`, within the histogram's resolution.
    #[must_use]
    pub fn count_above(&self, ns: u64) -> u64 {
        let edge = self.inner.highest_equivalent(ns);
        let above = self.inner.iter_recorded();
        above
            .filter(|step| step.value_iterated_to() > edge)
            .map(|step| step.count_since_last_iteration())
            .sum()
    }

    /// The percentile curve as (quantile, ns): denser towards the tail, ends at the maximum.
    #[must_use]
    pub fn curve(&self) -> Vec<(f64, u64)> {
        const TICKS_PER_HALF_DISTANCE: u32 = 6;
        self.inner
            .iter_quantiles(TICKS_PER_HALF_DISTANCE)
            .map(|step| (step.quantile_iterated_to(), step.value_iterated_to()))
            .collect()
    }

    /// How many there are in each bucket that has any, lowest first: where the bucket begins, and the count.
    #[must_use]
    pub fn spectrum(&self) -> Vec<(u64, u64)> {
        let mut buckets: Vec<(u64, u64)> = Vec::new();
        for step in self.inner.iter_recorded() {
            let floor = bucket_floor(step.value_iterated_to());
            match buckets.last_mut() {
                Some((last, count)) if *last == floor => *count += step.count_at_value(),
                _ => buckets.push((floor, step.count_at_value())),
            }
        }
        buckets
    }

    /// Base64 of V2 with deflate.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(&self.inner, &mut bytes)
            .expect("writing to memory does not fail");
        STANDARD.encode(bytes)
    }

    /// Reads what `encode`, or another HDR tool's V2 writer, made.
    pub fn decode(text: &str) -> Result<Self, HistError> {
        let packed = STANDARD.decode(text.trim()).map_err(|error| HistError {
            what: error.to_string(),
        })?;
        let bytes = plain(&packed).map_err(|what| HistError {
            what: what.to_owned(),
        })?;
        let mut inner: Histogram<u64> = Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|error| HistError {
                what: error.to_string(),
            })?;
        inner.auto(true);
        Ok(Self { inner })
    }

    pub(crate) fn inner(&self) -> &Histogram<u64> {
        &self.inner
    }
}

/// Where the bucket of a heat map that holds this latency begins. There are two in each doubling, at whole
/// numbers: 1, 2, 3, 4, 6, 8, 12, 16, 24, ...
#[must_use]
pub fn bucket_floor(ns: u64) -> u64 {
    let power = 1_u64 << ns.max(1).ilog2();
    let middle = power | power >> 1;
    if ns >= middle { middle } else { power }
}

/// Where the bucket that begins at `floor` ends, and the next begins.
#[must_use]
pub fn bucket_end(floor: u64) -> u64 {
    let power = 1_u64 << floor.max(1).ilog2();
    let middle = power | power >> 1;
    if floor >= middle {
        power.saturating_mul(2)
    } else {
        middle
    }
}

/// Unpacks what `decode` was given, and refuses what `hdrhistogram` would take memory for or trip over: it
/// believes the lengths that a header announces.
fn plain(packed: &[u8]) -> Result<Vec<u8>, &'static str> {
    let bytes = match packed.split_at_checked(PACKED_HEADER_BYTES) {
        Some((header, body)) if header[..4] == PACKED_COOKIE => {
            let mut bytes = Vec::new();
            ZlibDecoder::new(body)
                .take((HEADER_BYTES + PAYLOAD_BYTES_MAX) as u64 + 1)
                .read_to_end(&mut bytes)
                .map_err(|_| "its deflate stream is damaged")?;
            bytes
        }
        _ => packed.to_vec(),
    };
    let Some((header, payload)) = bytes.split_at_checked(HEADER_BYTES) else {
        return Err("it is shorter than its header");
    };
    let field = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|byte| header[at + byte]));
    if payload.len() > PAYLOAD_BYTES_MAX || field(4) as usize != payload.len() {
        return Err("its length is not what its header says");
    }
    if field(12) > DIGITS_MAX {
        return Err("it has more digits than a latency needs");
    }
    if operations(payload).is_none() {
        return Err("its counts are of no run");
    }
    Ok(bytes)
}

/// How many operations the counts of a payload are, if that is a possible number. A count is 7 bits a byte, nine
/// bytes at most, the lowest bit its sign; below zero it is a run of as many zeros.
fn operations(mut payload: &[u8]) -> Option<u64> {
    let mut sum: u64 = 0;
    while !payload.is_empty() {
        let goes_on = payload.iter().take(8).take_while(|byte| **byte >= 0x80);
        let (number, rest) = payload.split_at_checked(goes_on.count() + 1)?;
        payload = rest;
        let value = number.iter().enumerate().fold(0, |value, (nth, &byte)| {
            let bits = if nth == 8 { byte } else { byte & 0x7f };
            value | u64::from(bits) << (7 * nth)
        });
        if value % 2 == 0 {
            sum = sum.checked_add(value / 2)?;
        } else if value == u64::MAX {
            return None;
        }
    }
    (sum <= OPERATIONS_MAX).then_some(sum)
}

/// A histogram inside a record: its readable numbers, and the whole of it as text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// How many operations.
    pub count: u64,
    /// Mean.
    pub ns_mean: f64,
    /// Smallest.
    pub ns_min: u64,
    /// Median.
    pub ns_p50: u64,
    /// 90th percentile.
    pub ns_p90: u64,
    /// 99th percentile.
    pub ns_p99: u64,
    /// 99.9th percentile.
    pub ns_p999: u64,
    /// Largest.
    pub ns_max: u64,
    /// Base64 of the HDR V2 histogram with deflate; empty when nothing was recorded.
    pub hdr: String,
}

impl From<&LatencyHist> for Latency {
    fn from(hist: &LatencyHist) -> Self {
        if hist.is_empty() {
            return Self::default();
        }
        Self {
            count: hist.count(),
            ns_mean: hist.ns_mean(),
            ns_min: hist.ns_min(),
            ns_p50: hist.ns_at(0.5),
            ns_p90: hist.ns_at(0.9),
            ns_p99: hist.ns_at(0.99),
            ns_p999: hist.ns_at(0.999),
            ns_max: hist.ns_max(),
            hdr: hist.encode(),
        }
    }
}

impl Latency {
    /// The histogram itself.
    pub fn hist(&self) -> Result<LatencyHist, HistError> {
        if self.hdr.is_empty() {
            Ok(LatencyHist::new())
        } else {
            LatencyHist::decode(&self.hdr)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_three_digits() {
        let mut hist = LatencyHist::new();
        for ns in 1..=100_000 {
            hist.record(ns);
        }
        assert_eq!(hist.count(), 100_000);
        for (quantile, exact) in [(0.5, 50_000.0), (0.99, 99_000.0), (1.0, 100_000.0)] {
            let found = hist.ns_at(quantile) as f64;
            assert!(
                (found / exact - 1.0).abs() < 0.002,
                "{quantile}: {found} is not {exact}"
            );
        }
    }

    #[test]
    fn what_is_above_a_time_is_counted() {
        let mut hist = LatencyHist::new();
        assert_eq!(hist.count_above(0), 0);
        hist.record_n(1_000, 5);
        hist.record_n(2_000_000, 3);
        hist.record(3_600_000_000_000);
        assert_eq!(hist.count_above(0), 9);
        assert_eq!(hist.count_above(1_000), 4);
        assert_eq!(hist.count_above(2_100_000), 1);
        assert_eq!(hist.count_above(u64::MAX), 0);
    }

    #[test]
    fn text_and_back_is_the_same() {
        let mut hist = LatencyHist::new();
        hist.record_n(1_234_567, 3);
        hist.record(0);
        hist.record(3_600_000_000_000);
        let back = LatencyHist::decode(&hist.encode()).expect("own text decodes");
        assert_eq!(back.count(), 5);
        assert_eq!(back.ns_max(), hist.ns_max());
        assert_eq!(back.ns_min(), 1);
        assert_eq!(back.ns_at(0.5), hist.ns_at(0.5));
    }

    #[test]
    fn merging_adds_counts_and_keeps_extremes() {
        let (mut left, mut right) = (LatencyHist::new(), LatencyHist::new());
        left.record(10);
        right.record(20_000_000_000);
        left.merge(&right);
        assert_eq!((left.count(), left.ns_min()), (2, 10));
        assert!(left.ns_max() >= 20_000_000_000);
    }

    #[test]
    fn buckets_tile_the_latencies_and_a_spectrum_counts_all() {
        let mut floor = 1;
        for expected in [2, 3, 4, 6, 8, 12, 16, 24, 32] {
            assert_eq!(bucket_floor(floor), floor);
            assert_eq!(bucket_floor(bucket_end(floor) - 1), floor);
            floor = bucket_end(floor);
            assert_eq!(floor, expected);
        }
        assert_eq!(bucket_floor(0), 1);
        assert_eq!(bucket_end(bucket_floor(u64::MAX)), u64::MAX);
        let mut hist = LatencyHist::new();
        hist.record_n(5, 2);
        hist.record(4);
        hist.record(1_000_000);
        assert_eq!(hist.spectrum(), [(4, 3), (786_432, 1)]);
        assert_eq!(LatencyHist::new().spectrum(), []);
    }

    #[test]
    fn an_empty_one_answers_zero_and_damage_is_named() {
        assert_eq!(LatencyHist::new().ns_at(0.99), 0);
        assert_eq!(
            Latency::from(&LatencyHist::new())
                .hist()
                .expect("empty")
                .count(),
            0
        );
        let error = LatencyHist::decode("not base64!").expect_err("damaged");
        assert!(error.to_string().contains("does not decode"));
    }
}
