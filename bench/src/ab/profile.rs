//! Instructions by part of the program, from what callgrind writes.
//!
//! ```text
//!   by call      read, write, sync       what a target's calls cost, everything below them included
//!   by source    engine, codecs,         where the instructions were written; inlined ones count where
//!                harness, libraries      their source stands, so that another inlining among ours moves nothing
//! ```
//!
//! What the standard library has in a function of ours (an iterator's loop, a sort by our key) is that function's.
//! Sources partition the total; calls do not (a sync also writes back what writes left). Read as a stream: what is
//! kept is one small entry for each function and file.

use std::collections::{BTreeMap, HashMap};
use std::io::BufRead;

use anyhow::{Context, ensure};

/// The name of the whole, as a row of a gate has it.
pub const TOTAL: &str = "instructions";

/// Calls of a target, by the ends of the names of the functions that implement them.
const CALLS: [(&str, &[&str]); 3] = [
    (
        "instructions(read)",
        &[" as delalloc::targets::TargetFile>::read_at"],
    ),
    (
        "instructions(sync)",
        &[
            " as delalloc::targets::TargetFile>::sync",
            " as delalloc::targets::TargetFile>::sync_data",
            " as delalloc::targets::Target>::sync_all",
        ],
    ),
    (
        "instructions(write)",
        &[" as delalloc::targets::TargetFile>::write_at"],
    ),
];

/// Parts of the source, by what the path of a file holds; the first that fits counts.
const SOURCES: [(&str, &[&str]); 3] = [
    (
        "instructions(codecs)",
        &["/zstd-sys-", "/lz4_flex-", "/zlib-rs-", "/crc32c-"],
    ),
    ("instructions(engine)", &["engine/src/", "backends/src/"]),
    (
        "instructions(harness)",
        &["bench/src/", "workloads/src/", "results/src/"],
    ),
];

/// Crates by how names of their functions begin, and whose they are (a place in [`SOURCES`]).
const CRATES: [(&str, usize); 5] = [
    ("delalloc_engine::", 1),
    ("delalloc_backends::", 1),
    ("delalloc_workloads::", 2),
    ("delalloc_results::", 2),
    ("delalloc::", 2),
];

/// The place behind them: the standard library, the system's, the loader, other crates.
const LIBRARIES: usize = SOURCES.len();
const LIBRARIES_NAME: &str = "instructions(libraries)";

/// Instructions by name of the part, [`TOTAL`] among them.
pub type Parts = BTreeMap<String, u64>;

/// Reads a profile.
pub(super) fn parts(profile: impl BufRead) -> anyhow::Result<Parts> {
    let mut reader = Reader::default();
    for (number, line) in profile.lines().enumerate() {
        let line = line.context("reading the profile")?;
        reader
            .line(&line)
            .with_context(|| format!("line {} of the profile: {line:?}", number + 1))?;
    }
    reader.finish()
}

#[derive(Clone, Copy, Default)]
struct Function {
    /// Which call of a target it is: a place in [`CALLS`].
    call: Option<usize>,
    /// Whose it is: a place in [`SOURCES`].
    owner: Option<usize>,
}

#[derive(Default)]
struct Reader {
    /// What is known of a function, by its number in the profile.
    functions: HashMap<u64, Function>,
    /// Which part of the source a file is.
    sources: HashMap<u64, usize>,
    function: Function,
    callee: Function,
    /// Whose source the next costs stand in.
    source: usize,
    /// The next line of costs is what a call cost.
    is_call: bool,
    by_call: [u64; CALLS.len()],
    by_source: [u64; SOURCES.len() + 1],
    total: Option<u64>,
}

impl Reader {
    fn line(&mut self, line: &str) -> anyhow::Result<()> {
        if line.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '*')) {
            return self.cost(line);
        }
        if let Some(total) = line.strip_prefix("totals:") {
            self.total = Some(total.trim().parse()?);
            return Ok(());
        }
        let Some((key, value)) = line.split_once('=') else {
            return Ok(());
        };
        match key {
            "fn" => self.function = self.function_of(value)?,
            "cfn" => self.callee = self.function_of(value)?,
            "fl" | "fi" | "fe" => self.source = self.source_of(value)?,
            // The callee's file is named where the file is first met.
            "cfi" | "cfl" => {
                self.source_of(value)?;
            }
            "calls" => self.is_call = true,
            _ => {}
        }
        Ok(())
    }

    /// A place and what was spent there, or below it where it is a call.
    fn cost(&mut self, line: &str) -> anyhow::Result<()> {
        let cost: u64 = match line.split_ascii_whitespace().nth(1) {
            Some(cost) => cost.parse()?,
            None => 0,
        };
        if !std::mem::take(&mut self.is_call) {
            let source = match self.source {
                LIBRARIES => self.function.owner.unwrap_or(LIBRARIES),
                source => source,
            };
            self.by_source[source] += cost;
        } else if self.callee.call != self.function.call {
            // From outside: a wrapper that calls what it wraps is counted once.
            if let Some(call) = self.callee.call {
                self.by_call[call] += cost;
            }
        }
        Ok(())
    }

    fn function_of(&mut self, value: &str) -> anyhow::Result<Function> {
        let (number, name) = numbered(value)?;
        if let Some(name) = name {
            self.functions.insert(number, Function::named(name));
        }
        let known = self.functions.get(&number).copied();
        known.with_context(|| format!("function {number} has no name"))
    }

    fn source_of(&mut self, value: &str) -> anyhow::Result<usize> {
        let (number, path) = numbered(value)?;
        if let Some(path) = path {
            let is = |places: &[&str]| places.iter().any(|place| path.contains(place));
            let source = SOURCES.iter().position(|(_, places)| is(places));
            self.sources.insert(number, source.unwrap_or(LIBRARIES));
        }
        let known = self.sources.get(&number).copied();
        known.with_context(|| format!("file {number} has no name"))
    }

    fn finish(self) -> anyhow::Result<Parts> {
        let total = self
            .total
            .context("the profile has no total; callgrind did not end by itself")?;
        let summed: u64 = self.by_source.iter().sum();
        ensure!(
            summed == total,
            "the parts of the profile are {summed} instructions and the whole {total}"
        );
        let names = SOURCES
            .map(|(name, _)| name)
            .into_iter()
            .chain([LIBRARIES_NAME]);
        let sources = names.zip(self.by_source);
        let calls = CALLS.map(|(name, _)| name).into_iter().zip(self.by_call);
        let all = [(TOTAL, total)].into_iter().chain(sources).chain(calls);
        Ok(all.map(|(name, count)| (name.to_owned(), count)).collect())
    }
}

