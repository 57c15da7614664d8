//! `include:`: a workload that starts from others and says only what is different.
//!
//! The trees are merged before anything is read, so a fault stands under its own bytes in its own file. What the including
//! workload says wins:
//!
//! | key | merged |
//! |---|---|
//! | `engine` | knob by knob, nested or dotted |
//! | `targets`, `sweep` | entry by entry, each replaced whole |
//! | `files` | file by file, key by key |
//! | `phases` | phases of one name key by key (`jobs` is one key); others come after those that were included |
//! | anything else | replaced whole |
//!
//! Paths of `include:` are relative to the file that says it; what is no file there may be a workload of the library. A text that is
//! no file includes only those, so that reading it touches nothing else.
//!
//! Invariants: no file includes itself, whatever the way round; depth, number and size of files are bounded.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::decode::{At, Report, nearest};
use crate::fault::{Fault, SourceText};
use crate::library::{self, library};
use crate::overrides::remove_knob;
use crate::spec::read_include;
use crate::yaml::{self, Data, Entry, Node};

/// How deep files may include files.
const DEPTH_MAX: usize = 8;
/// How many files there may be in all.
const COUNT_MAX: usize = 64;
/// How large each may be.
const TEXT_BYTES_MAX: u64 = 4 << 20;

/// Where a text came from, for what it includes.
#[derive(Debug, Clone)]
pub(crate) enum Home {
    /// This file.
    File(PathBuf),
    /// The library, or a text of nowhere.
    Nowhere,
}

/// Reads what is included.
pub(crate) struct Includes<'r> {
    /// The texts that spans point into; included ones are added.
    pub(crate) sources: &'r mut Vec<SourceText>,
    pub(crate) report: &'r mut Report,
    /// Files and names that are being read, from the outermost.
    stack: Vec<String>,
    count: usize,
}

/// A text that was found.
struct Found {
    origin: String,
    /// Equal for equal files.
    identity: String,
    home: Home,
    text: String,
}

impl<'r> Includes<'r> {
    pub(crate) fn new(
        home: &Home,
        sources: &'r mut Vec<SourceText>,
        report: &'r mut Report,
    ) -> Self {
        let own = match home {
            Home::File(path) => identity(path),
            Home::Nowhere => sources[0].origin.clone(),
        };
        Self {
            sources,
            report,
            stack: vec![own],
            count: 0,
        }
    }

    /// `root` with everything that it includes beneath it.
    pub(crate) fn expand(&mut self, root: Node, home: &Home) -> Node {
        let named = match &root.data {
            Data::Map(entries) => entries.iter().find(|entry| entry.key == "include"),
            _ => None,
        };
        let Some(named) = named else {
            return root;
        };
        let mut base = Node {
            span: root.span,
            data: Data::Map(Vec::new()),
        };
        for name in read_include(&named.value, self.report) {
            if let Some(included) = self.read(&name, home) {
                merge(&mut base, included);
            }
        }
        merge(&mut base, root);
        base
    }

    fn read(&mut self, name: &At<String>, home: &Home) -> Option<Node> {
        let found = match find(name, home) {
            Ok(found) => found,
            Err(fault) => {
                self.report.add(*fault);
                return None;
            }
        };
        if let Some(at) = self.stack.iter().position(|open| *open == found.identity) {
            let way: Vec<&str> = self.stack[at..].iter().map(String::as_str).collect();
            self.report.add(
                Fault::new(name.span, format!("`{}` includes itself", name.value))
                    .help(format!("by way of {}", way.join(", "))),
            );
            return None;
        }
        self.count += 1;
        if self.stack.len() > DEPTH_MAX || self.count > COUNT_MAX {
            self.report.add(Fault::new(
                name.span,
                format!(
                    "workloads include each other {DEPTH_MAX} deep and {COUNT_MAX} in all, not more"
                ),
            ));
            return None;
        }
        let number = u16::try_from(self.sources.len()).expect("texts are counted in u16");
        let parsed = yaml::parse(&found.text, number);
        self.sources.push(SourceText {
            origin: found.origin,
            text: found.text,
        });
        let root = match parsed {
            Ok(root) => root,
            Err(fault) => {
                self.report.add(*fault);
                return None;
            }
        };
        self.stack.push(found.identity);
        let expanded = self.expand(root, &found.home);
        self.stack.pop();
        Some(expanded)
    }
}

fn identity(path: &Path) -> String {
    let whole = path.canonicalize();
    whole
        .as_deref()
        .unwrap_or(path)
        .to_string_lossy()
        .into_owned()
}

