//! Content as written: one kind, and beside it what a ratio is measured with and what repeats.

use std::path::PathBuf;

use schemars::JsonSchema;

use super::recipe::{
    AdversarialMap, BordersMap, BurstsMap, DedupeShape, EntropyMap, MatchesMap, MosaicShape,
    RecordsMap, TextMap, read_codec, read_dedupe, read_mosaic, read_recipe,
};
use crate::decode::{Fields, Report, list, number, text, word};
use crate::fault::{Fault, Span};
use crate::plan::{ContentPlan, MixPart, MosaicPlan, RatioCodec, Recipe, RecipePlan};
use crate::yaml::{Data, Node};

/// Content stands alone: what is written is what the plan holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ContentSpec(pub(crate) ContentPlan);

/// The kinds that take parameters, in the order messages list them, and how one is written.
const KINDS: [(&str, &str); 11] = [
    ("ratio", "{ ratio: 2.5 }"),
    ("corpus", "{ corpus: DIRECTORY }"),
    ("mix", "{ mix: [...] }"),
    ("entropy", "{ entropy: { ratio: 2 } }"),
    ("matches", "{ matches: { ratio: 2 } }"),
    ("text", "{ text: { ratio: 3 } }"),
    ("records", "{ records: { ratio: 3 } }"),
    ("mosaic", "{ mosaic: { ratio: 2 } }"),
    ("bursts", "{ bursts: { ratio: 3 } }"),
    ("borders", "{ borders: { ratio: 2 } }"),
    ("adversarial", "{ adversarial: { looks: compressible } }"),
];

/// What bytes are made of.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "Content")]
#[expect(dead_code, reason = "lends its shape to the schema")]
pub(super) enum ContentShape {
    Word(ContentWord),
    One(Box<ContentMap>),
}

/// Content without parameters.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
#[expect(dead_code, reason = "lends its shape to the schema")]
pub(super) enum ContentWord {
    /// Nothing but zeros.
    Zeros,
    /// Incompressible.
    Random,
}

/// One kind, with what may stand beside it.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, transform = one_kind)]
#[expect(dead_code, reason = "lends its shape to the schema")]
pub(super) struct ContentMap {
    /// Compressible by this factor in pieces of 128 KiB.
    #[schemars(range(min = 1.0, max = 15.0))]
    ratio: Option<f64>,
    /// A directory of real files; `.zst` files in it are unpacked.
    corpus: Option<PathBuf>,
    /// Several, by weight, in pieces of 128 KiB.
    #[schemars(length(min = 1))]
    mix: Option<Vec<MixMap>>,
    entropy: Option<EntropyMap>,
    matches: Option<MatchesMap>,
    text: Option<TextMap>,
    records: Option<RecordsMap>,
    mosaic: Option<MosaicShape>,
    bursts: Option<BurstsMap>,
    borders: Option<BordersMap>,
    adversarial: Option<AdversarialMap>,
    /// What a ratio is measured with: `zstd` or `zstd:LEVEL`, `lz4`; `zstd:1` unless it is given.
    #[schemars(regex(pattern = r"^(lz4|zstd(:([1-9]|1[0-9]))?)$"))]
    codec: Option<String>,
    /// The share of blocks that repeat.
    dedupe: Option<DedupeShape>,
}

fn one_kind(schema: &mut schemars::Schema) {
    let kinds: Vec<serde_json::Value> = KINDS
        .iter()
        .map(|(kind, _)| serde_json::json!({ "required": [kind] }))
        .collect();
    schema.insert("oneOf".to_owned(), kinds.into());
}

