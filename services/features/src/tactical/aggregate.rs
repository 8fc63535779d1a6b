//! Three probability vectors and a synergy become one scored decision.

use serde::{Deserialize, Serialize};

use crate::categorical::{self, argmax};

use super::config::TacticalConfig;
use super::matrix::{AGENTS, Logits};
use super::synergy::Synergy;

/// Scores closer than this are tied, and a score this close below a threshold reaches it (TA-27).
const TIE: f64 = 1e-12;

/// How one agent voted (TA-28).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentVote {
    /// `fvg`, `momentum` or `entry`.
    pub agent: String,
    /// Index of the most probable action, the lowest on ties (TA-22).
    pub action_index: u8,
    /// +1 long, 0 none, -1 short.
    pub vote: i8,
    /// Distribution over the three actions; sums to 1.
    pub probabilities: [f64; 3],
    /// Probability of the chosen action.
    pub confidence: f64,
}

impl AgentVote {
    /// Soft direction of the first two agents: `p[0] - p[2]` (TA-23).
    #[must_use]
    pub fn expected_action(&self) -> f64 {
        self.probabilities[0] - self.probabilities[2]
    }
}

/// How soon the entry agent wants to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Urgency {
    /// `execute`
    Normal,
    /// `aggressive`
    Aggressive,
}

impl Urgency {
    /// Urgency factor of the hand-off, [0, 1] (TA-33).
    #[must_use]
    pub const fn factor(self) -> f64 {
        match self {
            Self::Normal => 0.5,
            Self::Aggressive => 1.0,
        }
    }
}

/// Why a decision holds. The text of each is part of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// Too few bars are known for this stage (TA-7) or the strategic one (ST-18).
    WarmingUp,
    /// No synergy context (TA-29).
    NoSynergy,
    /// The synergy is weaker than `minSynergyConfidence` (TA-35).
    WeakSynergy,
    /// The winner is hold, or a tie (TA-27.5).
    HoldVote,
    /// Too few agents, or too low a score (TA-25).
    InsufficientConsensus,
    /// Against the synergy and not strong enough (TA-26).
    CounterSynergy,
    /// The range of the last bars gives no usable stop and target.
    NoRange,
    /// A network answered with a value that is not finite.
    NetworkNotFinite,
}

impl HoldReason {
    /// The reason as recorded.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::WarmingUp => "warming_up",
            Self::NoSynergy => "no_synergy",
            Self::WeakSynergy => "weak_synergy",
            Self::HoldVote => "hold_vote",
            Self::InsufficientConsensus => "insufficient_consensus",
            Self::CounterSynergy => "counter_synergy",
            Self::NoRange => "no_range",
            Self::NetworkNotFinite => "network_not_finite",
        }
    }
}

/// Result of TA-27, steps 1 to 6.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// Votes of `fvg`, `momentum`, `entry`.
    pub votes: [AgentVote; 3],
    /// Score of long, hold and short.
    pub scores: [f64; 3],
    /// Direction with the highest score; 0 for hold and ties.
    pub winner: i8,
    /// Score of the winner, after the penalty for going against the synergy.
    pub confidence: f64,
    /// How soon, when the entry agent wants to act at all.
    pub urgency: Option<Urgency>,
    /// The winner has the direction of the synergy (TA-32).
    pub synergy_aligned: bool,
    /// `None`: execute.
    pub hold: Option<HoldReason>,
}

/// One softmax over `logits / temperature` (TA-21). `None` when an input is not finite.
#[must_use]
pub fn softmax(logits: [f32; 3], temperature: f64) -> Option<[f64; 3]> {
    categorical::softmax(logits.map(|logit| f64::from(logit) / temperature))
}

/// Distributions of the three agents; `None` when a logit is not finite.
#[must_use]
pub fn distributions(logits: &Logits, config: &TacticalConfig) -> Option<[[f64; 3]; 3]> {
    let [fvg, momentum, entry] = config.temperatures.by_agent();
    Some([softmax(logits[0], fvg)?, softmax(logits[1], momentum)?, softmax(logits[2], entry)?])
}

