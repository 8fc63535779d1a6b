//! Rules of a `TradingPolicy` that need exact arithmetic or another object.

use super::{Violation, positive, range};
use crate::model_checkpoint::ModelRole;
use crate::risk_profile::RiskProfileSpec;
use crate::trading_policy::{InstrumentSpec, RolloutSpec, StrategicSpec, TradingPolicySpec};
use crate::{Decimal, ModelCheckpointSpec};

/// Checks a policy by itself.
#[must_use]
pub fn validate_policy(spec: &TradingPolicySpec) -> Vec<Violation> {
    let mut found = Vec::new();
    if !(1..=16).contains(&spec.instruments.len()) {
        found.push(Violation::new("spec.instruments", spec.instruments.len(), "1 to 16 instruments", ""));
    }
    for (i, one) in spec.instruments.iter().enumerate() {
        instrument(&mut found, &format!("spec.instruments[{i}]"), one);
        if spec.instruments.iter().take(i).any(|other| other.symbol == one.symbol) {
            found.push(Violation::new(format!("spec.instruments[{i}].symbol"), &one.symbol, "each symbol once", ""));
        }
    }
    let [(_, strategic_model), (_, tactical_model)] = spec.models.by_role();
    if strategic_model == tactical_model {
        let allowed = "a ModelCheckpoint for each role";
        found.push(Violation::new(
            "spec.models",
            format!("{tactical_model} for both roles"),
            allowed,
            "a checkpoint works for one",
        ));
    }
    strategic(&mut found, &spec.strategic);
    positive(&mut found, "spec.sizing.baseNotional", spec.sizing.base_notional);
    for (field, multiple) in [
        ("spec.tactical.stopAtrMultiple", spec.tactical.stop_atr_multiple),
        ("spec.tactical.targetAtrMultiple", spec.tactical.target_atr_multiple),
    ] {
        if !multiple.is_positive() || multiple > Decimal::from_units(100) {
            found.push(Violation::new(field, multiple, "above 0 to 100", ""));
        }
    }
    rollout(&mut found, spec);
    for (role, placement) in
        [("inference", &spec.placement.inference), ("risk", &spec.placement.risk), ("execution", &spec.placement.execution)]
    {
        range(&mut found, &format!("spec.placement.{role}.cpus"), placement.cpus, 1, 64);
    }
    found
}

/// Checks one instrument by itself; `path` is where it stands.
#[must_use]
pub fn validate_instrument(path: &str, one: &InstrumentSpec) -> Vec<Violation> {
    let mut found = Vec::new();
    instrument(&mut found, path, one);
    found
}

fn instrument(found: &mut Vec<Violation>, path: &str, one: &InstrumentSpec) {
    positive(found, &format!("{path}.tick"), one.tick);
    positive(found, &format!("{path}.lot"), one.lot);
    positive(found, &format!("{path}.pointValue"), one.point_value);
    let product = one.tick.nanos().checked_mul(one.lot.nanos()).and_then(|p| p.checked_mul(one.point_value.nanos()));
    if product.is_none_or(|p| p % 1_000_000_000_000_000_000 != 0) {
        found.push(Violation::new(
            format!("{path} tick x lot x pointValue"),
            format!("{} x {} x {}", one.tick, one.lot, one.point_value),
            "a whole number of 0.000000001",
            "profits are exact integers; use a larger tick or lot",
        ));
    }
}

fn strategic(found: &mut Vec<Violation>, spec: &StrategicSpec) {
    for (field, value, [min, max]) in [
        ("confidenceThresholdBps", spec.confidence_threshold_bps, [5_001, 9_999]),
        ("minSynergyConfidenceBps", spec.min_synergy_confidence_bps, [0, 10_000]),
        ("synergyWindowBars", spec.synergy_window_bars, [1, 1_000]),
        ("cooldownBars", spec.cooldown_bars, [0, 1_000]),
        ("contextBars", spec.context_bars, [0, 64]),
    ] {
        range(found, &format!("spec.strategic.{field}"), value, min, max);
    }
}

fn rollout(found: &mut Vec<Violation>, spec: &TradingPolicySpec) {
    let rollout = &spec.rollout;
    if rollout.steps.len() > 10 {
        found.push(Violation::new("spec.rollout.steps", rollout.steps.len(), "at most 10 steps", ""));
    }
    for (i, step) in rollout.steps.iter().enumerate() {
        range(found, &format!("spec.rollout.steps[{i}].weightBps"), step.weight_bps, 1, 10_000);
        range(found, &format!("spec.rollout.steps[{i}].minBars"), step.min_bars, 1, 1_000_000);
        if i > 0 && rollout.steps[i - 1].weight_bps >= step.weight_bps {
            found.push(Violation::new(
                format!("spec.rollout.steps[{i}].weightBps"),
                step.weight_bps,
                format!("above {}", rollout.steps[i - 1].weight_bps),
                format!("weights must rise from step to step, seen weightBps {:?}", weights(rollout)),
            ));
        }
    }
    range(found, "spec.rollout.gates.pairedPnl.confidenceBps", rollout.gates.paired_pnl.confidence_bps, 5_000, 9_999);
    positive(found, "spec.rollout.gates.pairedPnl.marginBps", rollout.gates.paired_pnl.margin_bps);
    if !(10_000..=31_536_000_000).contains(&rollout.deadline.millis()) {
        found.push(Violation::new("spec.rollout.deadline", rollout.deadline, "10s to 8760h", ""));
    }
    if !rollout.promote.is_empty() && rollout.promote == rollout.abort {
        found.push(Violation::new("spec.rollout.promote", &rollout.promote, "another bundle than spec.rollout.abort", ""));
    }
}

