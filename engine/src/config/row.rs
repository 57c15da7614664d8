//! A row: what one knob is called, the values it can have, and how text becomes one of them.
//!
//! A value is an `i64` in the unit's base; words count from 0 in the order of their choices.
//!
//! Not here: which rows there are (`params`), values that do not go together (`relations`).

use super::engine::EngineConfig;
use super::error::{KnobError, closest};
use super::params::params;
use super::text::Unit;

/// Along which scale a sweep should step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Equal differences.
    Linear,
    /// Equal factors.
    Log,
}

/// The values a knob can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// Numbers.
    Range {
        /// The least.
        min: i64,
        /// The most.
        max: i64,
        /// Only multiples of this.
        step: i64,
        /// How to step through them.
        scale: Scale,
    },
    /// Words.
    Choices(&'static [&'static str]),
    /// `false`, `true`.
    Bool,
}

/// A row: one knob.
#[derive(Debug)]
pub struct Param {
    /// Its name, with dots.
    pub name: &'static str,
    /// What its number counts.
    pub unit: Unit,
    /// The values it can have.
    pub domain: Domain,
    /// One line on what it does.
    pub doc: &'static str,
    pub(super) get: fn(&EngineConfig) -> i64,
    pub(super) set: fn(&mut EngineConfig, i64),
}

/// One knob's value, as in a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The knob.
    pub name: &'static str,
    /// Its value, as `EngineConfig::set` takes it.
    pub text: String,
    /// Its value as a number in the unit's base; of a word its place among the choices.
    pub number: i64,
    /// What the number counts.
    pub unit: Unit,
    /// It is what it is without being set, on this machine.
    pub is_default: bool,
}

impl Param {
    /// The row of this name.
    pub fn find(name: &str) -> Result<&'static Self, KnobError> {
        let rows = params();
        rows.iter()
            .find(|row| row.name == name)
            .ok_or_else(|| KnobError::Unknown {
                name: name.to_owned(),
                suggestion: closest(name, rows.iter().map(|row| row.name)),
            })
    }

    /// The value a configuration has, as text.
    pub fn get(&self, config: &EngineConfig) -> String {
        self.text_of((self.get)(config))
    }

    /// The value on this machine where nothing sets it.
    pub fn default_text(&self) -> String {
        self.get(&EngineConfig::default())
    }

    /// The values it can have, in words.
    pub fn domain_text(&self) -> String {
        match self.domain {
            Domain::Range { min, max, .. } => {
                format!("{}..{}", self.text_of(min), self.text_of(max))
            }
            Domain::Choices(choices) => choices.join("|"),
            Domain::Bool => "false|true".to_owned(),
        }
    }

    /// Checks the text and sets the value.
    pub fn set(&self, config: &mut EngineConfig, text: &str) -> Result<(), KnobError> {
        let number = self.parse(text)?;
        (self.set)(config, number);
        Ok(())
    }

    /// Checks the value that a configuration has, whoever set it.
    pub(super) fn check(&self, config: &EngineConfig) -> Result<(), KnobError> {
        self.parse(&self.get(config)).map(drop)
    }

    fn parse(&self, text: &str) -> Result<i64, KnobError> {
        match self.domain {
            Domain::Range { min, max, step, .. } => self.parse_number(text, min, max, step),
            Domain::Choices(choices) => self.parse_choice(text, choices),
            Domain::Bool => match text {
                "true" | "on" | "yes" => Ok(1),
                "false" | "off" | "no" => Ok(0),
                _ => Err(self.not_a_value(text)),
            },
        }
    }

    fn parse_number(&self, text: &str, min: i64, max: i64, step: i64) -> Result<i64, KnobError> {
        let number = self
            .unit
            .parse(text)
            .ok_or_else(|| self.not_a_value(text))?;
        if !(min..=max).contains(&number) {
            return Err(KnobError::OutOfRange {
                knob: self.name,
                text: text.to_owned(),
                min: self.text_of(min),
                max: self.text_of(max),
            });
        }
        if number % step != 0 {
            return Err(KnobError::NotAMultiple {
                knob: self.name,
                text: text.to_owned(),
                step: self.text_of(step),
            });
        }
        Ok(number)
    }

    fn parse_choice(&self, text: &str, choices: &'static [&'static str]) -> Result<i64, KnobError> {
        choices
            .iter()
            .zip(0..)
            .find(|(choice, _)| **choice == text)
            .map(|(_, place)| place)
            .ok_or_else(|| KnobError::NotAChoice {
                knob: self.name,
                text: text.to_owned(),
                choices,
                suggestion: closest(text, choices.iter().copied()),
            })
    }

    fn not_a_value(&self, text: &str) -> KnobError {
        KnobError::NotAValue {
            knob: self.name,
            text: text.to_owned(),
            expected: self.unit.expected(),
        }
    }

    pub(super) fn text_of(&self, number: i64) -> String {
        match self.domain {
            Domain::Range { .. } => self.unit.format(number),
            Domain::Choices(choices) => {
                let place = usize::try_from(number).expect("a place among choices");
                choices[place].to_owned()
            }
            Domain::Bool => (number != 0).to_string(),
        }
    }
}

