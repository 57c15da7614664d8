//! The events of a run that was killed.
#![no_main]

use delalloc_results::hostile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| hostile::events(bytes));
