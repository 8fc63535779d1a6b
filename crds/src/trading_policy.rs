//! `TradingPolicy`: what to trade, with which models, how a new model is rolled out, and where.

use kube::CustomResource;
use kube::core::cel::Message;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::calendar::Calendar;
use crate::closed_list::closed_list;
use crate::model_checkpoint::ModelRole;
use crate::placement::{Placement, Storage};
use crate::policy_status::TradingPolicyStatus;
use crate::schema;
use crate::units::{Decimal, DurationText};

fn says(expression: &str) -> Message {
    Message::Expression(expression.to_owned())
}

closed_list! {
    /// Whether decisions become orders.
    pub enum TradingMode {
        /// Decisions are recorded, nothing is sent.
        Off,
        /// Decisions are recorded and followed in a book of their own, nothing is sent.
        Shadow,
        /// Qualified trades become orders at the paper venue.
        Paper,
    }
}

closed_list! {
    /// How eager the orchestrator is; hard limits are the same in each mode.
    pub enum PolicyMode {
        /// Base confidence 0.60, base risk 0.5 % of equity per trade.
        Safe,
        /// Base confidence 0.50, base risk 1.0 % of equity per trade.
        Standard,
        /// Base confidence 0.45, base risk 1.5 % of equity per trade.
        Aggressive,
    }
}

impl PolicyMode {
    /// `base_confidence` of the orchestrator in basis points. PO-47
    #[must_use]
    pub const fn base_confidence_bps(self) -> i64 {
        match self {
            Self::Safe => 6_000,
            Self::Standard => 5_000,
            Self::Aggressive => 4_500,
        }
    }

    /// `base_risk_pct` of the orchestrator in basis points of equity: 100 = 1 %. PO-47
    #[must_use]
    pub const fn base_risk_bps(self) -> i64 {
        match self {
            Self::Safe => 50,
            Self::Standard => 100,
            Self::Aggressive => 150,
        }
    }
}

closed_list! {
    /// Which bars the strategic stage sees.
    pub enum StrategicBars {
        /// Half hours, joined from the faster bars of the feed.
        HalfHours,
        /// The bars of the feed as they are.
        AsFed,
    }
}

closed_list! {
    /// Whether the bars of a feed happen now or are brought again. Ruling 18.
    pub enum FeedKind {
        /// Bars come as the market makes them; their age is measured by the wall clock.
        Live,
        /// Recorded bars, at any speed and of any date; their age is measured by the clock of the feed.
        Replay,
    }
}

closed_list! {
    /// Where in its feed a new policy begins to trade.
    pub enum StartAt {
        /// At the newest bar: the bars before it only warm the features up.
        Newest,
        /// At the first bar that the feed still has: the past is decided and traded too.
        Beginning,
    }
}

