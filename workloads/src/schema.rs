//! The JSON Schema of the workload language, for editors.
//!
//! Derived from the as-written types, so that it cannot know a key that the reader does not; the committed copy beside the
//! library is compared with it by a test. A schema can say less than the reader: it checks no units and no
//! references, and is no substitute for `--dry-run`.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use crate::spec::WorkloadSpec;

/// The schema, from the types.
pub fn workload_schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<WorkloadSpec>();
    schema.insert("title".to_owned(), "delalloc workload".into());
    // A workload that includes another need not say what that one says.
    schema.insert("required".to_owned(), json!(["version"]));
    schema.insert(
        "anyOf".to_owned(),
        json!([{ "required": ["include"] }, { "required": ["targets", "phases"] }]),
    );
    let mut schema = schema.to_value();
    refuse_nulls(&mut schema);
    schema
}

/// A key that may be missing is optional in the types; that does not make `key: null` good, and the reader refuses it.
fn refuse_nulls(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(refuse_nulls),
        Value::Object(map) => {
            if let Some(Value::Object(properties)) = map.get_mut("properties") {
                properties.values_mut().for_each(without_null);
            }
            map.values_mut().for_each(refuse_nulls);
        }
        _ => {}
    }
}

/// Takes `null` out of what a property may be.
fn without_null(property: &mut Value) {
    let Value::Object(map) = property else {
        return;
    };
    if let Some(Value::Array(types)) = map.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = &types[..] {
            let only = only.clone();
            map.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = map.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type") != Some(&Value::from("null")));
        if let [Value::Object(only)] = &choices[..] {
            let only = only.clone();
            map.remove("anyOf");
            map.extend(only.into_iter().filter(|(key, _)| key != "description"));
        }
    }
}
