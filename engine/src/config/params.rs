//! One row per knob. A knob that is not a row does not exist.
//!
//! The rows feed the workload file, `--set`, sweeps, the table of knobs and the dump in every record;
//! none of them knows the structs. A value is an `i64` in the unit's base; words count from 0 in the
//! order of their choices.
//!
//! How to add a knob: a field in `engine`, its default there, a row here. A relation to other knobs
//! goes to `relations`.

use std::sync::LazyLock;
use std::time::Duration;

use super::engine::{EngineConfig, OrderScope, Populate, Preset};
use super::error::{KnobError, closest};
use super::text::Unit;
use crate::compress::Codec;
use crate::pool::PoolKind;
use crate::units::PAGE_LEN;
use crate::writeback::throttle::Throttle;

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
    get: fn(&EngineConfig) -> i64,
    set: fn(&mut EngineConfig, i64),
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

/// All knobs, grouped by room.
pub fn params() -> &'static [Param] {
    static ROWS: LazyLock<Vec<Param>> = LazyLock::new(rows);
    &ROWS
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

    fn text_of(&self, number: i64) -> String {
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

/// A field that a row can read and write.
trait Field: Sized {
    fn to_number(self) -> i64;
    /// `number` was checked against the row's domain.
    fn from_number(number: i64) -> Self;
}

macro_rules! number_fields {
    ($($field:ty),*) => {$(
        impl Field for $field {
            fn to_number(self) -> i64 {
                i64::try_from(self).unwrap_or(i64::MAX)
            }
            fn from_number(number: i64) -> Self {
                Self::try_from(number).expect("the row's range fits the field")
            }
        }
    )*};
}
number_fields!(u64, usize, u32, i32);

/// None is 0: the knob follows another.
impl Field for Option<usize> {
    fn to_number(self) -> i64 {
        self.map_or(0, Field::to_number)
    }
    fn from_number(number: i64) -> Self {
        (number != 0).then(|| usize::from_number(number))
    }
}

impl Field for bool {
    fn to_number(self) -> i64 {
        i64::from(self)
    }
    fn from_number(number: i64) -> Self {
        number != 0
    }
}

impl Field for Duration {
    fn to_number(self) -> i64 {
        i64::try_from(self.as_millis()).unwrap_or(i64::MAX)
    }
    fn from_number(number: i64) -> Self {
        Self::from_millis(u64::from_number(number))
    }
}

macro_rules! choice_fields {
    ($($words:ident: $field:ident { $($variant:ident = $word:literal),* $(,)? })*) => {$(
        const $words: &[&str] = &[$($word),*];
        impl Field for $field {
            fn to_number(self) -> i64 {
                let all = [$(Self::$variant),*];
                let place = all.into_iter().zip(0..).find(|(choice, _)| *choice == self);
                place.expect("every variant has a word").1
            }
            fn from_number(number: i64) -> Self {
                let all = [$(Self::$variant),*];
                all[usize::from_number(number)]
            }
        }
    )*};
}
choice_fields! {
    PRESETS: Preset { Default = "default", Seed2008 = "seed2008" }
    CODECS: Codec { None = "none", Lz4 = "lz4", Zstd = "zstd", Zlib = "zlib" }
    POOL_KINDS: PoolKind { Seed2008 = "seed2008", Threshold2014 = "threshold2014", Plain = "plain" }
    ORDER_SCOPES: OrderScope { Volume = "volume", File = "file", None = "none" }
    THROTTLES: Throttle { Wall = "wall", Curve = "curve" }
    POPULATES: Populate { Off = "off", Forward = "forward", Both = "both" }
}

const fn linear(min: i64, max: i64) -> Domain {
    Domain::Range {
        min,
        max,
        step: 1,
        scale: Scale::Linear,
    }
}

const fn log(min: i64, max: i64) -> Domain {
    Domain::Range {
        min,
        max,
        step: 1,
        scale: Scale::Log,
    }
}

/// Whole pages, `min` to `max` bytes.
const fn pages(min: i64, max: i64) -> Domain {
    Domain::Range {
        min,
        max,
        step: PAGE_LEN as i64,
        scale: Scale::Log,
    }
}

const KIB: i64 = 1 << 10;
const MIB: i64 = 1 << 20;
const TIB: i64 = 1 << 40;
/// More threads than any pool has a use for, and few enough to start.
const THREADS_MAX: i64 = 1024;
/// A threshold that nothing reaches.
const ITEMS_MAX: i64 = 1 << 20;
const DAY_MS: i64 = 24 * 3600 * 1000;

macro_rules! row {
    ($name:expr, $unit:ident, $domain:expr, $($field:ident).+, $doc:expr) => {
        Param {
            name: $name,
            unit: Unit::$unit,
            domain: $domain,
            doc: $doc,
            get: |config| Field::to_number(config.$($field).+),
            set: |config, number| config.$($field).+ = Field::from_number(number),
        }
    };
}

macro_rules! pool_rows {
    ($rows:ident, $pool:ident, $name:literal, $what:literal) => {
        $rows.extend([
            row!(concat!($name, ".threads"), Count, log(0, THREADS_MAX), $pool.threads,
                concat!("threads of the pool for ", $what, "; 0 follows thread_pool_size")),
            row!(concat!($name, ".idle_thresh"), Count, log(1, ITEMS_MAX), $pool.idle_thresh,
                "backlog at which one of its workers counts as busy and the next is started"),
            row!(concat!($name, ".grow_at"), Count, log(0, ITEMS_MAX), $pool.grow_at,
                "idle_thresh's first part apart, the backlog that makes a worker busy; 0 follows"),
            row!(concat!($name, ".batch"), Count, log(0, ITEMS_MAX), $pool.batch,
                "idle_thresh's second part apart, items in a row for one busy worker; 0 follows"),
            row!(concat!($name, ".idle_below"), Count, log(0, ITEMS_MAX), $pool.idle_below,
                "idle_thresh's third part apart, the backlog below which it is idle again; 0 follows"),
        ])
    };
}

fn rows() -> Vec<Param> {
    let mut rows = vec![Param {
        name: "preset",
        unit: Unit::Choice,
        domain: Domain::Choices(PRESETS),
        doc: "where all other knobs start from; seed2008 has the numbers of btrfs in 2008",
        get: |config| config.preset.to_number(),
        set: |config, number| *config = EngineConfig::preset(Preset::from_number(number)),
    }];
    rows.extend(compression_rows());
    rows.extend([
        row!("thread_pool_size", Count, log(1, THREADS_MAX), thread_pool_size,
            "threads of every pool that has no number of its own; by default 2 more than CPUs, at most 8"),
        row!("pool.kind", Choice, Domain::Choices(POOL_KINDS), pool_kind,
            "how all pools hand items to workers"),
    ]);
    pool_rows!(rows, workers, "workers", "checksums of raw data");
    pool_rows!(rows, delalloc, "delalloc", "compression");
    pool_rows!(rows, submit, "submit", "sending to the device");
    rows.push(row!(
        "submit.async_limit",
        Count,
        log(1, ITEMS_MAX),
        submit_async_limit,
        "device writes under way before submitters wait"
    ));
    pool_rows!(rows, endio, "endio", "completion of reads and decoding");
    pool_rows!(rows, endio_write, "endio_write", "completion of writes");
    pool_rows!(rows, fixup, "fixup", "ranges that are written again");
    rows.extend(bound_rows());
    rows.extend(read_rows());
    rows
}

fn compression_rows() -> [Param; 7] {
    [
        row!(
            "compression.codec",
            Choice,
            Domain::Choices(CODECS),
            compression.how.codec,
            "how extents are compressed"
        ),
        row!(
            "compression.level",
            Count,
            linear(-7, 22),
            compression.how.level,
            "the codec's level; zstd -7 to 22, zlib 1 to 9, lz4 has none"
        ),
        row!(
            "compression.heuristic",
            Bool,
            Domain::Bool,
            compression.how.heuristic,
            "look at a sample first and store raw what will not shrink"
        ),
        row!(
            "compression.zero_detect",
            Bool,
            Domain::Bool,
            compression.how.zero_detect,
            "store an extent of zeros as a hole"
        ),
        row!(
            "compression.backoff_extents_max",
            Count,
            log(0, 1 << 16),
            compression.how.backoff_extents_max,
            "most extents of a file stored raw untried after one that did not shrink; 0 tries every one"
        ),
        row!(
            "compression.extent_bytes",
            Bytes,
            pages(4 * KIB, 4 * MIB),
            compression.extent_bytes,
            "plain bytes compressed as one; a read of any page decodes all of them"
        ),
        row!(
            "compression.item_bytes",
            Bytes,
            pages(4 * KIB, 128 * MIB),
            compression.item_bytes,
            "plain bytes of one work item for the delalloc pool"
        ),
    ]
}

fn bound_rows() -> [Param; 12] {
    [
        row!(
            "order.scope",
            Choice,
            Domain::Choices(ORDER_SCOPES),
            order.scope,
            "which items are placed on the device in the order of their hand-off"
        ),
        row!(
            "budget.bytes",
            Bytes,
            log(0, TIB),
            budget.bytes,
            "bytes in compression or waiting behind it, plain and stored; 0 is no limit"
        ),
        row!(
            "budget.wake_percent",
            Percent,
            linear(0, 100),
            budget.wake_percent,
            "part of the budget at which those who wait for it go on"
        ),
        row!(
            "dirty.background",
            Bytes,
            log(0, TIB),
            dirty.background_bytes,
            "dirty bytes above which the flusher works"
        ),
        row!(
            "dirty.limit",
            Bytes,
            log(64 * KIB, TIB),
            dirty.limit_bytes,
            "bytes dirty or in writeback above which writers wait"
        ),
        row!(
            "dirty.throttle",
            Choice,
            Domain::Choices(THROTTLES),
            dirty.throttle,
            "stop writers at the limit, or slow them down from 60 % of it on"
        ),
        row!(
            "dirty.expire",
            Ms,
            log(0, DAY_MS),
            dirty.expire,
            "age at which the flusher writes dirty data whatever there is of it"
        ),
        row!(
            "meta.front_gate",
            Bytes,
            log(0, TIB),
            meta.front_gate_bytes,
            "dirty metadata above which writers are slowed"
        ),
        row!(
            "meta.flush_gate",
            Bytes,
            log(0, TIB),
            meta.flush_gate_bytes,
            "dirty metadata above which it is written in the background"
        ),
        row!(
            "meta.node_cache",
            Bytes,
            log(MIB, TIB),
            meta.node_cache_bytes,
            "clean metadata kept in memory"
        ),
        row!(
            "commit.interval",
            Ms,
            log(1, DAY_MS),
            commit.interval,
            "longest time between two commits where there is something to commit"
        ),
        row!(
            "cache.bytes",
            Bytes,
            pages(128 * KIB, TIB),
            cache.bytes,
            "size of the page cache"
        ),
    ]
}

fn read_rows() -> [Param; 4] {
    [
        row!(
            "read.ahead_max",
            Bytes,
            pages(0, 128 * MIB),
            read.ahead_bytes_max,
            "most bytes read ahead of a sequential reader; 0 reads nothing ahead"
        ),
        row!(
            "read.populate",
            Choice,
            Domain::Choices(POPULATES),
            read.populate,
            "pages of a decoded extent that are kept beside those asked for"
        ),
        row!(
            "read.miss_limit",
            Count,
            log(1, 1024),
            read.miss_limit,
            "pages in a row found in the cache already at which populating stops"
        ),
        row!(
            "read.inline_decode_max",
            Bytes,
            log(0, 128 * MIB),
            read.inline_decode_bytes_max,
            "reads up to this size decode in the caller's thread"
        ),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_docs_are_one_line() {
        let mut seen = HashSet::new();
        for row in params() {
            assert!(seen.insert(row.name), "{} twice", row.name);
            assert!(!row.doc.is_empty() && !row.doc.contains('\n') && row.doc.is_ascii());
        }
    }

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
    fn every_row_moves_its_own_field() {
        for row in params().iter().filter(|row| row.name != "preset") {
            let other = match row.domain {
                Domain::Range { min, max, .. } => {
                    if row.default_text() == row.text_of(max) {
                        min
                    } else {
                        max
                    }
                }
                Domain::Choices(_) | Domain::Bool => {
                    i64::from((row.get)(&EngineConfig::default()) == 0)
                }
            };
            let mut config = EngineConfig::default();
            row.set(&mut config, &row.text_of(other))
                .unwrap_or_else(|fault| panic!("{fault}"));
            let changed: Vec<_> = config
                .dump()
                .into_iter()
                .filter(|setting| !setting.is_default)
                .map(|setting| setting.name)
                .collect();
            assert_eq!(changed, [row.name]);
        }
    }

    #[test]
    fn words_are_those_of_the_types() {
        for codec in Codec::ALL {
            assert_eq!(CODECS[usize::from_number(codec.to_number())], codec.name());
        }
        for kind in PoolKind::ALL {
            assert_eq!(
                POOL_KINDS[usize::from_number(kind.to_number())],
                kind.name()
            );
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