/// What to trade, with which models, how a new model is rolled out, and where its processes run.
///
/// `kubectl get tp` shows the state, `kubectl tradewind status NAME` explains it. The operator never
/// writes this spec; after a rollback `status.revertPatch` holds the patch that makes Git agree.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "tradewind.dev",
    version = "v1alpha1",
    kind = "TradingPolicy",
    plural = "tradingpolicies",
    shortname = "tp",
    category = "trading",
    namespaced,
    status = "TradingPolicyStatus",
    derive = "PartialEq",
    doc = "What to trade, with which models, how a new model is rolled out, and where its processes run.",
    validation = Rule::new("self.metadata.name.size() <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message(says("'metadata.name is \"%s\": use at most 40 characters a-z, 0-9 and -, starting with a letter, because names of Services are made from it'.format([self.metadata.name])")),
    printcolumn(name = "Trading", type_ = "string", json_path = ".spec.trading", description = "Off, Shadow or Paper"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase", description = "Phase of the rollout"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status", description = "Does what the spec says"),
    printcolumn(name = "Trades", type_ = "string", json_path = ".status.conditions[?(@.type==\"TradingAllowed\")].reason", description = "Whether an order could be sent now: Trading, or why not"),
    printcolumn(name = "Strategic", type_ = "string", json_path = ".status.stable.strategic.checkpoint", description = "Strategic checkpoint that serves"),
    printcolumn(name = "Tactical", type_ = "string", json_path = ".status.stable.tactical.checkpoint", description = "Tactical checkpoint that serves"),
    printcolumn(name = "Candidate", type_ = "string", json_path = ".status.candidate.checkpoints", description = "Checkpoints of the bundle on its way"),
    printcolumn(name = "Weight", type_ = "integer", json_path = ".status.rollout.weightBps", description = "Share of sessions that the candidate drives, in basis points"),
    printcolumn(name = "Pinned", type_ = "string", json_path = ".status.conditions[?(@.type==\"CpuPinned\")].status", description = "Dedicated CPUs as asked"),
    printcolumn(name = "Halt", type_ = "boolean", json_path = ".spec.halt", description = "Stopped by the spec"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Summary", type_ = "string", json_path = ".status.summary", description = "One line on what goes on", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::rules(&[("self.rollout.promote == '' || self.rollout.promote != self.rollout.abort", "'spec.rollout.promote and spec.rollout.abort both name bundle %s: clear one of them'.format([self.rollout.abort])")])))]
pub struct TradingPolicySpec {
    /// The risk profile whose account this policy trades. Several policies may share it, each with instruments of its own:
    /// a policy that names an instrument which another one of the account holds is Stalled with InstrumentConflict. An
    /// instrument is held by the policy that trades it already, else by the older one. Cannot be changed.
    #[schemars(extend("x-kubernetes-validations" = schema::rules(&[("self == oldSelf", "'spec.riskProfileRef is %s and cannot become %s: positions and journals belong to one account, create another policy'.format([oldSelf.name, self.name])")])))]
    pub risk_profile_ref: ObjectRef,

    /// Stream of bars to decide on, and whether its bars are live. A plain name, as before, is refused: write
    /// {name: indices, kind: Live}.
    #[serde(default)]
    pub feed: FeedSpec,

    /// Where a policy that has decided nothing yet begins. Newest: at the newest bar, warmed up on those before it.
    /// Beginning: at the first bar that the stream holds, whose orders are then sent too; for recordings. Cannot be changed:
    /// a policy begins once.
    #[serde(default = "default_start")]
    #[schemars(extend("x-kubernetes-validations" = schema::rules(&[("self == oldSelf", "'spec.startAt is %s and cannot become %s: a policy begins once, create another policy'.format([oldSelf, self])")])))]
    pub start_at: StartAt,

    /// The instruments, 1 to 16, each symbol once. Symbols may be added, none can be removed; tick, lot and point value of a
    /// symbol stay as they are, because positions, orders and profits are booked in integers of them. A new symbol or
    /// calendar is part of the bundle, so it is rolled out like a new checkpoint.
    #[schemars(schema_with = "instruments")]
    #[schemars(extend("x-kubernetes-validations" = schema::rules(&[("oldSelf.all(o, self.exists(n, n.symbol == o.symbol))", "'spec.instruments lacks %s: an instrument stays, because its positions and journals do; create another policy'.format([oldSelf.filter(o, !self.exists(n, n.symbol == o.symbol)).map(o, o.symbol)])")])))]
    pub instruments: Vec<InstrumentSpec>,

    /// Off: decisions are recorded only. Shadow: recorded and followed in a book of their own. Paper: qualified
    /// trades become orders at the paper venue.
    #[serde(default = "default_trading")]
    pub trading: TradingMode,

    /// How eager the orchestrator is. Safe: base confidence 6000 bps, base risk 50 bps of equity per trade.
    /// Standard: 5000 and 100. Aggressive: 4500 and 150. Hard limits of the risk profile are the same in each.
    #[serde(default = "default_mode")]
    pub mode: PolicyMode,

    /// The models by role: one checkpoint for each stage. They are served and rolled out together, as one bundle.
    #[schemars(extend("x-kubernetes-validations" = schema::rules(&[("self.strategic.checkpointRef.name != self.tactical.checkpointRef.name", "'spec.models names ModelCheckpoint %s for both roles: a checkpoint works for one'.format([self.tactical.checkpointRef.name])")])))]
    pub models: Models,

    /// The strategic stage: its bars, its synergy events and the thresholds of its decisions, which are the context of
    /// tactical ones. Part of the bundle, so a change is rolled out like a new checkpoint.
    #[serde(default)]
    pub strategic: StrategicSpec,

    /// Thresholds of the tactical stage; part of the bundle, so a change is rolled out like a new checkpoint.
    #[serde(default)]
    pub tactical: TacticalSpec,

    /// Size of a trade before the orchestrator and the risk service reduce it.
    #[serde(default)]
    pub sizing: Sizing,

    /// Costs and behaviour of the paper venue, also used by the shadow books that judge a candidate.
    #[serde(default)]
    pub venue: PaperVenue,

    /// How a new bundle takes over from the one that serves.
    #[serde(default)]
    pub rollout: RolloutSpec,

    /// CPUs of the processes.
    #[serde(default)]
    pub placement: Placement,

    /// Volumes of the journals. Cannot be changed: volumes of a StatefulSet cannot.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-validations" = schema::rules(&[("self == oldSelf", "'spec.storage cannot be changed: the volumes of a StatefulSet are fixed when it is created'")])))]
    pub storage: Storage,

    /// Stops new orders of this policy at once, without the operator: the decider reads it itself.
    /// Working entries are cancelled; protective orders stay.
    #[serde(default)]
    pub halt: bool,
}

/// Name of another object in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectRef {
    /// Name of the object.
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
}

/// A feed of bars.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FeedSpec {
    /// Name of the feed, as published by the market process (JetStream stream BARS_<NAME>). Cannot be changed: the place in
    /// the stream is part of every journal.
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"))]
    #[schemars(extend("x-kubernetes-validations" = schema::rules(&[("self == oldSelf", "'spec.feed.name is %s and cannot become %s: the place in the stream is part of every journal, create another policy'.format([oldSelf, self])")])))]
    pub name: String,
    /// Live: bars come as the market makes them, and a bar that is old by the wall clock, or lies ahead of it, is not traded.
    /// Replay: recorded bars, whose age is measured by the feed itself. Cannot be changed: what was a recording never
    /// becomes the market.
    #[schemars(extend("x-kubernetes-validations" = schema::rules(&[("self == oldSelf", "'spec.feed.kind is %s and cannot become %s: the age of every bar would be measured by another clock, create another policy'.format([oldSelf, self])")])))]
    pub kind: FeedKind,
}

