//! The engine's rows of knobs, as the other crates ask for them.
//!
//! `workloads` asks whether a name exists and takes a value; `results` wants names, values and units.
//! Neither knows the engine, so the words are exchanged here.

use anyhow::anyhow;
use delalloc_engine::config::{EngineConfig, KnobError, Param, Setting, Unit};
use delalloc_results::record::{Knob, KnobValue};
use delalloc_workloads::Knobs;
use delalloc_workloads::knob::{KnobCheck, KnobFault};

/// The engine's knobs.
#[derive(Debug, Clone, Copy)]
pub struct EngineKnobs;

impl EngineKnobs {
    /// The configuration that these knobs make; every fault at once.
    pub fn config(knobs: &Knobs) -> anyhow::Result<EngineConfig> {
        EngineConfig::resolve(knobs.iter()).map_err(|faults| {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            anyhow!(faults.join("; "))
        })
    }

    /// What an engine with these knobs keeps in memory at most: its caches, and what is on its way to the device. 0 where they
    /// make no configuration.
    pub fn memory_bytes(knobs: &Knobs) -> u64 {
        let Ok(config) = Self::config(knobs) else {
            return 0;
        };
        [
            config.cache.bytes,
            config.meta.node_cache_bytes,
            config.meta.front_gate_bytes,
            config.budget.bytes,
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }

    /// Every knob of a configuration, for the record.
    pub fn dump(config: &EngineConfig) -> Vec<Knob> {
        let knob = |setting: Setting| Knob {
            name: setting.name.to_owned(),
            value: match setting.unit {
                Unit::Choice => KnobValue::Text(setting.text),
                Unit::Bool => KnobValue::Bool(setting.number != 0),
                _ => KnobValue::Integer(setting.number),
            },
            unit: unit_text(setting.unit),
            is_default: setting.is_default,
        };
        config.dump().into_iter().map(knob).collect()
    }

    /// The unit of a knob; empty for none, and for names that are no knob.
    pub fn unit(name: &str) -> String {
        Param::find(name).map_or_else(|_| String::new(), |row| unit_text(row.unit))
    }
}

impl KnobCheck for EngineKnobs {
    fn check(&self, name: &str, value: &str) -> Result<(), KnobFault> {
        EngineConfig::default().set(name, value).map_err(|error| {
            let suggestion = match &error {
                KnobError::Unknown { suggestion, .. }
                | KnobError::NotAChoice { suggestion, .. } => suggestion.map(str::to_owned),
                _ => None,
            };
            let is_unknown_name = matches!(error, KnobError::Unknown { .. });
            KnobFault {
                message: error.to_string(),
                suggestion,
                is_unknown_name,
            }
        })
    }
}

fn unit_text(unit: Unit) -> String {
    match unit {
        Unit::Choice | Unit::Bool => String::new(),
        _ => unit.name().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use delalloc_engine::config::params;

    #[test]
    fn every_row_takes_its_own_default() {
        for row in params() {
            let text = row.default_text();
            assert_eq!(EngineKnobs.check(row.name, &text), Ok(()), "{}", row.name);
        }
    }

    #[test]
    fn an_unknown_name_is_told_from_a_bad_value() {
        let fault = EngineKnobs.check("thread_pool_sise", "2").unwrap_err();
        assert!(fault.is_unknown_name);
        assert_eq!(fault.suggestion.as_deref(), Some("thread_pool_size"));
        let fault = EngineKnobs.check("thread_pool_size", "many").unwrap_err();
        assert!(!fault.is_unknown_name);
    }
}
