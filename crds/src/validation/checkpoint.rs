//! Rules of a `ModelCheckpoint`.

use super::Violation;
use crate::model_checkpoint::{ModelCheckpointSpec, ModelRole};

/// Checks a checkpoint; the schema says the same at the API server.
#[must_use]
pub fn validate_checkpoint(spec: &ModelCheckpointSpec) -> Vec<Violation> {
    let mut found = Vec::new();
    if !matches!(spec.role, ModelRole::Strategic | ModelRole::Tactical) {
        found.push(Violation::new("spec.role", spec.role, "Strategic or Tactical", "the roles that this version supports"));
    }
    if !["http://", "https://", "file://"].iter().any(|scheme| spec.source.uri.starts_with(scheme)) {
        found.push(Violation::new("spec.source.uri", &spec.source.uri, "http:, https: or file:", ""));
    }
    let hex = spec.source.sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if !hex || spec.source.sha256.len() != 64 {
        found.push(Violation::new("spec.source.sha256", &spec.source.sha256, "64 lower-case hex characters", "`sha256sum FILE`"));
    }
    found
}
