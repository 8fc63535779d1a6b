//! Whole decisions: matrix, context, networks, ensemble, gates.

use proptest::prelude::*;
use tradewind_core::instrument::Symbol;
use tradewind_core::time::Nanos;
use tradewind_features::strategic::decision::{
    DecisionConfig, DominantSignal, EnsembleWeights, FallbackCause, GateReason, Logits, ModelParameters, Probabilities, Request,
    Statistics, StrategicDecision, StrategicNetwork, UncertaintySource, agent_actions, combine, decide, fall_back,
};
use tradewind_features::strategic::synergy::{AcceptedEvent, SynergyType};
use tradewind_features::strategic::{COLUMNS, CONTEXT, CheckedMatrix, MatrixPolicy};
use tradewind_features::tactical::NetworkError;

/// Answers the same whatever it sees.
struct Fixed(Result<Logits, NetworkError>);

impl StrategicNetwork for Fixed {
    fn logits(&mut self, rows: &[[f32; COLUMNS]], context: &[f64; CONTEXT]) -> Result<Logits, NetworkError> {
        assert!(rows.iter().flatten().all(|cell| cell.is_finite()) && context.iter().all(|value| value.is_finite()));
        self.0.clone()
    }
}

fn says(p: [[f64; 3]; 3]) -> Fixed {
    Fixed(Ok(p.map(|row| row.map(|p: f64| p.ln() as f32))))
}

/// 2025-01-08 14:30 UTC.
const CLOSE: Nanos = Nanos(1_736_346_600_000_000_000);

fn synergy(direction: i8, confidence: f64) -> AcceptedEvent {
    AcceptedEvent { synergy_type: SynergyType::Type1, direction, confidence }
}

fn with_request<R>(synergy: AcceptedEvent, volatility: f64, use_it: impl FnOnce(&Request<'_>) -> R) -> R {
    let symbol: Symbol = "SPX".to_owned().try_into().unwrap();
    use_it(&Request {
        event_id: "SPX/7/TYPE_1",
        symbol: &symbol,
        index: 7,
        detected_at: CLOSE,
        bar_close_time: CLOSE,
        synergy,
        volatility: Some(volatility),
        regime_label: None,
    })
}

fn matrix(rows: usize, bad: &[usize]) -> CheckedMatrix {
    let mut values: Vec<f32> = (0..rows * COLUMNS).map(|at| (at as f32 * 0.37).sin()).collect();
    bad.iter().zip([f32::NAN, f32::INFINITY, f32::NEG_INFINITY].into_iter().cycle()).for_each(|(at, bad)| values[*at] = bad);
    CheckedMatrix::new(&values, COLUMNS, MatrixPolicy { allow_short_window: true, ..MatrixPolicy::default() }).unwrap()
}

fn decided(network: &mut Fixed, synergy: AcceptedEvent, volatility: f64, matrix: Option<&CheckedMatrix>) -> StrategicDecision {
    let config = DecisionConfig::default();
    with_request(synergy, volatility, |request| decide(request, matrix, network, &ModelParameters::default(), &config))
}

const BULLISH: [[f64; 3]; 3] = [[0.85, 0.10, 0.05], [0.80, 0.15, 0.05], [0.70, 0.20, 0.10]];

/// SU-V13, mirrored: from the agents' printed distributions to the emitted decision.
#[test]
fn the_end_to_end_decision_of_part_two() {
    let mut network = says([
        [0.438_693_886_1, 0.323_811_887_8, 0.237_494_226_1],
        [0.438_550_135_3, 0.323_737_261_6, 0.237_712_603_1],
        [0.255_133_146_8, 0.326_330_197_7, 0.418_536_655_5],
    ]);
    let weights = EnsembleWeights::from_probabilities([0.4, 0.35, 0.25]).unwrap();
    let model = ModelParameters::new("su-v13", [1.0; 3], weights, false).unwrap();
    let config = DecisionConfig { weight_floor: 0.0, ..DecisionConfig::default() };
    let decision =
        with_request(synergy(1, 0.8), 1.2, |request| decide(request, Some(&matrix(48, &[])), &mut network, &model, &config));
    let near = |seen: f64, wanted: f64| assert!((seen - wanted).abs() < 1e-7, "{seen} instead of {wanted}");
    near(decision.ensemble_probabilities.bearish, 0.282_831_265_4);
    near(decision.ensemble_probabilities.neutral, 0.324_415_346_1);
    near(decision.ensemble_probabilities.bullish, 0.392_753_388_5);
    near(decision.confidence, 0.392_753_388_5);
    near(decision.uncertainty, 0.991_660_234_4);
    let reasoning = decision.reasoning.unwrap();
    assert_eq!(
        (reasoning.dominant_signal, reasoning.uncertainty_source, reasoning.direction_conflict),
        (DominantSignal::Mlmi, UncertaintySource::LowIndividualConfidence, true)
    );
    assert_eq!((decision.should_proceed, decision.gate_reasons), (false, vec![GateReason::LowConfidence]));
}

/// SU-119, SU-120, ST-128, ST-129: four types, two directions; every field is there.
#[test]
fn types_and_directions() {
    for synergy_type in SynergyType::ALL {
        for direction in [1, -1] {
            let decision = decided(
                &mut says(BULLISH),
                AcceptedEvent { synergy_type, ..synergy(direction, 0.8) },
                1.0,
                Some(&matrix(48, &[])),
            );
            assert_eq!(decision.individual_actions.len(), 3);
            assert_eq!((decision.direction, decision.aligned_with_synergy), (1, direction == 1));
            assert!(decision.should_proceed && decision.threshold_passed && decision.gate_reasons.is_empty());
            let reasoning = decision.reasoning.unwrap();
            assert_eq!((reasoning.synergy_type, reasoning.dominant_signal), (synergy_type, DominantSignal::Consensus));
            let context = decision.tactical_context().unwrap();
            assert_eq!(
                (context.synergy_type.as_str(), context.direction, context.source.as_str()),
                (synergy_type.name(), 1, "Strategic")
            );
            let json = serde_json::to_value(&decision).unwrap();
            assert!(json["ensembleProbabilities"]["bullish"].as_f64().unwrap() > 0.65);
            assert_eq!(serde_json::from_value::<StrategicDecision>(json).unwrap(), decision);
        }
    }
}

/// ST-72, SU-53: where alignment is required, a decision against its synergy does not proceed.
#[test]
fn alignment_can_be_required() {
    let config = DecisionConfig { require_synergy_alignment: true, ..DecisionConfig::default() };
    let reasons = |direction| {
        let ask = |request: &Request<'_>| {
            decide(request, Some(&matrix(48, &[])), &mut says(BULLISH), &ModelParameters::default(), &config).gate_reasons
        };
        with_request(synergy(direction, 0.8), 1.0, ask)
    };
    assert_eq!([1, 0, -1].map(reasons), [vec![], vec![], vec![GateReason::CounterSynergy]]);
}

