//! The raw numbers inside the page, for the reader who wants to compute.
//!
//! Each file is packed with gzip and written as base64; the page's script unpacks it when it is asked
//! for. Bounded: what does not fit is named, and is in the run's folder beside the page.

use crate::export::{cells_csv, counters_csv, hdr_log, intervals_csv, times_csv};
use crate::record::RunRecord;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use std::io::Write as _;

/// One downloadable file.
#[derive(Debug, Serialize)]
pub(super) struct Blob {
    name: &'static str,
    mime: &'static str,
    /// Its size unpacked, in words.
    size: String,
    /// Base64, which holds nothing that could end its element.
    packed: String,
}

/// Most bytes of all files, packed.
const PACKED_BYTES_MAX: usize = 1_000_000;

/// The files that fit, and the names of those that do not.
pub(super) fn blobs(record: &RunRecord) -> (Vec<Blob>, Vec<&'static str>) {
    let whole = serde_json::to_string(record).expect("a record has only string keys");
    let label = record.label();
    let runs = [(label.as_str(), record)];
    let texts = [
        ("cells.csv", "text/csv", Some(cells_csv(&runs))),
        ("intervals.csv", "text/csv", Some(intervals_csv(&runs))),
        ("times.csv", "text/csv", Some(times_csv(&runs))),
        ("counters.csv", "text/csv", Some(counters_csv(&runs))),
        ("result.json", "application/json", Some(whole)),
        // Histograms out of a damaged record may be none.
        ("latency.hlog", "text/plain", hdr_log(record).ok()),
    ];
    let (mut fitting, mut left_out) = (Vec::new(), Vec::new());
    let mut room = PACKED_BYTES_MAX;
    for (name, mime, text) in texts {
        let Some(text) = text else {
            left_out.push(name);
            continue;
        };
        let packed = packed(&text);
        if packed.len() > room {
            left_out.push(name);
            continue;
        }
        room -= packed.len();
        fitting.push(Blob {
            name,
            mime,
            size: crate::metric::Unit::Bytes.format(text.len() as f64),
            packed,
        });
    }
    (fitting, left_out)
}

fn packed(text: &str) -> String {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
    encoder
        .write_all(text.as_bytes())
        .and_then(|()| encoder.finish())
        .map(|bytes| STANDARD.encode(bytes))
        .expect("writing to memory does not fail")
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::io::Read as _;

    #[test]
    fn every_file_of_a_run_is_embedded_or_named() {
        let record = RunRecord::begin(
            crate::record::Tool::default(),
            "2026-01-01T00:00:00Z",
            crate::record::Workload::default(),
        );
        let (fitting, left_out) = blobs(&record);
        let mut names: Vec<&str> = fitting.iter().map(|blob| blob.name).collect();
        assert!(left_out.is_empty(), "{left_out:?}");
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "cells.csv",
                "counters.csv",
                "intervals.csv",
                "latency.hlog",
                "result.json",
                "times.csv"
            ]
        );
    }

    #[test]
    fn what_is_embedded_cannot_end_its_element_and_reads_back() {
        let hostile = "</script><!-- & <script>";
        let safe = packed(hostile);
        assert!(!safe.contains('<') && !safe.contains('&'), "{safe}");
        let bytes = STANDARD.decode(safe).expect("base64");
        let mut back = String::new();
        GzDecoder::new(bytes.as_slice())
            .read_to_string(&mut back)
            .expect("gzip");
        assert_eq!(back, hostile);
    }
}
