//! The reference page of the workload language, from its schema.
//!
//! One section for each map of the language, in the order in which they are met, each key with what it takes and what it means. The
//! schema comes from the types that read workloads, so the page cannot know a key that the reader does not.
//!
//! Not here: what a key means (the types of `spec`), which laws are exact and after whom (`stream/law`; the foreword repeats it).

use std::collections::VecDeque;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::schema::workload_schema;

/// What no schema can say.
const FOREWORD: &str = include_str!("reference.md");

/// The page.
pub fn workload_reference() -> String {
    let schema = workload_schema();
    let mut page = Page {
        text: FOREWORD.to_owned(),
        defs: schema["$defs"].as_object().cloned().unwrap_or_default(),
        todo: VecDeque::new(),
        seen: Vec::new(),
    };
    page.section("Workload", &schema);
    while let Some(name) = page.todo.pop_front() {
        let def = page.defs[&name].clone();
        page.section(&name, &def);
    }
    page.text
}

struct Page {
    text: String,
    defs: Map<String, Value>,
    todo: VecDeque<String>,
    seen: Vec<String>,
}

impl Page {
    fn line(&mut self, line: &str) {
        writeln!(self.text, "{line}").expect("writing to a string does not fail");
    }

    /// One map, one choice or one list of words.
    fn section(&mut self, name: &str, def: &Value) {
        self.line(&format!("\n## {name}\n"));
        if let Some(about) = said(def) {
            self.line(&format!("{about}\n"));
        }
        if let Some(keys) = def["properties"].as_object() {
            self.keys(def, keys);
        }
        for key in ["oneOf", "anyOf"] {
            self.choices(&def[key]);
        }
        if def["properties"].is_null() && def["oneOf"].is_null() && def["anyOf"].is_null() {
            let shape = self.shape(def);
            self.line(&format!("* {shape}"));
        }
    }

    fn keys(&mut self, def: &Value, keys: &Map<String, Value>) {
        self.line("| key | takes | meaning |\n|---|---|---|");
        let required = def["required"].as_array().cloned().unwrap_or_default();
        for (key, value) in keys {
            let needed = if required.contains(&Value::from(key.as_str())) {
                " (required)"
            } else {
                ""
            };
            let shape = self.shape(value);
            let meaning = said(value).unwrap_or_default();
            self.line(&format!(
                "| `{key}`{needed} | {shape} | {} |",
                cell(&meaning)
            ));
        }
    }

    /// The alternatives of a section; those that only say which keys go together are told by the keys.
    fn choices(&mut self, choices: &Value) {
        let Some(choices) = choices.as_array() else {
            return;
        };
        for choice in choices {
            if choice.get("required").is_some() && choice.get("properties").is_none() {
                continue;
            }
            let shape = self.shape(choice);
            match said(choice) {
                Some(about) => self.line(&format!("* {shape}: {about}")),
                None => self.line(&format!("* {shape}")),
            }
        }
    }

    /// What a value looks like, in a few words; maps are linked to their sections.
    fn shape(&mut self, value: &Value) -> String {
        if let Some(name) = value["$ref"].as_str() {
            return self.link(name.trim_start_matches("#/$defs/"));
        }
        if let Some(fixed) = value.get("const") {
            return format!("`{}`", plain(fixed));
        }
        if let Some(words) = value["enum"].as_array() {
            let words: Vec<String> = words.iter().map(|w| format!("`{}`", plain(w))).collect();
            return words.join(", ");
        }
        for key in ["anyOf", "oneOf", "allOf"] {
            if let Some(choices) = value[key].as_array() {
                let shapes: Vec<String> = choices
                    .iter()
                    .filter(|choice| choice["type"] != "null")
                    .map(|choice| self.shape(choice))
                    .collect();
                return shapes.join(" or ");
            }
        }
        match value["type"].as_str() {
            Some("string") => "text".to_owned(),
            Some("null") => "nothing".to_owned(),
            Some("boolean") => "`true`, `false`".to_owned(),
            Some("integer" | "number") => number(value),
            Some("array") => format!("list of {}", self.shape(&value["items"])),
            Some("object") if value["additionalProperties"].is_object() => {
                format!(
                    "map from names to {}",
                    self.shape(&value["additionalProperties"])
                )
            }
            Some("object") if value["properties"].is_object() => {
                let keys = value["properties"].as_object().expect("just looked");
                let keys: Vec<String> = keys.keys().map(|key| format!("`{key}:`")).collect();
                format!("a map of {}", keys.join(", "))
            }
            Some("object") => "a map".to_owned(),
            _ => "anything".to_owned(),
        }
    }

    fn link(&mut self, name: &str) -> String {
        if !self.seen.iter().any(|seen| seen == name) {
            self.seen.push(name.to_owned());
            self.todo.push_back(name.to_owned());
        }
        format!("[{name}](#{})", name.to_ascii_lowercase())
    }
}

/// A number and its range.
fn number(value: &Value) -> String {
    match (value.get("minimum"), value.get("maximum")) {
        (Some(least), Some(most)) => format!("number, {} to {}", plain(least), plain(most)),
        (Some(least), None) => format!("number, at least {}", plain(least)),
        (None, Some(most)) => format!("number, at most {}", plain(most)),
        (None, None) => "number".to_owned(),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What the types say of it, on one line.
fn said(value: &Value) -> Option<String> {
    let about = value["description"].as_str()?;
    Some(about.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// A pipe would end a cell of the table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_map_of_the_language_has_a_section_and_every_key_a_meaning() {
        let page = workload_reference();
        let schema = workload_schema();
        for (name, def) in schema["$defs"].as_object().unwrap() {
            assert!(page.contains(&format!("\n## {name}\n")), "{name}");
            let Some(keys) = def["properties"].as_object() else {
                continue;
            };
            for key in keys.keys() {
                assert!(page.contains(&format!("| `{key}`")), "{name}.{key}");
            }
        }
        for place in ["* anything", "| anything"] {
            assert!(!page.contains(place), "a shape is not understood");
        }
    }
}