impl Default for FeedSpec {
    fn default() -> Self {
        Self { name: "default".into(), kind: FeedKind::Live }
    }
}

/// One instrument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::instrument_rules()))]
pub struct InstrumentSpec {
    /// Symbol as in the feed.
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[A-Z0-9._-]+$"))]
    pub symbol: String,
    /// Money per price unit and unit of the instrument: 1 for an index traded as it is quoted, 50 for a future
    /// that pays 50 per point.
    #[schemars(extend("x-kubernetes-validations" = schema::rules(&[("double(string(self)) > 0.0", "'pointValue is %s, it must be above 0'.format([self])")])))]
    pub point_value: Decimal,
    /// Smallest price step.
    #[schemars(extend("x-kubernetes-validations" = schema::rules(&[("double(string(self)) > 0.0", "'tick is %s, it must be above 0'.format([self])")])))]
    pub tick: Decimal,
    /// Smallest size step. tick x lot x pointValue must be a whole number of 0.000000001, so that profits are exact.
    #[schemars(extend("x-kubernetes-validations" = schema::rules(&[("double(string(self)) > 0.0", "'lot is %s, it must be above 0'.format([self])")])))]
    pub lot: Decimal,
    /// When it trades: windows, warm-up, gaps and sessions count the bars of this calendar. 24x7 never closes and is what a
    /// manifest without a calendar means; it may be changed into an exchange's calendar once, which is then fixed.
    // Ruling 14.
    #[serde(default)]
    pub calendar: Calendar,
}

