//! The JSON Schema of the workload language, for editors.
//!
//! Derived from the as-written types, so that it cannot know a key that the reader does not; the committed copy beside the
//! library is compared with it by a test. A schema can say less than the reader: it checks no units and no
//! references, and is no substitute for `--dry-run`.

use schemars::generate::SchemaSettings;

use crate::spec::WorkloadSpec;

/// The schema, from the types.
pub fn workload_schema() -> serde_json::Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<WorkloadSpec>();
    schema.insert("title".to_owned(), "delalloc workload".into());
    schema.to_value()
}
