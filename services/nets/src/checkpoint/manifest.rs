//! The manifest: what a checkpoint says about itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::container::Pairs;
use super::fault::{Faults, Reason, quote};
use tradewind_core::calendar::CalendarName;
use tradewind_features::strategic::{self, Gathers, SCHEMA};

use crate::architecture::{AGENTS, Role, Stage};

/// Version of the manifest that this release reads and writes.
pub const FORMAT_VERSION: u64 = 1;
/// Name of the tactical role.
pub const TACTICAL_ROLE: &str = Role::Tactical.name();
/// Networks see the numbers of the feature schema as they are.
pub(super) const IDENTITY: &str = "identity";
/// The file holds statistics, `norm.*` (ST-14, EX-14, RK-8).
pub(super) const STATISTICS: &str = "statistics";
/// Entries that a map or list may have.
const MAX_ENTRIES: usize = 64;
/// Bytes that a text may have.
const MAX_TEXT: usize = 256;
/// Bytes that a name may have: that of a figure or of an agent.
const MAX_NAME: usize = 64;

/// The manifest in the file's metadata (ST-57, SU-41, TA-52, TA-76, EX-151, RK-34). Unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// 1.
    pub format_version: u64,
    /// `Strategic`, `Tactical`, `Execution` or `Risk`.
    pub role: String,
    /// Which networks, by name and version.
    pub architecture: String,
    /// Name of the feature schema.
    pub feature_schema: String,
    /// Hex SHA-256 of the schema's definition.
    pub feature_schema_digest: String,
    /// Agents in order.
    pub agents: Vec<String>,
    /// Meaning of each agent's outputs by index (ruling 1).
    pub actions: BTreeMap<String, Vec<String>>,
    /// Softmax temperatures that tactical networks were trained for (TA-21); the policy's configuration
    /// decides which are used. Empty for other roles: strategic ones are tensors, the others have none.
    pub temperatures: BTreeMap<String, f64>,
    /// `identity` or `statistics`.
    pub normaliser: String,
    /// Columns that each strategic agent gathers, by name (ST-8, ST-57); empty for other roles.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub features: BTreeMap<String, Vec<String>>,
    /// Whether the strategic regime policy was trained with its logits scaled by volatility, and is served so (ST-47); absent for
    /// other roles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regime_volatility_adjust: Option<bool>,
    /// Calendar whose half hours the strategic networks learned: they are served on half hours of markets of that calendar and
    /// on no others (ST-18). Absent when they learned bars as they were recorded, whose gaps nobody counts, and for other roles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<CalendarName>,
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
        Self::of(Role::Tactical.stage())
    }

    /// A manifest with everything filled in that follows from the stage; provenance empty.
    pub fn of(stage: &'static Stage) -> Self {
        let (tactical, strategic) = (stage.role == Role::Tactical, stage.role == Role::Strategic);
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let temperatures = AGENTS.iter().filter(|_| tactical).map(|agent| (agent.id.to_owned(), shortest(agent.temperature)));
        let gathers = Gathers::default();
        let names = |agent: usize| gathers.agent(agent).iter().map(|column| SCHEMA.columns[*column].to_owned()).collect();
        let features = strategic::AGENTS.into_iter().enumerate().filter(|_| strategic);
        Self {
            format_version: FORMAT_VERSION,
            role: stage.role.name().to_owned(),
            architecture: stage.architecture.to_owned(),
            feature_schema: stage.schema.name.to_owned(),
            feature_schema_digest: stage.schema.digest(),
            agents: stage.agents().map(|agent| agent.id.to_owned()).collect(),
            actions: stage.agents().map(|agent| (agent.id.to_owned(), owned(agent.actions))).collect(),
            temperatures: temperatures.collect(),
            normaliser: IDENTITY.to_owned(),
            features: features.map(|(agent, id)| (id.to_owned(), names(agent))).collect(),
            regime_volatility_adjust: strategic.then_some(true),
            calendar: None,
            training_data_digest: hex::encode([0u8; 32]),
            seeds: Vec::new(),
            episode: 0,
            metrics: BTreeMap::new(),
            hyperparameters: BTreeMap::new(),
            code_revision: String::new(),
        }
    }

    /// Columns that the strategic agents gather; the default without `features`, which is every other role's case.
    ///
    /// # Errors
    /// A name that the schema does not have, or a width that no network takes, in words.
    pub fn gathers(&self) -> Result<Gathers, String> {
        if self.features.is_empty() {
            return Ok(Gathers::default());
        }
        if !self.features.keys().map(String::as_str).eq(strategic::AGENTS) {
            return Err(format!("must name the columns of {:?}", strategic::AGENTS));
        }
        let of = |agent: &str| self.features.get(agent).map_or(&[][..], Vec::as_slice);
        Gathers::from_names(strategic::AGENTS.map(of)).map_err(|error| error.to_string())
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
    /// The stage whose tensors are to be read; `None` when the file is a checkpoint of another role.
    pub(super) stage: Option<&'static Stage>,
}

