//! What a command says, where it may be that nobody takes it.
//!
//! A reader of stdout that has seen enough (`| head`) closes its end. That is no failure: the command ends with the code it
//! would have ended with. Any other error is one, since what was asked for is not there: a full disk under `> FILE`.
//!
//! Not here: progress (`progress`).

use std::fmt::Display;
use std::io::{self, BufWriter, ErrorKind, Write};

use anyhow::Context;

use crate::failure::{Failure, OrExit};

/// Writes it to stdout, as it is: a line ends where it says so.
pub fn print(text: impl Display) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    let written = write!(out, "{text}").and_then(|()| out.flush());
    unless_closed(written).context("stdout").or_failed()
}

/// A line on stderr. Where that cannot be written nobody is left to be told.
pub fn say(line: impl Display) {
    let _unheard = writeln!(io::stderr().lock(), "{line}");
}

/// What came of writing, unless it is that the reader has left.
pub fn unless_closed(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_left_is_no_error_and_a_full_disk_is() {
        assert!(unless_closed(Ok(())).is_ok());
        assert!(unless_closed(Err(ErrorKind::BrokenPipe.into())).is_ok());
        assert!(unless_closed(Err(ErrorKind::StorageFull.into())).is_err());
    }
}
