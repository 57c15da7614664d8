//! A baseline, and a record held against it.
#![no_main]

use delalloc_results::hostile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| hostile::baseline(bytes));
