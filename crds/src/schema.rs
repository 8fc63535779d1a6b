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

pub(crate) fn symbols(generator: &mut SchemaGenerator) -> Schema {
    let mut list = atomic::<String>(generator, 16);
    list.insert("items".into(), serde_json::json!({ "type": "string", "maxLength": 32 }));
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

/// What may become of an instrument that a policy has: a calendar once, nothing else. Values are compared as they are
/// written: turning both into numbers would cost more than the API server grants for a list of sixteen.
pub(crate) fn instrument_rules() -> serde_json::Value {
    let fixed = |field: &str| {
        (
            format!("self.{field} == oldSelf.{field}"),
            format!(
                "'spec.instruments: {field} of %s is %s and cannot become %s: what is booked is counted in it; create another \
                 policy, or write it as it was'.format([self.symbol, oldSelf.{field}, self.{field}])"
            ),
        )
    };
    let calendar = (
        "self.calendar == oldSelf.calendar || oldSelf.calendar == '24x7'".to_owned(),
        "'spec.instruments: calendar of %s is %s and cannot become %s: it may be set once'.format([self.symbol, \
         oldSelf.calendar, self.calendar])"
            .to_owned(),
    );
    let all = [fixed("pointValue"), fixed("tick"), fixed("lot"), calendar];
    let all: Vec<(&str, &str)> = all.iter().map(|(rule, message)| (rule.as_str(), message.as_str())).collect();
    rules(&all)
}
