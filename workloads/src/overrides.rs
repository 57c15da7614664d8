//! `--set name=value`: changes to a workload before it is read.
//!
//! An override edits the tree of the file, so it meets the same checks as if it had been written there, with the
//! caret under the text of the `--set`. The value is YAML, so lists and maps can be set too.
//! A knob takes a single value: a map of knobs says of none that it was meant to win.
//!
//! The name is a path of keys joined by dots. Where it starts with a key of the language (`seed`, `rounds`, `targets`,
//! `content`, `files`, `phases`, `sweep`, ...) it is the path of that field; phases and jobs are found by name or by number. Two
//! shorthands: `targets.NAME.path` (also size, mover, buffered, device) reaches into whatever backend or directory the target has; `sweep=null` drops
//! the sweep. Everything else is a knob: it goes into `engine:`, out of the sweep, and wins over the knobs of single targets.
//!
//! Not here: whether the knob exists (the caller's `KnobCheck`).

use crate::decode::{Report, nearest};
use crate::fault::{Fault, Span};
use crate::yaml::{self, Data, Entry, Node};

/// The keys of the language at the top of a workload.
const FIELDS: [&str; 14] = [
    "version",
    "name",
    "about",
    "seed",
    "deterministic",
    "rounds",
    "verify",
    "verify_memory_max",
    "targets",
    "engine",
    "content",
    "files",
    "phases",
    "sweep",
];

/// One change, parsed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Override {
    pub(crate) name: String,
    pub(crate) name_span: Span,
    pub(crate) value: Node,
}

/// The knob that `name` means, of an override or of an axis: `engine.` in front changes nothing. None for a path into the workload.
pub(crate) fn knob_name(name: &str) -> Option<&str> {
    if let Some(knob) = name.strip_prefix("engine.") {
        return Some(knob);
    }
    let first = name.split('.').next().unwrap_or(name);
    let is_field = FIELDS.contains(&first) || matches!(first, "assert" | "objective");
    (!is_field).then_some(name)
}

impl Override {
    /// Reads `name=value`; `text` is the number that its spans carry.
    pub(crate) fn parse(written: &str, text: u16, report: &mut Report) -> Option<Self> {
        let whole = Span {
            text,
            start: 0,
            end: written.len(),
        };
        let Some((name, value)) = written.split_once('=') else {
            report
                .add(Fault::new(whole, "an override is NAME=VALUE").help("such as --set rounds=3"));
            return None;
        };
        let name_span = Span {
            end: name.len(),
            ..whole
        };
        if name.split('.').any(str::is_empty) {
            report.add(Fault::new(
                name_span,
                "an override is a path of names joined by dots",
            ));
            return None;
        }
        // Parsed on its own and moved behind the `=`, so that the caret stands under it.
        let shift = name.len() + 1;
        match yaml::parse(value, text) {
            Ok(mut node) => {
                shift_spans(&mut node, shift);
                Some(Self {
                    name: name.to_owned(),
                    name_span,
                    value: node,
                })
            }
            Err(mut fault) => {
                fault.span.start += shift;
                fault.span.end += shift;
                report.add(*fault);
                None
            }
        }
    }

    /// Changes `root`.
    pub(crate) fn apply(&self, root: &mut Node, report: &mut Report) {
        match (self.knob(), &self.value.data) {
            (Some(knob), Data::Map(_)) => self.refuse_map(&format!("{knob}."), report),
            // Without knobs it says that the file has none.
            (None, Data::Map(knobs)) if self.name == "engine" && !knobs.is_empty() => {
                self.refuse_map("", report);
            }
            (Some(knob), _) => self.set_knob(root, knob),
            (None, _) => {
                let path: Vec<&str> = self.name.split('.').collect();
                self.set_path(root, &path, report);
            }
        }
    }

    /// The knob that it sets, if it sets one.
    pub(crate) fn knob(&self) -> Option<&str> {
        knob_name(&self.name)
    }

    fn refuse_map(&self, prefix: &str, report: &mut Report) {
        let first = match &self.value.data {
            Data::Map(entries) => entries.first().map_or("NAME", |entry| entry.key.as_str()),
            _ => "NAME",
        };
        report.add(
            Fault::new(self.value.span, "knobs are set one by one, not as a map")
                .help(format!("such as --set {prefix}{first}=VALUE")),
        );
    }

    fn set_knob(&self, root: &mut Node, name: &str) {
        if let Some(sweep) = get_mut(root, "sweep")
            && let Data::Map(axes) = &mut sweep.data
        {
            axes.retain(|axis| knob_name(&axis.key) != Some(name));
        }
        let engine = ensure(root, "engine", self.name_span);
        remove_knob(engine, name);
        if let Data::Null = engine.data {
            engine.data = Data::Map(Vec::new());
        }
        if let Data::Map(knobs) = &mut engine.data {
            knobs.push(Entry {
                key: name.to_owned(),
                key_span: self.name_span,
                value: self.value.clone(),
            });
        }
    }

