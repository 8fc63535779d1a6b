//! Status of a `TradingPolicy`: written by the operator only, and only when something changed.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::closed_list::closed_list;
use crate::conditions::{self, Condition, PolicyReason};
use crate::placement::CpuMode;
use crate::schema;

closed_list! {
    /// Phase of a policy and of its rollout.
    pub enum Phase {
        /// Nothing serves yet.
        Pending,
        /// The wanted checkpoint is being verified; the stable bundle, if any, serves.
        Verifying,
        /// The candidate's pods start, then both bundles see every bar; the stable drives.
        Shadowing,
        /// The candidate drives `weightBps` of the sessions.
        Canary,
        /// The candidate takes over all sessions.
        Promoting,
        /// The stable bundle serves, nothing is on its way.
        Healthy,
        /// The stable bundle takes everything back.
        RollingBack,
        /// The stable bundle serves; the spec still names a bundle that was rolled back.
        RolledBack,
        /// The rollout keeps its place because the spec says so.
        Paused,
    }
}

closed_list! {
    /// A gate of a rollout.
    pub enum Gate {
        /// Enough bars answered by both bundles in this step.
        MinBars,
        /// Late and missing answers of the candidate.
        DeadlineMiss,
        /// Turnover of the candidate over that of the stable.
        Turnover,
        /// Paired net profit, non-inferiority.
        PairedPnl,
    }
}

closed_list! {
    /// What a gate says.
    pub enum Verdict {
        /// The evidence shows that the gate holds.
        Pass,
        /// The evidence shows that it does not.
        Fail,
        /// Not enough evidence yet.
        Inconclusive,
        /// It could not be measured. Never counts as a pass.
        Error,
    }
}

/// What the policy does at present.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TradingPolicyStatus {
    /// Generation of the spec that this status was computed from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Phase of the rollout, as in status.rollout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// One line on what goes on and what it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub summary: Option<String>,
    /// Ready, Reconciling, Stalled (kstatus), CpuPinned, RolloutProgressing, TradingAllowed.
    #[schemars(schema_with = "conditions::list")]
    pub conditions: Vec<Condition>,
    /// The bundle that serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable: Option<Revision>,
    /// The bundle on its way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Revision>,
    /// State of the rollout. The policy process routes by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutStatus>,
    /// CPUs asked and granted, as the processes themselves report.
    #[schemars(schema_with = "pinning")]
    pub pinning: Vec<PinningReport>,
    /// Finished rollouts, newest first, at most 10.
    #[schemars(schema_with = "history")]
    pub history: Vec<HistoryEntry>,
    /// The newest bundle that was rolled back; it is not tried again until the spec names another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rolled_back: Option<RolledBack>,
    /// After a rollback: the merge patch that takes the spec back to the stable bundle, for
    /// `kubectl patch tradingpolicy NAME --type=merge -p PATCH` or for Git. Applying it starts no rollout.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub revert_patch: Option<String>,
}

/// One bundle: everything that its children are made from, so that they can be made again from status alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Revision {
    /// Bundle id: the first 12 hex characters of the SHA-256 over all that decides.
    #[schemars(length(max = 12))]
    pub bundle: String,
    /// Names of its checkpoints, for people: "strategic-a, tactical-a".
    #[schemars(length(max = 253))]
    pub checkpoints: String,
    /// Checkpoint of the strategic stage.
    pub strategic: BundleCheckpoint,
    /// Checkpoint of the tactical stage.
    pub tactical: BundleCheckpoint,
    /// Runtime image of the bundle's inference.
    #[schemars(length(max = 512))]
    pub image: String,
    /// The part of the spec that belongs to the bundle, as compact JSON.
    #[schemars(length(max = 4096))]
    pub content: String,
    /// When it became stable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_time")]
    pub promoted_at: Option<Time>,
}

/// One checkpoint of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BundleCheckpoint {
    /// Name of the ModelCheckpoint.
    #[schemars(length(max = 253))]
    pub checkpoint: String,
    /// Where its file comes from.
    #[schemars(length(max = 2048))]
    pub uri: String,
    /// SHA-256 of its file.
    #[schemars(length(max = 64))]
    pub sha256: String,
}

