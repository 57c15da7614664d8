//! What machine this is: facts for the record's fingerprint, and for `delalloc doctor`.
//!
//! Everything is read from /proc and /sys and may be missing: a fact that cannot be read is
//! absent, never guessed. Two records are comparable when their fingerprints are equal; the
//! fingerprint therefore holds what changes a measurement and nothing that changes by the minute.
//!
//! Not here: judging the facts (cmd/doctor.rs).

use std::collections::BTreeMap;
use std::fs;

/// Facts that do not change while the machine runs, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    facts: BTreeMap<&'static str, String>,
}

impl Host {
    /// Looks at this machine.
    pub fn look() -> Self {
        let cpuinfo = read("/proc/cpuinfo").unwrap_or_default();
        let meminfo = read("/proc/meminfo").unwrap_or_default();
        let mut facts = BTreeMap::new();
        let mut note = |name: &'static str, fact: Option<String>| {
            if let Some(fact) = fact.filter(|fact| !fact.is_empty()) {
                facts.insert(name, fact);
            }
        };
        note(
            "cpu.model",
            field(&cpuinfo, "model name").or_else(|| field(&cpuinfo, "CPU part")),
        );
        note(
            "cpu.count",
            std::thread::available_parallelism()
                .ok()
                .map(|n| n.to_string()),
        );
        note(
            "cpu.governor",
            read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        );
        note("cpu.smt", read("/sys/devices/system/cpu/smt/active"));
        note(
            "cpu.turbo_off",
            read("/sys/devices/system/cpu/intel_pstate/no_turbo"),
        );
        note(
            "memory.bytes",
            field(&meminfo, "MemTotal").and_then(|text| kib_text(&text)),
        );
        note(
            "memory.swap_bytes",
            field(&meminfo, "SwapTotal").and_then(|text| kib_text(&text)),
        );
        note(
            "memory.huge_pages",
            bracketed("/sys/kernel/mm/transparent_hugepage/enabled"),
        );
        note("kernel", read("/proc/sys/kernel/osrelease"));
        note("arch", Some(std::env::consts::ARCH.to_owned()));
        note("virtual", virtualisation(&cpuinfo));
        Self { facts }
    }

    /// One fact.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.facts.get(name).map(String::as_str)
    }

    /// All facts, in order of name.
    pub fn facts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.facts.iter().map(|(name, fact)| (*name, fact.as_str()))
    }

    /// A fact that is a number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }
}

/// What this process has used so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// Processor time in user mode, in nanoseconds.
    pub user_ns: u64,
    /// Processor time in the kernel, in nanoseconds.
    pub system_ns: u64,
    /// Memory held now, in bytes.
    pub resident_bytes: u64,
    /// The most memory held so far, in bytes.
    pub resident_bytes_max: u64,
    /// Times a thread was taken off its processor against its will.
    pub switches_forced: u64,
}

impl Usage {
    /// Of this process, now.
    pub fn now() -> Self {
        let mut usage = Self::default();
        if let Ok(raw) = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF) {
            usage.user_ns = time_ns(raw.user_time());
            usage.system_ns = time_ns(raw.system_time());
            usage.switches_forced = u64::try_from(raw.involuntary_context_switches()).unwrap_or(0);
        }
        let pages = read("/proc/self/statm")
            .and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok())
            .unwrap_or(0);
        usage.resident_bytes = pages * 4096;
        // Not getrusage's: that begins with what the process held that started this one.
        let status = read("/proc/self/status").unwrap_or_default();
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let most_kib = most.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
        usage.resident_bytes_max = most_kib.unwrap_or(0) * 1024;
        usage
    }

    /// Processor time used between `earlier` and now, in nanoseconds.
    pub fn cpu_ns_since(&self, earlier: &Self) -> u64 {
        (self.user_ns + self.system_ns).saturating_sub(earlier.user_ns + earlier.system_ns)
    }
}

/// One reason to distrust a measurement on this machine, now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// A short stable code.
    pub code: &'static str,
    /// What was seen.
    pub seen: String,
    /// What to do.
    pub advice: String,
}

