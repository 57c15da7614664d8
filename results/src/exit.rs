//! How a run ends, as a number a script can test.
//!
//! One table for every command. Where several endings apply the worst wins: wrong bytes outrank any
//! timing, a confirmed regression outranks "cannot tell".

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The exit codes of the binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExitCode {
    /// Ran, verified, nothing found worse.
    Good,
    /// A confirmed regression or a violated assertion.
    Regression,
    /// Wrong usage, or an invalid workload, record or baseline.
    Usage,
    /// Nothing could be told: unstable, abstained, or nothing to compare with.
    Inconclusive,
    /// The run failed, or bytes read back were wrong.
    Failed,
    /// Stopped by a signal; what was measured until then is kept.
    Interrupted,
}

impl ExitCode {
    /// Every code, in the order of the help text.
    pub const ALL: [Self; 6] = [
        Self::Good,
        Self::Regression,
        Self::Usage,
        Self::Inconclusive,
        Self::Failed,
        Self::Interrupted,
    ];

    /// The number given to the operating system.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Good => 0,
            Self::Regression => 1,
            Self::Usage => 2,
            Self::Inconclusive => 3,
            Self::Failed => 4,
            Self::Interrupted => 130,
        }
    }

    /// One line for the help text.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Good => "ran, verified, nothing found worse",
            Self::Regression => "confirmed regression or violated assertion",
            Self::Usage => "wrong usage, or an invalid workload, record or baseline",
            Self::Inconclusive => "inconclusive: unstable, abstained, or nothing to compare with",
            Self::Failed => "the run failed, or bytes read back were wrong",
            Self::Interrupted => "interrupted; what was measured until then is kept",
        }
    }

    /// The one word used in JSON and in the last line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Regression => "regression",
            Self::Usage => "usage",
            Self::Inconclusive => "inconclusive",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }

    const fn rank(self) -> u8 {
        match self {
            Self::Good => 0,
            Self::Inconclusive => 1,
            Self::Regression => 2,
            Self::Interrupted => 3,
            Self::Usage => 4,
            Self::Failed => 5,
        }
    }

    /// The worse of two endings.
    #[must_use]
    pub const fn worst(self, other: Self) -> Self {
        if other.rank() > self.rank() {
            other
        } else {
            self
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.code())
    }
}

/// An exit code and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// What the process ends with.
    pub code: ExitCode,
    /// One sentence.
    pub reason: String,
}

impl Outcome {
    /// An ending with its reason.
    pub fn new(code: ExitCode, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_the_published_ones() {
        let codes: Vec<u8> = ExitCode::ALL.iter().map(|code| code.code()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 130]);
    }

    #[test]
    fn wrong_bytes_outrank_a_regression_and_a_regression_outranks_doubt() {
        assert_eq!(
            ExitCode::Regression.worst(ExitCode::Failed),
            ExitCode::Failed
        );
        assert_eq!(
            ExitCode::Regression.worst(ExitCode::Inconclusive),
            ExitCode::Regression
        );
        assert_eq!(
            ExitCode::Good.worst(ExitCode::Inconclusive),
            ExitCode::Inconclusive
        );
    }
}
