//! The JSON Schema of the workload language.

/// The schema, from the types.
pub fn workload_schema() -> serde_json::Value {
    serde_json::json!({})
}
