//! `delalloc schema`: JSON Schemas, for editors and for readers of results.

use delalloc_results::{ExitCode, result_schema};
use delalloc_workloads::{workload_reference, workload_schema};

use crate::args::{SchemaArgs, SchemaOf};

pub(super) fn schema(args: &SchemaArgs) -> ExitCode {
    match args.what {
        SchemaOf::Result if args.markdown => {
            eprintln!("delalloc: only workloads have a reference page; leave out --markdown");
            return ExitCode::Usage;
        }
        SchemaOf::Workload if args.markdown => print!("{}", workload_reference()),
        SchemaOf::Workload => println!("{:#}", workload_schema()),
        SchemaOf::Result => print!("{}", result_schema()),
    }
    ExitCode::Good
}
