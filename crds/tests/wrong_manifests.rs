//! Every manifest under `tests/fixtures/wrong` has exactly one fault, and something refuses it with a message that names it.
//!
//! Where CEL cannot run, the twin of each rule in `validation` is asked instead; `tests/fixtures/check-wrong` shows the same
//! files to a real API server.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use tradewind_crds::validation::{self, Violation};
use tradewind_crds::{ModelCheckpoint, RiskProfile, TradingPolicy, generate, samples};

struct Fixture {
    name: String,
    refused_by: String,
    expect: Vec<String>,
    objects: Vec<Value>,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures")
}

fn documents(text: &str) -> Vec<Value> {
    serde_yaml_ng::Deserializer::from_str(text).map(|document| Value::deserialize(document).unwrap()).collect()
}

fn all_wrong() -> Vec<Fixture> {
    let mut paths: Vec<_> = std::fs::read_dir(fixtures().join("wrong")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let header = |key: &str| -> Vec<String> {
                let prefix = format!("# {key}: ");
                text.lines().filter_map(|line| line.strip_prefix(&prefix)).map(str::to_owned).collect()
            };
            Fixture {
                name: path.file_stem().unwrap().to_string_lossy().into_owned(),
                refused_by: header("refused-by").pop().expect("refused-by"),
                expect: header("expect"),
                objects: documents(&text),
            }
        })
        .collect()
}

fn schemas() -> BTreeMap<String, Value> {
    generate::definitions()
        .into_iter()
        .map(|(_, crd)| {
            let schema = crd.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema.clone().unwrap();
            (crd.spec.names.kind, serde_json::to_value(schema).unwrap())
        })
        .collect()
}

/// What the API server would say about structure, in its words.
fn check(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    let kind = schema["type"].as_str();
    let fits = match (kind, value) {
        _ if schema["x-kubernetes-int-or-string"] == true => value.is_i64() || value.is_string(),
        (Some("object"), Value::Object(_)) | (Some("array"), Value::Array(_)) | (Some("string"), Value::String(_)) => true,
        (Some("boolean"), Value::Bool(_)) => true,
        (Some("integer"), number) => number.is_i64(),
        (None, _) => true,
        _ => false,
    };
    if !fits {
        let seen = match value {
            Value::String(_) => "string",
            Value::Number(_) => "number",
            _ => "other",
        };
        let wanted = kind.unwrap_or("integer,string");
        found.push(format!("{path}: Invalid value: \"{seen}\": {path} in body must be of type {wanted}: \"{seen}\""));
        return;
    }
    match value {
        Value::Object(fields) => check_object(schema, fields, path, found),
        Value::Array(items) => check_list(schema, items, path, found),
        Value::String(text) => check_text(schema, text, path, found),
        Value::Number(number) => {
            let (seen, limit) = (number.as_f64().unwrap(), |key: &str| schema[key].as_f64());
            if limit("minimum").is_some_and(|min| seen < min) || limit("maximum").is_some_and(|max| seen > max) {
                found.push(format!("{path}: Invalid value: {number}: {path} in body should be within its range"));
            }
        }
        _ => {}
    }
}

fn check_object(schema: &Value, fields: &serde_json::Map<String, Value>, path: &str, found: &mut Vec<String>) {
    let join = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    let Some(known) = schema["properties"].as_object() else { return };
    for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(required) {
            found.push(format!("{}: Required value", join(required)));
        }
    }
    for (key, value) in fields {
        match known.get(key) {
            Some(schema) => check(schema, value, &join(key), found),
            None if path.is_empty() && ["apiVersion", "kind", "metadata"].contains(&key.as_str()) => {}
            None => found.push(format!("unknown field \"{}\"", join(key))),
        }
    }
}

fn check_list(schema: &Value, items: &[Value], path: &str, found: &mut Vec<String>) {
    if let Some(min) = schema["minItems"].as_u64().filter(|min| (items.len() as u64) < *min) {
        found.push(format!("{path}: Invalid value: {}: {path} in body should have at least {min} items", items.len()));
    }
    if let Some(max) = schema["maxItems"].as_u64().filter(|max| items.len() as u64 > *max) {
        found.push(format!("{path}: Too many: {}: must have at most {max} items", items.len()));
    }
    let key = schema["x-kubernetes-list-map-keys"][0].as_str();
    for (i, item) in items.iter().enumerate() {
        check(&schema["items"], item, &format!("{path}[{i}]"), found);
        if key.is_some_and(|key| items[..i].iter().any(|other| other[key] == item[key])) {
            found.push(format!("{path}[{i}]: Duplicate value"));
        }
    }
}