    fn set_path(&self, node: &mut Node, path: &[&str], report: &mut Report) {
        let Some((step, rest)) = path.split_first() else {
            *node = self.value.clone();
            return;
        };
        // A swept knob has dots in its own name: below `sweep` the rest is one key.
        if *step == "sweep" && !rest.is_empty() {
            let axis = rest.join(".");
            let sweep = ensure(node, "sweep", self.name_span);
            return self.set_path(ensure(sweep, &axis, self.name_span), &[], report);
        }
        match &mut node.data {
            Data::List(items) => match find_item(items, step) {
                Some(at) => self.set_path(&mut items[at], rest, report),
                None => {
                    let names: Vec<&str> = items.iter().filter_map(Node::name).collect();
                    let fault = Fault::new(
                        self.name_span,
                        format!("there is no `{step}` among {} items", items.len()),
                    )
                    .did_you_mean(nearest(step, names.iter().copied()));
                    report.add(fault);
                }
            },
            Data::Map(_) | Data::Null => {
                let inner = match shorthand(node, step) {
                    true => backend_mut(node).expect("a shorthand was found in a backend"),
                    false => node,
                };
                self.set_path(ensure(inner, step, self.name_span), rest, report);
            }
            Data::Scalar(_) => report.add(Fault::new(
                self.name_span,
                format!("`{step}` has no place below a single value"),
            )),
        }
    }
}

/// Is `step` a key of the backend (or directory) of the target `node` and not of the target itself?
fn shorthand(node: &mut Node, step: &str) -> bool {
    matches!(step, "path" | "size" | "mover" | "buffered" | "device")
        && get_mut(node, step).is_none()
        && backend_mut(node).is_some()
}

/// The map under `engine: { backend: { KIND: ` (of `raw:` too) or `directory:` of a target.
fn backend_mut(target: &mut Node) -> Option<&mut Node> {
    if get_mut(target, "directory").is_some() {
        return get_mut(target, "directory");
    }
    let kind = match get_mut(target, "raw") {
        Some(_) => "raw",
        None => "engine",
    };
    let backend = get_mut(get_mut(target, kind)?, "backend")?;
    match &mut backend.data {
        Data::Map(entries) => match &mut entries[..] {
            [only] => Some(&mut only.value),
            _ => None,
        },
        _ => None,
    }
}

fn get_mut<'n>(node: &'n mut Node, key: &str) -> Option<&'n mut Node> {
    match &mut node.data {
        Data::Map(entries) => entries
            .iter_mut()
            .find(|entry| entry.key == key)
            .map(|entry| &mut entry.value),
        _ => None,
    }
}

/// The value of `key`, made empty where there is none. What is no map gives way to one that holds the key.
fn ensure<'n>(node: &'n mut Node, key: &str, span: Span) -> &'n mut Node {
    if !matches!(node.data, Data::Map(_)) {
        node.data = Data::Map(Vec::new());
    }
    let Data::Map(entries) = &mut node.data else {
        unreachable!("it was made a map above");
    };
    let at = match entries.iter().position(|entry| entry.key == key) {
        Some(at) => at,
        None => {
            entries.push(Entry {
                key: key.to_owned(),
                key_span: span,
                value: Node {
                    span,
                    data: Data::Null,
                },
            });
            entries.len() - 1
        }
    };
    &mut entries[at].value
}

/// Takes a knob out of a map of knobs, whether it stands there dotted or nested.
pub(crate) fn remove_knob(node: &mut Node, name: &str) {
    let Data::Map(entries) = &mut node.data else {
        return;
    };
    entries.retain(|entry| entry.key != name);
    for entry in entries {
        if let Some(rest) = name
            .strip_prefix(&*entry.key)
            .and_then(|r| r.strip_prefix('.'))
        {
            remove_knob(&mut entry.value, rest);
        }
    }
}

fn find_item(items: &[Node], step: &str) -> Option<usize> {
    if let Some(at) = items.iter().position(|item| item.name() == Some(step)) {
        return Some(at);
    }
    step.parse().ok().filter(|at| *at < items.len())
}

fn shift_spans(node: &mut Node, by: usize) {
    let shift = |span: &mut Span| {
        span.start += by;
        span.end += by;
    };
    shift(&mut node.span);
    match &mut node.data {
        Data::List(items) => items.iter_mut().for_each(|item| shift_spans(item, by)),
        Data::Map(entries) => {
            for entry in entries {
                shift(&mut entry.key_span);
                shift_spans(&mut entry.value, by);
            }
        }
        Data::Null | Data::Scalar(_) => {}
    }
}
