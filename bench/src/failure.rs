//! Why a command ends early, and the exit code that says so.

use std::fmt;

use delalloc_results::printable::lines;
use delalloc_results::{ExitCode, Outcome};

use crate::out;

/// An error with its exit code.
#[derive(Debug)]
pub struct Failure {
    /// What the process ends with.
    pub code: ExitCode,
    /// What went wrong, and what would help.
    pub error: anyhow::Error,
}

impl Failure {
    /// Wrong usage or invalid input.
    pub fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self {
            code: ExitCode::Usage,
            error: error.into(),
        }
    }

    /// The work itself failed.
    pub fn failed(error: impl Into<anyhow::Error>) -> Self {
        Self {
            code: ExitCode::Failed,
            error: error.into(),
        }
    }

    /// The message on stderr; with `json`, the outcome on stdout as well.
    pub fn print(&self, json: bool) {
        out::say(self);
        if json {
            let outcome = Outcome::new(self.code, format!("{:#}", self.error));
            // The code stays that of what went wrong first.
            let _unread = out::print(format_args!("{}\n", serde_json::json!({ "exit": outcome })));
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "delalloc: {}", lines(&format!("{:#}", self.error)))
    }
}

/// Gives an error its exit code.
pub trait OrExit<T> {
    /// Wrong usage or invalid input.
    fn or_usage(self) -> Result<T, Failure>;
    /// The work itself failed.
    fn or_failed(self) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_usage(self) -> Result<T, Failure> {
        self.map_err(Failure::usage)
    }

    fn or_failed(self) -> Result<T, Failure> {
        self.map_err(Failure::failed)
    }
}

/// The code to end with where "cannot tell" is allowed to pass.
pub fn allowing(code: ExitCode, inconclusive_passes: bool) -> ExitCode {
    match code {
        ExitCode::Inconclusive if inconclusive_passes => {
            out::say("delalloc: inconclusive, which --allow-inconclusive lets pass");
            ExitCode::Good
        }
        code => code,
    }
}
