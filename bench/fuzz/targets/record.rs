//! A record of a run, up to everything that is made of one.
#![no_main]

use delalloc_results::hostile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| hostile::record(bytes));
