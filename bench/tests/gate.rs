//! The gate as scripts see it: which ending has which code, and what is left for other programs.
//!
//! Whether identical code passes in time is no test: a machine may be too loud to tell. What a gate must never do is.

#[path = "gate/ab.rs"]
mod ab;
#[path = "gate/baseline.rs"]
mod baseline;
#[path = "gate/calibrate.rs"]
mod calibrate;
#[path = "gate/counted.rs"]
mod counted;
#[path = "gate/endings.rs"]
mod endings;
#[path = "gate/revisions.rs"]
mod revisions;
mod support;
#[path = "gate/trend.rs"]
mod trend;
