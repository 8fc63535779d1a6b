//! Reference vectors of strategic-1, sections 21.3 and 21.4, and of strategic-2, section 13, from distributions on.
//! The order of actions in strategic-2 is the reverse of ours (ruling 1), so its rows are mirrored here.

use tradewind_features::strategic::decision::{
    Action, Agent, AgentAction, DecisionConfig, DominantSignal, Ensemble, EnsembleWeights, GateReason, ModelParameters,
    Probabilities, Reasoning, Standing, UncertaintySource, agent_actions, combine, gate,
};
use tradewind_features::strategic::synergy::SynergyType;

fn near(seen: f64, wanted: f64) {
    assert!((seen - wanted).abs() <= 1e-7, "{seen} instead of {wanted}");
}

fn all_near(seen: Probabilities, wanted: [f64; 3]) {
    seen.to_array().into_iter().zip(wanted).for_each(|(seen, wanted)| near(seen, wanted));
}

const CONFIGURED: [f64; 3] = [0.4, 0.35, 0.25];

fn weights(probabilities: [f64; 3], floor: f64) -> [f64; 3] {
    EnsembleWeights::from_probabilities(probabilities).unwrap().floored(floor)
}

/// Bearish first, as strategic-2 writes them.
fn mirrored([bearish, neutral, bullish]: [f64; 3]) -> Probabilities {
    Probabilities { bullish, neutral, bearish }
}

const LOGITS: [[f32; 3]; 3] = [
    [-0.281_083_06, -0.056_189_36, 0.181_434_2],
    [-0.349_629_45, -0.301_262_34, -0.214_344_84],
    [-0.366_283_12, -0.290_908_8, -0.183_689_55],
];

fn actions(adjust: bool) -> [AgentAction; 3] {
    let model = ModelParameters::new("vector", [1.0; 3], EnsembleWeights::default(), adjust).unwrap();
    agent_actions(&LOGITS, 1.2, &model).unwrap()
}

/// ST-V24: from the printed logits to the agents' distributions, with and without the volatility adjustment.
#[test]
fn distributions_of_the_end_to_end_vector() {
    let [mlmi, nwrqk, regime] = actions(true);
    all_near(mlmi.probabilities, [0.260_399_30, 0.326_069_29, 0.413_531_41]);
    all_near(nwrqk.probabilities, [0.313_046_02, 0.328_559_30, 0.358_394_68]);
    all_near(regime.probabilities, [0.309_676_66, 0.329_751_93, 0.360_571_41]);
    all_near(actions(false)[2].probabilities, [0.305_006_92, 0.328_885_21, 0.366_107_87]);
}

/// ST-V25: the ensemble of ST-V24, and why it does not proceed.
#[test]
fn ensemble_of_the_end_to_end_vector() {
    let adjusted = actions(true).map(|agent| agent.probabilities);
    let plain = actions(false).map(|agent| agent.probabilities);
    let equal = EnsembleWeights::default().floored(0.05);
    for (agents, weights, wanted, uncertainty) in [
        (adjusted, equal, [0.294_373_99, 0.328_126_84, 0.377_499_17], 0.995_251_70),
        (adjusted, weights(CONFIGURED, 0.0), [0.291_144_99, 0.327_861_45, 0.380_993_55], 0.994_455_87),
        (adjusted, weights(CONFIGURED, 0.05), [0.291_629_34, 0.327_901_26, 0.380_469_40], 0.994_579_19),
        (plain, equal, [0.292_817_41, 0.327_837_93, 0.379_344_65], 0.994_854_48),
    ] {
        let ensemble = combine(&agents, &weights);
        all_near(ensemble.probabilities, wanted);
        near(ensemble.confidence, wanted[2]);
        near(ensemble.uncertainty, uncertainty);
        assert_eq!(gate(&ensemble, &fine(-1), &DecisionConfig::default()), [GateReason::LowConfidence]);
    }
}

/// Nothing but the ensemble speaks against proceeding.
fn fine(synergy_direction: i8) -> Standing {
    Standing { synergy_direction, degraded: false, model_ready: true, in_time: true, matrix_age: 0 }
}

