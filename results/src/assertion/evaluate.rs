//! An assertion against a record: round by round, then the median, at every sweep point.

use super::Assertion;
use super::expr::{Expr, Kind, Operator};
use crate::metric::Unit;
use crate::query::{Quantity, counter, counter_unit, not_found};
use crate::record::{Cell, RunRecord, Setting, point_label};
use crate::stats::median;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether an assertion stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It holds everywhere.
    Held,
    /// It fails somewhere.
    Violated,
    /// It holds where it could be computed, and somewhere it could not.
    Unknown,
}

/// What became of one assertion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AssertionOutcome {
    /// As it was written.
    pub text: String,
    /// Whether it stands.
    pub standing: Standing,
    /// One sentence with both sides' numbers, or why it is unknown.
    pub reason: String,
    /// At each sweep point.
    pub points: Vec<PointOutcome>,
}

/// What became of one assertion at one sweep point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PointOutcome {
    /// Which point.
    pub point: Vec<Setting>,
    /// Whether it stands here.
    pub standing: Standing,
    /// Rounds used.
    pub rounds: u32,
    /// The left side's median over rounds, in bytes and seconds.
    pub left: f64,
    /// The right side's median over rounds.
    pub right: f64,
    /// The median of left / right over rounds; none when a side is not positive.
    pub ratio: Option<f64>,
    /// Both sides for reading, or why there are none.
    pub reason: String,
}

/// Evaluates every assertion the record carries. One that does not parse is unknown.
#[must_use]
pub fn evaluate(record: &RunRecord) -> Vec<AssertionOutcome> {
    record
        .assertions
        .iter()
        .map(|text| match Assertion::parse(text) {
            Ok(assertion) => assertion.evaluate(record),
            Err(fault) => AssertionOutcome {
                text: text.clone(),
                standing: Standing::Unknown,
                reason: fault.to_string(),
                points: Vec::new(),
            },
        })
        .collect()
}

impl Assertion {
    /// Asks a record.
    #[must_use]
    pub fn evaluate(&self, record: &RunRecord) -> AssertionOutcome {
        let points: Vec<PointOutcome> = record
            .grid_points()
            .into_iter()
            .map(|point| self.at(record, point))
            .collect();
        let swept = points.len() > 1;
        let described = |outcome: &PointOutcome| {
            if swept {
                format!("{} at {}", outcome.reason, point_label(&outcome.point))
            } else {
                outcome.reason.clone()
            }
        };
        let violated = points
            .iter()
            .any(|point| point.standing == Standing::Violated);
        let unknown = points
            .iter()
            .find(|point| point.standing == Standing::Unknown);
        let (standing, reason) = if violated {
            (Standing::Violated, self.worst(&points).map(described))
        } else if let Some(unknown) = unknown {
            (Standing::Unknown, Some(described(unknown)))
        } else if points.is_empty() {
            (Standing::Unknown, Some("nothing was measured".to_owned()))
        } else {
            (Standing::Held, self.worst(&points).map(described))
        };
        AssertionOutcome {
            text: self.text.clone(),
            standing,
            reason: reason.unwrap_or_default(),
            points,
        }
    }

