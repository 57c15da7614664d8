//! A workload in YAML, up to its plan and its faults as they are shown.
#![no_main]

use delalloc_workloads::hostile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| hostile::workload(bytes));