/// What of this machine would disturb a measurement started now.
pub fn doubts(host: &Host) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    let mut doubt = |code, seen: String, advice: &str| {
        doubts.push(Doubt {
            code,
            seen,
            advice: advice.to_owned(),
        });
    };
    let cores = host.number("cpu.count").unwrap_or(1) as f64;
    if let Some(load) = load_average().filter(|load| *load > cores * 0.5) {
        doubt(
            "busy-machine",
            format!("load average {load:.1} on {cores} processors"),
            "wait until nothing else runs, or take more rounds and trust only ratios",
        );
    }
    if let Some(by) = host.get("virtual").filter(|by| *by != "no") {
        doubt(
            "virtual-machine",
            format!("runs on {by}"),
            "neighbours come and go: compare only cells of one run, never times of two",
        );
    }
    if let Some(governor) = host
        .get("cpu.governor")
        .filter(|name| *name != "performance")
    {
        doubt(
            "cpu-governor",
            format!("processor governor {governor}"),
            "cpupower frequency-set -g performance",
        );
    }
    if let Some(bytes) = memory_available_bytes().filter(|bytes| *bytes < 1 << 30) {
        doubt(
            "low-memory",
            format!("{} MiB of memory available", bytes >> 20),
            "free some, or shrink the workload's files and cache.limit",
        );
    }
    if host
        .number("memory.swap_bytes")
        .is_some_and(|bytes| bytes > 0)
    {
        doubt(
            "swap",
            "swap is on".to_owned(),
            "swapoff -a while measuring",
        );
    }
    if cfg!(debug_assertions) {
        doubt(
            "debug-build",
            "built without optimisation".to_owned(),
            "cargo run --release -- replay ...",
        );
    }
    doubts
}

/// Lets this process have as many files open as it may: a directory target holds one each.
pub fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Where that is refused the old limit stays, and the file too many says so itself.
        let _kept = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Ticks the hypervisor kept from this machine since it started, over all processors.
pub fn stolen_ticks() -> Option<u64> {
    let stat = read("/proc/stat")?;
    stat.lines().next()?.split_whitespace().nth(8)?.parse().ok()
}

/// Switches between threads since the start, over all processors.
pub fn context_switches() -> Option<u64> {
    let stat = read("/proc/stat")?;
    let line = stat.lines().find_map(|line| line.strip_prefix("ctxt "))?;
    line.trim().parse().ok()
}

/// For how long some thread waited for `resource` (cpu, io) since the start, in microseconds: the kernel's pressure stall information.
pub fn waited_us(resource: &str) -> Option<u64> {
    let pressure = read(&format!("/proc/pressure/{resource}"))?;
    let some = pressure
        .lines()
        .find_map(|line| line.strip_prefix("some "))?;
    let total = some
        .split_whitespace()
        .find_map(|word| word.strip_prefix("total="))?;
    total.parse().ok()
}

/// Load average of the last minute.
pub fn load_average() -> Option<f64> {
    read("/proc/loadavg")?.split(' ').next()?.parse().ok()
}

/// Memory that could be had now, in bytes.
pub fn memory_available_bytes() -> Option<u64> {
    let meminfo = read("/proc/meminfo")?;
    kib_text(&field(&meminfo, "MemAvailable")?)?.parse().ok()
}

/// A quarter of the machine's memory, or of what this process may have of it; no bound where nothing says.
pub fn memory_quarter_bytes() -> u64 {
    let of_machine = Host::look().number("memory.bytes");
    let of_group = read("/sys/fs/cgroup/memory.max").and_then(|text| text.parse().ok());
    let least = of_machine.into_iter().chain(of_group).min();
    least.map_or(u64::MAX, |bytes| bytes / 4)
}

fn time_ns(time: nix::sys::time::TimeVal) -> u64 {
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    let micros = u64::try_from(time.tv_usec()).unwrap_or(0);
    seconds * 1_000_000_000 + micros * 1000
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path)
        .ok()
        .map(|text| text.trim().to_owned())
}

/// The value after `name:` in a /proc table.
fn field(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (key, rest) = line.split_once(':')?;
        (key.trim() == name).then(|| rest.trim().to_owned())
    })
}

fn kib_text(text: &str) -> Option<String> {
    let kib: u64 = text.trim_end_matches("kB").trim().parse().ok()?;
    Some((kib * 1024).to_string())
}

/// The `[chosen]` one of a list of choices.
fn bracketed(path: &str) -> Option<String> {
    let text = read(path)?;
    let (_, rest) = text.split_once('[')?;
    rest.split_once(']').map(|(chosen, _)| chosen.to_owned())
}

fn virtualisation(cpuinfo: &str) -> Option<String> {
    let flagged = cpuinfo
        .lines()
        .find(|line| line.starts_with("flags"))?
        .split_whitespace()
        .any(|flag| flag == "hypervisor");
    let vendor = read("/sys/class/dmi/id/sys_vendor").unwrap_or_else(|| "yes".to_owned());
    Some(if flagged { vendor } else { "no".to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let table = "MemTotal:       16 kB\nSwapTotal:  0 kB\n";
        assert_eq!(
            field(table, "MemTotal").and_then(|t| kib_text(&t)).unwrap(),
            "16384"
        );
        assert_eq!(field(table, "Mem"), None);
    }

    #[test]
    fn this_machine_has_a_processor_and_a_kernel() {
        let host = Host::look();
        assert!(host.number("cpu.count").unwrap() >= 1);
        assert!(host.get("kernel").is_some());
        let usage = Usage::now();
        assert!(usage.resident_bytes > 0 && usage.resident_bytes_max > 0);
    }
}
