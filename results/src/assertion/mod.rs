//! What a workload promises, in one line, and whether a record keeps it.
//!
//! ```text
//!   p99(serve.read) <= 20ms                    latency: p50 p90 p99 p999 max mean
//!   throughput(load.write) >= 100MiB/s         rates: throughput, iops; also count, errors, wall
//!   stored_ratio >= 2.2                        a counter by its name
//!   load.device.flushes <= 20                  what it grew by in a phase
//!   load.write.home_ns_p99 <= 2s               a time of the target's own, in a phase or without one (`bare_name.rs`)
//!   p99(serve.reader.read) <= 20ms             of one job of the phase
//!   p99(engine, serve.read) <= 20ms            of a named target
//!   engine:write_amplification <= 1.3          a counter of a named target
//!   throughput(engine, load.write) >= 1.6 * throughput(btrfs, load.write)
//!
//!   assertion = sum ( "<=" | "<" | ">=" | ">" | "==" ) sum
//!   sum       = product { ( "+" | "-" ) product }
//!   product   = factor { ( "*" | "/" ) factor }
//!   factor    = [ "-" ] ( number [ unit ] | call | [ target ":" ] counter | "(" sum ")" )
//!   call      = quantity "(" [ target "," ] phase [ "." job ] [ "." op ] ")"
//!   unit      = ns us ms s min h | B KiB MiB GiB TiB kB MB GB TB | % , each also with /s ; or /s alone
//! ```
//!
//! A name holds letters, digits, `_`, `.` and inner `-` (so subtraction of a name wants spaces);
//! any other name goes in double quotes. Where no target is named, the first declared is meant.
//!
//! How a record is asked:
//!   * Both sides are computed round by round, from the rounds every named target has. While both
//!     are positive the median of left / right is compared with 1, else the median of left - right
//!     with 0. So a ratio between targets is taken within each round, before the median.
//!   * It must hold at every sweep point that ran. A target without the swept knobs, such as a
//!     kernel filesystem, ran once per round and stands beside every point with that round.
//!   * What cannot be computed anywhere makes the answer *unknown*, never *held*.
//!
//! Units are checked where they can be: a latency compared with a bare number is refused when the
//! workload is read, not after an hour of running.

mod evaluate;
mod expr;
mod parse;
mod token;

pub use evaluate::{AssertionOutcome, PointOutcome, Standing, evaluate};
pub(crate) use evaluate::{Context, ratio_rounds};
pub(crate) use expr::{Expr, Kind};
pub(crate) use parse::parse_sum;

use crate::metric::Better;
use crate::record::RunRecord;
use expr::Comparison;

/// A parsed assertion.
#[derive(Clone, Debug, PartialEq)]
pub struct Assertion {
    text: String,
    left: Expr,
    comparison: Comparison,
    right: Expr,
}

/// Why a line is not an assertion.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {message}{}", suggestion.as_ref().map(|s| format!("; {s}")).unwrap_or_default())]
pub struct AssertionFault {
    /// Where, in characters from 1.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
    /// What to write instead.
    pub suggestion: Option<String>,
}

impl Assertion {
    /// Reads one line.
    pub fn parse(text: &str) -> Result<Self, AssertionFault> {
        let (left, comparison, right) = parse::parse_assertion(text)?;
        Ok(Self {
            text: text.trim().to_owned(),
            left,
            comparison,
            right,
        })
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it asks for one number and no other.
    pub(crate) fn is_equality(&self) -> bool {
        self.comparison == Comparison::Equal
    }

    /// The targets it names, so that a workload can refuse one that it does not declare.
    #[must_use]
    pub fn targets(&self) -> Vec<&str> {
        let mut names = self.left.targets();
        names.extend(self.right.targets());
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The paths it names (`PHASE`, `PHASE.OP`, `PHASE.JOB.OP`), for the same purpose.
    #[must_use]
    pub fn paths(&self) -> Vec<&str> {
        let mut names = self.left.paths();
        names.extend(self.right.paths());
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// Which way a sum such as `throughput(engine, load.write) / throughput(btrfs, load.write)` is better: as the first
/// measured number in it that says.
pub fn better_of(record: &RunRecord, expression: &str) -> Result<Better, AssertionFault> {
    Ok(parse_sum(expression)?.better(record))
}

impl AssertionFault {
    pub(crate) fn new(column: usize, message: impl Into<String>) -> Self {
        Self {
            column,
            message: message.into(),
            suggestion: None,
        }
    }

    pub(crate) fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(suggestion.into());
        self
    }
}

#[cfg(test)]
mod tests;
