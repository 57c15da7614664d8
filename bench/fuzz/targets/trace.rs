//! A recording of any form, packed or not.
#![no_main]

use delalloc_workloads::hostile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| hostile::trace(bytes));
