//! The knobs of the engine: plain data, and one row per knob that names it to the outside.
//!
//! Not here: what a knob does (the room it belongs to), YAML and command lines (the harness; it
//! speaks to the rows by name and text).

mod engine;
mod error;
mod field;
mod params;
mod relations;
mod row;
mod text;

pub use engine::{
    BudgetConfig, CacheConfig, CommitConfig, CompressionConfig, DirtyConfig, EngineConfig,
    LogConfig, OrderConfig, OrderScope, PoolKnobs, Populate, Preset, ReadConfig,
};
pub use error::KnobError;
pub use params::params;
pub use row::{Domain, Param, Scale, Setting};
pub use text::Unit;
