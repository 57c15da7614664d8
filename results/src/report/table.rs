//! A table of the page: sorted by the reader, so every cell carries what it sorts by.

use crate::markdown::cell;
use serde::Serialize;

/// A table; the first column names the row.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<Field>>,
}

/// One cell.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Field {
    text: String,
    /// What a number sorts by; words sort by themselves.
    sort: Option<f64>,
    /// A word the style sheet knows: `held`, `violated`, ...
    class: &'static str,
}

impl Table {
    pub(super) fn new(head: &[&str]) -> Self {
        Self {
            head: head.iter().map(|&name| name.to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The same as Markdown.
    pub(super) fn markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let mut text = line(self.head.iter().map(|head| cell(head)).collect());
        text.push_str(&"|---".repeat(self.head.len()));
        text.push_str("|\n");
        for row in &self.rows {
            text.push_str(&line(row.iter().map(|field| cell(&field.text)).collect()));
        }
        text
    }

    pub(super) fn column(&mut self, name: impl Into<String>) {
        self.head.push(name.into());
    }

    pub(super) fn row(&mut self, fields: Vec<Field>) {
        assert_eq!(
            fields.len(),
            self.head.len(),
            "a row has as many fields as the head"
        );
        self.rows.push(fields);
    }
}

/// Words.
pub(super) fn words(text: impl Into<String>) -> Field {
    Field {
        text: text.into(),
        ..Field::default()
    }
}

/// Sentences, which may wrap.
pub(super) fn prose(text: impl Into<String>) -> Field {
    Field {
        text: text.into(),
        class: "prose",
        ..Field::default()
    }
}

/// Words the style sheet colours.
pub(super) fn marked(text: impl Into<String>, class: &'static str) -> Field {
    Field {
        text: text.into(),
        class,
        ..Field::default()
    }
}

/// A number as it is read, and as it sorts.
pub(super) fn number(text: impl Into<String>, sort: f64) -> Field {
    Field {
        text: text.into(),
        sort: sort.is_finite().then_some(sort),
        class: "number",
    }
}

/// A number that is not there.
pub(super) fn nothing() -> Field {
    Field {
        text: "\u{2013}".to_owned(),
        sort: None,
        class: "number",
    }
}
