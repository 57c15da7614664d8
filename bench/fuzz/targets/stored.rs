//! Stored bytes of an extent, through checksum and codec.
#![no_main]

use delalloc_engine::hostile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| hostile::stored(bytes));
