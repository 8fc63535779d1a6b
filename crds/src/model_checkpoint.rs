//! `ModelCheckpoint`: one file of weights that must be verified before any pod sees it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::CustomResource;
use kube::core::cel::Message;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::closed_list::closed_list;
use crate::conditions::{self, CheckpointReason, Condition};
use crate::schema;

fn says(expression: &str) -> Message {
    Message::Expression(expression.to_owned())
}

closed_list! {
    /// Stage that a network works for.
    pub enum ModelRole {
        /// Thirty-minute engine.
        Strategic,
        /// Five-minute engine.
        Tactical,
        /// Order planning.
        Execution,
        /// Risk agents.
        Risk,
    }
}

closed_list! {
    /// Phase of a checkpoint.
    pub enum CheckpointPhase {
        /// The verification has not started.
        Pending,
        /// The verification runs.
        Verifying,
        /// Every check passed; policies may serve it.
        Verified,
        /// A check failed; no pod will see it.
        Rejected,
    }
}

/// One file of weights and the digest that it must have. It is verified once, before any pod sees it.
///
/// Cannot be changed: a new file is a new ModelCheckpoint, and a policy moves to it by name.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "tradewind.dev",
    version = "v1alpha1",
    kind = "ModelCheckpoint",
    plural = "modelcheckpoints",
    shortname = "mc",
    category = "trading",
    namespaced,
    status = "ModelCheckpointStatus",
    derive = "PartialEq",
    doc = "One file of weights and the digest that it must have, verified before any pod sees it.",
    validation = Rule::new("self.metadata.name.size() <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message(says("'metadata.name is \"%s\": use at most 40 characters a-z, 0-9 and -, starting with a letter, because the name of a Job is made from it'.format([self.metadata.name])")),
    validation = Rule::new("self.spec == oldSelf.spec")
        .message("spec cannot be changed: a checkpoint is one file with one digest; create another ModelCheckpoint and point the policy at it"),
    printcolumn(name = "Role", type_ = "string", json_path = ".spec.role"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason"),
    printcolumn(name = "Schema", type_ = "string", json_path = ".status.figures.featureSchema", description = "Feature schema of the network"),
    printcolumn(name = "P99 us", type_ = "integer", json_path = ".status.figures.latencyP99Us", description = "Latency of one decision when verified, in microseconds"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
pub struct ModelCheckpointSpec {
    /// Stage that the network works for: Strategic or Tactical. The others are refused in this version.
    #[schemars(extend("x-kubernetes-validations" = schema::rules(&[("self in ['Strategic', 'Tactical']", "'spec.role is %s: only Strategic and Tactical are supported in this version'.format([self])")])))]
    pub role: ModelRole,
    /// The file.
    pub source: CheckpointSource,
}

/// A file and its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckpointSource {
    /// Where to fetch it: http:, https: or file: (a path inside the pod, for mounted volumes).
    #[schemars(length(min = 8, max = 2048), regex(pattern = "^(https?|file)://[^ ]+$"))]
    pub uri: String,
    /// SHA-256 of the file, 64 lower-case hex characters (`sha256sum FILE`).
    #[schemars(length(min = 64, max = 64), regex(pattern = "^[0-9a-f]{64}$"))]
    pub sha256: String,
}

/// Result of the verification.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ModelCheckpointStatus {
    /// Generation of the spec that this status was computed from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Pending, Verifying, Verified or Rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<CheckpointPhase>,
    /// One word from a closed list: Verified, DigestMismatch, Truncated, BadShape, MissingTensor, UnknownTensor, NotFinite,
    /// WrongRole, GoldenMismatch, SourceUnreachable, UnknownFeatureSchema, UnknownArchitecture, BadActionOrder, BadFormat,
    /// TooLarge, JobFailed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<CheckpointReason>,
    /// What was seen and what was expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
    /// Figures measured while verifying.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub figures: Option<Figures>,
    /// Image that verified it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub verified_by: Option<String>,
    /// When the verdict fell.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_time")]
    pub verified_at: Option<Time>,
    /// Ready, Reconciling, Stalled (kstatus), Verified.
    #[schemars(schema_with = "conditions::list")]
    pub conditions: Vec<Condition>,
}

/// Figures measured while verifying; what a rejected file did not get to is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Figures {
    /// Size of the file in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<i64>,
    /// Number of weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<i64>,
    /// Architecture named by the manifest in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub architecture: Option<String>,
    /// Feature schema named by the manifest in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub feature_schema: Option<String>,
    /// Largest difference from the golden outputs, as decimal text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub golden_max_error: Option<String>,
    /// Median time of one decision, in microseconds.
    #[serde(rename = "latencyP50Us", skip_serializing_if = "Option::is_none")]
    pub latency_p50_us: Option<i64>,
    /// 99th percentile of the time of one decision, in microseconds.
    #[serde(rename = "latencyP99Us", skip_serializing_if = "Option::is_none")]
    pub latency_p99_us: Option<i64>,
    /// Figures of the training that the manifest states; not checked by the verification.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "metrics")]
    pub metrics: Vec<Metric>,
}

/// A figure stated by the manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Metric {
    /// Name.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
    /// Value as decimal text.
    #[schemars(length(max = 64))]
    pub value: String,
}

fn metrics(generator: &mut SchemaGenerator) -> Schema {
    schema::list_map::<Metric>(generator, "name", 0, 16)
}
