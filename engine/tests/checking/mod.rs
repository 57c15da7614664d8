//! What the tests of the check share.

pub(crate) mod damage;
pub(crate) mod log;
pub(crate) mod plants;