/// ST-12, ST-16, SU-122: extreme volatility decides, impossible volatility degrades.
#[test]
fn volatility_that_cannot_be() {
    for (volatility, degraded) in
        [(10.0, false), (0.01, false), (f64::INFINITY, true), (0.0, true), (-1.0, true), (f64::NAN, true)]
    {
        let decision = decided(&mut says(BULLISH), synergy(1, 0.8), volatility, Some(&matrix(48, &[])));
        assert_eq!((decision.degraded.bad_volatility, decision.should_proceed), (degraded, !degraded), "{volatility}");
        assert!((0.0..=1.0).contains(&decision.confidence) && (0.0..=1.0).contains(&decision.uncertainty));
        assert_eq!(decision.gate_reasons.contains(&GateReason::Degraded), degraded);
        assert_eq!((decision.fallback, decision.tactical_context().is_some()), (None, !degraded));
    }
}

/// ST-15, ST-16, SU-123, SU-59: mended cells and short windows decide and never proceed; too many bad cells fall back.
#[test]
fn matrices_that_had_to_be_mended() {
    let three = decided(&mut says(BULLISH), synergy(1, 0.8), 1.0, Some(&matrix(48, &[0, 10 * 13 + 5, 20 * 13 + 8])));
    assert_eq!((three.degraded.bad_cells, three.fallback, three.direction), (3, None, 1));
    assert_eq!((three.should_proceed, three.gate_reasons), (false, vec![GateReason::Degraded]));
    let short = decided(&mut says(BULLISH), synergy(1, 0.8), 1.0, Some(&matrix(30, &[])));
    assert_eq!((short.degraded.short_window, short.should_proceed, short.fallback), (true, false, None));
    let many = decided(&mut says(BULLISH), synergy(1, 0.8), 1.0, Some(&matrix(48, &(0..32).collect::<Vec<_>>())));
    assert_eq!((many.fallback, many.confidence, many.direction), (Some(FallbackCause::NonFiniteInput), 0.5, 0));
    assert_eq!(many.gate_reasons, [GateReason::LowConfidence, GateReason::Neutral, GateReason::Degraded]);
}

