//! Whether a configuration can be: values alone, by their rows, and knobs that do not go together.
//!
//! Fields are set by anybody, so nothing is taken for checked because it came from a text. All faults are told at once, each with
//! what would do.

use super::engine::{EngineConfig, PoolKnobs};
use super::error::KnobError;
use super::params::params;
use super::text::Unit;
use crate::pool::PoolKind;

impl EngineConfig {
    /// Checks each knob and the relations between knobs; all faults at once.
    pub fn validate(&self) -> Result<(), Vec<KnobError>> {
        let alone = params().iter().filter_map(|row| row.check(self).err());
        let mut faults = Faults(alone.collect());
        self.check_compression(&mut faults);
        self.check_dirty(&mut faults);
        self.check_read(&mut faults);
        self.check_pools(&mut faults);
        if faults.0.is_empty() {
            Ok(())
        } else {
            Err(faults.0)
        }
    }

    fn check_compression(&self, faults: &mut Faults) {
        let compression = &self.compression;
        if let Err(fault) = compression.how.validate() {
            faults.add(format!("compression.level: {fault}"));
        }
        if !compression
            .item_bytes
            .is_multiple_of(compression.extent_bytes)
        {
            faults.add(format!(
                "compression.item_bytes {} is not a multiple of compression.extent_bytes {}: \
                 an item is cut into whole extents",
                size(compression.item_bytes),
                size(compression.extent_bytes)
            ));
        }
    }

    fn check_dirty(&self, faults: &mut Faults) {
        let dirty = &self.dirty;
        if dirty.background_bytes >= dirty.limit_bytes {
            faults.add(format!(
                "dirty.background {} is not below dirty.limit {}: writers would stop before the \
                 flusher starts",
                size(dirty.background_bytes),
                size(dirty.limit_bytes)
            ));
        }
        if dirty.limit_bytes > self.cache.bytes / 2 {
            faults.add(format!(
                "dirty.limit {} is above half of cache.bytes {}: dirty pages cannot leave the \
                 cache, and reads need the other half",
                size(dirty.limit_bytes),
                size(self.cache.bytes)
            ));
        }
        if self.compression.item_bytes > dirty.limit_bytes {
            faults.add(format!(
                "compression.item_bytes {} is above dirty.limit {}: no item could fill",
                size(self.compression.item_bytes),
                size(dirty.limit_bytes)
            ));
        }
    }

    fn check_read(&self, faults: &mut Faults) {
        let (ahead_bytes, extent_bytes) =
            (self.read.ahead_bytes_max, self.compression.extent_bytes);
        if !ahead_bytes.is_multiple_of(extent_bytes) {
            faults.add(format!(
                "read.ahead_max {} is not a multiple of compression.extent_bytes {}: an extent is \
                 read whole or not at all",
                size(ahead_bytes),
                size(extent_bytes)
            ));
        }
        if ahead_bytes > self.cache.bytes / 4 {
            faults.add(format!(
                "read.ahead_max {} is above a quarter of cache.bytes {}: what is read ahead would \
                 push itself out",
                size(ahead_bytes),
                size(self.cache.bytes)
            ));
        }
    }

    fn check_pools(&self, faults: &mut Faults) {
        if self.pool_kind != PoolKind::Seed2008 {
            return;
        }
        let pools: [(&str, &PoolKnobs); 6] = [
            ("workers", &self.workers),
            ("delalloc", &self.delalloc),
            ("submit", &self.submit),
            ("endio", &self.endio),
            ("endio_write", &self.endio_write),
            ("fixup", &self.fixup),
        ];
        for (name, knobs) in pools {
            let grow_at = knobs.grow_at.unwrap_or(knobs.idle_thresh);
            let idle_below = knobs.idle_below.unwrap_or(knobs.idle_thresh / 2);
            if idle_below > grow_at {
                faults.add(format!(
                    "{name}.idle_below {idle_below} is above {name}.grow_at {grow_at}: a worker \
                     would be idle and busy at once"
                ));
            }
        }
    }
}

struct Faults(Vec<KnobError>);

impl Faults {
    fn add(&mut self, text: String) {
        self.0.push(KnobError::Relation(text));
    }
}

fn size(bytes: u64) -> String {
    Unit::Bytes.format(i64::try_from(bytes).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::super::Preset;
    use super::*;

    fn faults(settings: &[(&str, &str)]) -> Vec<String> {
        let mut config = EngineConfig::default();
        for (name, text) in settings {
            config.set(name, text).expect("good alone");
        }
        let faults = config.validate().err().unwrap_or_default();
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn presets_are_sound() {
        for preset in [Preset::Default, Preset::Seed2008] {
            assert_eq!(EngineConfig::preset(preset).validate(), Ok(()));
        }
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let found = faults(&[
            ("dirty.background", "512MiB"),
            ("dirty.limit", "200MiB"),
            ("compression.codec", "zlib"),
            ("compression.level", "12"),
            ("read.ahead_max", "100KiB"),
        ]);
        assert_eq!(found.len(), 4, "{found:#?}");
        assert!(found[0].starts_with("compression.level: zlib has no level 12"));
        assert!(found[1].starts_with("dirty.background 512MiB is not below dirty.limit 200MiB"));
        assert!(found[2].starts_with("dirty.limit 200MiB is above half of cache.bytes 256MiB"));
        assert!(found[3].starts_with("read.ahead_max 100KiB is not a multiple"));
    }

    /// Fields are public: what no text could have set is refused as well, before anything is opened with it.
    #[test]
    fn values_out_of_range_are_faults_however_they_came() {
        let faults_of = |change: fn(&mut EngineConfig)| {
            let mut config = EngineConfig::default();
            change(&mut config);
            let faults = config.validate().expect_err("out of range");
            faults[0].to_string()
        };
        let found = faults_of(|config| config.submit_async_limit = 0);
        assert!(found.contains("submit.async_limit"), "{found}");
        let found = faults_of(|config| config.thread_pool_size = 0);
        assert!(found.contains("thread_pool_size"), "{found}");
        let found = faults_of(|config| {
            config.compression.extent_bytes = 8 << 20;
            config.compression.item_bytes = 8 << 20;
        });
        assert!(found.contains("compression.extent_bytes"), "{found}");
    }

    #[test]
    fn items_are_whole_extents() {
        assert_eq!(faults(&[("compression.item_bytes", "192KiB")]).len(), 1);
        assert_eq!(faults(&[("compression.extent_bytes", "1MiB")]).len(), 1);
        assert_eq!(faults(&[("compression.item_bytes", "128KiB")]).len(), 0);
    }

    #[test]
    fn thresholds_of_a_pool_leave_a_gap_between_idle_and_busy() {
        let found = faults(&[("delalloc.idle_below", "5")]);
        assert!(found[0].starts_with("delalloc.idle_below 5 is above delalloc.grow_at 2"));
        assert_eq!(
            faults(&[("delalloc.idle_below", "5"), ("pool.kind", "plain")]).len(),
            0
        );
    }
}
