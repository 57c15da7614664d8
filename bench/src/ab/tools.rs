//! What made this binary and what counts it: all that decides how many instructions the same source takes for the same work.
//!
//! The processor counts by what valgrind shows a program of it, since codecs, checksums and the C library choose their code by
//! that. Everything else of a machine does not matter to a count.

use std::collections::BTreeMap;
use std::process::Command;

/// By name; where one of them cannot be had it says so.
pub fn tools(valgrind: Option<String>) -> BTreeMap<String, String> {
    let libc = said("getconf", &["GNU_LIBC_VERSION"]);
    let built = env!("DELALLOC_BUILT_WITH").split('\t');
    let built = built.filter_map(|pair| pair.split_once('='));
    let here = [
        ("cpu", features()),
        ("libc", libc.unwrap_or_else(|| "unknown".to_owned())),
        ("valgrind", valgrind.unwrap_or_else(|| "none".to_owned())),
    ];
    built
        .map(|(name, tool)| (name, tool.to_owned()))
        .chain(here)
        .map(|(name, tool)| (name.to_owned(), tool))
        .collect()
}

/// The version of the valgrind that would count, where there is one.
pub fn valgrind() -> Option<String> {
    said("valgrind", &["--version"])
}

fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next()?.trim().to_owned();
    (output.status.success() && !line.is_empty()).then_some(line)
}

/// What valgrind tells apart of an x86 processor: it shows one of a few models of its own.
#[cfg(target_arch = "x86_64")]
fn features() -> String {
    let all = [
        ("sse4.2", std::arch::is_x86_feature_detected!("sse4.2")),
        ("avx", std::arch::is_x86_feature_detected!("avx")),
        ("avx2", std::arch::is_x86_feature_detected!("avx2")),
        ("bmi2", std::arch::is_x86_feature_detected!("bmi2")),
    ];
    let has = all.iter().filter(|(_, has)| *has).map(|(name, _)| *name);
    has.collect::<Vec<_>>().join(" ")
}

#[cfg(not(target_arch = "x86_64"))]
fn features() -> String {
    std::env::consts::ARCH.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compiler_library_and_profile_are_named_and_other_tools_are_others() {
        let found = tools(Some("valgrind-1".to_owned()));
        for name in [
            "cc", "cpu", "libc", "profile", "rustc", "target", "valgrind",
        ] {
            assert!(
                found.get(name).is_some_and(|tool| !tool.is_empty()),
                "{name}: {found:?}"
            );
        }
        assert!(found["rustc"].starts_with("rustc 1."), "{found:?}");
        assert_ne!(found, tools(None));
    }
}
