//! The objective as written: what a recommended point of the sweep is to serve.

use schemars::JsonSchema;

use super::one_or_several;
use crate::decode::{At, Fields, Report, text};
use crate::fault::Fault;
use crate::yaml::Node;

/// What a recommended point of the sweep serves: one measure brought as high or as low as it goes, by its median over
/// rounds, and what has to be kept meanwhile. Asked of each target by itself, so neither names one.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Objective")]
pub(crate) struct ObjectiveSpec {
    /// A measure in the language of assertions, such as `throughput(serve.write)`. Either this or minimise.
    #[schemars(with = "Option<String>")]
    pub(crate) maximise: Option<At<String>>,
    /// The same, of which less is better, such as `p99(serve.write)`.
    #[schemars(with = "Option<String>")]
    pub(crate) minimise: Option<At<String>>,
    /// A condition, or several, such as `p99(serve.write) <= 20ms`.
    #[schemars(with = "Option<ConditionsShape>")]
    pub(crate) subject_to: Vec<At<String>>,
}

/// One condition or a list of them.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "Conditions")]
#[expect(dead_code, reason = "lends its shape to the schema")]
enum ConditionsShape {
    One(String),
    Several(Vec<String>),
}

impl ObjectiveSpec {
    /// Reads it; whether the measures mean anything is asked later, of those who know.
    pub(crate) fn read(node: &Node, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::open(node, "an objective", report)?;
        let span = fields.span();
        let nodes = [fields.take("maximise"), fields.take("minimise")];
        let subject_to = fields
            .take("subject_to")
            .map(|node| one_or_several(node, "a condition", report))
            .unwrap_or_default();
        fields.finish(report);
        match nodes {
            [Some(first), Some(second)] => report.add(
                Fault::new(second.span, "an objective has one measure")
                    .other(first.span, "the other one")
                    .help("keep one, and make the other a condition under `subject_to`"),
            ),
            [None, None] => report.add(
                Fault::new(span, "an objective has `maximise:` or `minimise:`")
                    .help("such as `maximise: throughput(serve.write)`"),
            ),
            _ => {}
        }
        let [maximise, minimise] =
            nodes.map(|node| node.and_then(|node| text(node, "a measure", report)));
        Some(Self {
            maximise,
            minimise,
            subject_to,
        })
    }
}
