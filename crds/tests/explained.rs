//! `kubectl explain` is the manual: each field has a text, in words that need no other book.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use regex::Regex;
use serde_json::Value;
use tradewind_crds::generate;

/// Path and text of every field below a schema.
fn fields(schema: &Value, path: &str, found: &mut Vec<(String, String)>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        found.push((path.clone(), field["description"].as_str().unwrap_or_default().to_owned()));
        fields(field, &path, found);
    }
    if schema["items"].is_object() {
        fields(&schema["items"], &format!("{path}[]"), found);
    }
}

#[test]
fn every_field_is_explained_to_someone_who_has_only_the_cluster() {
    let inside = Regex::new(r"(?i)\bruling \d|\b[A-Z]{2}-\d+\b").unwrap();
    for (file, definition) in generate::definitions() {
        let schema = definition.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema.clone().unwrap();
        let schema = serde_json::to_value(schema).unwrap();
        let mut found = Vec::new();
        for part in ["spec", "status"] {
            fields(&schema["properties"][part], part, &mut found);
        }
        assert!(found.len() > 10, "{file}: {} fields", found.len());
        for (path, text) in found {
            assert!(!text.trim().is_empty(), "{file}: {path} has no description");
            assert!(!inside.is_match(&text), "{file}: {path} cites what its reader does not have: {text}");
        }
    }
}
