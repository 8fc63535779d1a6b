//! The two files that processes read, made from a spec. They are built through the types that the processes parse.

use serde_json::{Value, json};
use tradewind_crds::trading_policy::{InstrumentSpec, PaperVenue, PolicyMode, SynergySource, TacticalSpec};
use tradewind_crds::{RiskProfileSpec, TradingPolicySpec, names};
use tradewind_wire::config::{BundleConfig, TradingConfig};

use super::owner::Owner;
use super::pod::GRPC_PORT;

/// A spec that gives no configuration that the processes accept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the spec gives no usable {file}: {faults}")]
pub struct UnusableSpec {
    file: &'static str,
    faults: String,
}

/// What goes into `bundle.json`.
#[derive(Clone, Debug, PartialEq)]
pub struct BundleContent<'a> {
    /// Bundle id.
    pub bundle: &'a str,
    /// Name of the policy.
    pub policy: &'a str,
    /// Feed of bars.
    pub feed: &'a str,
    /// Image of the bundle.
    pub image: &'a str,
    /// Instruments.
    pub instruments: &'a [InstrumentSpec],
    /// Thresholds.
    pub tactical: &'a TacticalSpec,
    /// Synergy context.
    pub synergy_source: SynergySource,
    /// Name, address and digest of the tactical checkpoint.
    pub checkpoint: (&'a str, &'a str, &'a str),
}

/// Text of `bundle.json`.
///
/// # Errors
/// [`UnusableSpec`] with all faults.
pub fn bundle_json(content: &BundleContent<'_>) -> Result<String, UnusableSpec> {
    let (name, uri, sha256) = content.checkpoint;
    let value = json!({
        "bundle": content.bundle,
        "policy": content.policy,
        "feed": content.feed,
        "image": content.image,
        "instruments": instruments(content.instruments),
        "tactical": tactical(content.tactical),
        "synergySource": content.synergy_source,
        "checkpoints": [{"role": "Tactical", "name": name, "uri": uri, "sha256": sha256}],
    });
    let config: BundleConfig = parse("bundle.json", value)?;
    refuse("bundle.json", &config.violations())?;
    render("bundle.json", &config)
}

/// Text of `trading.json`.
///
/// # Errors
/// [`UnusableSpec`] with all faults.
pub fn trading_json(owner: &Owner, spec: &TradingPolicySpec, profile: &RiskProfileSpec) -> Result<String, UnusableSpec> {
    let endpoint = |service: &str| format!("{}:{GRPC_PORT}", names::service_host(service, &owner.namespace));
    let value = json!({
        "policy": owner.name,
        "account": profile.account,
        "feed": spec.feed,
        "instruments": instruments(&spec.instruments),
        "sizing": {"baseNotional": spec.sizing.base_notional},
        "startingEquity": profile.starting_equity,
        "venue": venue(&spec.venue),
        "riskEndpoint": endpoint(&names::risk(&spec.risk_profile_ref.name)),
        "executionEndpoint": endpoint(&names::execution(&owner.name)),
        "orchestrator": orchestrator(spec.mode),
    });
    let config: TradingConfig = parse("trading.json", value)?;
    refuse("trading.json", &config.violations())?;
    render("trading.json", &config)
}

fn instruments(all: &[InstrumentSpec]) -> Value {
    all.iter().map(|one| json!({"symbol": one.symbol, "pointValue": one.point_value, "tick": one.tick, "lot": one.lot})).collect()
}

fn tactical(spec: &TacticalSpec) -> Value {
    json!({
        "executionThreshold": fraction(spec.execution_threshold_bps),
        "counterSynergyFactor": fraction(spec.counter_synergy_factor_bps),
        "minAgreeingAgents": spec.min_agreeing_agents,
        "minSynergyConfidence": fraction(spec.min_synergy_confidence_bps),
        "stopAtrMultiple": spec.stop_atr_multiple.to_f64(),
        "takeProfitAtrMultiple": spec.target_atr_multiple.to_f64(),
        "fvg": {"maxAgeBars": spec.max_gap_age_bars},
    })
}

fn orchestrator(mode: PolicyMode) -> Value {
    json!({"baseConfidence": fraction(mode.base_confidence_bps()), "baseRiskPct": fraction(mode.base_risk_bps())})
}

fn venue(venue: &PaperVenue) -> Value {
    json!({
        "spreadBps": venue.spread_bps,
        "feeBps": venue.fee_bps,
        "seed": venue.seed,
        "partialFillBps": venue.partial_fill_bps,
        "latencyMs": venue.latency_ms,
    })
}

/// Basis points as the shortest float of their fraction.
fn fraction(bps: i64) -> f64 {
    i32::try_from(bps).map_or(f64::NAN, |bps| f64::from(bps) / 10_000.0)
}

fn parse<T: serde::de::DeserializeOwned>(file: &'static str, value: Value) -> Result<T, UnusableSpec> {
    serde_json::from_value(value).map_err(|error| UnusableSpec { file, faults: error.to_string() })
}

fn refuse(file: &'static str, faults: &[String]) -> Result<(), UnusableSpec> {
    if faults.is_empty() { Ok(()) } else { Err(UnusableSpec { file, faults: faults.join("; ") }) }
}

fn render<T: serde::Serialize>(file: &'static str, config: &T) -> Result<String, UnusableSpec> {
    serde_json::to_string(config).map_err(|error| UnusableSpec { file, faults: error.to_string() })
}