fn check_text(schema: &Value, text: &str, path: &str, found: &mut Vec<String>) {
    if let Some(allowed) = schema["enum"].as_array().filter(|all| !all.contains(&Value::from(text))) {
        found.push(format!("{path}: Unsupported value: \"{text}\": supported values: {allowed:?}"));
    }
    let length = text.chars().count() as u64;
    if let Some(min) = schema["minLength"].as_u64().filter(|min| length < *min) {
        found.push(format!("{path}: Invalid value: \"{text}\": {path} in body should be at least {min} chars long"));
    }
    if let Some(max) = schema["maxLength"].as_u64().filter(|max| length > *max) {
        found.push(format!("{path}: Too long: may not be more than {max} bytes"));
    }
    if let Some(pattern) = schema["pattern"].as_str().filter(|p| !regex::Regex::new(p).unwrap().is_match(text)) {
        found.push(format!("{path}: Invalid value: \"{text}\": {path} in body should match '{pattern}'"));
    }
}

/// The checkpoints that exist wherever a manifest is tried.
fn known(name: &str) -> Option<ModelCheckpoint> {
    match name {
        "strategic-a" => Some(samples::strategic_checkpoint(name, 'd')),
        "tactical-a" => Some(samples::checkpoint(name, 'a')),
        _ => None,
    }
}

/// The twins of the CEL rules, and what only the operator can see.
fn validate(objects: &[Value]) -> Vec<Violation> {
    let of = |kind: &str| objects.iter().rev().find(|o| o["kind"] == kind);
    let mut found: Vec<Violation> =
        objects.iter().flat_map(|o| validation::validate_name(o["metadata"]["name"].as_str().unwrap())).collect();
    let profile = of("RiskProfile").map(|o| serde_json::from_value::<RiskProfile>(o.clone()).unwrap());
    found.extend(profile.iter().flat_map(|profile| validation::validate_risk_profile(&profile.spec)));
    if let Some(policy) = of("TradingPolicy").map(|o| serde_json::from_value::<TradingPolicy>(o.clone()).unwrap()) {
        found.extend(validation::validate_policy(&policy.spec));
        let sample = profile.unwrap_or_else(|| samples::profile("main", "paper-1"));
        found.extend(validation::validate_policy_with_profile(&policy.spec, &sample.spec));
        found.extend(policy.spec.models.by_role().into_iter().flat_map(|(role, name)| {
            let checkpoint = known(name).unwrap_or_else(|| panic!("no sample of ModelCheckpoint {name}"));
            validation::validate_policy_with_checkpoint(role, name, &checkpoint.spec)
        }));
    }
    for object in objects.iter().filter(|object| object["kind"] == "ModelCheckpoint") {
        let checkpoint: ModelCheckpoint = serde_json::from_value(object.clone()).unwrap();
        found.extend(validation::validate_checkpoint(&checkpoint.spec));
    }
    found
}

/// Messages of all rules of a schema that compare with the old object.
fn transition_messages(schema: &Value, all: &mut Vec<String>) {
    match schema {
        Value::Object(fields) => {
            let rules = fields.get("x-kubernetes-validations").and_then(Value::as_array);
            for rule in rules.into_iter().flatten().filter(|rule| rule["rule"].as_str().unwrap().contains("oldSelf")) {
                let text = rule["message"].as_str().or(rule["messageExpression"].as_str()).unwrap();
                all.push(text.trim_start_matches('\'').to_owned());
            }
            fields.values().for_each(|value| transition_messages(value, all));
        }
        Value::Array(items) => items.iter().for_each(|value| transition_messages(value, all)),
        _ => {}
    }
}

fn structure_of(fixture: &Fixture, schemas: &BTreeMap<String, Value>) -> Vec<String> {
    let mut found = Vec::new();
    for object in &fixture.objects {
        check(&schemas[object["kind"].as_str().unwrap()], object, "", &mut found);
    }
    found
}

