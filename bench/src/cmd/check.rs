//! `delalloc check`: proves an image, or says what is wrong with it. Nothing is written.

use std::path::Path;

use delalloc_engine::recover::{self, CheckReport};
use delalloc_results::{ExitCode, Unit};

use super::open_image;
use crate::args::CheckArgs;
use crate::failure::{Failure, OrExit};

pub(super) fn check(args: &CheckArgs) -> Result<ExitCode, Failure> {
    let backend = open_image(&args.image).or_usage()?;
    let report = recover::check(&*backend);
    backend.close().or_failed()?;
    let code = if report.is_clean() {
        ExitCode::Good
    } else {
        ExitCode::Failed
    };
    if args.json {
        println!("{}", json(&report, code));
    } else {
        print(&report, &args.image, code);
    }
    Ok(code)
}

fn json(report: &CheckReport, code: ExitCode) -> serde_json::Value {
    let issues: Vec<_> = report
        .issues
        .iter()
        .map(|issue| {
            let severity = format!("{:?}", issue.severity()).to_lowercase();
            serde_json::json!({ "severity": severity, "issue": issue.to_string() })
        })
        .collect();
    serde_json::json!({
        "exit": { "code": code, "reason": format!("{} issues", all_issues(report)) },
        "generation": report.generation,
        "nodes": report.nodes,
        "files": report.files,
        "orphans": report.orphans,
        "file_extents": report.file_extents,
        "extents": report.extents,
        "stored_bytes": report.stored_bytes,
        "plain_bytes": report.ram_bytes,
        "live_bytes": report.live_bytes,
        "free_bytes": report.free_bytes,
        "sectors_verified": report.sectors_verified,
        "issues": issues,
        "issues_more": report.issues_more,
    })
}

fn print(report: &CheckReport, image: &Path, code: ExitCode) {
    for issue in &report.issues {
        println!("{:?}: {issue}", issue.severity());
    }
    if report.issues_more > 0 {
        println!("... and {} more", report.issues_more);
    }
    let bytes = |bytes: u64| Unit::Bytes.format(bytes as f64);
    println!(
        "generation {}: {} files, {} orphans, {} extents of {} stored ({} plain), {} free, {} nodes",
        report.generation,
        report.files,
        report.orphans,
        report.extents,
        bytes(report.stored_bytes),
        bytes(report.ram_bytes),
        bytes(report.free_bytes),
        report.nodes,
    );
    println!(
        "check={} issues={} sectors_verified={} image={}",
        code.word(),
        all_issues(report),
        report.sectors_verified,
        image.display()
    );
}

fn all_issues(report: &CheckReport) -> u64 {
    report.issues.len() as u64 + report.issues_more
}
