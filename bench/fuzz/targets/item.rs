//! The item of a leaf: inode, mapping, stored extent.
#![no_main]

use delalloc_engine::hostile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| hostile::item(bytes));
