//! An expression over a record, and the kind of number it yields.

use crate::bare_name;
use crate::metric::{Better, Unit};
use crate::query::Quantity;
use crate::record::RunRecord;

/// The dimension of a value: powers of bytes and of seconds. None where only a record can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    powers: Option<(i8, i8)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expr {
    Number {
        value: f64,
        kind: Kind,
    },
    Quantity {
        quantity: Quantity,
        target: Option<String>,
        path: String,
    },
    Counter {
        target: Option<String>,
        name: String,
    },
    Negated(Box<Self>),
    Binary {
        operator: Operator,
        left: Box<Self>,
        right: Box<Self>,
        column: usize,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    AtMost,
    Below,
    AtLeast,
    Above,
    Equal,
}

impl Kind {
    pub(crate) const PLAIN: Self = Self {
        powers: Some((0, 0)),
    };
    pub(crate) const TIME: Self = Self {
        powers: Some((0, 1)),
    };
    pub(crate) const BYTES: Self = Self {
        powers: Some((1, 0)),
    };
    /// Fits everything.
    pub(crate) const OPEN: Self = Self { powers: None };

    pub(crate) const fn of(unit: Unit) -> Self {
        match unit {
            Unit::Bytes => Self::BYTES,
            Unit::Nanoseconds => Self::TIME,
            Unit::PerSecond => Self {
                powers: Some((0, -1)),
            },
            Unit::BytesPerSecond => Self {
                powers: Some((1, -1)),
            },
            Unit::Count | Unit::Ratio => Self::PLAIN,
            Unit::Plain => Self::OPEN,
        }
    }

    pub(crate) fn times(self, other: Self) -> Self {
        self.combine(other, i8::saturating_add)
    }

    pub(crate) fn over(self, other: Self) -> Self {
        self.combine(other, i8::saturating_sub)
    }

    fn combine(self, other: Self, join: impl Fn(i8, i8) -> i8) -> Self {
        let powers = match (self.powers, other.powers) {
            (Some(left), Some(right)) => Some((join(left.0, right.0), join(left.1, right.1))),
            _ => None,
        };
        Self { powers }
    }

    /// The kind of a sum or a comparison of the two; none when they do not fit. A bare number
    /// stands for bytes, or for things per second, where the base unit leaves no doubt.
    pub(crate) fn meet(self, other: Self) -> Option<Self> {
        match (self.powers, other.powers) {
            (None, _) => Some(other),
            (_, None) => Some(self),
            (left, right) if left == right => Some(self),
            (Some((0, 0)), Some((1, 0) | (0, -1))) => Some(other),
            (Some((1, 0) | (0, -1)), Some((0, 0))) => Some(self),
            _ => None,
        }
    }

    /// In words, for messages.
    pub(crate) const fn word(self) -> &'static str {
        match self.powers {
            Some((0, 0)) => "a bare number",
            Some((0, 1)) => "a time",
            Some((1, 0)) => "a size",
            Some((1, -1)) => "a throughput",
            Some((0, -1)) => "a rate",
            _ => "a compound unit",
        }
    }

    /// A sample of how to write one.
    pub(crate) const fn example(self) -> &'static str {
        match self.powers {
            Some((0, 1)) => "20ms",
            Some((1, 0)) => "64MiB",
            Some((1, -1)) => "100MiB/s",
            Some((0, -1)) => "5000/s",
            _ => "2.5",
        }
    }

    /// A value in base units for reading.
    pub(crate) fn format(self, value: f64) -> String {
        match self.powers {
            Some((0, 1)) => Unit::Nanoseconds.format(value * 1e9),
            Some((1, 0)) => Unit::Bytes.format(value),
            Some((1, -1)) => Unit::BytesPerSecond.format(value),
            Some((0, -1)) => Unit::PerSecond.format(value),
            _ => Unit::Plain.format(value),
        }
    }
}

const fn turned(better: Better) -> Better {
    match better {
        Better::Higher => Better::Lower,
        Better::Lower => Better::Higher,
        Better::Neither => Better::Neither,
    }
}

