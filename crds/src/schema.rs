//! Pieces of schema that a derive cannot express: list kinds, times.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// A list whose items are found by one key; the API server refuses doubles.
fn list_map<T: JsonSchema>(generator: &mut SchemaGenerator, key: &str, min: u32, max: u32) -> Schema {
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
fn atomic<T: JsonSchema>(generator: &mut SchemaGenerator, max: u32) -> Schema {
    json_schema!({
        "type": "array",
        "items": generator.subschema_for::<T>(),
        "maxItems": max,
        "x-kubernetes-list-type": "atomic",
    })
}

pub(crate) fn instruments(generator: &mut SchemaGenerator) -> Schema {
    list_map::<crate::trading_policy::InstrumentSpec>(generator, "symbol", 1, 16)
}

pub(crate) fn steps(generator: &mut SchemaGenerator) -> Schema {
    atomic::<crate::trading_policy::CanaryStep>(generator, 10)
}

pub(crate) fn conditions(generator: &mut SchemaGenerator) -> Schema {
    list_map::<crate::conditions::Condition>(generator, "type", 0, 16)
}

pub(crate) fn verdicts(generator: &mut SchemaGenerator) -> Schema {
    list_map::<crate::policy_status::GateVerdict>(generator, "gate", 0, 8)
}

pub(crate) fn pinning(generator: &mut SchemaGenerator) -> Schema {
    list_map::<crate::policy_status::PinningReport>(generator, "podName", 0, 16)
}

pub(crate) fn history(generator: &mut SchemaGenerator) -> Schema {
    atomic::<crate::policy_status::HistoryEntry>(generator, 10)
}

pub(crate) fn denials(generator: &mut SchemaGenerator) -> Schema {
    let mut list = atomic::<String>(generator, 10);
    list.insert("items".into(), serde_json::json!({ "type": "string", "maxLength": 512 }));
    list
}

pub(crate) fn account_policies(generator: &mut SchemaGenerator) -> Schema {
    let most = u32::try_from(crate::risk_profile::MOST_POLICIES).unwrap_or(u32::MAX);
    list_map::<crate::risk_profile::AccountPolicy>(generator, "name", 0, most)
}

pub(crate) fn symbols(generator: &mut SchemaGenerator) -> Schema {
    let mut list = atomic::<String>(generator, 16);
    list.insert("items".into(), serde_json::json!({ "type": "string", "maxLength": 32 }));
    list
}

pub(crate) fn metrics(generator: &mut SchemaGenerator) -> Schema {
    list_map::<crate::model_checkpoint::Metric>(generator, "name", 0, 16)
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
