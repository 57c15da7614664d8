//! What a meter around a device has counted, as readings: the same names for every target that has
//! a device of its own, so that they can be compared.

use delalloc_backends::{MeterSnapshot, RequestKind};
use delalloc_results::Unit;

use super::Reading;

/// Bytes, requests and time at the device.
pub(super) fn device_readings(meter: &MeterSnapshot) -> Vec<Reading> {
    let (written, read) = (
        meter.kind(RequestKind::Write),
        meter.kind(RequestKind::Read),
    );
    let flushes = meter.kind(RequestKind::Flush);
    vec![
        Reading::counted("device.write_bytes", Unit::Bytes, written.bytes as f64),
        Reading::counted(
            "device.write_requests",
            Unit::Count,
            written.completed as f64,
        ),
        Reading::counted("device.read_bytes", Unit::Bytes, read.bytes as f64),
        Reading::counted("device.read_requests", Unit::Count, read.completed as f64),
        Reading::counted("device.flushes", Unit::Count, flushes.completed as f64),
        Reading::timed(
            "device.write_ns",
            Unit::Nanoseconds,
            written.service_ns_sum as f64,
        ),
        Reading::timed(
            "device.read_ns",
            Unit::Nanoseconds,
            read.service_ns_sum as f64,
        ),
    ]
}