    fn worst<'a>(&self, points: &'a [PointOutcome]) -> Option<&'a PointOutcome> {
        let rank = |point: &PointOutcome| match point.ratio {
            Some(ratio) => self.comparison.badness(ratio),
            None => self.comparison.badness(1.0 + point.left - point.right),
        };
        let violated = points
            .iter()
            .any(|point| point.standing == Standing::Violated);
        points
            .iter()
            .filter(|point| !violated || point.standing == Standing::Violated)
            .max_by(|a, b| rank(a).total_cmp(&rank(b)))
    }

    fn at(&self, record: &RunRecord, point: Vec<Setting>) -> PointOutcome {
        match self.sides(record, &point) {
            Err(reason) => PointOutcome {
                point,
                standing: Standing::Unknown,
                rounds: 0,
                left: 0.0,
                right: 0.0,
                ratio: None,
                reason,
            },
            Ok(sides) => {
                let mut outcome = self.judge(point, &sides);
                // What was never issued would only have made it worse, and what began late only has.
                let why = match outcome.standing {
                    Standing::Held => self.of_latencies(record, &outcome.point, Quantity::unissued),
                    _ => self.of_latencies(record, &outcome.point, Quantity::generators),
                };
                if let Some(why) = why {
                    outcome.standing = Standing::Unknown;
                    outcome.reason = format!("{why} ({} as measured)", outcome.reason);
                }
                outcome
            }
        }
    }

    /// The first latency of it of which `why` says something.
    fn of_latencies(
        &self,
        record: &RunRecord,
        point: &[Setting],
        why: fn(Quantity, &Cell, &str) -> Option<String>,
    ) -> Option<String> {
        let sides = [&self.left, &self.right];
        let contexts = Context::rounds(record, point, &sides).ok()?;
        contexts.iter().find_map(|context| {
            let mut leaves = sides.iter().flat_map(|side| side.leaves());
            leaves.find_map(|leaf| match leaf {
                Expr::Quantity {
                    quantity,
                    target,
                    path,
                } => why(*quantity, context.cell(target.as_deref()).ok()?, path),
                _ => None,
            })
        })
    }

    fn judge(&self, point: Vec<Setting>, sides: &Sides) -> PointOutcome {
        let column = |side: fn(&(f64, f64)) -> f64| {
            let values: Vec<f64> = sides.rounds.iter().map(side).collect();
            median(&values).expect("at least one round was computed")
        };
        let (left, right) = (column(|round| round.0), column(|round| round.1));
        let positive = sides
            .rounds
            .iter()
            .all(|(left, right)| *left > 0.0 && *right > 0.0);
        let ratio = positive.then(|| column(|round| round.0 / round.1));
        let holds = match ratio {
            Some(ratio) => self.comparison.holds(ratio, 1.0),
            None => self
                .comparison
                .holds(column(|round| round.0 - round.1), 0.0),
        };
        PointOutcome {
            point,
            standing: if holds {
                Standing::Held
            } else {
                Standing::Violated
            },
            rounds: u32::try_from(sides.rounds.len()).unwrap_or(u32::MAX),
            left,
            right,
            ratio,
            reason: format!(
                "{} against {}",
                sides.kind.format(left),
                sides.kind.format(right)
            ),
        }
    }

    /// How far on the wrong side of 1 the two sides stand in one cell, and whether 1 itself is wrong. More is worse.
    pub(crate) fn standing_in(
        &self,
        record: &RunRecord,
        cell: &Cell,
    ) -> Result<(f64, f64, bool), String> {
        let context = Context::of_cell(record, cell);
        let (left, right) = (context.value(&self.left)?, context.value(&self.right)?);
        left.kind.meet(right.kind).ok_or_else(|| {
            format!(
                "{} and {} cannot be compared",
                left.kind.word(),
                right.kind.word()
            )
        })?;
        let (left, right) = (left.amount, right.amount);
        let ratio = if left > 0.0 && right > 0.0 {
            left / right
        } else {
            1.0 + left - right
        };
        let (badness, bound) = (self.comparison.badness(ratio), self.comparison.badness(1.0));
        Ok((badness, bound, !self.comparison.holds(1.0, 1.0)))
    }

    /// Both sides in every round that all named targets have.
    fn sides(&self, record: &RunRecord, point: &[Setting]) -> Result<Sides, String> {
        let contexts = Context::rounds(record, point, &[&self.left, &self.right])?;
        let mut rounds = Vec::new();
        let mut kind = Kind::OPEN;
        for context in &contexts {
            let left = context.value(&self.left)?;
            let right = context.value(&self.right)?;
            kind = left.kind.meet(right.kind).ok_or_else(|| {
                format!(
                    "left is {} and right is {}; write {} like {}",
                    left.kind.word(),
                    right.kind.word(),
                    left.kind.word(),
                    left.kind.example()
                )
            })?;
            rounds.push((left.amount, right.amount));
        }
        Ok(Sides { rounds, kind })
    }
}

/// The two sides of a comparison, one pair per round, at least one.
struct Sides {
    rounds: Vec<(f64, f64)>,
    kind: Kind,
}

/// A number in base units and its kind.
pub(crate) struct Value {
    pub(crate) amount: f64,
    pub(crate) kind: Kind,
}

/// The cells of one round at one point, one per target.
pub(crate) struct Context<'a> {
    record: &'a RunRecord,
    cells: Vec<&'a Cell>,
    /// The target that a name without one means.
    unnamed: Option<&'a str>,
}

