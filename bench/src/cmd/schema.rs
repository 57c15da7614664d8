//! `delalloc schema`: JSON Schemas, for editors and for readers of results.

use delalloc_results::{ExitCode, result_schema};
use delalloc_workloads::{workload_reference, workload_schema};

use crate::args::{SchemaArgs, SchemaOf};
use crate::failure::Failure;
use crate::out;

pub(super) fn schema(args: &SchemaArgs) -> Result<ExitCode, Failure> {
    match args.what {
        SchemaOf::Result if args.markdown => {
            out::say("delalloc: only workloads have a reference page; leave out --markdown");
            return Ok(ExitCode::Usage);
        }
        SchemaOf::Workload if args.markdown => out::print(workload_reference())?,
        SchemaOf::Workload => out::print(format_args!("{:#}\n", workload_schema()))?,
        SchemaOf::Result => out::print(result_schema())?,
    }
    Ok(ExitCode::Good)
}
