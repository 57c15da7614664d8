//! What is wrong with a workload, where, and what to write instead.
//!
//! A fault is a value, not an early return: reading a workload collects all of them, so that a user
//! mends a file once and not once per mistake. Each points at bytes of a text, which is the workload or one
//! `--set`, and is drawn under them with line and column.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet, renderer::DecorStyle};

/// Faults that are drawn; nobody reads more, and drawing one looks at the whole text.
const DRAWN_MAX: usize = 50;

/// Bytes of one of the texts that a workload is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// Which text: 0 is the workload, `k` the k-th `--set`.
    pub text: u16,
    /// First byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

impl Span {
    /// The bytes as a range.
    pub fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub span: Span,
    /// What is wrong, one line.
    pub message: String,
    /// A word under the caret, where the message does not say it.
    pub label: String,
    /// What to write instead, or what is possible; none or several lines.
    pub help: Vec<String>,
    /// Another place that it is about: the first of two keys, say.
    pub other: Option<(Span, String)>,
}

impl Fault {
    /// `message` about the bytes of `span`.
    pub fn new(span: Span, message: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            label: String::new(),
            help: Vec::new(),
            other: None,
        }
    }

    /// With a word under the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// With a line of help.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// With a guess what was meant.
    #[must_use]
    pub fn did_you_mean(self, guess: Option<impl fmt::Display>) -> Self {
        match guess {
            Some(guess) => self.help(format!("did you mean `{guess}`?")),
            None => self,
        }
    }

    /// With another place.
    #[must_use]
    pub fn other(mut self, span: Span, label: impl Into<String>) -> Self {
        self.other = Some((span, label.into()));
        self
    }
}

/// A text that spans point into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceText {
    /// What to call it: a path, `--set`.
    pub origin: String,
    /// The text.
    pub text: String,
}

/// Everything that is wrong with a workload, in order of place; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    /// The texts, as `Span::text` counts them.
    pub sources: Vec<SourceText>,
    /// What is wrong.
    pub faults: Vec<Fault>,
}

impl Faults {
    /// Line and column, from 1, of where a fault starts; columns count characters.
    pub fn line_column(&self, fault: &Fault) -> (usize, usize) {
        let text = &self.sources[fault.span.text as usize].text;
        let before = &text[..fault.span.start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        (line, before[line_start..].chars().count() + 1)
    }

    /// The first of them with their lines and carets, in colour if wanted, and how many there are.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let renderer = renderer.decor_style(DecorStyle::Ascii);
        let mut out = String::new();
        for fault in self.faults.iter().take(DRAWN_MAX) {
            out.push_str(&self.render_one(&renderer, fault));
            out.push_str("\n\n");
        }
        if self.faults.len() > DRAWN_MAX {
            out.push_str(&format!("the first {DRAWN_MAX} are shown\n"));
        }
        let noun = if self.faults.len() == 1 {
            "fault"
        } else {
            "faults"
        };
        out.push_str(&format!(
            "{}: {} {noun}; nothing was run",
            self.sources[0].origin,
            self.faults.len()
        ));
        out
    }

    fn render_one(&self, renderer: &Renderer, fault: &Fault) -> String {
        let source = &self.sources[fault.span.text as usize];
        let mut snippet = Snippet::source(&*source.text)
            .path(&*source.origin)
            .annotation(
                AnnotationKind::Primary
                    .span(fault.span.range())
                    .label((!fault.label.is_empty()).then_some(&*fault.label)),
            );
        if let Some((span, label)) = &fault.other {
            // A second place in another text has no snippet to stand in; its words go to the help.
            if span.text == fault.span.text {
                snippet =
                    snippet.annotation(AnnotationKind::Context.span(span.range()).label(&**label));
            }
        }
        let mut group = Level::ERROR.primary_title(&*fault.message).element(snippet);
        for help in &fault.help {
            group = group.element(Level::HELP.message(&**help));
        }
        renderer.render(&[group])
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Faults {}