impl Function {
    fn named(name: &str) -> Self {
        // Deeper levels of a recursion are functions of their own, with a mark behind their names.
        let name = name.split('\'').next().unwrap_or(name);
        let is = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
        // Of a library's function made for a type of ours: whose comes first in its name.
        let owners = CRATES
            .iter()
            .filter_map(|(crate_, owner)| Some((name.find(crate_)?, *owner)));
        Self {
            call: CALLS.iter().position(|(_, ends)| is(ends)),
            owner: owners.min().map(|(_, owner)| owner),
        }
    }
}

/// `(12) name`, or `(12)` from the second time on.
fn numbered(value: &str) -> anyhow::Result<(u64, Option<&str>)> {
    let (number, name) = value
        .strip_prefix('(')
        .and_then(|rest| rest.split_once(')'))
        .context("a number in brackets is wanted")?;
    let name = name.trim();
    Ok((number.parse()?, (!name.is_empty()).then_some(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = "\
# callgrind format
version: 1
events: Ir
summary: 1000

ob=(1) /bin/delalloc
fl=(1) bench/src/replay/client.rs
fn=(1) delalloc::replay::client::step
10 100
cfi=(2) bench/src/targets/planted.rs
cfn=(2) <delalloc::targets::planted::PlantedFile as delalloc::targets::TargetFile>::write_at
calls=3 7
+2 700
cfn=(5) <delalloc::targets::engine::EngineFile as delalloc::targets::TargetFile>::sync
calls=1 7
* 50

fl=(2)
fn=(2)
7 20
cfi=(3) bench/src/targets/engine.rs
cfn=(3) <delalloc::targets::engine::EngineFile as delalloc::targets::TargetFile>::write_at'2
calls=3 9
7 680

fl=(3)
fn=(3)
9 80
fi=(4) engine/src/file.rs
+1 400
fi=(8) /rustc/1/library/core/src/iter/range.rs
+1 10
fe=(3)
cfi=(6) /home/.cargo/registry/src/index/zstd-sys-2.0.1/zstd/lib/compress/zstd_fast.c
cfn=(4) ZSTD_compressBlock_fast
calls=1 5
9 190
fl=(6)
fn=(4)
5 190
5
fl=(5) ./string/memmove.S
fn=(6) memcpy
1 150
fl=(3)
fn=(5)
3 30
fl=(7) /rustc/1/library/core/src/slice/sort.rs
fn=(7) core::slice::sort::quicksort<delalloc_engine::Extent, delalloc::Order>
3 20

totals: 1000
";

    #[test]
    fn instructions_count_where_they_are_written_and_for_the_call_they_serve() {
        let found = parts(PROFILE.as_bytes()).expect("a profile");
        let of = |name: &str| found[name];
        assert_eq!(of(TOTAL), 1000);
        assert_eq!(of("instructions(harness)"), 100 + 20 + 80 + 10 + 30);
        assert_eq!(of("instructions(engine)"), 400 + 20);
        assert_eq!(of("instructions(codecs)"), 190);
        assert_eq!(of(LIBRARIES_NAME), 150);
        assert_eq!(of("instructions(write)"), 700, "a wrapped call counts once");
        assert_eq!(of("instructions(sync)"), 50);
        assert_eq!(of("instructions(read)"), 0);
    }

    /// What a renamed trait leaves: the parts of calls are there and empty, which is for a gate to see.
    #[test]
    fn a_profile_without_a_call_counts_nothing_for_it_and_loses_nothing() {
        let renamed = PROFILE.replace("targets::TargetFile>", "targets::OpenFile>");
        let found = parts(renamed.as_bytes()).expect("a profile");
        for name in ["instructions(write)", "instructions(sync)"] {
            assert_eq!(found.get(name), Some(&0), "{name}");
        }
        assert_eq!((found[TOTAL], found["instructions(engine)"]), (1000, 420));
    }

    #[test]
    fn a_profile_that_is_cut_short_or_does_not_add_up_is_refused() {
        let refused = |text: &str| format!("{:#}", parts(text.as_bytes()).expect_err("refused"));
        let cut = &PROFILE[..PROFILE.find("totals").expect("there")];
        assert!(refused(cut).contains("no total"));
        assert!(refused(&PROFILE.replace("1 150", "1 151")).contains("1001 instructions"));
        assert!(
            refused(&PROFILE.replace("fn=(6) memcpy", "fn=(6)")).contains("function 6 has no name")
        );
        assert!(refused(&PROFILE.replace("1 150", "1 many")).contains("many"));
    }
}
