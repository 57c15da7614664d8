//! A tree node, with everything that searches, splits and reads it.
#![no_main]

use delalloc_engine::hostile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| hostile::node(bytes));