fn weights(rollout: &RolloutSpec) -> Vec<i64> {
    rollout.steps.iter().map(|step| step.weight_bps).collect()
}

/// Checks a policy against the profile whose account it trades.
#[must_use]
pub fn validate_policy_with_profile(spec: &TradingPolicySpec, profile: &RiskProfileSpec) -> Vec<Violation> {
    let mut found = Vec::new();
    let (base, order) = (spec.sizing.base_notional, profile.limits.max_order_notional);
    if base > order {
        found.push(Violation::new(
            "spec.sizing.baseNotional",
            base,
            format!("at most spec.limits.maxOrderNotional of RiskProfile {} ({order})", spec.risk_profile_ref.name),
            "every full-size order would be refused",
        ));
    }
    found
}

/// Checks the checkpoint that a policy names for `role` against that role.
#[must_use]
pub fn validate_policy_with_checkpoint(role: ModelRole, name: &str, checkpoint: &ModelCheckpointSpec) -> Vec<Violation> {
    if checkpoint.role == role {
        return Vec::new();
    }
    let field = format!("spec.models.{}.checkpointRef.name", role.as_str().to_lowercase());
    let seen = format!("{name}, whose role is {}", checkpoint.role);
    vec![Violation::new(field, seen, format!("a ModelCheckpoint of role {role}"), "")]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::samples;
    use crate::validation::join;

    #[test]
    fn the_sample_is_valid_alone_and_with_its_profile() {
        let spec = samples::policy("indices", "main", "tactical-a").spec;
        assert_eq!(validate_policy(&spec), vec![]);
        assert_eq!(validate_policy_with_profile(&spec, &samples::profile("main", "paper-1").spec), vec![]);
    }

    #[test]
    fn a_checkpoint_works_for_its_own_role_alone() {
        let (strategic, tactical) = (samples::strategic_checkpoint("strategic-a", 'd').spec, samples::checkpoint("b", 'a').spec);
        assert_eq!(validate_policy_with_checkpoint(ModelRole::Strategic, "strategic-a", &strategic), vec![]);
        assert_eq!(validate_policy_with_checkpoint(ModelRole::Tactical, "b", &tactical), vec![]);
        let text = join(&validate_policy_with_checkpoint(ModelRole::Strategic, "b", &tactical));
        let wanted = "spec.models.strategic.checkpointRef.name is b, whose role is Tactical, allowed is a ModelCheckpoint of role Strategic";
        assert_eq!(text, wanted);
    }

    /// The figures of the schema, for what reads a manifest without an API server.
    #[test]
    fn every_figure_of_the_strategic_stage_has_a_range() {
        let mut spec = samples::policy("indices", "main", "tactical-a").spec;
        spec.strategic = StrategicSpec {
            confidence_threshold_bps: 5_000,
            min_synergy_confidence_bps: 10_001,
            synergy_window_bars: 0,
            cooldown_bars: 1_001,
            context_bars: 65,
            ..StrategicSpec::default()
        };
        let found: Vec<_> = validate_policy(&spec).into_iter().map(|violation| violation.allowed).collect();
        assert_eq!(found, ["5001 to 9999", "0 to 10000", "1 to 1000", "0 to 1000", "0 to 64"]);
    }

    #[test]
    fn profits_that_are_no_integers_are_refused() {
        let mut spec = samples::policy("indices", "main", "tactical-a").spec;
        spec.instruments[1].tick = "0.00001".parse().unwrap();
        spec.instruments[1].lot = "0.00001".parse().unwrap();
        let text = join(&validate_policy(&spec));
        assert!(text.contains("spec.instruments[1] tick x lot x pointValue is 0.00001 x 0.00001 x 1"), "{text}");
    }

    #[test]
    fn a_base_size_above_the_order_limit_is_named_with_both_figures() {
        let mut spec = samples::policy("indices", "main", "tactical-a").spec;
        spec.sizing.base_notional = Decimal::from_units(250_001);
        let text = join(&validate_policy_with_profile(&spec, &samples::profile("main", "paper-1").spec));
        assert!(text.contains("spec.sizing.baseNotional is 250001") && text.contains("(250000)"), "{text}");
    }
}
