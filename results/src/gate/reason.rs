//! Why a number got its verdict, as a word that scripts may rely on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One word for a verdict's reason. Words are added, never changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Pass: within the tolerance or the floor.
    Within,
    /// Pass: worse at first, and within the floor or well below the first when measured again.
    Cleared,
    /// Regressed: beyond it on the worse side.
    Worse,
    /// Regressed: another number where any change is news.
    Changed,
    /// Improved: beyond it on the better side.
    Better,
    /// Unstable: rounds of one run disagree.
    RoundsDisagree,
    /// Unstable: the interval is wider than the budget.
    TooWide,
    /// Unstable, or pass on the better side: beyond the floor, and not beyond chance among so many numbers.
    Multiplicity,
    /// Unstable: worse, and a second measurement neither confirmed nor cleared it, or there was none.
    Unconfirmed,
    /// Abstained: could not be computed or measured.
    NotMeasured,
    /// Abstained: shown for whoever looks, and not judged.
    Informational,
    /// Abstained: too few clusters.
    TooFew,
    /// Abstained: the base differs from itself.
    NullArm,
    /// Abstained: a ratio of times that was held on another machine.
    OtherMachine,
    /// Abstained: counted with another compiler, library, profile or valgrind.
    OtherTools,
    /// Abstained: a tool is not installed.
    ToolMissing,
}

impl Reason {
    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Within => "within",
            Self::Cleared => "cleared",
            Self::Worse => "worse",
            Self::Changed => "changed",
            Self::Better => "better",
            Self::RoundsDisagree => "rounds_disagree",
            Self::TooWide => "too_wide",
            Self::Multiplicity => "multiplicity",
            Self::Unconfirmed => "unconfirmed",
            Self::NotMeasured => "not_measured",
            Self::Informational => "informational",
            Self::TooFew => "too_few",
            Self::NullArm => "null_arm",
            Self::OtherMachine => "other_machine",
            Self::OtherTools => "other_tools",
            Self::ToolMissing => "tool_missing",
        }
    }
}