/// ST-73, SU-68: every cause has the same harmless decision, and names itself.
#[test]
fn faults_fall_back() {
    use GateReason::{DeadlineExceeded, LowConfidence, ModelNotReady, Neutral};
    let whole = matrix(48, &[]);
    let failed = decided(&mut Fixed(Err(NetworkError("out of order".into()))), synergy(1, 0.8), 1.0, Some(&whole));
    let nan = decided(&mut Fixed(Ok([[0.0, f32::NAN, 0.0]; 3])), synergy(1, 0.8), 1.0, Some(&whole));
    let warming = decided(&mut says(BULLISH), synergy(1, 0.8), 1.0, None);
    let weak = decided(&mut says(BULLISH), synergy(1, 0.499_999), 1.0, Some(&whole));
    let (model, config) = (ModelParameters::default(), DecisionConfig::default());
    let forced = |cause| with_request(synergy(1, 0.8), 1.0, |request| fall_back(request, Some(&whole), cause, &model, &config));
    for (decision, cause, reason) in [
        (failed, FallbackCause::NetworkFailed, Some(ModelNotReady)),
        (nan, FallbackCause::NetworkNotFinite, Some(ModelNotReady)),
        (warming, FallbackCause::WarmingUp, Some(ModelNotReady)),
        (weak, FallbackCause::LowSynergyConfidence, None),
        (forced(FallbackCause::DeadlineExceeded), FallbackCause::DeadlineExceeded, Some(DeadlineExceeded)),
        (forced(FallbackCause::Overloaded), FallbackCause::Overloaded, Some(DeadlineExceeded)),
        (forced(FallbackCause::ModelNotLoaded), FallbackCause::ModelNotLoaded, Some(ModelNotReady)),
    ] {
        assert_eq!(decision.fallback, Some(cause));
        assert_eq!(decision.ensemble_probabilities, Probabilities { bullish: 0.25, neutral: 0.5, bearish: 0.25 });
        assert!((decision.uncertainty - 0.946_394_63).abs() < 1e-8);
        assert_eq!((decision.confidence, decision.direction, decision.should_proceed), (0.5, 0, false));
        assert_eq!((decision.reasoning, decision.individual_actions.len(), decision.tactical_context()), (None, 0, None));
        let wanted: Vec<GateReason> = [LowConfidence, Neutral].into_iter().chain(reason).collect();
        assert_eq!(decision.gate_reasons, wanted, "{cause:?}");
    }
    assert_eq!(decided(&mut says(BULLISH), synergy(1, 0.5), 1.0, Some(&whole)).fallback, None, "SU-48: exactly 0.5 is enough");
    assert_eq!(serde_json::to_string(&FallbackCause::NetworkNotFinite).unwrap(), r#""network_not_finite""#);
}

/// ST-71: a matrix may be 35 minutes old, not more, and never from the future.
#[test]
fn old_matrices_do_not_proceed() {
    let (model, config, whole) = (ModelParameters::default(), DecisionConfig::default(), matrix(48, &[]));
    let proceeds = |age: i64| {
        with_request(synergy(1, 0.8), 1.0, |request| {
            let request = Request { detected_at: Nanos(CLOSE.0 + age), ..request.clone() };
            decide(&request, Some(&whole), &mut says(BULLISH), &model, &config).should_proceed
        })
    };
    let limit = 35 * 60 * 1_000_000_000;
    assert_eq!([0, limit, limit + 1, -1].map(proceeds), [true, true, false, false]);
}

/// ST-130: the id is that of event and model, and of nothing else.
#[test]
fn ids_of_decisions() {
    let config = DecisionConfig::default();
    let id = |event_id: &str, version: &str| {
        let model = ModelParameters::new(version, [1.0; 3], EnsembleWeights::default(), true).unwrap();
        with_request(synergy(1, 0.8), 1.0, |request| {
            decide(&Request { event_id, ..request.clone() }, None, &mut says(BULLISH), &model, &config).decision_id
        })
    };
    assert_eq!((id("a", "b"), id("a", "b").len()), (id("a", "b"), 32));
    assert!(id("ab", "") != id("a", "b") && id("a", "c") != id("a", "b"));
}

/// ST-68, ST-V32: statistics count decisions and agents; a fallback counts for no agent.
#[test]
fn statistics_of_decisions() {
    let mut statistics = Statistics::default();
    let whole = matrix(48, &[]);
    statistics.record(&decided(&mut says([[0.8, 0.1, 0.1]; 3]), synergy(1, 0.8), 1.0, Some(&whole)));
    assert!((statistics.average_confidence - 0.08).abs() < 1e-7);
    statistics.record(&decided(&mut says([[0.6, 0.3, 0.1]; 3]), synergy(1, 0.8), 1.0, Some(&whole)));
    assert!((statistics.agents[1].average_confidence - 0.132).abs() < 1e-7);
    statistics.record(&decided(&mut says(BULLISH), synergy(1, 0.8), 1.0, None));
    assert_eq!((statistics.decisions_made, statistics.agents.map(|agent| agent.actions_taken)), (3, [2; 3]));
}

proptest! {
    /// ST-52, ST-154, SU-52: whatever the networks say, the decision is a distribution, it is deterministic, and it
    /// proceeds only with figures, fresh, whole, in a direction and above the threshold.
    #[test]
    fn decisions_fail_closed(
        logits in prop::array::uniform3(prop::array::uniform3(prop_oneof![
            20 => -8.0_f32..8.0, 1 => Just(f32::NAN), 1 => Just(f32::INFINITY), 1 => Just(f32::MAX), 1 => Just(0.0_f32)
        ])),
        rows in prop_oneof![4 => Just(48_usize), 1 => 24_usize..48], bad in prop::collection::vec(0_usize..24 * 13, 0..3),
        confidence in 0.0_f64..=1.0, direction in -1_i8..=1, volatility in -1.0_f64..20.0, age in -10_i64..4_000, floor in 0.0_f64..0.3
    ) {
        let (model, config) = (ModelParameters::default(), DecisionConfig { weight_floor: floor, ..DecisionConfig::default() });
        let matrix = matrix(rows, &bad);
        let run = || with_request(synergy(direction, confidence), volatility, |request| {
            let request = Request { detected_at: Nanos(CLOSE.0 + age * 1_000_000_000), ..request.clone() };
            decide(&request, Some(&matrix), &mut Fixed(Ok(logits)), &model, &config)
        });
        let decision = run();
        prop_assert_eq!(&decision, &run());
        let p = decision.ensemble_probabilities.to_array();
        prop_assert!(p.iter().all(|p| (0.0..=1.0 + 1e-12).contains(p)) && (p.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        prop_assert!(decision.confidence >= 1.0 / 3.0 - 1e-12 && (0.0..=1.0).contains(&decision.uncertainty));
        let finite = logits.iter().flatten().all(|logit| logit.is_finite());
        prop_assert!(finite || decision.fallback.is_some());
        prop_assert_eq!(decision.should_proceed, decision.gate_reasons.is_empty() && decision.fallback.is_none());
        if decision.should_proceed {
            prop_assert!(finite && rows == 48 && bad.is_empty() && volatility > 0.0 && confidence >= 0.5);
            prop_assert!(decision.confidence > 0.65 && decision.direction != 0 && (0..=2_100).contains(&age));
            prop_assert!(decision.uncertainty < 0.810_157, "SU-52");
        }
    }

    /// ST-51, ST-66, ST-148: no temperature and no volatility changes which action is the most probable one, nor does a
    /// constant added to all logits.
    #[test]
    fn actions_are_stable(
        logits in prop::array::uniform3(-4_i8..4), tau in 0.1_f64..=10.0, volatility in 0.01_f64..100.0, shift in -8_i8..8
    ) {
        let raw = [logits.map(f32::from); 3];
        let plain = agent_actions(&raw, 1.0, &ModelParameters::default()).unwrap().map(|agent| agent.action);
        let model = ModelParameters::new("", [tau; 3], EnsembleWeights::default(), true).unwrap();
        let tempered = agent_actions(&raw, volatility, &model).unwrap();
        prop_assert_eq!(tempered.map(|agent| agent.action), plain);
        let shifted = raw.map(|row| row.map(|logit| logit + f32::from(shift)));
        prop_assert_eq!(agent_actions(&shifted, volatility, &model).unwrap().map(|agent| agent.action), plain);
    }

    /// ST-148: permuting agents with their weights changes nothing; identical agents are their ensemble.
    #[test]
    fn ensembles_do_not_depend_on_the_order(
        rows in prop::array::uniform3(prop::array::uniform3(0.001_f64..1.0)), raw in prop::array::uniform3(-3.0_f64..3.0)
    ) {
        let p = rows.map(|row| { let sum: f64 = row.iter().sum(); Probabilities::from(row.map(|value| value / sum)) });
        let w = EnsembleWeights::from_logits(raw).unwrap().floored(0.05);
        prop_assert!((w.iter().sum::<f64>() - 1.0).abs() < 1e-12 && w.iter().all(|w| (0.05..=0.9 + 1e-12).contains(w)));
        let one = combine(&p, &w);
        let other = combine(&[p[2], p[0], p[1]], &[w[2], w[0], w[1]]);
        let apart = |a: Probabilities, b: Probabilities| a.to_array().iter().zip(b.to_array()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        prop_assert!(apart(one.probabilities, other.probabilities) < 1e-12);
        prop_assert!(apart(combine(&[p[0]; 3], &w).probabilities, p[0]) < 1e-12);
    }
}
