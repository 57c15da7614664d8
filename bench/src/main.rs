//! `delalloc`: parse, dispatch, exit code.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use delalloc::args::Args;
use delalloc::{cmd, out};
use delalloc_results::{ExitCode as Ending, Outcome};

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => refuse(&error),
    };
    let json = args.json();
    match cmd::dispatch(args) {
        Ok(code) => code.into(),
        Err(failure) => {
            failure.print(json);
            failure.code.into()
        }
    }
}

/// A usage error is clap's to print; it ends with 2, which is ours too. Where JSON was wanted, stdout has some.
fn refuse(error: &clap::Error) -> ! {
    if error.use_stderr() && std::env::args_os().any(|word| word == "--json") {
        let said = error.to_string();
        let reason = said.lines().next().unwrap_or_default();
        let outcome = Outcome::new(Ending::Usage, reason.trim_start_matches("error: "));
        // The code is 2 whether or not somebody reads why.
        let _unread = out::print(format_args!("{}\n", serde_json::json!({ "exit": outcome })));
    }
    error.exit()
}