/// One part of a mix.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "MixPart")]
#[expect(dead_code, reason = "lends its shape to the schema")]
pub(super) struct MixMap {
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
    let kinds: Vec<(&str, &Node)> = KINDS
        .iter()
        .filter_map(|&(kind, _)| Some((kind, fields.take(kind)?)))
        .collect();
    let codec = fields.take_keyed("codec");
    let dedupe = fields.take("dedupe");
    let span = fields.span();
    let before = report.faults.len();
    fields.finish(report);
    let [(kind, node)] = kinds[..] else {
        if report.faults.len() == before {
            report.add(one_of(span));
        }
        return None;
    };
    let plan = read_kind(kind, node, report);
    let plan = match codec {
        None => plan,
        Some((span, codec)) => measured_with(plan?, span, read_codec(codec, report)?, report),
    };
    match dedupe {
        None => plan,
        Some(dedupe) => read_dedupe(dedupe, plan?, report).map(ContentPlan::Dedupe),
    }
}

fn one_of(span: Span) -> Fault {
    let kinds: Vec<String> = KINDS.iter().map(|(kind, _)| format!("{kind}:")).collect();
    Fault::new(
        span,
        format!(
            "content is exactly one of zeros, random, {{ {} }}",
            kinds.join(" }, { ")
        ),
    )
}

fn read_kind(kind: &str, node: &Node, report: &mut Report) -> Option<ContentPlan> {
    match kind {
        "ratio" => {
            number(node, "a ratio", 1.0..=15.0, report).map(|at| ContentPlan::Ratio(at.value))
        }
        "corpus" => {
            text(node, "a directory", report).map(|at| ContentPlan::Corpus(at.value.into()))
        }
        "mix" => read_parts(node, "a mix", report).map(ContentPlan::Mix),
        "mosaic" => read_mosaic(node, report),
        recipe => read_recipe(recipe, node, report).map(ContentPlan::Recipe),
    }
}

/// `plan`, whose ratio is `codec`'s.
fn measured_with(
    plan: ContentPlan,
    span: Span,
    codec: RatioCodec,
    report: &mut Report,
) -> Option<ContentPlan> {
    match plan {
        ContentPlan::Ratio(_) if codec == RatioCodec::DEFAULT => Some(plan),
        ContentPlan::Ratio(ratio) => Some(ContentPlan::Recipe(RecipePlan {
            recipe: Recipe::Words,
            ratio: Some(ratio),
            codec,
        })),
        ContentPlan::Recipe(plan) if plan.ratio.is_some() => {
            Some(ContentPlan::Recipe(RecipePlan { codec, ..plan }))
        }
        _ => {
            report.add(
                Fault::new(span, "`codec:` says what a ratio is measured with")
                    .label("this content has none"),
            );
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
    let known: Vec<(&'static str, Word)> = [("zeros", Word::Zeros), ("random", Word::Random)]
        .into_iter()
        .chain(KINDS.map(|(kind, form)| (kind, Word::Parametrised(form))))
        .collect();
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

/// The parts of `what`.
pub(super) fn read_parts(
    node: &Node,
    what: &'static str,
    report: &mut Report,
) -> Option<Vec<MixPart>> {
    let items = list(node, what, report);
    let parts: Vec<MixPart> = items
        .iter()
        .filter_map(|item| read_part(item, report))
        .collect();
    if items.is_empty() && matches!(node.data, Data::List(_)) {
        report.add(Fault::new(node.span, format!("{what} of nothing")));
    }
    (!parts.is_empty()).then_some(parts)
}

fn read_part(node: &Node, report: &mut Report) -> Option<MixPart> {
    let mut fields = Fields::open(node, "a part of a mix", report)?;
    let weight = fields
        .require("weight", report)
        .and_then(|n| number(n, "a weight", 0.000_001..=1_000_000.0, report));
    let content_node = fields.require("content", report);
    let content = content_node.and_then(|n| read(n, report));
    fields.finish(report);
    let (weight, content, node) = (weight?, content?, content_node?);
    let fault = match content {
        ContentPlan::Mix(_) | ContentPlan::Mosaic(MosaicPlan { .. }) => {
            Fault::new(node.span, "a mix within a mix").help("give its parts weights here")
        }
        ContentPlan::Dedupe(_) => Fault::new(node.span, "duplicates within a mix")
            .help("write `dedupe:` beside the whole of it"),
        content => {
            return Some(MixPart {
                weight: weight.value,
                content,
            });
        }
    };
    report.add(fault);
    None
}
