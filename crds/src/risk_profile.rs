//! `RiskProfile`: the hard limits of one account.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::CustomResource;
use kube::core::cel::Message;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::calendar::Calendar;
use crate::closed_list::closed_list;
use crate::conditions::{self, Condition};
use crate::placement::{RolePlacement, Storage};
use crate::policy_status::{self, PinningReport};
use crate::schema;
use crate::units::{Decimal, DurationText};

fn says(expression: &str) -> Message {
    Message::Expression(expression.to_owned())
}

closed_list! {
    /// Which orders a halt leaves.
    pub enum HaltMode {
        /// Orders that reduce a position, protective stops among them, stay allowed.
        ReduceOnly,
        /// No order is allowed; positions stay as they are.
        None,
    }
}

closed_list! {
    /// State of the account as the risk service has it.
    pub enum TradingState {
        /// Orders within the limits are allowed.
        Normal,
        /// Only orders that reduce positions are allowed.
        ReduceOnly,
        /// No order is allowed.
        Halted,
    }
}

/// The hard limits of one account and the service that checks every order against them.
///
/// The risk service reads this object itself: a tighter limit, a halt and an acknowledgement act at once, with or without
/// the operator. A looser limit waits until spec.approvedLoosening names its digest, and then for a soak. What stops
/// latches: a halt and a breaker stay until their ids are acknowledged.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "tradewind.dev",
    version = "v1alpha1",
    kind = "RiskProfile",
    plural = "riskprofiles",
    shortname = "rp",
    category = "trading",
    namespaced,
    status = "RiskProfileStatus",
    derive = "PartialEq",
    doc = "The hard limits of one account and the service that checks every order against them.",
    validation = Rule::new("self.metadata.name.size() <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message(says("'metadata.name is \"%s\": use at most 40 characters a-z, 0-9 and -, starting with a letter, because names of Services are made from it'.format([self.metadata.name])")),
    printcolumn(name = "Account", type_ = "string", json_path = ".spec.account"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state", description = "Normal, ReduceOnly or Halted"),
    printcolumn(name = "Trades", type_ = "string", json_path = ".status.conditions[?(@.type==\"TradingAllowed\")].reason", description = "Whether an order could be sent now: Normal, or why not"),
    printcolumn(name = "Halt", type_ = "string", json_path = ".status.halt.id", description = "Halt in force, to be named in spec.acknowledgeHalt"),
    printcolumn(name = "Breaker", type_ = "string", json_path = ".status.breaker.id", description = "Breaker that has fired"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Limits", type_ = "integer", json_path = ".status.acknowledgedGeneration", description = "Generation of the limits in force"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason", priority = 1)
)]
#[serde(rename_all = "camelCase")]
pub struct RiskProfileSpec {
    /// The account. It belongs to one profile of the whole cluster: a second one is Stalled with AccountTaken, whatever its
    /// namespace. Cannot be changed.
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    #[schemars(extend("x-kubernetes-validations" = schema::rules(&[("self == oldSelf", "'spec.account is %s and cannot become %s: create another profile'.format([oldSelf, self])")])))]
    pub account: String,

    /// Calendar of the account: its sessions are those of the daily loss limit. 24x7, what a manifest without a calendar
    /// means, has the days of UTC; it may be changed into another calendar once.
    // Ruling 17.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-validations" = schema::rules(&[("self == oldSelf || oldSelf == '24x7'", "'spec.calendar is %s and cannot become %s: it may be set once, because a session that has begun ends by its own calendar'.format([oldSelf, self])")])))]
    pub calendar: Calendar,

    /// Money in the account before its first trade; losses, exposure and the evidence of a rollout are measured against it.
    /// Cannot be changed.
    #[schemars(extend("x-kubernetes-validations" = schema::rules(&[("double(string(self)) > 0.0", "'spec.startingEquity is %s, it must be above 0'.format([self])"), ("double(string(self)) == double(string(oldSelf))", "'spec.startingEquity is %s and cannot become %s: profits are booked against it, create another profile'.format([oldSelf, self])")])))]
    pub starting_equity: Decimal,

    /// The limits. All of them hold; the tightest binds first.
    pub limits: Limits,

    /// Stops trading at once: the risk service reads it itself and refuses orders within a second, however wrong the rest of
    /// the profile is. What was halted stays so when this becomes false or is left out: see acknowledgeHalt. Leave it out
    /// of manifests that are applied again and again.
    #[serde(default)]
    pub halt: bool,

