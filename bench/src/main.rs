//! `delalloc`: parse, dispatch, exit code.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use delalloc::args::Args;
use delalloc::cmd;

fn main() -> ExitCode {
    // A usage error is clap's to print; it ends with 2, which is ours too.
    let args = Args::parse();
    let json = args.json();
    match cmd::dispatch(args) {
        Ok(code) => code.into(),
        Err(failure) => {
            failure.print(json);
            failure.code.into()
        }
    }
}