/// State of the rollout. Everything that the planner has to remember is here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStatus {
    /// Phase.
    pub phase: Phase,
    /// While Paused: the phase to go on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_from: Option<Phase>,
    /// Bundle that serves; empty: none yet.
    #[serde(default)]
    #[schemars(length(max = 12))]
    pub stable_bundle: String,
    /// Bundle on its way that sees every bar; empty: none, or its pods are not ready yet.
    #[serde(default)]
    #[schemars(length(max = 12))]
    pub candidate_bundle: String,
    /// Canary step, from 1; 0 while shadowing or when nothing is on its way.
    #[serde(default)]
    #[schemars(range(min = 0, max = 10))]
    pub step: i32,
    /// Number of canary steps of this rollout.
    #[serde(default)]
    #[schemars(range(min = 0, max = 10))]
    pub steps: i32,
    /// Share of symbol sessions that the candidate drives, in basis points.
    #[serde(default)]
    #[schemars(range(min = 0, max = 10_000))]
    pub weight_bps: i32,
    /// Hash over bundles, step and rollout spec: who finds another one than he computes must not act on the step.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub step_hash: String,
    /// When the candidate arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_time")]
    pub started_at: Option<Time>,
    /// When this step began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_time")]
    pub step_started_at: Option<Time>,
    /// When the candidate will be rolled back as NotProven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_time")]
    pub deadline_at: Option<Time>,
    /// When the pause began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_time")]
    pub paused_at: Option<Time>,
    /// Time spent in Paused during this rollout, in seconds; the deadline moves by it.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub paused_seconds: i64,
    /// While RollingBack: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_reason: Option<PolicyReason>,
    /// While RollingBack: the sentence that goes into status.rolledBack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub rollback_message: Option<String>,
    /// Newest verdict of each gate with its evidence; refreshed on a change of step or verdict.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "verdicts")]
    pub verdicts: Vec<GateVerdict>,
}

/// Verdict of one gate with its evidence. Figures are decimal text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GateVerdict {
    /// The gate.
    pub gate: Gate,
    /// Pass, Fail, Inconclusive or Error.
    pub verdict: Verdict,
    /// Number of observations behind it: bars answered by both bundles.
    #[schemars(range(min = 0))]
    pub bars: i64,
    /// Value of the candidate.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub value: String,
    /// Value of the stable, where the gate compares; else empty.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub baseline: String,
    /// Lower end of the interval; empty where there is none.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub lower: String,
    /// Upper end of the interval; empty where there is none.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub upper: String,
    /// Threshold or margin from the spec.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub margin: String,
    /// The same as a sentence.
    #[schemars(length(max = 512))]
    pub message: String,
}

/// CPUs of one pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PinningReport {
    /// inference, execution, risk.
    #[schemars(length(max = 32))]
    pub role: String,
    /// The pod that reported.
    #[schemars(length(max = 253))]
    pub pod_name: String,
    /// Pinned or Shared, as asked.
    pub mode: CpuMode,
    /// CPUs asked for.
    #[schemars(range(min = 0))]
    pub asked: i64,
    /// CPUs that the kernel allows the process.
    #[schemars(range(min = 0))]
    pub granted: i64,
    /// The CPUs as the kernel prints them: "1" or "0-3".
    #[schemars(length(max = 256))]
    pub allowed_list: String,
    /// Whether the deciding thread is bound to one CPU of its own.
    pub pinned: bool,
}

/// A finished rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// Bundle id.
    #[schemars(length(max = 12))]
    pub bundle: String,
    /// Names of its checkpoints: "strategic-a, tactical-a".
    #[schemars(length(max = 253))]
    pub checkpoints: String,
    /// How it ended: Promoted, GateFailed, GateError, NotProven, Aborted, Superseded, Reverted.
    pub outcome: PolicyReason,
    /// Why, in one sentence.
    #[schemars(length(max = 512))]
    pub message: String,
    /// When.
    #[schemars(schema_with = "schema::time")]
    pub at: Time,
}

/// A bundle that was rolled back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolledBack {
    /// Bundle id.
    #[schemars(length(max = 12))]
    pub bundle: String,
    /// Names of its checkpoints: "strategic-a, tactical-a".
    #[schemars(length(max = 253))]
    pub checkpoints: String,
    /// GateFailed, GateError, NotProven, Aborted or PinnedPodsRejected.
    pub reason: PolicyReason,
    /// Why, in one sentence with the figures.
    #[schemars(length(max = 1024))]
    pub message: String,
    /// When the verdict fell.
    #[schemars(schema_with = "schema::time")]
    pub at: Time,
}

/// Schema of the reports of pods, found by their names.
pub(crate) fn pinning(generator: &mut SchemaGenerator) -> Schema {
    schema::list_map::<PinningReport>(generator, "podName", 0, 16)
}

fn verdicts(generator: &mut SchemaGenerator) -> Schema {
    schema::list_map::<GateVerdict>(generator, "gate", 0, 8)
}

fn history(generator: &mut SchemaGenerator) -> Schema {
    schema::atomic::<HistoryEntry>(generator, 10)
}
