//! Content as written.

use std::path::PathBuf;

use schemars::JsonSchema;

use crate::decode::{Fields, Report, list, number, text, word};
use crate::fault::Fault;
use crate::plan::{ContentPlan, MixPart};
use crate::yaml::{Data, Node};

/// Content stands alone: what is written is what the plan holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ContentSpec(pub(crate) ContentPlan);

/// What bytes are made of.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "Content")]
#[expect(dead_code, reason = "lends its shape to the schema")]
enum ContentShape {
    Word(ContentWord),
    One(ContentMap),
}

/// Content without parameters.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
#[expect(dead_code, reason = "lends its shape to the schema")]
enum ContentWord {
    /// Nothing but zeros.
    Zeros,
    /// Incompressible.
    Random,
}

/// One of these.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1, "maxProperties" = 1))]
#[expect(dead_code, reason = "lends its shape to the schema")]
struct ContentMap {
    /// Compressible by this factor under zstd 1 in pieces of 128 KiB.
    #[schemars(range(min = 1.0, max = 15.0))]
    ratio: Option<f64>,
    /// A directory of real files; `.zst` files in it are unpacked.
    corpus: Option<PathBuf>,
    /// Several, by weight, in pieces of 128 KiB.
    #[schemars(length(min = 1))]
    mix: Option<Vec<MixMap>>,
}

/// One part of a mix.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "MixPart")]
#[expect(dead_code, reason = "lends its shape to the schema")]
struct MixMap {
    /// Its share is its weight over the sum of the weights.
    #[schemars(range(min = 0.000_001, max = 1_000_000.0))]
    weight: f64,
    /// What it is; not another mix.
    content: ContentShape,
}

impl JsonSchema for ContentSpec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        ContentShape::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        ContentShape::json_schema(generator)
    }
}

impl ContentSpec {
    pub(crate) fn read(node: &Node, report: &mut Report) -> Option<Self> {
        read(node, report).map(Self)
    }
}

fn read(node: &Node, report: &mut Report) -> Option<ContentPlan> {
    if let Data::Scalar(_) = node.data {
        return read_word(node, report);
    }
    let mut fields = Fields::open(node, "content", report)?;
    let ratio = fields.take("ratio");
    let corpus = fields.take("corpus");
    let mix = fields.take("mix");
    let span = fields.span();
    let before = report.faults.len();
    fields.finish(report);
    match (ratio, corpus, mix) {
        (Some(node), None, None) => {
            number(node, "a ratio", 1.0..=15.0, report).map(|at| ContentPlan::Ratio(at.value))
        }
        (None, Some(node), None) => {
            text(node, "a directory", report).map(|at| ContentPlan::Corpus(at.value.into()))
        }
        (None, None, Some(node)) => read_mix(node, report),
        _ => {
            if report.faults.len() == before {
                report.add(Fault::new(
                    span,
                    "content is exactly one of zeros, random, { ratio: }, { corpus: }, { mix: }",
                ));
            }
            None
        }
    }
}

fn read_word(node: &Node, report: &mut Report) -> Option<ContentPlan> {
    #[derive(Clone, Copy)]
    enum Word {
        Zeros,
        Random,
        Parametrised(&'static str),
    }
    let known = [
        ("zeros", Word::Zeros),
        ("random", Word::Random),
        ("ratio", Word::Parametrised("{ ratio: 2.5 }")),
        ("corpus", Word::Parametrised("{ corpus: DIRECTORY }")),
        ("mix", Word::Parametrised("{ mix: [...] }")),
    ];
    match word(node, "content", &known, report)?.value {
        Word::Zeros => Some(ContentPlan::Zeros),
        Word::Random => Some(ContentPlan::Random),
        Word::Parametrised(form) => {
            report.add(
                Fault::new(node.span, "this content takes a parameter")
                    .help(format!("write it as {form}")),
            );
            None
        }
    }
}

fn read_mix(node: &Node, report: &mut Report) -> Option<ContentPlan> {
    let items = list(node, "a mix", report);
    let parts: Vec<MixPart> = items
        .iter()
        .filter_map(|item| read_part(item, report))
        .collect();
    if items.is_empty() && matches!(node.data, Data::List(_)) {
        report.add(Fault::new(node.span, "a mix of nothing"));
    }
    (!parts.is_empty()).then_some(ContentPlan::Mix(parts))
}

fn read_part(node: &Node, report: &mut Report) -> Option<MixPart> {
    let mut fields = Fields::open(node, "a part of a mix", report)?;
    let weight = fields
        .require("weight", report)
        .and_then(|n| number(n, "a weight", 0.000_001..=1_000_000.0, report));
    let content_node = fields.require("content", report);
    let content = content_node.and_then(|n| read(n, report));
    fields.finish(report);
    if let (Some(ContentPlan::Mix(_)), Some(node)) = (&content, content_node) {
        report.add(Fault::new(node.span, "a mix within a mix").help("give its parts weights here"));
        return None;
    }
    Some(MixPart {
        weight: weight?.value,
        content: content?,
    })
}