    /// Id of the halt (status.halt.id) that was looked into and may be lifted; works only while halt is false. Empty: none.
    #[serde(default)]
    #[schemars(length(max = 64), regex(pattern = "^[A-Za-z0-9._-]*$"))]
    pub acknowledge_halt: String,

    /// What a halt leaves: ReduceOnly allows orders that reduce a position (protective stops among them), None no order at
    /// all. A drawdown breaker always leaves ReduceOnly.
    #[serde(default = "default_halt_mode")]
    pub halt_mode: HaltMode,

    /// Digest of the looser limits that may come into force, as given in status.pendingLoosening: good for one change, from
    /// exactly the limits in force to exactly those wanted, once. Empty: none.
    #[serde(default)]
    #[schemars(length(max = 64), regex(pattern = "^([0-9a-f]{12,64})?$"))]
    pub approved_loosening: String,

    /// Open market that has to pass after an approval before looser limits are in force. A shorter one than before holds
    /// only after the present one has passed.
    #[serde(default = "default_loosening_soak")]
    #[schemars(extend("x-kubernetes-validations" = schema::rules(&[("duration(self) <= duration('168h')", "'spec.looseningSoak is %s, allowed is 0s to 168h'.format([self])")])))]
    pub loosening_soak: DurationText,

    /// Id of the breaker (status.breaker.id) that was looked into and may be reset. Empty: none.
    #[serde(default)]
    #[schemars(length(max = 64), regex(pattern = "^[A-Za-z0-9._-]*$"))]
    pub acknowledge_breaker: String,

    /// CPUs of the risk service. Absent: spec.placement.risk of the oldest policy that trades this account, else Shared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<RolePlacement>,

    /// Volume of the journal. Cannot be changed: volumes of a StatefulSet cannot.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-validations" = schema::rules(&[("self == oldSelf", "'spec.storage cannot be changed: the volumes of a StatefulSet are fixed when it is created'")])))]
    pub storage: Storage,
}

/// Hard limits. None can be left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::rules(&[("double(string(self.maxPositionNotional)) >= double(string(self.maxOrderNotional))", "'spec.limits.maxPositionNotional is %s, it must be at least maxOrderNotional (%s), or the order limit could never bind'.format([self.maxPositionNotional, self.maxOrderNotional])"), ("self.maxDrawdownBps >= self.dailyLossBps", "'spec.limits.maxDrawdownBps is %s, it must be at least dailyLossBps (%s), or the daily limit could never bind'.format([self.maxDrawdownBps, self.dailyLossBps])")])))]
pub struct Limits {
    /// Value of one order, in account currency, at most.
    #[schemars(extend("x-kubernetes-validations" = schema::rules(&[("double(string(self)) > 0.0", "'spec.limits.maxOrderNotional is %s, it must be above 0'.format([self])")])))]
    pub max_order_notional: Decimal,
    /// Value of the position in one instrument, in account currency, at most.
    #[schemars(extend("x-kubernetes-validations" = schema::rules(&[("double(string(self)) > 0.0", "'spec.limits.maxPositionNotional is %s, it must be above 0'.format([self])")])))]
    pub max_position_notional: Decimal,
    /// Sum of all positions without their sign, in basis points of equity, at most: 10000 = once the equity.
    #[schemars(range(min = 1, max = 100_000))]
    pub max_gross_exposure_bps: i64,
    /// Loss since the start of the session, in basis points of the equity at its start: from here on only orders that
    /// reduce positions, until the next session.
    #[schemars(range(min = 1, max = 10_000))]
    pub daily_loss_bps: i64,
    /// Fall from the highest equity, in basis points: fires a breaker that stays until it is acknowledged.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_drawdown_bps: i64,
    /// Orders in any minute of event time, at most.
    #[schemars(range(min = 1, max = 100_000))]
    pub max_orders_per_minute: i64,
    /// Distance of an order's price from the last mark, in basis points, at most.
    #[schemars(range(min = 1, max = 5_000))]
    pub price_collar_bps: i64,
    /// Age of the newest bar of the instrument when an order is checked, at most, on the clock of the feed.
    #[schemars(extend("x-kubernetes-validations" = schema::rules(&[("duration(self) >= duration('100ms') && duration(self) <= duration('168h')", "'spec.limits.maxDataAge is %s, allowed is 100ms to 168h'.format([self])")])))]
    pub max_data_age: DurationText,
}