impl<'a> Context<'a> {
    /// One context per round in which every target the expressions name has a whole cell. Rounds
    /// with a fault are left out, unless nothing else is left.
    pub(crate) fn rounds(
        record: &'a RunRecord,
        point: &[Setting],
        expressions: &[&Expr],
    ) -> Result<Vec<Self>, String> {
        let mut targets: Vec<&str> = expressions.iter().flat_map(|expr| expr.targets()).collect();
        if expressions.iter().any(|expr| expr.names_no_target()) {
            let target = record.default_target().ok_or("the record has no target")?;
            targets.push(&target.name);
        }
        targets.sort_unstable();
        targets.dedup();
        for name in &targets {
            if !record.targets.iter().any(|target| target.name == *name) {
                let known = record.targets.iter().map(|target| target.name.as_str());
                return Err(not_found("target", name, known));
            }
        }
        let by_target: Vec<Vec<&Cell>> = targets
            .iter()
            .map(|name| record.rounds_for(name, point))
            .collect();
        let mut fault = None;
        let mut found = Vec::new();
        for first in by_target.first().into_iter().flatten() {
            let cells: Option<Vec<&Cell>> = by_target
                .iter()
                .map(|cells| cells.iter().find(|cell| cell.round == first.round).copied())
                .collect();
            let Some(cells) = cells else { continue };
            match cells.iter().find_map(|cell| cell.fault.as_ref()) {
                Some(seen) => fault = Some(seen.clone()),
                None => found.push(Self {
                    record,
                    cells,
                    unnamed: record.default_target().map(|target| &*target.name),
                }),
            }
        }
        if found.is_empty() {
            let names = targets.join(" and ");
            return Err(match fault {
                Some(fault) => format!("no whole round of {names}: {fault}"),
                None => format!("no round in which {names} ran"),
            });
        }
        Ok(found)
    }

    /// One cell alone; a name without a target means its target.
    pub(crate) fn of_cell(record: &'a RunRecord, cell: &'a Cell) -> Self {
        Self {
            record,
            cells: vec![cell],
            unnamed: Some(&cell.target),
        }
    }

    pub(crate) fn value(&self, expr: &Expr) -> Result<Value, String> {
        match expr {
            Expr::Number { value, kind } => Ok(Value {
                amount: *value,
                kind: *kind,
            }),
            Expr::Quantity {
                quantity,
                target,
                path,
            } => {
                let amount = quantity.of(self.cell(target.as_deref())?, path)?;
                Ok(based(amount, quantity.unit()))
            }
            Expr::Counter { target, name } => {
                let amount = counter(self.record, self.cell(target.as_deref())?, name)?;
                Ok(based(
                    amount,
                    counter_unit(self.record, name).unwrap_or_default(),
                ))
            }
            Expr::Negated(inner) => {
                let Value { amount, kind } = self.value(inner)?;
                Ok(Value {
                    amount: -amount,
                    kind,
                })
            }
            Expr::Binary {
                operator,
                left,
                right,
                ..
            } => combine(*operator, &self.value(left)?, &self.value(right)?),
        }
    }

    fn cell(&self, target: Option<&str>) -> Result<&'a Cell, String> {
        let name = match target {
            Some(name) => name,
            None => self.unnamed.ok_or("the record has no target")?,
        };
        self.cells
            .iter()
            .find(|cell| cell.target == name)
            .copied()
            .ok_or_else(|| format!("{name} has no cell here"))
    }
}

/// Times in seconds, everything else as it is.
fn based(amount: f64, unit: Unit) -> Value {
    let amount = if unit == Unit::Nanoseconds {
        amount / 1e9
    } else {
        amount
    };
    Value {
        amount,
        kind: Kind::of(unit),
    }
}

fn combine(operator: Operator, left: &Value, right: &Value) -> Result<Value, String> {
    let (amount, kind) = match operator {
        Operator::Multiply => (left.amount * right.amount, left.kind.times(right.kind)),
        Operator::Divide if right.amount == 0.0 => {
            return Err("a division by zero".to_owned());
        }
        Operator::Divide => (left.amount / right.amount, left.kind.over(right.kind)),
        Operator::Add | Operator::Subtract => {
            let kind = left.kind.meet(right.kind).ok_or_else(|| {
                format!(
                    "{} and {} cannot be added",
                    left.kind.word(),
                    right.kind.word()
                )
            })?;
            let sign = if operator == Operator::Add { 1.0 } else { -1.0 };
            (left.amount + sign * right.amount, kind)
        }
    };
    Ok(Value { amount, kind })
}

/// An expression's value in every round of one point, with its kind.
pub(crate) fn ratio_rounds(
    record: &RunRecord,
    point: &[Setting],
    expr: &Expr,
) -> Result<(Vec<f64>, Kind), String> {
    let mut kind = Kind::OPEN;
    let mut amounts = Vec::new();
    for context in Context::rounds(record, point, &[expr])? {
        let value = context.value(expr)?;
        kind = value.kind;
        amounts.push(value.amount);
    }
    Ok((amounts, kind))
}
