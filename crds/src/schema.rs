//! Pieces of schema that a derive cannot express: list kinds, times. The lists themselves stand beside their types.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// A list whose items are found by one key; the API server refuses doubles.
pub(crate) fn list_map<T: JsonSchema>(generator: &mut SchemaGenerator, key: &str, min: u32, max: u32) -> Schema {
    json_schema!({
        "type": "array",
        "items": generator.subschema_for::<T>(),
        "minItems": min,
        "maxItems": max,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": [key],
    })
}

/// A list that is replaced as a whole.
pub(crate) fn atomic<T: JsonSchema>(generator: &mut SchemaGenerator, max: u32) -> Schema {
    json_schema!({
        "type": "array",
        "items": generator.subschema_for::<T>(),
        "maxItems": max,
        "x-kubernetes-list-type": "atomic",
    })
}

pub(crate) fn denials(generator: &mut SchemaGenerator) -> Schema {
    let mut list = atomic::<String>(generator, 10);
    list.insert("items".into(), serde_json::json!({ "type": "string", "maxLength": 512 }));
    list
}

/// RFC 3339, as the API server writes it.
pub(crate) fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time" })
}

pub(crate) fn optional_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time", "nullable": true })
}

/// CEL rules, each with an expression that makes the message: it names the field, the value seen and the value allowed.
pub(crate) fn rules(rules: &[(&str, &str)]) -> serde_json::Value {
    rules.iter().map(|(rule, message)| serde_json::json!({ "rule": rule, "messageExpression": message })).collect()
}