/// The models by role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Models {
    /// The thirty-minute agents, whose decision on a synergy is the context of the tactical ones. A ModelCheckpoint of role
    /// Strategic.
    pub strategic: ModelSource,
    /// The five-minute agents: gaps, momentum, entry. A ModelCheckpoint of role Tactical.
    pub tactical: ModelSource,
}

impl Models {
    /// Name of the checkpoint for each role, in the order of a bundle.
    #[must_use]
    pub fn by_role(&self) -> [(ModelRole, &str); 2] {
        [(ModelRole::Strategic, &self.strategic.checkpoint_ref.name), (ModelRole::Tactical, &self.tactical.checkpoint_ref.name)]
    }

    /// Names of the checkpoints as people read them: `strategic-a, tactical-a`.
    #[must_use]
    pub fn names(&self) -> String {
        self.by_role().map(|(_, name)| name).join(", ")
    }
}

/// Where a model comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelSource {
    /// The ModelCheckpoint to serve. It must be Verified before any pod sees it.
    pub checkpoint_ref: ObjectRef,
}

/// Bars, synergy events and thresholds of the strategic stage. ST-42, ST-43, ST-70, ST-72, SU-14
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StrategicSpec {
    /// HalfHours: half hours, joined from the faster bars of the feed. AsFed: the bars of the feed as they are, for
    /// recordings of daily bars, where half hours do not exist; the bars counted by synergyWindowBars and cooldownBars are
    /// then those of the feed.
    // ST-6
    pub bars: StrategicBars,
    /// A strategic decision proceeds only with more confidence than this, in basis points. What stands in for a network that
    /// fails has 5000, so that it never proceeds.
    // ST-70
    #[schemars(range(min = 5_001, max = 9_999))]
    pub confidence_threshold_bps: i64,
    /// A synergy with less confidence is not decided on, in basis points.
    // SU-14
    #[schemars(range(min = 0, max = 10_000))]
    pub min_synergy_confidence_bps: i64,
    /// A decision against the direction of its synergy does not proceed.
    // ST-72
    pub require_synergy_alignment: bool,
    /// The three signals of a synergy lie at most this many bars apart, first to last.
    // ST-42
    #[schemars(range(min = 1, max = 1_000))]
    pub synergy_window_bars: i64,
    /// Bars after a synergy in which no other is raised.
    // ST-43
    #[schemars(range(min = 0, max = 1_000))]
    pub cooldown_bars: i64,
    /// Further bars of the feed for which a decision of the strategic stage stays the context of tactical ones; 0: only the
    /// bar that brought it. Without a context the tactical stage holds, so a small number trades rarely where
    /// synergies are rare.
    // TA-29, TA-35
    #[schemars(range(min = 0, max = 64))]
    pub context_bars: i64,
}

impl Default for StrategicSpec {
    fn default() -> Self {
        Self {
            bars: StrategicBars::HalfHours,
            confidence_threshold_bps: 6_500,
            min_synergy_confidence_bps: 5_000,
            require_synergy_alignment: false,
            synergy_window_bars: 10,
            cooldown_bars: 5,
            context_bars: 1,
        }
    }
}

