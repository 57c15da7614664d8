//! From dirty pages to the device.

pub mod dirty;
pub mod throttle;