/// The text of `name`, as seen from `home`.
fn find(name: &At<String>, home: &Home) -> Result<Found, Box<Fault>> {
    if let Home::File(from) = home {
        let beside = from.parent().unwrap_or_else(|| Path::new(""));
        let path = beside.join(&name.value);
        if path.exists() {
            return read_file(&path, name);
        }
    }
    if let Some(text) = library::find(&name.value) {
        return Ok(Found {
            origin: name.value.clone(),
            identity: name.value.clone(),
            home: Home::Nowhere,
            text: text.to_owned(),
        });
    }
    let guess = nearest(&name.value, library().iter().map(|(name, _)| *name));
    let fault = Fault::new(
        name.span,
        format!("there is no workload `{}` to include", name.value),
    );
    Err(Box::new(match (guess, home) {
        (Some(_), _) => fault.did_you_mean(guess),
        (None, Home::File(_)) => fault.help("paths are relative to the file that includes"),
        (None, Home::Nowhere) => {
            fault.help("a workload that is no file includes only those of the library")
        }
    }))
}

fn read_file(path: &Path, name: &At<String>) -> Result<Found, Box<Fault>> {
    let fault = |why: String| Box::new(Fault::new(name.span, format!("{}: {why}", path.display())));
    let metadata = std::fs::metadata(path).map_err(|error| fault(error.to_string()))?;
    if !metadata.is_file() {
        return Err(fault("is no file".to_owned()));
    }
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(TEXT_BYTES_MAX + 1).read_to_string(&mut text))
        .map_err(|error| fault(error.to_string()))?;
    if text.len() as u64 > TEXT_BYTES_MAX {
        return Err(fault("is too large for a workload".to_owned()));
    }
    Ok(Found {
        origin: path.display().to_string(),
        identity: identity(path),
        home: Home::File(path.to_owned()),
        text,
    })
}

/// Lays `over` upon `base`.
fn merge(base: &mut Node, over: Node) {
    base.span = over.span;
    each_entry(base, over, |known, entry| match &*entry.key {
        "engine" => merge_knobs(&mut known.value, &entry.value),
        "targets" | "sweep" => replace_entries(&mut known.value, entry.value),
        "files" => merge_files(&mut known.value, entry.value),
        "phases" => merge_phases(&mut known.value, entry.value),
        _ => *known = entry,
    });
}

/// Calls `met` for each entry of `over` that `base` has too; the others are added. A key that `over` repeats is added again, so that
/// it is reported like any other. What is no map replaces, and is replaced.
fn each_entry(base: &mut Node, over: Node, met: impl Fn(&mut Entry, Entry)) {
    let (Data::Map(known), Data::Map(_)) = (&mut base.data, &over.data) else {
        *base = over;
        return;
    };
    let Data::Map(entries) = over.data else {
        return;
    };
    let mut seen: Vec<String> = Vec::new();
    for entry in entries {
        let is_again = seen.contains(&entry.key);
        seen.push(entry.key.clone());
        match known.iter_mut().find(|known| known.key == entry.key) {
            Some(known) if !is_again => met(known, entry),
            _ => known.push(entry),
        }
    }
}

fn replace_entries(base: &mut Node, over: Node) {
    each_entry(base, over, |known, entry| *known = entry);
}

fn merge_files(base: &mut Node, over: Node) {
    each_entry(base, over, |known, entry| {
        known.key_span = entry.key_span;
        replace_entries(&mut known.value, entry.value);
    });
}

/// Knobs go by their whole names, however they are nested.
fn merge_knobs(base: &mut Node, over: &Node) {
    let (Data::Map(_), Data::Map(_)) = (&base.data, &over.data) else {
        *base = over.clone();
        return;
    };
    let mut flat = Vec::new();
    flatten("", over, &mut flat);
    for knob in &flat {
        remove_knob(base, &knob.key);
    }
    if let Data::Map(known) = &mut base.data {
        known.extend(flat);
    }
}

fn flatten(prefix: &str, node: &Node, out: &mut Vec<Entry>) {
    let Data::Map(entries) = &node.data else {
        return;
    };
    for entry in entries {
        let key = if prefix.is_empty() {
            entry.key.clone()
        } else {
            format!("{prefix}.{}", entry.key)
        };
        match &entry.value.data {
            Data::Map(_) => flatten(&key, &entry.value, out),
            _ => out.push(Entry {
                key,
                ..entry.clone()
            }),
        }
    }
}

fn merge_phases(base: &mut Node, over: Node) {
    let (Data::List(known), Data::List(_)) = (&mut base.data, &over.data) else {
        *base = over;
        return;
    };
    let Data::List(phases) = over.data else {
        return;
    };
    let included = known.len();
    for phase in phases {
        let name = phase.name().map(str::to_owned);
        let same = known[..included]
            .iter_mut()
            .find(|known| name.is_some() && known.name() == name.as_deref());
        match same {
            Some(known) => replace_entries(known, phase),
            None => known.push(phase),
        }
    }
}