/// Thresholds of the tactical stage. TA-74
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TacticalSpec {
    /// A trade needs at least this score, in basis points.
    // TA-25
    #[schemars(range(min = 1, max = 10_000))]
    pub execution_threshold_bps: i64,
    /// Factor on the score of a trade against the synergy, in basis points.
    // TA-26
    #[schemars(range(min = 1, max = 10_000))]
    pub counter_synergy_factor_bps: i64,
    /// How many of the three agents must vote for a trade.
    // TA-25
    #[schemars(range(min = 1, max = 3))]
    pub min_agreeing_agents: i64,
    /// A synergy with less confidence is ignored, in basis points.
    // TA-35
    #[schemars(range(min = 0, max = 10_000))]
    pub min_synergy_confidence_bps: i64,
    /// Distance of the protective stop in average true ranges.
    // TA-31
    #[schemars(extend("x-kubernetes-validations" = schema::rules(&[("double(string(self)) > 0.0 && double(string(self)) <= 100.0", "'spec.tactical.stopAtrMultiple is %s, allowed is above 0 to 100'.format([self])")])))]
    pub stop_atr_multiple: Decimal,
    /// Distance of the target in average true ranges.
    // TA-31
    #[schemars(extend("x-kubernetes-validations" = schema::rules(&[("double(string(self)) > 0.0 && double(string(self)) <= 100.0", "'spec.tactical.targetAtrMultiple is %s, allowed is above 0 to 100'.format([self])")])))]
    pub target_atr_multiple: Decimal,
    /// Fair value gaps older than this many bars are forgotten.
    // TA-74
    #[schemars(range(min = 1, max = 500))]
    pub max_gap_age_bars: i64,
}

impl Default for TacticalSpec {
    fn default() -> Self {
        Self {
            execution_threshold_bps: 6_500,
            counter_synergy_factor_bps: 7_000,
            min_agreeing_agents: 2,
            min_synergy_confidence_bps: 5_000,
            stop_atr_multiple: Decimal::from_units(2),
            target_atr_multiple: Decimal::from_units(3),
            max_gap_age_bars: 60,
        }
    }
}

/// Size of a trade before it is reduced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Sizing {
    /// Value of a full-size trade in account currency. The orchestrator scales it down, lots round down, and the
    /// risk profile's limits bind last.
    #[schemars(extend("x-kubernetes-validations" = schema::rules(&[("double(string(self)) > 0.0", "'spec.sizing.baseNotional is %s, it must be above 0'.format([self])")])))]
    pub base_notional: Decimal,
}

impl Default for Sizing {
    fn default() -> Self {
        Self { base_notional: Decimal::from_units(100_000) }
    }
}

/// The paper venue. Deterministic: the same bars, orders and seed give the same fills.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PaperVenue {
    /// Whole spread in basis points of the price; a fill pays half of it.
    #[schemars(range(min = 0, max = 1_000))]
    pub spread_bps: i64,
    /// Fee in basis points of the value traded.
    #[schemars(range(min = 0, max = 1_000))]
    pub fee_bps: i64,
    /// How often an order is filled in two parts, in basis points of the orders.
    #[schemars(range(min = 0, max = 10_000))]
    pub partial_fill_bps: i64,
    /// Seed of everything that is random at the venue.
    #[schemars(range(min = 0))]
    pub seed: i64,
    /// Time between an order and its arrival at the venue, in milliseconds of event time.
    #[schemars(range(min = 0, max = 60_000))]
    pub latency_ms: i64,
}

impl Default for PaperVenue {
    fn default() -> Self {
        Self { spread_bps: 1, fee_bps: 0, partial_fill_bps: 0, seed: 1, latency_ms: 0 }
    }
}

/// How a new bundle takes over: Verifying, Shadowing, Canary steps, Promoting, Healthy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RolloutSpec {
    /// Stable and candidate see every bar, the stable drives all of them.
    pub shadow: Shadow,
    /// Canary steps with ascending weights, at most 10; none goes from shadow straight to promotion.
    #[schemars(schema_with = "steps")]
    #[schemars(extend("x-kubernetes-validations" = schema::rules(&[("self.map(s, s.weightBps).isSorted() && self.all(a, self.exists_one(b, b.weightBps == a.weightBps))", "'spec.rollout.steps: weights must rise from step to step, seen weightBps %s'.format([self.map(s, s.weightBps)])")])))]
    pub steps: Vec<CanaryStep>,
    /// What a candidate has to show. Each gate says Pass, Fail, Inconclusive or Error; only all Pass moves on, and any
    /// Fail rolls back at once.
    pub gates: Gates,
    /// Time from the candidate's arrival to its promotion; afterwards it is rolled back as NotProven. Time in Paused
    /// does not count.
    #[schemars(extend("x-kubernetes-validations" = schema::rules(&[("duration(self) >= duration('10s') && duration(self) <= duration('8760h')", "'spec.rollout.deadline is %s, allowed is 10s to 8760h'.format([self])")])))]
    pub deadline: DurationText,
    /// Keeps the rollout in its place: no step, no promotion. A gate that fails still rolls back.
    pub paused: bool,
    /// Bundle id (status.candidate.bundle) to promote without waiting for its gates. Empty: none. It names one bundle,
    /// so it cannot promote a later one by accident.
    #[schemars(length(max = 12), regex(pattern = "^([0-9a-f]{12})?$"))]
    pub promote: String,
    /// Bundle id (status.candidate.bundle) to roll back and not to try again while it is named here. Empty: none.
    #[schemars(length(max = 12), regex(pattern = "^([0-9a-f]{12})?$"))]
    pub abort: String,
}

