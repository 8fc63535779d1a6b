//! The manifest: what a checkpoint says about itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::fault::{Faults, Reason, quote};
use crate::architecture::{AGENTS, ARCHITECTURE};
use crate::schema::{tactical_schema, tactical_schema_digest};

/// Version of the manifest that this release reads and writes.
pub const FORMAT_VERSION: u64 = 1;
/// The one role that this release serves.
pub const TACTICAL_ROLE: &str = "Tactical";
/// The one normaliser: the feature schema already normalises, the network sees its numbers as they are.
const NORMALISER: &str = "identity";
/// Entries that a map or list may have.
const MAX_ENTRIES: usize = 64;
/// Bytes that a text may have.
const MAX_TEXT: usize = 256;
/// Bytes that a name may have: that of a figure or of an agent.
const MAX_NAME: usize = 64;

/// The manifest in the file's metadata (TA-52, TA-76). Unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// 1.
    pub format_version: u64,
    /// `Tactical`.
    pub role: String,
    /// `tactical-conv-60x7-v1`.
    pub architecture: String,
    /// Name of the feature schema (TA-8).
    pub feature_schema: String,
    /// Hex SHA-256 of the schema's definition.
    pub feature_schema_digest: String,
    /// Agents in order: fvg, momentum, entry.
    pub agents: Vec<String>,
    /// Meaning of each agent's outputs by index (ruling 1, TA-16).
    pub actions: BTreeMap<String, Vec<String>>,
    /// Softmax temperatures that the networks were trained for (TA-21); the policy's configuration
    /// decides which are used.
    pub temperatures: BTreeMap<String, f64>,
    /// `identity`.
    pub normaliser: String,
    /// Hex SHA-256 of what it was trained on.
    pub training_data_digest: String,
    /// Seeds of the training run.
    pub seeds: Vec<u64>,
    /// Optimiser steps or episodes behind these weights.
    pub episode: u64,
    /// Figures of the training report by name; finite.
    pub metrics: BTreeMap<String, f64>,
    /// Settings of the training run by name; finite.
    pub hyperparameters: BTreeMap<String, f64>,
    /// Revision of the code that trained it.
    pub code_revision: String,
}

impl Manifest {
    /// A manifest of the tactical role with everything filled in that is fixed; provenance empty.
    pub fn tactical() -> Self {
        let by_agent = |text: [&str; 3]| text.iter().map(|s| (*s).to_owned()).collect();
        Self {
            format_version: FORMAT_VERSION,
            role: TACTICAL_ROLE.to_owned(),
            architecture: ARCHITECTURE.to_owned(),
            feature_schema: tactical_schema().to_owned(),
            feature_schema_digest: tactical_schema_digest(),
            agents: by_agent(AGENTS.map(|agent| agent.id)),
            actions: AGENTS.iter().map(|agent| (agent.id.to_owned(), by_agent(agent.actions))).collect(),
            temperatures: AGENTS.iter().map(|agent| (agent.id.to_owned(), shortest(agent.temperature))).collect(),
            normaliser: NORMALISER.to_owned(),
            training_data_digest: hex::encode([0u8; 32]),
            seeds: Vec::new(),
            episode: 0,
            metrics: BTreeMap::new(),
            hyperparameters: BTreeMap::new(),
            code_revision: String::new(),
        }
    }
}

/// The f64 that prints like the f32: 1.2 and not 1.2000000476837158.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

/// What was read, and whether the rest of the file can be judged by it.
pub(super) struct Judged {
    /// Present when every key could be read.
    pub(super) manifest: Option<Manifest>,
    /// False when the file is a checkpoint of another role.
    pub(super) right_role: bool,
}

/// Reads and checks a manifest; every violation lands in `faults`.
pub(super) fn read(text: &str, expected_role: &str, faults: &mut Faults) -> Judged {
    let object = match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(object)) => object,
        Ok(_) => {
            faults.add(Reason::BadFormat, "manifest", "must be a JSON object");
            return Judged { manifest: None, right_role: true };
        }
        Err(error) => {
            faults.add(Reason::BadFormat, "manifest", format!("not JSON: {}", quote(&error.to_string())));
            return Judged { manifest: None, right_role: true };
        }
    };
    let mut reader = Reader { object, faults };
    let manifest = reader.manifest();
    let right_role = manifest.as_ref().is_none_or(|manifest| check(manifest, expected_role, faults));
    Judged { manifest, right_role }
}

/// Takes keys out of the object; what is left at the end is unknown.
struct Reader<'a> {
    object: Map<String, Value>,
    faults: &'a mut Faults,
}