#[test]
fn every_wrong_manifest_is_refused_for_its_one_fault() {
    let (schemas, all) = (schemas(), all_wrong());
    assert!(all.len() >= 40, "only {} wrong manifests", all.len());
    let faults: Vec<String> = all
        .iter()
        .filter_map(|fixture| refusal(fixture, &schemas).err().map(|found| format!("{}: {found}", fixture.name)))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Whether a fixture is refused as its header says; the error is what was found instead.
fn refusal(fixture: &Fixture, schemas: &BTreeMap<String, Value>) -> Result<(), String> {
    let structure = structure_of(fixture, schemas);
    let expect = &fixture.expect[0];
    let fine =
        |fine: bool, found: &dyn std::fmt::Debug| if fine { Ok(()) } else { Err(format!("expected {expect}, found {found:?}")) };
    match fixture.refused_by.as_str() {
        "schema" | "strict" => {
            let says = fixture.expect.iter().all(|part| structure.iter().any(|text| text.contains(part.as_str())));
            fine(says, &structure)
        }
        "cel" | "operator" => {
            fine(structure.is_empty(), &structure)?;
            let found = validate(&fixture.objects);
            let conflict = expect.starts_with("account ") || expect.starts_with("instrument ");
            fine(conflict || found.iter().any(|v| expect.contains(&v.seen) || v.to_string().contains(expect.as_str())), &found)
        }
        "update" => {
            fine(structure.is_empty() && validate(&fixture.objects).is_empty(), &"another fault")?;
            let mut messages = Vec::new();
            transition_messages(&schemas[fixture.objects[0]["kind"].as_str().unwrap()], &mut messages);
            let known = |text: &String| expect.starts_with(text.split("%s").next().unwrap()) || text.starts_with(expect.as_str());
            fine(messages.iter().any(known), &messages)
        }
        other => Err(format!("refused-by {other}")),
    }
}

#[test]
fn what_the_wrong_manifests_differ_from_is_valid() {
    let text = std::fs::read_to_string(fixtures().join("valid.yaml")).unwrap();
    let valid = Fixture { name: "valid".into(), refused_by: String::new(), expect: vec![], objects: documents(&text) };
    assert_eq!(valid.objects.len(), 4);
    assert_eq!(structure_of(&valid, &schemas()), Vec::<String>::new());
    assert_eq!(validate(&valid.objects), vec![]);
}

#[test]
fn every_field_of_every_schema_is_documented_and_bounded() {
    fn walk(schema: &Value, path: &str, faults: &mut Vec<String>) {
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            if field["description"].as_str().is_none_or(|text| text.trim().len() < 4) {
                faults.push(format!("{path} has no description"));
            }
            let closed = field["enum"].is_array() || field["format"] == "date-time";
            if field["type"] == "string" && !closed && field["maxLength"].is_null() {
                faults.push(format!("{path} has no maxLength"));
            }
            if field["type"] == "array" && field["maxItems"].is_null() {
                faults.push(format!("{path} has no maxItems"));
            }
            if ["n", "y", "on", "off", "yes", "no"].contains(&name.as_str()) {
                faults.push(format!("{path} is a boolean to a YAML 1.1 reader"));
            }
            if field["type"] == "number" {
                faults.push(format!("{path} is a float"));
            }
            walk(field, &path, faults);
            walk(&field["items"], &format!("{path}[]"), faults);
        }
    }
    let mut faults = Vec::new();
    for (kind, schema) in schemas() {
        walk(&schema, &kind, &mut faults);
    }
    assert_eq!(faults, Vec::<String>::new());
}

/// The dry runs of `tests/e2e` show them to a real API server; here, that nothing of an instrument may change unseen.
#[test]
fn whatever_an_instrument_has_is_fixed_by_a_rule_that_names_it() {
    let schemas = schemas();
    let mut messages = Vec::new();
    transition_messages(&schemas["TradingPolicy"]["properties"]["spec"]["properties"]["instruments"], &mut messages);
    let instrument = &schemas["TradingPolicy"]["properties"]["spec"]["properties"]["instruments"]["items"];
    for field in instrument["properties"].as_object().unwrap().keys() {
        let named = messages.iter().any(|text| text.starts_with(&format!("spec.instruments: {field} of %s")));
        assert!(named || field == "symbol", "a change of {field} is not refused: {messages:?}");
    }
    assert!(messages.iter().any(|text| text.starts_with("spec.instruments lacks %s")), "{messages:?}");
    messages.clear();
    transition_messages(&schemas["RiskProfile"]["properties"]["spec"]["properties"]["calendar"], &mut messages);
    assert_eq!(messages.len(), 1, "{messages:?}");
}

#[test]
fn closed_lists_in_docs_are_complete() {
    let schemas = schemas();
    let reasons = schemas["ModelCheckpoint"]["properties"]["status"]["properties"]["reason"]["description"].as_str().unwrap();
    for reason in tradewind_crds::conditions::CheckpointReason::ALL {
        let progress = ["Pending", "Verifying"].contains(&reason.as_str());
        assert!(progress || reasons.contains(reason.as_str()), "{reason} is not in the description");
    }
}