/// What the running risk service has acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RiskProfileStatus {
    /// Generation of the spec that this status was computed from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled (kstatus), LimitsInForce, TradingAllowed, FeedsFollowed, CpuPinned.
    #[schemars(schema_with = "conditions::list")]
    pub conditions: Vec<Condition>,
    /// State of the account; absent while the risk service does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<TradingState>,
    /// Why it is in this state.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,
    /// Limits in force, as acknowledged by the running service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective_limits: Option<EffectiveLimits>,
    /// Generation of the spec that the running service has read. Limits that wait for an approval are not in force yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged_generation: Option<i64>,
    /// The halt in force; it stays when spec.halt becomes false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub halt: Option<HaltStatus>,
    /// The breaker that has fired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaker: Option<BreakerStatus>,
    /// Digest to put into spec.approvedLoosening, when a looser limit waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub pending_loosening: Option<String>,
    /// The soak of looser limits that are approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soak: Option<SoakStatus>,
    /// Newest refused orders, at most 10. Sample and count are refreshed together, at most once a minute; the metric
    /// tradewind_risk_denials_total is exact.
    #[schemars(schema_with = "schema::denials")]
    pub recent_denials: Vec<String>,
    /// Orders refused so far, as of the last refresh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denials_total: Option<i64>,
    /// Event time of the last change of state.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_time")]
    pub last_transition: Option<Time>,
    /// CPUs asked and granted, as the process itself reports.
    #[schemars(schema_with = "policy_status::pinning")]
    pub pinning: Vec<PinningReport>,
    /// The policies that trade the account and the instruments that each holds in it, by name, at most 32. An instrument
    /// that two policies name is listed with its holder alone.
    #[schemars(schema_with = "account_policies")]
    pub policies: Vec<AccountPolicy>,
    /// How many policies trade the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policies_total: Option<i64>,
}

/// As many policies as status lists.
pub const MOST_POLICIES: usize = 32;

/// A policy that trades the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountPolicy {
    /// Name of the TradingPolicy.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Symbols that it holds in the account, in the order of its spec.
    #[schemars(schema_with = "schema::symbols")]
    pub instruments: Vec<String>,
}

/// The limits as acknowledged; no rules, because what runs must always be reportable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EffectiveLimits {
    /// See spec.limits.
    pub max_order_notional: Decimal,
    /// See spec.limits.
    pub max_position_notional: Decimal,
    /// See spec.limits.
    pub max_gross_exposure_bps: i64,
    /// See spec.limits.
    pub daily_loss_bps: i64,
    /// See spec.limits.
    pub max_drawdown_bps: i64,
    /// See spec.limits.
    pub max_orders_per_minute: i64,
    /// See spec.limits.
    pub price_collar_bps: i64,
    /// See spec.limits.
    pub max_data_age: DurationText,
}

impl From<&Limits> for EffectiveLimits {
    fn from(limits: &Limits) -> Self {
        Self {
            max_order_notional: limits.max_order_notional,
            max_position_notional: limits.max_position_notional,
            max_gross_exposure_bps: limits.max_gross_exposure_bps,
            daily_loss_bps: limits.daily_loss_bps,
            max_drawdown_bps: limits.max_drawdown_bps,
            max_orders_per_minute: limits.max_orders_per_minute,
            price_collar_bps: limits.price_collar_bps,
            max_data_age: limits.max_data_age,
        }
    }
}

/// A halt in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HaltStatus {
    /// Id to put into spec.acknowledgeHalt beside spec.halt: false.
    #[schemars(length(max = 64))]
    pub id: String,
    /// Who asked for it first.
    #[schemars(length(max = 512))]
    pub actor: String,
    /// Why.
    #[schemars(length(max = 512))]
    pub reason: String,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_time")]
    pub since: Option<Time>,
}

/// Looser limits that are approved and not in force yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SoakStatus {
    /// Open market that has to pass in all.
    pub open_market: DurationText,
    /// Earliest time, on the clock of the feed, at which they can be in force: later by what the market is closed meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_time")]
    pub not_before: Option<Time>,
}

/// A breaker that has fired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BreakerStatus {
    /// Id to put into spec.acknowledgeBreaker.
    #[schemars(length(max = 64))]
    pub id: String,
    /// What fired it, with the figures.
    #[schemars(length(max = 1024))]
    pub reason: String,
}

fn default_halt_mode() -> HaltMode {
    HaltMode::ReduceOnly
}

fn account_policies(generator: &mut SchemaGenerator) -> Schema {
    schema::list_map::<AccountPolicy>(generator, "name", 0, u32::try_from(MOST_POLICIES).unwrap_or(u32::MAX))
}

fn default_loosening_soak() -> DurationText {
    DurationText::from_secs(600)
}