/// TA-27, steps 1 to 6. Without a synergy the scores are computed with the default weights and nothing executes (TA-29).
#[must_use]
pub fn aggregate(probabilities: &[[f64; 3]; 3], synergy: Option<&Synergy>, config: &TacticalConfig) -> Aggregate {
    let chosen = probabilities.map(|p| argmax(&p));
    let confidence: [f64; 3] = std::array::from_fn(|agent| probabilities[agent][chosen[agent]]);
    let weights = synergy.map_or(config.default_weights, |s| config.weights(&s.synergy_type));
    let weighted: [f64; 3] = std::array::from_fn(|agent| confidence[agent] * weights[agent]);
    let synergy_direction = synergy.map_or(0, |s| s.direction);

    let mut votes = [direction(chosen[0]), direction(chosen[1]), 0];
    let provisional = provisional(score(&votes[..2], &weighted, 1), score(&votes[..2], &weighted, -1), synergy_direction);
    let urgency = match chosen[2] {
        1 => Some(Urgency::Normal),
        2 => Some(Urgency::Aggressive),
        _ => None,
    };
    votes[2] = if urgency.is_some() { provisional } else { 0 };

    let scores = [1, 0, -1].map(|wanted| score(&votes, &weighted, wanted));
    let winner = winner(&scores);
    let raw = score(&votes, &weighted, winner);
    let agreeing = votes.iter().filter(|&&vote| vote == winner).count();
    let counter = winner != 0 && winner != synergy_direction;
    let penalised = if counter && synergy.is_some() { raw * config.counter_synergy_factor } else { raw };
    let hold = verdict(raw, penalised, winner, agreeing, synergy, config);
    Aggregate {
        votes: std::array::from_fn(|agent| AgentVote {
            agent: AGENTS[agent].to_owned(),
            action_index: u8::try_from(chosen[agent]).unwrap_or(u8::MAX),
            vote: votes[agent],
            probabilities: probabilities[agent],
            confidence: confidence[agent],
        }),
        scores,
        winner,
        confidence: if matches!(hold, None | Some(HoldReason::CounterSynergy)) { penalised } else { raw },
        urgency,
        synergy_aligned: winner != 0 && winner == synergy_direction,
        hold,
    }
}

/// Weighted confidence of the agents that voted for `wanted` (TA-25). A fold from +0, because the
/// sum of no floats is -0, which a record would show.
fn score(votes: &[i8], weighted: &[f64; 3], wanted: i8) -> f64 {
    votes.iter().zip(weighted).filter(|(vote, _)| **vote == wanted).fold(0.0, |sum, (_, weight)| sum + weight)
}

/// TA-27.1: index 0, 1, 2 of the first two agents is +1, 0, -1.
const fn direction(index: usize) -> i8 {
    match index {
        0 => 1,
        1 => 0,
        _ => -1,
    }
}

/// TA-27.2: the direction that an entry vote would support.
fn provisional(long: f64, short: f64, synergy: i8) -> i8 {
    if (long - short).abs() > TIE {
        if long > short { 1 } else { -1 }
    } else if long > 0.0 {
        synergy
    } else {
        0
    }
}

/// TA-27.4: the highest score; any tie for the first place is a hold (TA-G47).
fn winner(scores: &[f64; 3]) -> i8 {
    let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut first = (0..3).filter(|&index| highest - scores[index] <= TIE);
    match (first.next(), first.next()) {
        (Some(index), None) => direction(index),
        _ => 0,
    }
}

