//! Forms of recordings: one file each, from lines or records to requests.
//!
//! A form by lines gets text; a form by bytes reads its records itself. Either says what became of each, keeps no more
//! than a bounded state, and knows neither slots nor operations.
//!
//! Not here: our own form (`own`), which is a form by bytes too.

mod alibaba;
mod blkparse;
mod blktrace;
mod csv;
mod fio;
mod heimdall;
mod mobigen;
mod msr;
mod spc;
mod strace;
mod tell;
mod tencent;
mod vscsi;

use std::io;

pub(crate) use tell::tell;

use super::input::Input;
use super::notes::Notes;
use super::own::OwnReader;
use super::request::Parsed;
use crate::plan::{TraceFormat, TraceReading};

/// A form by lines.
pub(crate) trait LineForm: Send {
    /// What became of a line.
    fn parse(&mut self, line: &str, notes: &mut Notes) -> Parsed;

    /// What was held back when the lines are over, until there is no more.
    fn end(&mut self, _notes: &mut Notes) -> Option<Parsed> {
        None
    }

    /// Does it say of every file when it was opened?
    fn has_opens(&self) -> bool {
        false
    }

    /// What its requests address.
    fn dialect(&self) -> &'static str {
        "devices"
    }
}

/// A form by bytes.
pub(crate) trait RecordForm: Send {
    /// What became of the next record; none at the end. An error cannot be read past.
    fn next(&mut self, input: &mut Input, notes: &mut Notes) -> io::Result<Option<Parsed>>;

    /// What its requests address.
    fn dialect(&self) -> &'static str {
        "devices"
    }
}

/// A form, ready to read.
pub(crate) enum Form {
    Lines(Box<dyn LineForm>),
    Records(Box<dyn RecordForm>),
    /// Apart, since it can be sought in.
    Own(Box<OwnReader>),
}

/// A form and whether its first line is a request too: a header is not.
pub(crate) struct Opened {
    pub(crate) form: Form,
    pub(crate) takes_first_line: bool,
}

/// Begins `format`, whose first line, where it has lines, is `first`.
pub(crate) fn open(
    format: TraceFormat,
    reading: &TraceReading,
    seed: u64,
    first: &str,
    input: &mut Input,
) -> Result<Opened, String> {
    let by_lines = |form: Box<dyn LineForm>, takes_first_line| {
        Ok(Opened {
            form: Form::Lines(form),
            takes_first_line,
        })
    };
    let by_bytes = |form| {
        Ok(Opened {
            form,
            takes_first_line: false,
        })
    };
    match format {
        TraceFormat::Delalloc => {
            let own = OwnReader::open(input).map_err(|error| error.to_string())?;
            by_bytes(Form::Own(Box::new(own)))
        }
        TraceFormat::Blktrace => {
            let form = blktrace::Blktrace::new(reading.events);
            by_bytes(Form::Records(Box::new(form)))
        }
        TraceFormat::Vscsi => by_bytes(Form::Records(Box::new(vscsi::Vscsi::default()))),
        TraceFormat::DelallocCsv => by_lines(Box::new(csv::Csv::from_header(first)?), false),
        TraceFormat::Blkparse => by_lines(Box::new(blkparse::Blkparse::new(reading.events)), true),
        TraceFormat::FioIolog => by_lines(
            Box::new(fio::Iolog::from_header(first, reading.fio_wait)?),
            false,
        ),
        TraceFormat::Msr => by_lines(Box::new(msr::Msr), !msr::is_header(first)),
        TraceFormat::Alibaba => by_lines(Box::new(alibaba::Alibaba), !alibaba::is_header(first)),
        TraceFormat::Tencent => by_lines(Box::new(tencent::Tencent::new(seed)), true),
        TraceFormat::Spc => by_lines(Box::new(spc::Spc), true),
        TraceFormat::Heimdall => by_lines(Box::new(heimdall::Heimdall), true),
        TraceFormat::Strace => by_lines(Box::<strace::Strace>::default(), true),
        TraceFormat::Mobigen => by_lines(Box::<mobigen::Mobigen>::default(), true),
    }
}

/// Exactly `N` comma-separated fields without the blanks around them; none where there are others.
fn fields<const N: usize>(line: &str) -> Option<[&str; N]> {
    let mut fields = [""; N];
    let mut count = 0;
    for text in line.split(',') {
        *fields.get_mut(count)? = text.trim();
        count += 1;
    }
    (count == N).then_some(fields)
}

#[cfg(test)]
mod testing {
    //! What the tests of forms share.

    use super::*;
    use crate::trace::request::Request;

    /// What became of each line, and of what was held back.
    pub(crate) fn parsed(form: &mut dyn LineForm, text: &str) -> (Vec<Parsed>, Notes) {
        let mut notes = Notes::default();
        notes.keep_names();
        let mut all = Vec::new();
        for (nth, line) in text.lines().enumerate() {
            notes.line = nth as u64 + 1;
            all.push(form.parse(line, &mut notes));
        }
        while let Some(last) = form.end(&mut notes) {
            all.push(last);
        }
        (all, notes)
    }

    /// The requests of a text, all of whose lines are sound.
    pub(crate) fn requests(form: &mut dyn LineForm, text: &str) -> Vec<Request> {
        let mut requests = Vec::new();
        for parsed in parsed(form, text).0 {
            match parsed {
                Parsed::Request(request) => requests.push(request),
                Parsed::Several(several) => requests.extend(several),
                Parsed::Skipped | Parsed::Lost(_) => {}
                Parsed::Malformed(reason) => panic!("malformed: {reason}"),
            }
        }
        requests
    }
}