/// Reads and checks a manifest; every violation lands in `faults`.
pub(super) fn read(text: &str, expected_role: &str, faults: &mut Faults) -> Judged {
    let unread = Judged { manifest: None, stage: Role::from_name(expected_role).map(Role::stage) };
    let pairs = match serde_json::from_str::<Pairs<Value>>(text) {
        Ok(pairs) => pairs.0,
        Err(error) => {
            faults.add(Reason::BadFormat, "manifest", format!("must be a JSON object: {}", quote(&error.to_string())));
            return unread;
        }
    };
    let mut object = Map::new();
    for (key, value) in pairs {
        if object.contains_key(&key) {
            faults.add(Reason::BadFormat, &format!("manifest.{key}"), "named twice, allowed once");
        }
        object.insert(key, value);
    }
    let mut reader = Reader { object, faults };
    match reader.manifest() {
        Some(manifest) => {
            let stage = check(&manifest, expected_role, faults);
            Judged { manifest: Some(manifest), stage }
        }
        None => unread,
    }
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
        let features = self.optional("features", "an object of lists of names", |value| map(value, texts));
        let regime_volatility_adjust = self.optional("regimeVolatilityAdjust", "true or false", Value::as_bool);
        let calendar =
            self.optional("calendar", "the name of a calendar, such as XNYS or 24x7", |value| value.as_str()?.parse().ok());
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
            features: features?.unwrap_or_default(),
            regime_volatility_adjust: regime_volatility_adjust?,
            calendar: calendar?,
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

    /// A key that may be absent: `Some(None)`. `None` when it is there and cannot be read.
    fn optional<T>(&mut self, key: &str, wanted: &str, read: impl FnOnce(&Value) -> Option<T>) -> Option<Option<T>> {
        if self.object.contains_key(key) { self.take(key, wanted, read).map(Some) } else { Some(None) }
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

/// Compares with what this release serves. `None` when the role is another.
fn check(manifest: &Manifest, expected_role: &str, faults: &mut Faults) -> Option<&'static Stage> {
    if manifest.format_version != FORMAT_VERSION {
        let seen = manifest.format_version;
        faults.add(Reason::BadFormat, "manifest.formatVersion", format!("is {seen}, this release reads {FORMAT_VERSION}"));
    }
    let role = Role::from_name(&manifest.role).filter(|_| manifest.role == expected_role);
    let Some(role) = role else {
        let known = Role::ALL.map(Role::name).join(", ");
        let message = format!("is {}, {} was asked for; this release knows {known}", quote(&manifest.role), quote(expected_role));
        faults.add(Reason::WrongRole, "manifest.role", message);
        return None;
    };
    let stage = Stage::find(role, &manifest.architecture).unwrap_or_else(|| role.stage());
    let fixed = Manifest::of(stage);
    let same = [
        ("featureSchema", &manifest.feature_schema, &fixed.feature_schema, Reason::UnknownFeatureSchema),
        ("featureSchemaDigest", &manifest.feature_schema_digest, &fixed.feature_schema_digest, Reason::UnknownFeatureSchema),
        ("architecture", &manifest.architecture, &fixed.architecture, Reason::UnknownArchitecture),
    ];
    for (key, seen, allowed, reason) in same {
        if seen != allowed {
            faults.add(reason, &format!("manifest.{key}"), format!("is {}, this release implements {allowed}", quote(seen)));
        }
    }
    check_agents(manifest, &fixed, faults);
    check_normaliser(manifest, stage, faults);
    let digest = &manifest.training_data_digest;
    if digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)) {
        faults.add(Reason::BadFormat, "manifest.trainingDataDigest", format!("is {}, must be 64 hex digits", quote(digest)));
    }
    Some(stage)
}

/// Agents, the order of their outputs (ruling 1), their temperatures.
fn check_agents(manifest: &Manifest, fixed: &Manifest, faults: &mut Faults) {
    if manifest.agents != fixed.agents {
        let message = format!("is {}, must be {:?}", quote(&format!("{:?}", manifest.agents)), fixed.agents);
        faults.add(Reason::BadActionOrder, "manifest.agents", message);
    }
    if manifest.actions != fixed.actions {
        let message = format!(
            "is {}, must be {:?}; convert brings another order into this one",
            quote(&format!("{:?}", manifest.actions)),
            fixed.actions
        );
        faults.add(Reason::BadActionOrder, "manifest.actions", message);
    }
    if !manifest.temperatures.keys().eq(fixed.temperatures.keys())
        || manifest.temperatures.values().any(|t| !(*t > 0.0 && *t <= 100.0))
    {
        let wanted = match fixed.temperatures.is_empty() {
            true => "must be empty: this role has no temperatures in its manifest",
            false => "must give each agent a number above 0 and at most 100",
        };
        let message = format!("is {}, {wanted}", quote(&format!("{:?}", manifest.temperatures)));
        faults.add(Reason::BadFormat, "manifest.temperatures", message);
    }
}

/// What stands before the networks: statistics, gathered columns (ST-8), the switch of ST-47, the calendar of half hours.
fn check_normaliser(manifest: &Manifest, stage: &Stage, faults: &mut Faults) {
    let statistics = stage.vectors.iter().any(|vector| vector.statistic);
    if manifest.normaliser != IDENTITY && !(statistics && manifest.normaliser == STATISTICS) {
        let allowed = if statistics { "identity or statistics" } else { IDENTITY };
        let message = format!("is {}, this architecture allows {allowed}", quote(&manifest.normaliser));
        faults.add(Reason::BadFormat, "manifest.normaliser", message);
    }
    let strategic = stage.role == Role::Strategic;
    if !strategic && !manifest.features.is_empty() {
        faults.add(Reason::BadFormat, "manifest.features", "only strategic agents gather columns");
    } else if let Err(message) = manifest.gathers() {
        faults.add(Reason::UnknownFeatureSchema, "manifest.features", quote(&message));
    }
    if manifest.regime_volatility_adjust.is_some() != strategic {
        let message = if strategic { "missing, must be true or false" } else { "only the strategic role has it" };
        faults.add(Reason::BadFormat, "manifest.regimeVolatilityAdjust", message);
    }
    if !strategic && manifest.calendar.is_some() {
        faults.add(Reason::BadFormat, "manifest.calendar", "only strategic networks see half hours");
    }
}