/// ST-V27, SU-V8 (e, f, g): entropy, confidence and uncertainty; X-9: what the rejected confidence would demand.
#[test]
fn confidence_and_uncertainty() {
    for (p, confidence, difference, uncertainty) in [
        ([0.7, 0.2, 0.1], 0.7, -0.101_818_55, 0.729_846_70),
        ([1.0 / 3.0; 3], 0.333_333_33, -0.765_278_96, 1.0),
        ([0.9, 0.05, 0.05], 0.9, 0.505_602_31, 0.358_996_25),
        ([0.5, 0.4, 0.1], 0.5, -0.443_348_39, 0.858_672_71),
        ([1.0, 0.0, 0.0], 1.0, 1.0, 0.0),
    ] {
        let ensemble = Ensemble::of(p.into());
        near(ensemble.confidence, confidence);
        near(ensemble.confidence_minus_entropy(), difference);
        near(ensemble.uncertainty, uncertainty);
        assert!((0.0..=1.0).contains(&ensemble.uncertainty));
    }
    let rest = (1.0 - 0.935_129_270_7) / 2.0;
    near(Ensemble::of([0.935_129_270_7, rest, rest].into()).confidence_minus_entropy(), 0.65);
    near(Ensemble::of([0.922_534_694_5, 1.0 - 0.922_534_694_5, 0.0].into()).confidence_minus_entropy(), 0.65);
}

/// ST-V28: weights, floors, logits.
#[test]
fn weighted_ensembles() {
    let agents = [[0.8, 0.15, 0.05], [0.7, 0.2, 0.1], [0.6, 0.3, 0.1]].map(Probabilities::from);
    let equal = combine(&agents, &EnsembleWeights::default().floored(0.05));
    all_near(equal.probabilities, [0.7, 0.216_666_67, 0.083_333_33]);
    near(equal.probabilities.entropy(), 0.788_116_98);
    near(equal.uncertainty, 0.717_374_99);
    assert_eq!((equal.probabilities.action(), gate(&equal, &fine(1), &DecisionConfig::default())), (Action::Bullish, vec![]));
    let plain = combine(&agents, &weights(CONFIGURED, 0.0));
    all_near(plain.probabilities, [0.715, 0.205, 0.08]);
    near(plain.uncertainty, 0.697_966_05);
    let floored = combine(&agents, &weights(CONFIGURED, 0.05));
    all_near(floored.probabilities, [0.712_75, 0.206_75, 0.080_5]);
    near(floored.uncertainty, 0.700_941_45);

    let close = |seen: [f64; 3], wanted: [f64; 3]| seen.iter().zip(wanted).for_each(|(seen, wanted)| near(*seen, wanted));
    close(weights(CONFIGURED, 0.05), [0.39, 0.3475, 0.2625]);
    close(weights([0.9, 0.08, 0.02], 0.05), [0.815, 0.118, 0.067]);
    close(EnsembleWeights::from_logits(CONFIGURED).unwrap().floored(0.0), [0.355_626_69, 0.338_282_57, 0.306_090_73]);
    close(EnsembleWeights::from_probabilities(CONFIGURED).unwrap().logits(), [-0.916_290_73, -1.049_822_12, -1.386_294_36]);
}

/// ST-V29: a confident neutral does not proceed, and the threshold is strict.
#[test]
fn neutral_and_exactly_at_the_threshold() {
    let reasons = |p: [f64; 3]| gate(&Ensemble::of(p.into()), &fine(1), &DecisionConfig::default());
    assert_eq!(reasons([0.1, 0.8, 0.1]), [GateReason::Neutral]);
    assert_eq!(reasons([0.65, 0.2, 0.15]), [GateReason::LowConfidence]);
    assert_eq!(reasons([0.650_000_1, 0.2, 0.149_999_9]), []);
}

fn saying(agent: Agent, action: Action, confidence: f64) -> AgentAction {
    let rest = (1.0 - confidence) / 2.0;
    let mut p = [rest; 3];
    p[action as usize] = confidence;
    let probabilities = Probabilities::from(p);
    AgentAction { agent, probabilities, action, confidence, log_probability: confidence.ln(), entropy: probabilities.entropy() }
}

