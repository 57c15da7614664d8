//! The raw numbers inside the page, for the reader who wants to compute.
//!
//! Bounded: a sweep's histograms alone would be ten times the page. What does not fit is named, and
//! is in `result.json` beside the page.

use crate::export::{cells_csv, intervals_csv};
use crate::record::RunRecord;
use serde::Serialize;

/// One downloadable file.
#[derive(Debug, Serialize)]
pub(super) struct Blob {
    name: &'static str,
    mime: &'static str,
    /// A JSON string or object, safe inside a script element.
    json: String,
}

/// The largest file embedded.
const BLOB_BYTES_MAX: usize = 450_000;

/// The files that fit, and the names of those that do not.
pub(super) fn blobs(record: &RunRecord) -> (Vec<Blob>, Vec<&'static str>) {
    let whole = serde_json::to_string(record).expect("a record has only string keys");
    let texts = [
        ("result.json", "application/json", whole),
        ("cells.csv", "text/csv", cells_csv(record)),
        ("intervals.csv", "text/csv", intervals_csv(record)),
    ];
    let (mut fitting, mut left_out) = (Vec::new(), Vec::new());
    for (name, mime, text) in texts {
        if text.len() > BLOB_BYTES_MAX {
            left_out.push(name);
            continue;
        }
        // Text is embedded as a JSON string, so that one escape serves both kinds.
        let json = serde_json::to_string(&text).expect("a string is JSON");
        fitting.push(Blob {
            name,
            mime,
            json: script_safe(&json),
        });
    }
    (fitting, left_out)
}

/// JSON in which nothing can end a script element or open a comment.
fn script_safe(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embedded_json_cannot_end_its_element_and_reads_back() {
        let hostile = "</script><!-- & <script>";
        let safe = script_safe(&serde_json::to_string(hostile).expect("a string"));
        assert!(!safe.contains('<') && !safe.contains('>'), "{safe}");
        let back: String = serde_json::from_str(&safe).expect("still JSON");
        assert_eq!(back, hostile);
    }
}
