//! `delalloc check`: proves an image, or says what is wrong with it. Nothing is written.
//!
//! With `--extents` it lists files and stored extents too, as the check passes them: an image of any
//! size is listed in constant memory, so JSON is written piece by piece.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::Context;
use delalloc_backends::FileOpening;
use delalloc_engine::compress::Codec;
use delalloc_engine::recover::{self, CheckReport, Entry, Severity};
use delalloc_results::{ExitCode, Unit};
use serde_json::{Value, json};

use super::open_image;
use crate::args::CheckArgs;
use crate::failure::{Failure, OrExit};
use crate::out::unless_closed;

pub(super) fn check(args: &CheckArgs) -> Result<ExitCode, Failure> {
    let backend = open_image(&args.image, FileOpening::ReadOnly).or_usage()?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut listing = Listing {
        json: args.json,
        entries: 0,
        failed: None,
    };
    if args.extents {
        listing.begin(&mut out);
    }
    let report = recover::check_with(&*backend, !args.no_decode, &mut |entry| {
        if args.extents {
            listing.show(&mut out, &entry);
        }
    });
    backend.close().or_failed()?;
    let code = if report.is_clean() {
        ExitCode::Good
    } else {
        ExitCode::Failed
    };
    let written = match listing.failed {
        Some(error) => Err(error),
        None if args.json => write_json(&mut out, &report, code, args.extents),
        None => write_text(&mut out, &report, &args.image, code),
    };
    let written = written.and_then(|()| out.flush());
    unless_closed(written).context("stdout").or_failed()?;
    Ok(code)
}

/// Entries written while the check runs. The first failure to write ends the listing.
struct Listing {
    json: bool,
    entries: u64,
    failed: Option<io::Error>,
}

impl Listing {
    fn begin(&mut self, out: &mut dyn Write) {
        if self.json {
            self.failed = write!(out, "{{\"inventory\":[").err();
        }
    }

    fn show(&mut self, out: &mut dyn Write, entry: &Entry<'_>) {
        if self.failed.is_some() {
            return;
        }
        let separator = if self.entries > 0 { ",\n" } else { "" };
        self.entries += 1;
        let written = if self.json {
            write!(out, "{separator}{}", entry_json(entry))
        } else {
            writeln!(out, "{}", entry_text(entry))
        };
        self.failed = written.err();
    }
}

fn entry_json(entry: &Entry<'_>) -> Value {
    match entry {
        Entry::File(file) => json!({ "file": {
            "number": file.inode.file.0,
            "name": file.inode.name,
            "orphan": file.inode.orphan,
            "size_bytes": file.inode.size_bytes,
            "mapped_bytes": file.mapped_bytes,
            "stored_bytes": file.stored_bytes,
            "mappings": file.mappings,
        }}),
        Entry::Extent(extent) => json!({ "extent": {
            "address": extent.disk.start.0,
            "file": extent.file.0,
            "codec": codec_name(extent.codec),
            "stored_bytes": extent.disk.bytes,
            "plain_bytes": extent.plain_bytes,
            "live_bytes": extent.live_bytes,
            "dead_bytes": extent.dead_bytes(),
            "references": extent.refs,
        }}),
    }
}

fn entry_text(entry: &Entry<'_>) -> String {
    match entry {
        Entry::File(file) => format!(
            "file {} {:?}{}: size {}, mapped {} in {}, stored {}",
            file.inode.file.0,
            file.inode.name,
            if file.inode.orphan { " (orphan)" } else { "" },
            file.inode.size_bytes,
            file.mapped_bytes,
            file.mappings,
            file.stored_bytes,
        ),
        Entry::Extent(extent) => format!(
            "extent at {}: {} of file {}, stored {}, plain {}, live {}, dead {}, references {}",
            extent.disk.start.0,
            codec_name(extent.codec),
            extent.file.0,
            extent.disk.bytes,
            extent.plain_bytes,
            extent.live_bytes,
            extent.dead_bytes(),
            extent.refs,
        ),
    }
}

