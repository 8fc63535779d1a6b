//! Content of the three files that processes read, made from specs: `trading.json`, `bundle.json` and `account.json`.
//!
//! The operator writes them and `tradewind-replay` makes them for itself, from here, so that a replay of a spec runs
//! what the cluster runs. The types that read them are in `tradewind_wire::config`.

use serde_json::{Value, json};

use crate::model_checkpoint::ModelRole;
use crate::policy_status::BundleCheckpoint;
use crate::trading_policy::{FeedSpec, InstrumentSpec, PaperVenue, PolicyMode, StrategicSpec, TacticalSpec};
use crate::{RiskProfileSpec, TradingPolicySpec};

/// What goes into `bundle.json`.
#[derive(Clone, Debug, PartialEq)]
pub struct BundleContent<'a> {
    /// Bundle id.
    pub bundle: &'a str,
    /// Name of the policy.
    pub policy: &'a str,
    /// Feed of bars.
    pub feed: &'a FeedSpec,
    /// Image of the bundle.
    pub image: &'a str,
    /// Instruments.
    pub instruments: &'a [InstrumentSpec],
    /// Bars, synergy events and thresholds of the strategic stage.
    pub strategic: &'a StrategicSpec,
    /// Thresholds of the tactical stage.
    pub tactical: &'a TacticalSpec,
    /// Checkpoint of the strategic stage.
    pub strategic_checkpoint: &'a BundleCheckpoint,
    /// Checkpoint of the tactical stage.
    pub tactical_checkpoint: &'a BundleCheckpoint,
}

/// `bundle.json`.
#[must_use]
pub fn bundle(content: &BundleContent<'_>) -> Value {
    json!({
        "bundle": content.bundle,
        "policy": content.policy,
        "feed": content.feed.name,
        "feedKind": content.feed.kind,
        "image": content.image,
        "instruments": instruments(content.instruments),
        "strategic": strategic(content.strategic),
        "tactical": tactical(content.tactical),
        "checkpoints": [
            checkpoint(ModelRole::Strategic, content.strategic_checkpoint),
            checkpoint(ModelRole::Tactical, content.tactical_checkpoint),
        ],
    })
}

fn checkpoint(role: ModelRole, file: &BundleCheckpoint) -> Value {
    json!({"role": role, "name": file.checkpoint, "uri": file.uri, "sha256": file.sha256})
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
        "feed": spec.feed.name,
        "feedKind": spec.feed.kind,
        "startAt": spec.start_at,
        "instruments": instruments(&spec.instruments),
        "sizing": {"baseNotional": spec.sizing.base_notional},
        "startingEquity": profile.starting_equity,
        "maxDataAgeMs": profile.limits.max_data_age.millis(),
        "venue": venue(&spec.venue),
        "riskEndpoint": risk_endpoint,
        "executionEndpoint": execution_endpoint,
        "orchestrator": orchestrator(spec.mode),
    })
}

/// A policy's part of an account.
#[derive(Clone, Debug, PartialEq)]
pub struct Share<'a> {
    /// Name of the policy.
    pub policy: &'a str,
    /// Its spec; feed and venue are read from it.
    pub spec: &'a TradingPolicySpec,
    /// The instruments that it holds in the account, in the order of its spec.
    pub instruments: Vec<&'a InstrumentSpec>,
}

