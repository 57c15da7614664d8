//! The knobs of one pool.

use std::fmt;
use std::str::FromStr;

use super::grow::Rules;

/// Which discipline hands items to workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PoolKind {
    /// A queue for each worker; a worker with a short backlog gets everything until its backlog is
    /// long, and only then is another one started.
    Seed2008,
    /// One queue; the number of workers that may run follows the backlog. A threshold below
    /// [`PoolKind::THRESHOLD_MIN`] means none: all may run at once.
    Threshold2014,
    /// One queue, all workers.
    Plain,
}

impl PoolKind {
    /// All kinds, in the order of their years.
    pub const ALL: [Self; 3] = [Self::Seed2008, Self::Threshold2014, Self::Plain];

    /// The smallest `idle_thresh` that [`PoolKind::Threshold2014`] heeds; 0 stands for it.
    pub const THRESHOLD_MIN: usize = 32;

    /// As written in a workload.
    pub fn name(self) -> &'static str {
        match self {
            Self::Seed2008 => "seed2008",
            Self::Threshold2014 => "threshold2014",
            Self::Plain => "plain",
        }
    }
}

impl fmt::Display for PoolKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for PoolKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| {
                format!("no pool is named {text:?}; seed2008, threshold2014 and plain are")
            })
    }
}

/// One pool's knobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolConfig {
    /// What its threads and its statistics are called. Linux shows 15 bytes, number included.
    pub name: &'static str,
    /// The discipline.
    pub kind: PoolKind,
    /// Workers at most; at least 1.
    pub threads_max: usize,
    /// Three knobs in one: the backlog at which a worker turns busy, the run of items a busy worker
    /// gets in turn, and (halved) the backlog below which it is idle again. The next three set them
    /// apart. For `Threshold2014` the backlog above which one more worker may run.
    pub idle_thresh: usize,
    /// Seed2008: a worker with this backlog, the running item included, is busy. None: `idle_thresh`.
    pub grow_at: Option<usize>,
    /// Seed2008: consecutive items that one busy worker gets. None: `idle_thresh`.
    pub batch: Option<usize>,
    /// Seed2008: a busy worker with fewer than these is idle again; 0 is never. None: half of
    /// `idle_thresh`, rounded down.
    pub idle_below: Option<usize>,
    /// All workers exist from the start.
    pub start_all: bool,
}

impl PoolConfig {
    /// A pool of `threads_max` workers whose parts of the threshold follow `idle_thresh`, and which
    /// starts with one worker.
    pub fn new(name: &'static str, kind: PoolKind, threads_max: usize, idle_thresh: usize) -> Self {
        Self {
            name,
            kind,
            threads_max,
            idle_thresh,
            grow_at: None,
            batch: None,
            idle_below: None,
            start_all: false,
        }
    }

    /// What is wrong with these knobs, with the remedy; `start` panics with it.
    pub fn validate(&self) -> Result<(), String> {
        let name = self.name;
        let rules = self.rules();
        if self.threads_max == 0 {
            return Err(format!("pool {name}: threads_max is 0; give it at least 1"));
        }
        if self.kind != PoolKind::Seed2008 {
            return Ok(());
        }
        if rules.grow_at == 0 || rules.batch == 0 {
            return Err(format!(
                "pool {name}: idle_thresh, grow_at and batch are at least 1"
            ));
        }
        if rules.idle_below > rules.grow_at {
            return Err(format!(
                "pool {name}: idle_below {} is above grow_at {}, so a worker would be idle and busy \
                 at once; set it to at most grow_at",
                rules.idle_below, rules.grow_at
            ));
        }
        Ok(())
    }

    pub(super) fn rules(&self) -> Rules {
        Rules {
            threads_max: self.threads_max,
            grow_at: self.grow_at.unwrap_or(self.idle_thresh),
            batch: self.batch.unwrap_or(self.idle_thresh),
            idle_below: self.idle_below.unwrap_or(self.idle_thresh / 2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_follow_the_threshold_unless_set() {
        let mut config = PoolConfig::new("test", PoolKind::Seed2008, 8, 5);
        let rules = config.rules();
        assert_eq!((rules.grow_at, rules.batch, rules.idle_below), (5, 5, 2));
        config.idle_below = Some(6);
        assert!(config.validate().unwrap_err().contains("at most grow_at"));
        config.grow_at = Some(6);
        assert_eq!(config.validate(), Ok(()));
    }

    #[test]
    fn kinds_are_read_back_from_their_names() {
        for kind in PoolKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert!("fifo".parse::<PoolKind>().is_err());
    }
}
