//! Tokens to an expression, by recursive descent, with units checked on the way.

use super::AssertionFault;
use super::expr::{Comparison, Expr, Kind, Operator};
use super::token::{Placed, Token, tokens};
use crate::query::{Quantity, nearest};

/// Parentheses and signs nest at most this deep; a longer chain is a mistake or an attack.
const DEPTH_MAX: usize = 32;
/// Operators in a row make a tree as deep as they are many, and whoever walks it takes a frame for each.
const OPERATORS_MAX: usize = 500;

pub(super) fn parse_assertion(text: &str) -> Result<(Expr, Comparison, Expr), AssertionFault> {
    let mut parser = Parser::new(text)?;
    let left = parser.sum()?;
    let placed = parser.next();
    let comparison = match &placed.token {
        Token::Mark(mark) => Comparison::of(mark),
        _ => None,
    };
    let Some(comparison) = comparison else {
        let fault = AssertionFault::new(placed.column, "a comparison is wanted here");
        return Err(match placed.token {
            Token::Mark("=") => fault.suggest("equality is written =="),
            _ => fault.suggest("one of <= < >= > =="),
        });
    };
    let right = parser.sum()?;
    parser.end("an assertion has one comparison")?;
    if !left.measures() && !right.measures() {
        return Err(AssertionFault::new(1, "neither side is measured")
            .suggest("name a quantity such as p99(serve.read) or a counter such as stored_ratio"));
    }
    meet(&left, &right, placed.column, "compared")?;
    Ok((left, comparison, right))
}

/// An expression alone, as a gate's ratio is written.
pub(crate) fn parse_sum(text: &str) -> Result<Expr, AssertionFault> {
    let mut parser = Parser::new(text)?;
    let sum = parser.sum()?;
    parser.end("an operator is wanted here")?;
    if sum.measures() {
        Ok(sum)
    } else {
        Err(AssertionFault::new(1, "nothing here is measured"))
    }
}

struct Parser {
    placed: Vec<Placed>,
    at: usize,
    depth: usize,
    operators: usize,
}

impl Parser {
    fn new(text: &str) -> Result<Self, AssertionFault> {
        Ok(Self {
            placed: tokens(text)?,
            at: 0,
            depth: 0,
            operators: 0,
        })
    }

    fn peek(&self) -> &Placed {
        &self.placed[self.at]
    }

    /// The next token; the end stays the end however often it is taken.
    fn next(&mut self) -> Placed {
        let placed = self.placed[self.at].clone();
        self.at = (self.at + 1).min(self.placed.len() - 1);
        placed
    }

    fn take(&mut self, mark: &str) -> bool {
        let found = matches!(&self.peek().token, Token::Mark(found) if *found == mark);
        if found {
            self.next();
        }
        found
    }

    fn expect(&mut self, mark: &str) -> Result<(), AssertionFault> {
        let column = self.peek().column;
        if self.take(mark) {
            Ok(())
        } else {
            Err(AssertionFault::new(
                column,
                format!("{mark:?} is wanted here"),
            ))
        }
    }

    fn end(&self, message: &str) -> Result<(), AssertionFault> {
        match self.peek() {
            Placed {
                token: Token::End, ..
            } => Ok(()),
            Placed { column, .. } => Err(AssertionFault::new(*column, message)),
        }
    }

    fn sum(&mut self) -> Result<Expr, AssertionFault> {
        let mut left = self.product()?;
        loop {
            let column = self.peek().column;
            let operator = if self.take("+") {
                Operator::Add
            } else if self.take("-") {
                Operator::Subtract
            } else {
                return Ok(left);
            };
            self.count_operator(column)?;
            let right = self.product()?;
            meet(&left, &right, column, "added")?;
            left = Expr::Binary {
                operator,
                left: Box::new(left),
                right: Box::new(right),
                column,
            };
        }
    }

