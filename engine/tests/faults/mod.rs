//! What the tests of faults share: a workload of many files, who carries it out and knows what must
//! be there, and the devices it runs on.

#![allow(dead_code, reason = "each test crate uses its own part")]
#![allow(
    clippy::allow_attributes,
    reason = "an expectation would fail in crates that use all of it"
)]

pub(crate) mod device;
pub(crate) mod scattered;
pub(crate) mod script;
pub(crate) mod session;
pub(crate) mod verify;