/// TA-25, TA-26, TA-29, TA-35: why the winner is not executed, in the order of TA-27.
fn verdict(
    raw: f64,
    penalised: f64,
    winner: i8,
    agreeing: usize,
    synergy: Option<&Synergy>,
    config: &TacticalConfig,
) -> Option<HoldReason> {
    let threshold = config.execution_threshold - TIE;
    // Written as "not at least", so that NaN holds.
    let reaches = |score: f64| score >= threshold;
    let Some(synergy) = synergy else { return Some(HoldReason::NoSynergy) };
    let strong = synergy.confidence >= config.min_synergy_confidence;
    if !strong {
        Some(HoldReason::WeakSynergy)
    } else if winner == 0 {
        Some(HoldReason::HoldVote)
    } else if agreeing < config.min_agreeing_agents as usize || !reaches(raw) {
        Some(HoldReason::InsufficientConsensus)
    } else if !reaches(penalised) {
        Some(HoldReason::CounterSynergy)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use proptest::prelude::*;

    use super::*;

    fn synergy(synergy_type: &str, direction: i8) -> Synergy {
        Synergy { synergy_type: synergy_type.into(), direction, confidence: 0.9, source: "test".into() }
    }

    /// TA-V7, first part
    #[test]
    fn softmax_with_temperature() {
        let rows = [
            (0.8, [0.849_709_564, 0.130_307_182, 0.019_983_254]),
            (1.0, [0.785_597_035, 0.175_290_392, 0.039_112_573]),
            (1.2, [0.730_679_129, 0.209_343_075, 0.059_977_795]),
        ];
        for (temperature, wanted) in rows {
            near(softmax([2.0, 0.5, -1.0], temperature).unwrap(), wanted, 1e-9);
        }
    }

    /// TA-V7, second part: a distribution as logits `ln p`, at another temperature. Logits are f32.
    #[test]
    fn softmax_of_known_distributions() {
        let rows = [
            ([0.40, 0.35, 0.25], 1.2, [0.389_011_366, 0.348_045_216, 0.262_943_419]),
            ([0.15, 0.70, 0.15], 0.8, [0.112_880_026, 0.774_239_949, 0.112_880_026]),
        ];
        for (p, temperature, wanted) in rows {
            near(softmax(p.map(|p: f64| p.ln() as f32), temperature).unwrap(), wanted, 1e-6);
        }
    }

    /// TA-V7, third part: the soft direction.
    #[test]
    fn expected_action_is_the_soft_direction() {
        let vote = |probabilities| AgentVote { agent: "fvg".into(), action_index: 0, vote: 1, probabilities, confidence: 0.0 };
        assert!((vote([0.85, 0.12, 0.03]).expected_action() - 0.82).abs() < 1e-12);
        assert!((vote([0.40, 0.35, 0.25]).expected_action() - 0.15).abs() < 1e-12);
        assert!((vote([0.7, 0.2, 0.1]).expected_action() - 0.6).abs() < 1e-12, "TA-V1");
    }

    /// TA-V8: a second softmax keeps every confidence below 0.65; ours is the single one (TA-G2).
    #[test]
    fn one_softmax_reaches_the_threshold_two_cannot() {
        let config = TacticalConfig::default();
        let once = distributions(&[[50.0, 0.0, 0.0], [50.0, 0.0, 0.0], [0.0, 50.0, 0.0]], &config).unwrap();
        assert!(aggregate(&once, Some(&synergy("TYPE_1", 1)), &config).confidence > 0.999);
        let [fvg, momentum, entry] = config.temperatures.by_agent();
        let again = |p: [f64; 3], t| softmax(p.map(|v| v as f32), t).unwrap();
        let twice = [again(once[0], fvg), again(once[1], momentum), again(once[2], entry)];
        for (p, wanted) in twice.iter().zip([0.576_116_885, 0.534_989_256, 0.635_724_031]) {
            assert!((p.iter().copied().fold(0.0, f64::max) - wanted).abs() < 1e-7);
        }
        for (name, most) in
            [("TYPE_1", 0.575_700), ("TYPE_2", 0.571_587), ("TYPE_3", 0.567_475), ("TYPE_4", 0.579_604), ("?", 0.582_811)]
        {
            let seen = aggregate(&twice, Some(&synergy(name, 1)), &config);
            assert!((seen.confidence - most).abs() < 1e-6, "{name}: {}", seen.confidence);
            assert_eq!(seen.hold, Some(HoldReason::InsufficientConsensus));
        }
        near(again([0.85, 0.12, 0.03], 1.0), [0.520_199, 0.250_689, 0.229_112], 1e-6);
    }

    fn near(seen: [f64; 3], wanted: [f64; 3], tolerance: f64) {
        for (s, w) in seen.into_iter().zip(wanted) {
            assert!((s - w).abs() < tolerance, "{seen:?} instead of {wanted:?}");
        }
    }

    /// Probabilities, synergy type and direction; votes, scores, final score, hold reason.
    type Case = ([[f64; 3]; 3], &'static str, i8, [i8; 3], [f64; 3], f64, Option<HoldReason>);

    fn cases() -> Vec<Case> {
        use HoldReason::{CounterSynergy as C, HoldVote as H, InsufficientConsensus as I};
        let strong = [[0.9, 0.08, 0.02], [0.8, 0.15, 0.05], [0.05, 0.15, 0.80]];
        let first = [[0.85, 0.12, 0.03], [0.40, 0.35, 0.25], [0.15, 0.70, 0.15]];
        let split = [[0.90, 0.05, 0.05], [0.05, 0.05, 0.90], [0.05, 0.90, 0.05]];
        vec![
            (first, "TYPE_1", 1, [1, 1, 1], [0.685, 0.0, 0.0], 0.685, None),
            (first, "TYPE_3", 1, [1, 1, 1], [0.595, 0.0, 0.0], 0.595, Some(I)),
            ([[0.9, 0.08, 0.02], [0.5, 0.3, 0.2], [0.7, 0.25, 0.05]], "TYPE_1", 1, [1, 1, 0], [0.6, 0.14, 0.0], 0.6, Some(I)),
            ([[0.7, 0.2, 0.1], [0.4, 0.35, 0.25], [0.15, 0.7, 0.15]], "TYPE_2", 1, [1, 1, 1], [0.58, 0.0, 0.0], 0.58, Some(I)),
            (strong, "TYPE_1", 1, [1, 1, 1], [0.85, 0.0, 0.0], 0.85, None),
            (strong, "TYPE_1", -1, [1, 1, 1], [0.85, 0.0, 0.0], 0.595, Some(C)),
            (
                [[0.98, 0.01, 0.01], [0.96, 0.02, 0.02], [0.02, 0.03, 0.95]],
                "TYPE_2",
                -1,
                [1, 1, 1],
                [0.966, 0.0, 0.0],
                0.6762,
                None,
            ),
            (
                [[0.03, 0.07, 0.90], [0.05, 0.15, 0.80], [0.10, 0.75, 0.15]],
                "TYPE_4",
                -1,
                [-1, -1, -1],
                [0.0, 0.0, 0.82],
                0.82,
                None,
            ),
            (split, "TYPE_2", 1, [1, -1, 1], [0.54, 0.0, 0.36], 0.54, Some(I)),
            (split, "TYPE_2", -1, [1, -1, -1], [0.36, 0.0, 0.54], 0.54, Some(I)),
            (
                [[0.05, 0.90, 0.05], [0.10, 0.80, 0.10], [0.90, 0.05, 0.05]],
                "TYPE_1",
                1,
                [0, 0, 0],
                [0.0, 0.87, 0.0],
                0.87,
                Some(H),
            ),
            (
                [[0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.9, 0.05, 0.05]],
                "other",
                1,
                [1, 0, 0],
                [0.297, 0.603, 0.0],
                0.603,
                Some(H),
            ),
            ([[0.65, 0.20, 0.15], [0.65, 0.20, 0.15], [0.10, 0.65, 0.25]], "TYPE_2", 1, [1, 1, 1], [0.65, 0.0, 0.0], 0.65, None),
            (
                [[0.99, 0.005, 0.005], [0.05, 0.9, 0.05], [0.95, 0.03, 0.02]],
                "TYPE_1",
                1,
                [1, 0, 0],
                [0.495, 0.46, 0.0],
                0.495,
                Some(I),
            ),
            (
                [[0.97, 0.02, 0.01], [0.05, 0.05, 0.90], [0.05, 0.90, 0.05]],
                "TYPE_1",
                1,
                [1, -1, 1],
                [0.665, 0.0, 0.27],
                0.665,
                None,
            ),
        ]
    }

    /// TA-V10, rows 1 to 15
    #[test]
    fn aggregation_table() {
        for (row, (probabilities, kind, direction, votes, scores, confidence, hold)) in (1..).zip(cases()) {
            let seen = aggregate(&probabilities, Some(&synergy(kind, direction)), &TacticalConfig::default());
            assert_eq!(seen.votes.each_ref().map(|vote| vote.vote), votes, "row {row}");
            near(seen.scores, scores, 1e-12);
            assert!((seen.confidence - confidence).abs() < 1e-12, "row {row}: {}", seen.confidence);
            assert_eq!(seen.hold, hold, "row {row}");
            assert_eq!(seen.synergy_aligned, seen.winner == direction, "row {row}, TA-32");
        }
        let seen = |row: usize| {
            let (p, kind, direction, ..) = cases().swap_remove(row - 1);
            aggregate(&p, Some(&synergy(kind, direction)), &TacticalConfig::default())
        };
        assert_eq!(seen(1).urgency, Some(Urgency::Normal));
        assert_eq!(seen(3).urgency, None);
        assert_eq!(seen(5).urgency, Some(Urgency::Aggressive));
        assert!(!seen(7).synergy_aligned);
    }

    /// TA-V2: the distributions of the sample by the order of TA-16; its signed actions are illustrative (TA-G5).
    #[test]
    fn actions_of_the_sample_request() {
        let sample = [[0.7, 0.2, 0.1], [0.4, 0.35, 0.25], [0.15, 0.7, 0.15]];
        let votes = aggregate(&sample, Some(&synergy("TYPE_1", 1)), &TacticalConfig::default()).votes;
        assert_eq!(votes.each_ref().map(|vote| (vote.action_index, vote.vote)), [(0, 1), (0, 1), (1, 1)]);
        assert_eq!(votes.each_ref().map(|vote| vote.confidence), [0.7, 0.4, 0.7]);
    }

    /// TA-29, TA-35: without a context, or with a weak one, distributions are published and nothing executes.
    #[test]
    fn no_context_never_executes() {
        let strong = [[0.98, 0.01, 0.01], [0.98, 0.01, 0.01], [0.01, 0.98, 0.01]];
        let config = TacticalConfig::default();
        let seen = aggregate(&strong, None, &config);
        assert_eq!((seen.hold, seen.winner, seen.synergy_aligned), (Some(HoldReason::NoSynergy), 1, false));
        near(seen.scores, [0.98, 0.0, 0.0], 1e-12);
        let weak = Synergy { confidence: 0.499, ..synergy("TYPE_1", 1) };
        assert_eq!(aggregate(&strong, Some(&weak), &config).hold, Some(HoldReason::WeakSynergy));
        let unknown = Synergy { confidence: f64::NAN, ..synergy("TYPE_1", 1) };
        assert_eq!(aggregate(&strong, Some(&unknown), &config).hold, Some(HoldReason::WeakSynergy));
    }

    /// Not finite means no distribution, never a guess.
    #[test]
    fn logits_that_are_not_finite_have_no_distribution() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(softmax([0.0, bad, 1.0], 1.0), None);
        }
        let extreme = softmax([f32::MAX, f32::MIN, 0.0], 0.8).unwrap();
        assert_eq!(extreme, [1.0, 0.0, 0.0]);
    }

    proptest! {
        /// TA-21, TA-78: every distribution is valid, and the aggregate is a function of its input that never
        /// executes below the threshold or with fewer than two votes.
        #[test]
        fn distributions_and_decisions_are_valid(
            logits in prop::array::uniform3(prop::array::uniform3(-30.0_f32..30.0)), up in any::<bool>(), kind in 1..6
        ) {
            let config = TacticalConfig::default();
            let p = distributions(&logits, &config).unwrap();
            for row in &p {
                prop_assert!(row.iter().all(|&v| v >= 0.0) && (row.iter().sum::<f64>() - 1.0).abs() < 1e-6);
            }
            let context = synergy(&format!("TYPE_{kind}"), if up { 1 } else { -1 });
            let seen = aggregate(&p, Some(&context), &config);
            prop_assert_eq!(&seen, &aggregate(&p, Some(&context), &config));
            if seen.hold.is_none() {
                prop_assert!(seen.winner != 0 && seen.confidence >= 0.65 - TIE);
                prop_assert!(seen.votes.iter().filter(|vote| vote.vote == seen.winner).count() >= 2);
            }
        }
    }
}