impl Expr {
    /// Which way this is better: as its first operand that says, upside down below a stroke or after a minus.
    pub(crate) fn better(&self, record: &RunRecord) -> Better {
        match self {
            Self::Number { .. } => Better::Neither,
            Self::Quantity { quantity, .. } => match quantity {
                Quantity::Throughput | Quantity::Iops => Better::Higher,
                // How many there were is work that was asked for.
                Quantity::Count => Better::Neither,
                _ => Better::Lower,
            },
            Self::Counter { name, .. } => bare_name::better(record, name),
            Self::Negated(inner) => turned(inner.better(record)),
            Self::Binary {
                operator,
                left,
                right,
                ..
            } => match (left.better(record), operator) {
                (Better::Neither, Operator::Subtract | Operator::Divide) => {
                    turned(right.better(record))
                }
                (Better::Neither, _) => right.better(record),
                (better, _) => better,
            },
        }
    }

    /// The kind as far as the text alone tells.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Number { kind, .. } => *kind,
            Self::Quantity { quantity, .. } => Kind::of(quantity.unit()),
            Self::Counter { .. } => Kind::OPEN,
            Self::Negated(inner) => inner.kind(),
            Self::Binary {
                operator,
                left,
                right,
                ..
            } => match operator {
                Operator::Multiply => left.kind().times(right.kind()),
                Operator::Divide => left.kind().over(right.kind()),
                // Checked while parsing, so they meet.
                Operator::Add | Operator::Subtract => {
                    left.kind().meet(right.kind()).unwrap_or(Kind::OPEN)
                }
            },
        }
    }

    /// Whether it asks the record anything.
    pub(super) fn measures(&self) -> bool {
        match self {
            Self::Number { .. } => false,
            Self::Quantity { .. } | Self::Counter { .. } => true,
            Self::Negated(inner) => inner.measures(),
            Self::Binary { left, right, .. } => left.measures() || right.measures(),
        }
    }

    pub(crate) fn targets(&self) -> Vec<&str> {
        self.leaves()
            .into_iter()
            .filter_map(|leaf| match leaf {
                Self::Quantity { target, .. } | Self::Counter { target, .. } => target.as_deref(),
                _ => None,
            })
            .collect()
    }

    pub(super) fn paths(&self) -> Vec<&str> {
        self.leaves()
            .into_iter()
            .filter_map(|leaf| match leaf {
                Self::Quantity { path, .. } => Some(path.as_str()),
                _ => None,
            })
            .collect()
    }

    /// Whether some leaf names no target.
    pub(super) fn names_no_target(&self) -> bool {
        self.leaves().into_iter().any(|leaf| {
            matches!(
                leaf,
                Self::Quantity { target: None, .. } | Self::Counter { target: None, .. }
            )
        })
    }

    pub(super) fn leaves(&self) -> Vec<&Self> {
        match self {
            Self::Negated(inner) => inner.leaves(),
            Self::Binary { left, right, .. } => {
                let mut leaves = left.leaves();
                leaves.extend(right.leaves());
                leaves
            }
            leaf => vec![leaf],
        }
    }
}

impl Comparison {
    pub(super) fn of(mark: &str) -> Option<Self> {
        Some(match mark {
            "<=" => Self::AtMost,
            "<" => Self::Below,
            ">=" => Self::AtLeast,
            ">" => Self::Above,
            "==" => Self::Equal,
            _ => return None,
        })
    }

    pub(super) fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::AtMost => left <= right,
            Self::Below => left < right,
            Self::AtLeast => left >= right,
            Self::Above => left > right,
            Self::Equal => left == right,
        }
    }

    /// How far on the wrong side a ratio is, for finding the worst point.
    pub(super) fn badness(self, ratio: f64) -> f64 {
        match self {
            Self::AtMost | Self::Below => ratio,
            Self::AtLeast | Self::Above => -ratio,
            Self::Equal => (ratio - 1.0).abs(),
        }
    }
}