fn codec_name(number: u8) -> String {
    Codec::from_number(number).map_or_else(|| format!("codec {number}"), |codec| codec.to_string())
}

/// The report as the rest of an object that `inventory` begins, or as one of its own.
fn write_json(
    out: &mut dyn Write,
    report: &CheckReport,
    code: ExitCode,
    after_inventory: bool,
) -> io::Result<()> {
    let text = summary(report, code).to_string();
    if after_inventory {
        let fields = text.strip_prefix('{').expect("an object");
        writeln!(out, "],\n{fields}")
    } else {
        writeln!(out, "{text}")
    }
}

fn summary(report: &CheckReport, code: ExitCode) -> Value {
    let issues: Vec<Value> = report
        .issues
        .iter()
        .map(|issue| {
            json!({
                "severity": issue.severity().word(),
                "kind": issue.kind(),
                "issue": issue.to_string(),
            })
        })
        .collect();
    json!({
        "exit": { "code": code, "reason": format!("{} issues", all_issues(report)) },
        "generation": report.generation,
        "nodes": report.nodes,
        "files": report.files,
        "orphans": report.orphans,
        "file_extents": report.file_extents,
        "extents": report.extents,
        "bookends": report.bookends,
        "area_bytes": report.area_bytes,
        "node_bytes": report.node_bytes,
        "stored_bytes": report.stored_bytes,
        "plain_bytes": report.ram_bytes,
        "live_bytes": report.live_bytes,
        "dead_bytes": report.dead_bytes(),
        "log_bytes": report.log_bytes,
        "log_batches": report.log_batches,
        "log_records": report.log_records,
        "logged_bytes": report.logged_bytes,
        "free_bytes": report.free_bytes,
        "sectors_verified": report.sectors_verified,
        "extents_decoded": report.extents_decoded,
        "remedy": report.worst().map(Severity::remedy),
        "issues": issues,
        "issues_more": report.issues_more,
    })
}

fn write_text(
    out: &mut dyn Write,
    report: &CheckReport,
    image: &Path,
    code: ExitCode,
) -> io::Result<()> {
    for issue in &report.issues {
        writeln!(out, "{}: {issue}", issue.severity().word())?;
    }
    if report.issues_more > 0 {
        writeln!(out, "... and {} more", report.issues_more)?;
    }
    if let Some(worst) = report.worst() {
        writeln!(out, "{}: {}", worst.word(), worst.remedy())?;
    }
    let bytes = |bytes: u64| Unit::Bytes.format(bytes as f64);
    writeln!(
        out,
        "generation {}: {} files, {} orphans, {} nodes",
        report.generation, report.files, report.orphans, report.nodes
    )?;
    writeln!(
        out,
        "area {}: {} nodes, {} stored, {} log, {} stored by the log, {} free",
        bytes(report.area_bytes),
        bytes(report.node_bytes),
        bytes(report.stored_bytes),
        bytes(report.log_bytes),
        bytes(report.logged_bytes),
        bytes(report.free_bytes),
    )?;
    if report.log_batches > 0 {
        writeln!(
            out,
            "the log has {} changes in {} batches that the next open makes again",
            report.log_records, report.log_batches
        )?;
    }
    writeln!(
        out,
        "{} extents hold {} plain: {} live, {} dead in {} bookends",
        report.extents,
        bytes(report.ram_bytes),
        bytes(report.live_bytes),
        bytes(report.dead_bytes()),
        report.bookends,
    )?;
    writeln!(
        out,
        "check={} issues={} sectors_verified={} extents_decoded={} image={}",
        code.word(),
        all_issues(report),
        report.sectors_verified,
        report.extents_decoded,
        image.display()
    )
}

fn all_issues(report: &CheckReport) -> u64 {
    report.issues.len() as u64 + report.issues_more
}
