//! Whether an object has to be applied: what the operator wants against what is stored.
//!
//! Two looks. The annotation [`APPLIED`] holds a digest of what was last applied, so a field that is no
//! longer desired is noticed. And everything that is desired must be there, so that a foreign change is undone; what the
//! API server added by itself does not count.

use kube::Resource;
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// Annotation with the digest of what was applied.
pub const APPLIED: &str = "tradewind.dev/applied";

/// Digest of an object as the operator wants it, without the annotation itself.
#[must_use]
pub fn digest<K: Serialize>(desired: &K) -> String {
    let text = serde_json::to_string(desired).unwrap_or_default();
    hex::encode(&Sha256::digest(text.as_bytes())[..8])
}

/// Puts the digest into the annotations.
pub fn stamp<K: Serialize + Resource>(desired: &mut K) {
    let digest = digest(desired);
    desired.meta_mut().annotations.get_or_insert_default().insert(APPLIED.to_owned(), digest);
}

/// Whether the stored object lacks anything of the (stamped) desired one.
#[must_use]
pub fn differs<K: Serialize>(desired: &K, stored: &K) -> bool {
    match (serde_json::to_value(desired), serde_json::to_value(stored)) {
        (Ok(desired), Ok(stored)) => !within(&desired, &stored),
        _ => true,
    }
}

fn within(desired: &Value, stored: &Value) -> bool {
    match (desired, stored) {
        (Value::Object(desired), Value::Object(stored)) => desired.iter().all(|(key, value)| member(key, value, stored)),
        (Value::Array(desired), Value::Array(stored)) => {
            desired.len() == stored.len() && desired.iter().zip(stored).all(|(desired, stored)| within(desired, stored))
        }
        _ => desired == stored,
    }
}

fn member(key: &str, desired: &Value, stored: &Map<String, Value>) -> bool {
    match stored.get(key) {
        Some(stored) if matches!(key, "requests" | "limits") => quantities(desired, stored),
        Some(stored) if key == "sizeLimit" => same_quantity(desired, stored),
        Some(stored) => within(desired, stored),
        None => is_empty(desired),
    }
}

/// The API server leaves empty values out.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.values().all(is_empty),
        Value::String(text) => text.is_empty(),
        Value::Bool(flag) => !flag,
        Value::Number(_) => false,
    }
}

fn quantities(desired: &Value, stored: &Value) -> bool {
    let (Value::Object(desired), Value::Object(stored)) = (desired, stored) else { return within(desired, stored) };
    desired.len() == stored.len()
        && desired.iter().all(|(key, value)| stored.get(key).is_some_and(|other| same_quantity(value, other)))
}

fn same_quantity(desired: &Value, stored: &Value) -> bool {
    let read = |value: &Value| value.as_str().and_then(nanos);
    desired == stored || (read(desired).is_some() && read(desired) == read(stored))
}

/// A Kubernetes quantity in 1e-9 units: the API server writes `1024Mi` as `1Gi`.
#[must_use]
pub fn nanos(text: &str) -> Option<i128> {
    let number_end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(number_end);
    let factor: i128 = match unit {
        "n" => 1,
        "u" => 1_000,
        "m" => 1_000_000,
        "" => 1_000_000_000,
        "k" => 1_000_000_000_000,
        "M" => 1_000_000_000_000_000,
        "G" => 1_000_000_000_000_000_000,
        "T" => 1_000_000_000_000_000_000_000,
        "Ki" => 1_000_000_000 << 10,
        "Mi" => 1_000_000_000 << 20,
        "Gi" => 1_000_000_000 << 30,
        "Ti" => 1_000_000_000 << 40,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = u32::try_from(fraction.len()).ok().filter(|digits| *digits <= 9)?;
    let value: i128 = format!("{whole}{fraction}").parse().ok()?;
    value.checked_mul(factor).map(|scaled| scaled / 10_i128.pow(digits))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;
    use serde_json::json;

    #[test]
    fn what_the_server_adds_does_not_count_and_what_it_lacks_does() {
        let desired = json!({"spec": {"replicas": 1, "args": ["a"], "tolerations": []}});
        let stored = json!({"spec": {"replicas": 1, "args": ["a"], "strategy": "x"}, "status": {}});
        assert!(within(&desired, &stored));
        assert!(!within(&desired, &json!({"spec": {"replicas": 2, "args": ["a"]}})));
        assert!(!within(&desired, &json!({"spec": {"replicas": 1, "args": ["a", "b"]}})));
        assert!(!within(&json!({"replicas": 0}), &json!({})), "a desired zero is a value");
    }

    #[test]
    fn quantities_compare_by_value() {
        let desired = json!({"resources": {"requests": {"storage": "1024Mi", "cpu": "1000m"}}});
        assert!(within(&desired, &json!({"resources": {"requests": {"storage": "1Gi", "cpu": "1"}}})));
        assert!(!within(&desired, &json!({"resources": {"requests": {"storage": "2Gi", "cpu": "1"}}})));
        assert_eq!(nanos("1.5"), Some(1_500_000_000));
        assert_eq!(nanos("20m"), Some(20_000_000));
        assert_eq!(nanos("x"), None);
    }

    #[test]
    fn a_field_that_is_no_longer_wanted_changes_the_stamp() {
        let mut first = ConfigMap { immutable: Some(true), ..ConfigMap::default() };
        stamp(&mut first);
        let mut second = ConfigMap::default();
        stamp(&mut second);
        assert!(differs(&second, &first));
        assert!(!differs(&first.clone(), &first));
    }
}
