//! The image of a volume that is not open, against the model: everything that can be verified, and
//! the totals.

use std::sync::Arc;

use delalloc_backends::Backend;
use delalloc_engine::recover::{CheckReport, check};

use super::model::Model;
use super::setup::Setup;

/// A device with an image on it, and what of its area neither nodes, extents nor free space ever
/// are: that does not change while the image lives.
pub(crate) struct Image {
    backend: Arc<dyn Backend>,
    node_slot_bytes: u64,
    fixed_bytes: u64,
}

impl Image {
    /// The device is freshly formatted.
    pub(crate) fn new(setup: &Setup, backend: Arc<dyn Backend>) -> Self {
        let mut image = Self {
            backend,
            node_slot_bytes: u64::from(setup.node_bytes).max(4096),
            fixed_bytes: 0,
        };
        let report = check(image.backend.as_ref());
        image.fixed_bytes = image.rest_bytes(&report);
        image
    }

    pub(crate) fn backend(&self) -> &Arc<dyn Backend> {
        &self.backend
    }

    fn rest_bytes(&self, report: &CheckReport) -> u64 {
        let capacity_bytes = self.backend.geometry().capacity_bytes;
        let known_bytes =
            report.free_bytes + report.stored_bytes + report.nodes * self.node_slot_bytes;
        capacity_bytes.wrapping_sub(known_bytes)
    }

    /// Nothing is wrong with it. What is durable in the log alone is in no total yet.
    pub(crate) fn check(&self) -> Result<(), String> {
        let report = check(self.backend.as_ref());
        if report.issues.is_empty() {
            Ok(())
        } else {
            Err(format!("the image: {report:?}"))
        }
    }

    /// Everything that was done is committed.
    pub(crate) fn compare(&self, model: &Model, zero_detect: bool) -> Result<(), String> {
        let report = check(self.backend.as_ref());
        let orphans = model.orphans();
        let files = model.listing().len() as u64;
        let bounds = model.bounds(zero_detect);
        // What a crash may leave behind is no fault, but there was none.
        let faults: [(bool, &str); 7] = [
            (report.issues.is_empty(), "issues"),
            (report.files == files, "files"),
            (report.orphans == orphans, "orphans"),
            (
                report.live_bytes >= bounds.min_bytes,
                "less is live than has to be",
            ),
            (
                report.live_bytes <= bounds.max_bytes,
                "more is live than can be",
            ),
            (
                self.rest_bytes(&report) == self.fixed_bytes,
                "space is lost",
            ),
            (
                report.live_bytes <= report.ram_bytes && report.stored_bytes <= report.ram_bytes,
                "extents show or store more than they hold",
            ),
        ];
        match faults.iter().find(|(good, _)| !good) {
            None => Ok(()),
            Some((_, what)) => Err(format!(
                "the image: {what}; {files} files, {orphans} orphans, {bounds:?}, rest {} of {}, {report:?}",
                self.rest_bytes(&report),
                self.fixed_bytes
            )),
        }
    }
}