fn reasoning(said: [(Action, f64); 3]) -> Reasoning {
    let [a, b, c] = said;
    let agents = [saying(Agent::Mlmi, a.0, a.1), saying(Agent::Nwrqk, b.0, b.1), saying(Agent::Regime, c.0, c.1)];
    Reasoning::new(SynergyType::Type1, 0.8, &agents, &DecisionConfig::default())
}

/// ST-V33, ST-75, ST-76
#[test]
fn where_decision_and_uncertainty_come_from() {
    use Action::{Bearish, Bullish, Neutral};
    let agreed = |confidences: [f64; 3]| {
        let reasoning = reasoning(confidences.map(|confidence| (Bullish, confidence)));
        assert_eq!((reasoning.dominant_signal, reasoning.direction_conflict), (DominantSignal::Consensus, false));
        reasoning.uncertainty_source
    };
    assert_eq!(agreed([0.9, 0.85, 0.7]), UncertaintySource::StableUncertainty);
    assert_eq!(agreed([0.95, 0.62, 0.61]), UncertaintySource::AgentDisagreement);
    assert_eq!(agreed([0.9, 0.9, 0.55]), UncertaintySource::LowIndividualConfidence);
    assert_eq!(agreed([0.8, 0.6, 0.6]), UncertaintySource::StableUncertainty, "0.6 is not below 0.6");
    let split = reasoning([(Bullish, 0.7), (Bearish, 0.9), (Neutral, 0.9)]);
    assert_eq!((split.dominant_signal, split.direction_conflict), (DominantSignal::Nwrqk, true), "a tie goes to the lower id");
    let mild = reasoning([(Bullish, 0.7), (Neutral, 0.8), (Neutral, 0.9)]);
    assert_eq!((mild.dominant_signal, mild.direction_conflict), (DominantSignal::Regime, false));
    let json = serde_json::to_value(split).unwrap();
    assert_eq!(json["agentAgreements"]["nwrqk"], serde_json::json!({"prediction": "bearish", "confidence": 0.9}));
    assert_eq!((json["dominantSignal"].as_str(), json["synergyType"].as_str()), (Some("nwrqk"), Some("TYPE_1")));
}

/// SU-V8, a to d, mirrored: configured weights without a floor.
#[test]
fn ensembles_of_part_two() {
    let of = |rows: [[f64; 3]; 3]| combine(&rows.map(mirrored), &weights(CONFIGURED, 0.0));
    let reasons = |ensemble: &Ensemble| gate(ensemble, &fine(0), &DecisionConfig::default());
    let a = of([[0.05, 0.10, 0.85], [0.10, 0.15, 0.75], [0.20, 0.25, 0.55]]);
    all_near(a.probabilities, [0.74, 0.155, 0.105]);
    near(a.probabilities.entropy(), 0.748_437_411_3);
    near(a.uncertainty, 0.681_257_090_4);
    near(a.confidence_minus_entropy(), -0.008_437_411_3);
    assert_eq!((a.probabilities.action(), reasons(&a)), (Action::Bullish, vec![]));
    let b = of([[0.10, 0.20, 0.70], [0.60, 0.25, 0.15], [0.30, 0.40, 0.30]]);
    all_near(b.probabilities, [0.4075, 0.2675, 0.325]);
    near(b.uncertainty, 0.986_545_428_1);
    assert_eq!(reasons(&b), [GateReason::LowConfidence]);
    let c = of([[0.1, 0.8, 0.1], [0.1, 0.7, 0.2], [0.05, 0.9, 0.05]]);
    all_near(c.probabilities, [0.1225, 0.79, 0.0875]);
    near(c.uncertainty, 0.597_651_476_5);
    assert_eq!(reasons(&c), [GateReason::Neutral], "the threshold passes, SU-53 blocks");
    let d = Ensemble::of(mirrored([0.65, 0.175, 0.175]));
    near(d.uncertainty, 0.810_156_741_7);
    assert_eq!(reasons(&d), [GateReason::LowConfidence]);
}