/// `account.json` of a profile: what its risk process has to know of every policy that trades the account, so that tick, lot,
/// point value, calendar, feed and venue come from the resources and never from a proposal. Sorted by policy.
#[must_use]
pub fn account(profile: &RiskProfileSpec, shares: &[Share<'_>]) -> Value {
    let mut sorted: Vec<&Share<'_>> = shares.iter().collect();
    sorted.sort_by_key(|share| share.policy);
    let policies: Value = sorted
        .into_iter()
        .map(|share| {
            json!({
                "policy": share.policy,
                "feed": share.spec.feed.name,
                "feedKind": share.spec.feed.kind,
                "venue": venue(&share.spec.venue),
                "instruments": share.instruments.iter().copied().map(instrument).collect::<Value>(),
            })
        })
        .collect();
    json!({"account": profile.account, "calendar": profile.calendar, "policies": policies})
}

fn instruments(all: &[InstrumentSpec]) -> Value {
    all.iter().map(instrument).collect()
}

fn instrument(one: &InstrumentSpec) -> Value {
    json!({
        "symbol": one.symbol,
        "pointValue": one.point_value,
        "tick": one.tick,
        "lot": one.lot,
        "calendar": one.calendar,
    })
}

fn strategic(spec: &StrategicSpec) -> Value {
    json!({
        "bars": spec.bars,
        "features": {"synergy": {"windowBars": spec.synergy_window_bars, "cooldownBars": spec.cooldown_bars}},
        "decision": {
            "confidenceThreshold": fraction(spec.confidence_threshold_bps),
            "minSynergyConfidence": fraction(spec.min_synergy_confidence_bps),
            "requireSynergyAlignment": spec.require_synergy_alignment,
        },
        "contextBars": spec.context_bars,
    })
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
    use crate::calendar::Calendar;
    use crate::samples;
    use crate::trading_policy::{FeedKind, StartAt, StrategicBars};

    #[test]
    fn a_bundle_names_both_checkpoints_and_holds_fractions() {
        let mut spec = samples::policy("indices", "main", "tactical-a").spec;
        spec.strategic = StrategicSpec {
            bars: StrategicBars::AsFed,
            confidence_threshold_bps: 6_000,
            min_synergy_confidence_bps: 2_500,
            require_synergy_alignment: true,
            synergy_window_bars: 40,
            cooldown_bars: 7,
            context_bars: 64,
        };
        let file = |name: &str| BundleCheckpoint { checkpoint: name.into(), uri: format!("file:///{name}"), sha256: "a".into() };
        let (strategic, tactical) = (file("strategic-a"), file("tactical-a"));
        let bundle = bundle(&BundleContent {
            bundle: "0123456789ab",
            policy: "indices",
            feed: &spec.feed,
            image: "i",
            instruments: &spec.instruments,
            strategic: &spec.strategic,
            tactical: &spec.tactical,
            strategic_checkpoint: &strategic,
            tactical_checkpoint: &tactical,
        });
        assert_eq!(
            bundle["strategic"],
            json!({"bars": "AsFed", "features": {"synergy": {"windowBars": 40, "cooldownBars": 7}}, "contextBars": 64,
                "decision": {"confidenceThreshold": 0.6, "minSynergyConfidence": 0.25, "requireSynergyAlignment": true}})
        );
        assert_eq!(
            bundle["checkpoints"],
            json!([{"role": "Strategic", "name": "strategic-a", "uri": "file:///strategic-a", "sha256": "a"},
                {"role": "Tactical", "name": "tactical-a", "uri": "file:///tactical-a", "sha256": "a"}])
        );
    }

    #[test]
    fn calendar_kind_of_feed_and_beginning_reach_the_files() {
        let profile = samples::profile("main", "paper-1").spec;
        let mut spec = samples::policy("indices", "main", "tactical-a").spec;
        spec.instruments[1].calendar = Calendar::Xnas;
        spec.feed = FeedSpec { name: "recorded".into(), kind: FeedKind::Replay };
        spec.start_at = StartAt::Beginning;
        let file = trading("indices", &spec, &profile, "a:1", "b:2");
        assert_eq!([&file["feed"], &file["feedKind"], &file["startAt"]], ["recorded", "Replay", "Beginning"]);
        let of = |file: &Value| [0, 1].map(|i| file["instruments"][i]["calendar"].clone());
        assert_eq!(of(&file), ["24x7", "XNAS"]);
        let checkpoint = BundleCheckpoint { checkpoint: "a".into(), uri: "file:///a".into(), sha256: "a".into() };
        let bundle = bundle(&BundleContent {
            bundle: "0123456789ab",
            policy: "indices",
            feed: &spec.feed,
            image: "i",
            instruments: &spec.instruments,
            strategic: &spec.strategic,
            tactical: &spec.tactical,
            strategic_checkpoint: &checkpoint,
            tactical_checkpoint: &checkpoint,
        });
        assert_eq!([&bundle["feed"], &bundle["feedKind"]], ["recorded", "Replay"]);
        assert_eq!(of(&bundle), ["24x7", "XNAS"]);
        assert_eq!(bundle["startAt"], Value::Null, "where a policy begins is no part of what it decides with");
    }

    #[test]
    fn an_account_lists_its_policies_by_name_each_with_feed_venue_and_instruments_of_its_own() {
        let mut profile = samples::profile("main", "paper-1").spec;
        profile.calendar = Calendar::Xnys;
        let (mut old, mut new) =
            (samples::policy("zulu", "main", "tactical-a").spec, samples::policy("alpha", "main", "tactical-a").spec);
        old.venue.spread_bps = 7;
        new.feed = FeedSpec { name: "metals".into(), kind: FeedKind::Live };
        new.instruments = vec![samples::instrument("XAU")];
        new.instruments[0].calendar = Calendar::Fx;
        let shares = [
            Share { policy: "zulu", spec: &old, instruments: vec![&old.instruments[1]] },
            Share { policy: "alpha", spec: &new, instruments: new.instruments.iter().collect() },
        ];
        let of = |symbol: &str, calendar: &str| json!([{"symbol": symbol, "pointValue": "1", "tick": "0.01", "lot": "1", "calendar": calendar}]);
        let costs = |spread: i64| json!({"spreadBps": spread, "feeBps": 0, "seed": 1, "partialFillBps": 0, "latencyMs": 0});
        let wanted = json!({"account": "paper-1", "calendar": "XNYS", "policies": [
            {"policy": "alpha", "feed": "metals", "feedKind": "Live", "venue": costs(1), "instruments": of("XAU", "FX24x5")},
            {"policy": "zulu", "feed": "default", "feedKind": "Replay", "venue": costs(7), "instruments": of("IXIC", "24x7")},
        ]});
        assert_eq!(account(&profile, &shares), wanted);
        assert_eq!(account(&profile, &[])["policies"], json!([]));
    }

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
