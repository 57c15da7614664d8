//! `delalloc schema`: JSON Schemas, for editors and for readers of results.

use delalloc_results::{ExitCode, result_schema};
use delalloc_workloads::workload_schema;

use crate::args::{SchemaArgs, SchemaOf};

pub(super) fn schema(args: &SchemaArgs) -> ExitCode {
    match args.what {
        SchemaOf::Workload => println!("{:#}", workload_schema()),
        SchemaOf::Result => print!("{}", result_schema()),
    }
    ExitCode::Good
}
