//! Where it ran, and what there would disturb a measurement.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The machine's fingerprint: what decides whether two runs may be compared.
///
/// Host names, clock rates and uptime are left out on purpose: they differ where nothing else does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Machine {
    /// The processor's own name.
    pub cpu_model: String,
    /// Logical cores this process may use.
    pub logical_cores: u32,
    /// Main memory.
    pub memory_bytes: u64,
    /// Kernel name and release.
    pub kernel: String,
    /// What virtualizes the machine; empty on bare metal or when unknown.
    pub virtualization: String,
    /// The filesystem the image or the directory lives on.
    pub filesystem: String,
    /// The device below it: model, rotational or not, scheduler, write cache.
    pub device: String,
    /// Compiler and profile the tool was built with.
    pub build: String,
    /// Reasons to distrust the numbers.
    pub doubts: Vec<Doubt>,
}

/// One reason to distrust a run, with what to do about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Doubt {
    /// A short stable code, such as `cpu-governor`.
    pub code: String,
    /// What was seen.
    pub seen: String,
    /// What to do.
    pub advice: String,
}