    fn product(&mut self) -> Result<Expr, AssertionFault> {
        let mut left = self.factor()?;
        loop {
            let column = self.peek().column;
            let operator = if self.take("*") {
                Operator::Multiply
            } else if self.take("/") {
                Operator::Divide
            } else {
                return Ok(left);
            };
            self.count_operator(column)?;
            let right = self.factor()?;
            left = Expr::Binary {
                operator,
                left: Box::new(left),
                right: Box::new(right),
                column,
            };
        }
    }

    fn count_operator(&mut self, column: usize) -> Result<(), AssertionFault> {
        self.operators += 1;
        if self.operators > OPERATORS_MAX {
            let message = format!("more than {OPERATORS_MAX} operators in one assertion");
            return Err(AssertionFault::new(column, message));
        }
        Ok(())
    }

    fn factor(&mut self) -> Result<Expr, AssertionFault> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(AssertionFault::new(self.peek().column, "nested too deeply"));
        }
        let found = self.atom();
        self.depth -= 1;
        found
    }

    fn atom(&mut self) -> Result<Expr, AssertionFault> {
        let placed = self.next();
        match placed.token {
            Token::Number(value, kind) => Ok(Expr::Number { value, kind }),
            Token::Mark("-") => Ok(Expr::Negated(Box::new(self.factor()?))),
            Token::Mark("(") => {
                let inner = self.sum()?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Name(name) if self.take("(") => self.call(&name, placed.column),
            Token::Name(name) if self.take(":") => {
                let counter = self.name("a counter's name")?;
                Ok(Expr::Counter {
                    target: Some(name),
                    name: counter,
                })
            }
            Token::Name(name) => bare(name, placed.column),
            Token::End => Err(AssertionFault::new(
                placed.column,
                "the line ends too early",
            )),
            Token::Mark(mark) => Err(AssertionFault::new(
                placed.column,
                format!("a number, a quantity or a counter is wanted here, not {mark:?}"),
            )),
        }
    }

    fn call(&mut self, function: &str, column: usize) -> Result<Expr, AssertionFault> {
        let words = Quantity::ALL.map(Quantity::word);
        let Some(quantity) = Quantity::ALL.into_iter().find(|q| q.word() == function) else {
            let fault = AssertionFault::new(column, format!("no quantity {function}"));
            return Err(match nearest(function, words.into_iter()) {
                Some(near) => fault.suggest(format!("did you mean {near}?")),
                None => fault.suggest(format!("one of {}", words.join(" "))),
            });
        };
        let first = self.name("a phase, as in PHASE.OP")?;
        let (target, path) = if self.take(",") {
            (Some(first), self.name("a phase, as in PHASE.OP")?)
        } else {
            (None, first)
        };
        self.expect(")")?;
        Ok(Expr::Quantity {
            quantity,
            target,
            path,
        })
    }

    fn name(&mut self, wanted: &str) -> Result<String, AssertionFault> {
        let placed = self.next();
        match placed.token {
            Token::Name(name) => Ok(name),
            _ => Err(AssertionFault::new(
                placed.column,
                format!("{wanted} is wanted here"),
            )),
        }
    }
}

/// A bare name is a counter; a quantity without its phase is a mistake worth naming.
fn bare(name: String, column: usize) -> Result<Expr, AssertionFault> {
    if Quantity::ALL.iter().any(|quantity| quantity.word() == name) {
        return Err(
            AssertionFault::new(column, format!("{name} of which phase?"))
                .suggest(format!("write {name}(PHASE.OP)")),
        );
    }
    Ok(Expr::Counter { target: None, name })
}

fn meet(left: &Expr, right: &Expr, column: usize, verb: &str) -> Result<Kind, AssertionFault> {
    let (left, right) = (left.kind(), right.kind());
    left.meet(right).ok_or_else(|| {
        let fault = AssertionFault::new(
            column,
            format!("{} and {} cannot be {verb}", left.word(), right.word()),
        );
        let wanted = if right == Kind::PLAIN { left } else { right };
        fault.suggest(format!("write {} like {}", wanted.word(), wanted.example()))
    })
}
