//! Records of the log: decoded, and replayed on a sound volume.
#![no_main]

use delalloc_engine::hostile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| hostile::log(bytes));
