//! `delalloc doctor`: what of this machine would disturb a measurement, and what it supports.
//!
//! Findings are ranked: *ok* is a fact, *note* limits what can be done here, *doubt* distrusts numbers
//! taken now. None of them is a failure: the command ends with 0 unless it cannot look.

use std::path::Path;

use anyhow::{Context, ensure};
use delalloc_backends::{FileOptions, MoverKind, MoverOptions};
use delalloc_results::{ExitCode, Unit};

use crate::args::DoctorArgs;
use crate::failure::{Failure, OrExit};
use crate::host::{self, Host};
use crate::out;
use crate::replay::pacer::SleepSlack;

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Rank {
    Ok,
    Note,
    Doubt,
}

#[derive(Debug, serde::Serialize)]
struct Finding {
    rank: Rank,
    what: String,
    seen: String,
    advice: String,
}

pub(super) fn doctor(args: &DoctorArgs) -> Result<ExitCode, Failure> {
    let findings = examine(&args.directory).or_usage()?;
    if args.json {
        out::print(format_args!(
            "{}\n",
            serde_json::json!({ "findings": findings })
        ))?;
        return Ok(ExitCode::Good);
    }
    out::print(text(&findings))?;
    Ok(ExitCode::Good)
}

fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let rank = match finding.rank {
            Rank::Ok => "ok   ",
            Rank::Note => "note ",
            Rank::Doubt => "doubt",
        };
        text.push_str(&format!("{rank}  {:<22} {}\n", finding.what, finding.seen));
        if !finding.advice.is_empty() {
            text.push_str(&format!("{:30}-> {}\n", "", finding.advice));
        }
    }
    let count = |rank| {
        findings
            .iter()
            .filter(|finding| finding.rank == rank)
            .count()
    };
    let (doubts, notes) = (count(Rank::Doubt), count(Rank::Note));
    text.push_str(&format!("doubts={doubts} notes={notes}\n"));
    text
}

fn examine(directory: &Path) -> anyhow::Result<Vec<Finding>> {
    ensure!(
        directory.is_dir(),
        "{}: is no directory",
        directory.display()
    );
    let host = Host::look();
    let mut findings: Vec<Finding> = host
        .facts()
        .map(|(name, fact)| {
            let seen = match fact.parse::<u64>() {
                Ok(bytes) if name.ends_with("bytes") => Unit::Bytes.format(bytes as f64),
                _ => fact.to_owned(),
            };
            ok(name, seen)
        })
        .collect();
    if let Some(bytes) = host::memory_available_bytes() {
        findings.push(ok("memory.available", Unit::Bytes.format(bytes as f64)));
    }
    findings.push(free_space(directory)?);
    findings.push(clock_step());
    findings.push(sleep_slack());
    findings.push(mover(directory, MoverKind::Threads, "direct I/O here"));
    findings.push(mover(directory, MoverKind::Uring, "io_uring"));
    findings.push(root_only(
        "loop devices",
        Path::new("/dev/loop-control"),
        "scripts/loopdev and scripts/kernel-peers",
    ));
    findings.push(root_only(
        "dropping kernel caches",
        Path::new("/proc/sys/vm/drop_caches"),
        "cold reads of directory targets",
    ));
    findings.extend(host::doubts(&host).into_iter().map(|doubt| Finding {
        rank: Rank::Doubt,
        what: doubt.code.to_owned(),
        seen: doubt.seen,
        advice: doubt.advice,
    }));
    Ok(findings)
}

fn ok(what: &str, seen: String) -> Finding {
    Finding {
        rank: Rank::Ok,
        what: what.to_owned(),
        seen,
        advice: String::new(),
    }
}

fn note(what: &str, seen: String, advice: &str) -> Finding {
    Finding {
        rank: Rank::Note,
        what: what.to_owned(),
        seen,
        advice: advice.to_owned(),
    }
}

fn free_space(directory: &Path) -> anyhow::Result<Finding> {
    let stat = nix::sys::statvfs::statvfs(directory)
        .with_context(|| format!("statvfs of {}", directory.display()))?;
    let free_bytes = stat.blocks_available() * stat.fragment_size();
    let seen = format!(
        "{} in {}",
        Unit::Bytes.format(free_bytes as f64),
        directory.display()
    );
    Ok(if free_bytes < 4 << 30 {
        note(
            "free disk",
            seen,
            "the starter wants 2 GiB for its image; give it a smaller one",
        )
    } else {
        ok("free disk", seen)
    })
}

/// What one look at the clock costs: every operation takes two.
fn clock_step() -> Finding {
    const LOOKS: u32 = 100_000;
    let begin = std::time::Instant::now();
    for _ in 0..LOOKS {
        std::hint::black_box(std::time::Instant::now());
    }
    let ns = begin.elapsed().as_nanos() as f64 / f64::from(LOOKS);
    let seen = format!("{ns:.0} ns");
    if ns > 200.0 {
        note(
            "clock",
            seen,
            "the kernel asks a slow clock source; see /sys/devices/system/clocksource",
        )
    } else {
        ok("clock", seen)
    }
}

fn sleep_slack() -> Finding {
    let us = SleepSlack::measure().as_micros();
    ok(
        "timer slack",
        format!("{us} us; a schedule is kept by spinning that long"),
    )
}

/// Opens a small direct file with the mover, which is the only proof that it works here.
fn mover(directory: &Path, kind: MoverKind, what: &str) -> Finding {
    let path = directory.join(format!(".delalloc-doctor-{}", std::process::id()));
    let options = FileOptions {
        mover: MoverOptions {
            kind,
            ..MoverOptions::default()
        },
        ..FileOptions::create_new(&path, 1 << 20)
    };
    let opened = options.open();
    let seen = opened.map(|device| delalloc_backends::Backend::describe(&device));
    // Best effort: the file may never have been made.
    let _removed = std::fs::remove_file(&path);
    match seen {
        Ok(_) => ok(what, "works".to_owned()),
        Err(error) => note(
            what,
            error.to_string(),
            "the threads mover and `buffered: true` need neither",
        ),
    }
}

fn root_only(what: &str, path: &Path, needed_by: &str) -> Finding {
    match std::fs::OpenOptions::new().write(true).open(path) {
        Ok(_) => ok(what, "allowed".to_owned()),
        Err(error) => note(
            what,
            format!("{}: {error}", path.display()),
            &format!("needed by {needed_by}: be root"),
        ),
    }
}