impl Default for RolloutSpec {
    fn default() -> Self {
        Self {
            shadow: Shadow::default(),
            steps: vec![CanaryStep { weight_bps: 1_000, min_bars: 200 }, CanaryStep { weight_bps: 5_000, min_bars: 400 }],
            gates: Gates::default(),
            deadline: DurationText::from_secs(24 * 3_600),
            paused: false,
            promote: String::new(),
            abort: String::new(),
        }
    }
}

/// The shadow phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Shadow {
    /// Bars that both bundles must have answered before the first canary step.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub min_bars: i64,
}

impl Default for Shadow {
    fn default() -> Self {
        Self { min_bars: 300 }
    }
}

/// One canary step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryStep {
    /// Share of symbol sessions that the candidate drives, in basis points.
    #[schemars(range(min = 1, max = 10_000))]
    pub weight_bps: i64,
    /// Bars that both bundles must have answered in this step.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub min_bars: i64,
}

/// What a candidate has to show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Gates {
    /// Share of bars that the candidate answered too late or not at all, in basis points, at most.
    #[schemars(range(min = 0, max = 10_000))]
    pub max_deadline_miss_bps: i64,
    /// Turnover of the candidate's shadow book over that of the stable's, in basis points, at most: 20000 allows twice
    /// as much.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_turnover_ratio_bps: i64,
    /// Net profit of the candidate against the stable, bar by bar, after costs.
    pub paired_pnl: PairedPnlGate,
}

impl Default for Gates {
    fn default() -> Self {
        Self { max_deadline_miss_bps: 10, max_turnover_ratio_bps: 20_000, paired_pnl: PairedPnlGate::default() }
    }
}

/// Judged for non-inferiority by an interval that is valid at every look: Pass when all of it lies above minus the margin,
/// Fail when all of it lies below, else Inconclusive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PairedPnlGate {
    /// How much worse per bar the candidate may be, in basis points of starting equity. A wide margin proves little: it
    /// only excludes a candidate that loses more than this per bar. Fine margins need many bars.
    #[schemars(extend("x-kubernetes-validations" = schema::rules(&[("double(string(self)) > 0.0 && double(string(self)) <= 10000.0", "'spec.rollout.gates.pairedPnl.marginBps is %s, allowed is above 0 to 10000'.format([self])")])))]
    pub margin_bps: Decimal,
    /// Confidence of the interval in basis points.
    #[schemars(range(min = 5_000, max = 9_999))]
    pub confidence_bps: i64,
}

impl Default for PairedPnlGate {
    fn default() -> Self {
        Self { margin_bps: Decimal::from_units(10), confidence_bps: 9_500 }
    }
}

fn instruments(generator: &mut SchemaGenerator) -> Schema {
    schema::list_map::<InstrumentSpec>(generator, "symbol", 1, 16)
}

fn steps(generator: &mut SchemaGenerator) -> Schema {
    schema::atomic::<CanaryStep>(generator, 10)
}

fn default_start() -> StartAt {
    StartAt::Newest
}

fn default_trading() -> TradingMode {
    TradingMode::Paper
}

fn default_mode() -> PolicyMode {
    PolicyMode::Standard
}