impl Reader<'_> {
    fn manifest(&mut self) -> Option<Manifest> {
        let format_version = self.take("formatVersion", "an integer", Value::as_u64);
        let role = self.text("role");
        let architecture = self.text("architecture");
        let feature_schema = self.text("featureSchema");
        let feature_schema_digest = self.text("featureSchemaDigest");
        let agents = self.take("agents", "a list of at most 64 short texts", texts);
        let actions = self.take("actions", "an object of lists of texts", |value| map(value, texts));
        let temperatures = self.take("temperatures", "an object of numbers", |value| map(value, Value::as_f64));
        let normaliser = self.text("normaliser");
        let training_data_digest = self.text("trainingDataDigest");
        let seeds = self.take("seeds", "a list of at most 64 integers", |value| list(value, Value::as_u64));
        let episode = self.take("episode", "an integer", Value::as_u64);
        let metrics = self.take("metrics", "an object of at most 64 numbers with names of at most 64 characters", |value| {
            map(value, Value::as_f64)
        });
        let hyperparameters =
            self.take("hyperparameters", "an object of at most 64 numbers with names of at most 64 characters", |value| {
                map(value, Value::as_f64)
            });
        let code_revision = self.text("codeRevision");
        for key in self.object.keys() {
            self.faults.add(Reason::BadFormat, &format!("manifest.{key}"), "unknown key; see CHECKPOINT.md for the known ones");
        }
        Some(Manifest {
            format_version: format_version?,
            role: role?,
            architecture: architecture?,
            feature_schema: feature_schema?,
            feature_schema_digest: feature_schema_digest?,
            agents: agents?,
            actions: actions?,
            temperatures: temperatures?,
            normaliser: normaliser?,
            training_data_digest: training_data_digest?,
            seeds: seeds?,
            episode: episode?,
            metrics: metrics?,
            hyperparameters: hyperparameters?,
            code_revision: code_revision?,
        })
    }

    fn text(&mut self, key: &str) -> Option<String> {
        self.take(key, "a text of at most 256 characters", short_text)
    }

    fn take<T>(&mut self, key: &str, wanted: &str, read: impl FnOnce(&Value) -> Option<T>) -> Option<T> {
        let subject = format!("manifest.{key}");
        let Some(value) = self.object.remove(key) else {
            self.faults.add(Reason::BadFormat, &subject, format!("missing, must be {wanted}"));
            return None;
        };
        let found = read(&value);
        if found.is_none() {
            self.faults.add(Reason::BadFormat, &subject, format!("is {}, must be {wanted}", quote(&value.to_string())));
        }
        found
    }
}

fn short_text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| text.len() <= MAX_TEXT).map(str::to_owned)
}

fn list<T>(value: &Value, read: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    value.as_array().filter(|items| items.len() <= MAX_ENTRIES)?.iter().map(read).collect()
}

fn texts(value: &Value) -> Option<Vec<String>> {
    list(value, short_text)
}

fn map<T>(value: &Value, read: impl Fn(&Value) -> Option<T>) -> Option<BTreeMap<String, T>> {
    let object = value.as_object().filter(|object| object.len() <= MAX_ENTRIES)?;
    object
        .iter()
        .map(|(key, item)| ((1..=MAX_NAME).contains(&key.len())).then(|| read(item).map(|v| (key.clone(), v)))?)
        .collect()
}

/// Compares with what this release serves. False when the role is another.
fn check(manifest: &Manifest, expected_role: &str, faults: &mut Faults) -> bool {
    let fixed = Manifest::tactical();
    if manifest.format_version != FORMAT_VERSION {
        let seen = manifest.format_version;
        faults.add(Reason::BadFormat, "manifest.formatVersion", format!("is {seen}, this release reads {FORMAT_VERSION}"));
    }
    if manifest.role != expected_role || manifest.role != TACTICAL_ROLE {
        let message =
            format!("is {}, {expected_role} was asked for, and this release serves {TACTICAL_ROLE}", quote(&manifest.role));
        faults.add(Reason::WrongRole, "manifest.role", message);
        return false;
    }
    let same = [
        ("featureSchema", &manifest.feature_schema, &fixed.feature_schema, Reason::UnknownFeatureSchema),
        ("featureSchemaDigest", &manifest.feature_schema_digest, &fixed.feature_schema_digest, Reason::UnknownFeatureSchema),
        ("architecture", &manifest.architecture, &fixed.architecture, Reason::UnknownArchitecture),
        ("normaliser", &manifest.normaliser, &fixed.normaliser, Reason::BadFormat),
    ];
    for (key, seen, allowed, reason) in same {
        if seen != allowed {
            faults.add(reason, &format!("manifest.{key}"), format!("is {}, this release implements {allowed}", quote(seen)));
        }
    }
    if manifest.agents != fixed.agents {
        let message = format!("is {}, must be {:?}", quote(&format!("{:?}", manifest.agents)), fixed.agents);
        faults.add(Reason::BadActionOrder, "manifest.agents", message);
    }
    if manifest.actions != fixed.actions {
        let message = format!("is {}, must be {:?}", quote(&format!("{:?}", manifest.actions)), fixed.actions);
        faults.add(Reason::BadActionOrder, "manifest.actions", message);
    }
    if !manifest.temperatures.keys().eq(fixed.temperatures.keys())
        || manifest.temperatures.values().any(|t| !(*t > 0.0 && *t <= 100.0))
    {
        let message = format!(
            "is {}, must give each agent a number above 0 and at most 100",
            quote(&format!("{:?}", manifest.temperatures))
        );
        faults.add(Reason::BadFormat, "manifest.temperatures", message);
    }
    let digest = &manifest.training_data_digest;
    if digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)) {
        faults.add(Reason::BadFormat, "manifest.trainingDataDigest", format!("is {}, must be 64 hex digits", quote(digest)));
    }
    true
}
