//! Content of the two files that processes read, made from specs: `trading.json` and `bundle.json`.
//!
//! The operator writes them and `tradewind-replay` makes them for itself, from here, so that a replay of a spec runs
//! what the cluster runs. The types that read them are in `tradewind_wire::config`.

use serde_json::{Value, json};

use crate::trading_policy::{InstrumentSpec, PaperVenue, PolicyMode, SynergySource, TacticalSpec};
use crate::{RiskProfileSpec, TradingPolicySpec};

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

/// `bundle.json`.
#[must_use]
pub fn bundle(content: &BundleContent<'_>) -> Value {
    let (name, uri, sha256) = content.checkpoint;
    json!({
        "bundle": content.bundle,
        "policy": content.policy,
        "feed": content.feed,
        "image": content.image,
        "instruments": instruments(content.instruments),
        "tactical": tactical(content.tactical),
        "synergySource": content.synergy_source,
        "checkpoints": [{"role": "Tactical", "name": name, "uri": uri, "sha256": sha256}],
    })
}

/// `trading.json` of a policy; the endpoints are `host:port`.
#[must_use]
pub fn trading(
    policy: &str,
    spec: &TradingPolicySpec,
    profile: &RiskProfileSpec,
    risk_endpoint: &str,
    execution_endpoint: &str,
) -> Value {
    json!({
        "policy": policy,
        "account": profile.account,
        "feed": spec.feed,
        "instruments": instruments(&spec.instruments),
        "sizing": {"baseNotional": spec.sizing.base_notional},
        "startingEquity": profile.starting_equity,
        "venue": venue(&spec.venue),
        "riskEndpoint": risk_endpoint,
        "executionEndpoint": execution_endpoint,
        "orchestrator": orchestrator(spec.mode),
    })
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

/// PO-47: confidence is a fraction, risk is percent.
fn orchestrator(mode: PolicyMode) -> Value {
    json!({"baseConfidence": fraction(mode.base_confidence_bps()), "baseRiskPct": percent(mode.base_risk_bps())})
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

/// Basis points as the shortest float of their percentage.
fn percent(bps: i64) -> f64 {
    i32::try_from(bps).map_or(f64::NAN, |bps| f64::from(bps) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn modes_are_the_figures_that_the_orchestrator_reads() {
        let profile = samples::profile("main", "paper-1").spec;
        for (mode, confidence, risk) in
            [(PolicyMode::Safe, 0.6, 0.5), (PolicyMode::Standard, 0.5, 1.0), (PolicyMode::Aggressive, 0.45, 1.5)]
        {
            let mut spec = samples::policy("indices", "main", "tactical-a").spec;
            spec.mode = mode;
            let file = trading("indices", &spec, &profile, "a:1", "b:2");
            assert_eq!(file["orchestrator"], json!({"baseConfidence": confidence, "baseRiskPct": risk}));
        }
    }
}