impl EngineConfig {
    /// Sets one knob. Setting `preset` sets all of them: do it first, or use `resolve`.
    pub fn set(&mut self, name: &str, text: &str) -> Result<(), KnobError> {
        Param::find(name)?.set(self, text)
    }

    /// The value of one knob.
    pub fn get(&self, name: &str) -> Result<String, KnobError> {
        Ok(Param::find(name)?.get(self))
    }

    /// A configuration from names and values: the preset first wherever it stands, then the others,
    /// then the relations between them. All faults at once.
    pub fn resolve<'a>(
        settings: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Vec<KnobError>> {
        let mut settings: Vec<_> = settings.into_iter().collect();
        settings.sort_by_key(|(name, _)| *name != "preset");
        let mut config = Self::default();
        let mut faults: Vec<_> = settings
            .into_iter()
            .filter_map(|(name, text)| config.set(name, text).err())
            .collect();
        if faults.is_empty() {
            faults = config.validate().err().unwrap_or_default();
        }
        if faults.is_empty() {
            Ok(config)
        } else {
            Err(faults)
        }
    }

    /// Every knob with its value.
    pub fn dump(&self) -> Vec<Setting> {
        let default = Self::default();
        params()
            .iter()
            .map(|row| {
                let number = (row.get)(self);
                Setting {
                    name: row.name,
                    text: row.text_of(number),
                    number,
                    unit: row.unit,
                    is_default: number == (row.get)(&default),
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Preset;
    use super::*;

    #[test]
    fn every_value_is_taken_back_as_it_is_shown() {
        for preset in [Preset::Default, Preset::Seed2008] {
            let config = EngineConfig::preset(preset);
            let mut again = EngineConfig::for_cpus(1);
            for setting in config.dump() {
                again
                    .set(setting.name, &setting.text)
                    .unwrap_or_else(|fault| panic!("{fault}"));
            }
            assert_eq!(again, config);
        }
    }

    #[test]
    fn faults_name_the_remedy() {
        let fault = |name, text| {
            let mut config = EngineConfig::default();
            let fault = config.set(name, text).expect_err("a fault");
            assert_eq!(config, EngineConfig::default(), "nothing is set by a fault");
            fault.to_string()
        };
        assert_eq!(
            fault("delaloc.idle_thresh", "2"),
            "no knob is named \"delaloc.idle_thresh\"; did you mean \"delalloc.idle_thresh\"?"
        );
        assert_eq!(
            fault("compression.codec", "zst"),
            "compression.codec: \"zst\" is none of none, lz4, zstd, zlib; did you mean \"zstd\"?"
        );
        assert_eq!(
            fault("compression.extent_bytes", "8MiB"),
            "compression.extent_bytes: 8MiB is outside its range, 4KiB to 4MiB"
        );
        assert_eq!(
            fault("compression.extent_bytes", "10000"),
            "compression.extent_bytes: 10000 is not a multiple of 4KiB"
        );
        assert_eq!(
            fault("dirty.expire", "fast"),
            "dirty.expire: \"fast\" is not a duration, such as 5s, 30ms or 2min"
        );
    }

    #[test]
    fn a_preset_comes_first_wherever_it_stands() {
        let config = EngineConfig::resolve([("delalloc.threads", "3"), ("preset", "seed2008")])
            .expect("good knobs");
        assert_eq!(config.preset, Preset::Seed2008);
        assert_eq!(config.delalloc.threads, 3);
        assert_eq!(config.get("compression.codec").as_deref(), Ok("zlib"));
        let faults = EngineConfig::resolve([("nothing", "1"), ("dirty.limit", "x")]);
        assert_eq!(faults.expect_err("two faults").len(), 2);
    }
}
