//! Answers of the four agents and the critic.

use serde::{Deserialize, Serialize};

use tradewind_features::categorical::{argmax, sigmoid, softmax};

use super::config::AlertThresholds;

/// Strategies among which risk is allocated (RK-22).
pub const STRATEGIES: usize = 5;
/// Smallest and largest distance of stop and target, in ATR (RK-20).
const MULTIPLIER_RANGE: [f64; 2] = [0.5, 3.0];

/// Why an agent's answer does not count (RK-36).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum NoOpinion {
    /// No verified model.
    #[error("model_missing")]
    Missing,
    /// The inputs were too old.
    #[error("model_stale")]
    Stale,
    /// The answer came too late.
    #[error("model_late")]
    Late,
    /// The answer is infinite or not a number.
    #[error("model_not_finite")]
    NotFinite,
}

/// An agent's answer, or why there is none.
pub type Opinion<T> = Result<T, NoOpinion>;

/// What the monitor proposes (RK-21, RK-105); the place in [`MonitorAction::ALL`] is the action's index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MonitorAction {
    /// Nothing.
    NoAction,
    /// Smaller positions.
    ReducePosition,
    /// No positions.
    CloseAll,
    /// A position against the book.
    Hedge,
}

impl MonitorAction {
    /// All actions by index.
    pub const ALL: [Self; 4] = [Self::NoAction, Self::ReducePosition, Self::CloseAll, Self::Hedge];
}

/// Distances of stop and target in ATR, 0.5 to 3 (RK-20).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StopTarget {
    /// Of the stop.
    pub stop_multiplier: f64,
    /// Of the target.
    pub target_multiplier: f64,
}

/// Scores of the critic, 0 to 1, more is worse (RK-31).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RiskScores {
    /// Of all positions together.
    pub portfolio: f64,
    /// Of the position with the largest risk.
    pub position: f64,
    /// Of positions that move alike.
    pub correlation: f64,
    /// Of markets that cannot be left.
    pub liquidity: f64,
}

/// How bad a score is (RK-32).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Severity {
    /// Above its threshold.
    Warning,
    /// Above the one that all share.
    Critical,
}

/// A score above its threshold (RK-32); its text is the message.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CriticAlert {
    /// How bad.
    pub severity: Severity,
    /// Which score.
    pub name: &'static str,
    /// The score.
    pub value: f64,
    /// Its threshold.
    pub threshold: f64,
}

impl std::fmt::Display for CriticAlert {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "WARNING",
            Severity::Critical => "CRITICAL",
        };
        write!(f, "{severity}: {} = {:.3} (threshold: {})", self.name, self.value, self.threshold)
    }
}

impl RiskScores {
    /// Scores above their thresholds, in the order of RK-31.
    pub fn alerts(&self, thresholds: &AlertThresholds) -> impl Iterator<Item = CriticAlert> {
        let rows = [
            ("portfolio_risk", self.portfolio, thresholds.portfolio),
            ("position_risk", self.position, thresholds.position),
            ("correlation_risk", self.correlation, thresholds.correlation),
            ("liquidity_risk", self.liquidity, thresholds.liquidity),
        ];
        let critical = thresholds.critical;
        rows.into_iter().filter(|(_, value, threshold)| value > threshold).map(move |(name, value, threshold)| {
            let severity = if value > critical { Severity::Critical } else { Severity::Warning };
            CriticAlert { severity, name, value, threshold }
        })
    }
}

/// Contracts that the sizing agent wants, 1 to 5; ties go to the smaller size (RK-19, RK-29).
///
/// # Errors
/// [`NoOpinion::NotFinite`]
pub fn sizing(logits: [f32; 5]) -> Opinion<i64> {
    let probabilities = softmax(logits.map(f64::from)).ok_or(NoOpinion::NotFinite)?;
    Ok(1 + i64::try_from(argmax(&probabilities)).unwrap_or(0))
}

/// Distances of stop and target of one position (RK-20, RK-29).
///
/// # Errors
/// [`NoOpinion::NotFinite`]
pub fn stop_target(logits: [f32; 2]) -> Opinion<StopTarget> {
    let [least, most] = MULTIPLIER_RANGE;
    let [stop_multiplier, target_multiplier] = sigmoids(logits)?.map(|share| least + (most - least) * share);
    Ok(StopTarget { stop_multiplier, target_multiplier })
}

/// What the monitor proposes; ties go to the lower index, so that a network without an opinion does nothing (RK-21, RK-29).
///
/// # Errors
/// [`NoOpinion::NotFinite`]
pub fn monitor_action(logits: [f32; 4]) -> Opinion<MonitorAction> {
    let probabilities = softmax(logits.map(f64::from)).ok_or(NoOpinion::NotFinite)?;
    Ok(MonitorAction::ALL[argmax(&probabilities)])
}

/// Shares of the risk budget by strategy, each 0 to 1, at most 1 together; what remains is cash (RK-22, RK-77).
/// Strategies that do not exist get nothing.
///
/// # Errors
/// [`NoOpinion::NotFinite`]
pub fn allocation(logits: [f32; STRATEGIES], exists: [bool; STRATEGIES]) -> Opinion<[f64; STRATEGIES]> {
    let mut shares = sigmoids(logits)?;
    for (share, exists) in shares.iter_mut().zip(exists) {
        if !exists {
            *share = 0.0;
        }
    }
    let sum: f64 = shares.iter().sum();
    Ok(if sum > 1.0 { shares.map(|share| share / sum) } else { shares })
}

/// Scores of the critic (RK-31).
///
/// # Errors
/// [`NoOpinion::NotFinite`]
pub fn critic_scores(logits: [f32; 4]) -> Opinion<RiskScores> {
    let [portfolio, position, correlation, liquidity] = sigmoids(logits)?;
    Ok(RiskScores { portfolio, position, correlation, liquidity })
}

fn sigmoids<const N: usize>(logits: [f32; N]) -> Opinion<[f64; N]> {
    let finite = logits.iter().all(|logit| logit.is_finite());
    finite.then(|| logits.map(|logit| sigmoid(f64::from(logit)))).ok_or(NoOpinion::NotFinite)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::float_cmp)]
    use super::*;

    fn near(seen: &[f64], wanted: &[f64]) {
        assert_eq!(seen.len(), wanted.len());
        seen.iter().zip(wanted).for_each(|(s, w)| assert!((s - w).abs() < 1e-7, "{seen:?} instead of {wanted:?}"));
    }

    /// RK-V4
    #[test]
    fn distances_of_the_stop_agent() {
        for (logit, wanted) in [
            (-2.0, 0.798_007_305_1),
            (-1.0, 1.172_353_553_4),
            (0.0, 1.75),
            (1.0, 2.327_646_446_6),
            (2.0, 2.701_992_694_9),
            (-0.405_465_1, 1.5),
            (0.405_465_1, 2.0),
        ] {
            let seen = stop_target([logit, logit]).unwrap();
            near(&[seen.stop_multiplier, seen.target_multiplier], &[wanted, wanted]);
        }
        assert_eq!(stop_target([f32::MAX, f32::MIN]).map(|d| (d.stop_multiplier, d.target_multiplier)), Ok((3.0, 0.5)));
    }

    /// RK-V5: from printed logits to sizes, distances, actions and weights.
    #[test]
    fn answers_of_the_parity_networks() {
        let shared = [-0.310_642_86, 0.420_430_6, -0.182_680_67, -1.012_846_5, 0.219_299_21];
        assert_eq!(sizing(shared), Ok(2));
        assert_eq!(sizing([-0.615_57, 2.423_262_2, -2.557_886_9, -0.900_192_85, 0.216_807_5]), Ok(2));
        let probabilities = softmax(shared.map(f64::from)).unwrap();
        near(&probabilities, &[0.156_051_390_2, 0.324_167_005_0, 0.177_353_969_1, 0.077_322_245_6, 0.265_105_390_1]);
        near(&sigmoids(shared).unwrap(), &[0.422_957_832_7, 0.603_586_283_4, 0.454_456_419_0, 0.266_423_148_5, 0.554_606_134_3]);
        let distances = stop_target([-0.180_517_59, 0.369_300_94]).unwrap();
        near(&[distances.stop_multiplier, distances.target_multiplier], &[1.637_481_889_3, 1.978_225_127_0]);
        assert_eq!(monitor_action([-0.321_810_47, 0.401_140_5, -0.171_572_88, -0.913_113_1]), Ok(MonitorAction::ReducePosition));
    }

    /// RK-V5, RK-32: scores of the critic and the one alert among them.
    #[test]
    fn scores_and_alerts_of_the_critic() {
        let scores = critic_scores([-1.785_241_5, -0.717_025_9, 0.976_440_9, -1.354_050_7]).unwrap();
        let seen = [scores.portfolio, scores.position, scores.correlation, scores.liquidity];
        near(&seen, &[0.143_657_126_1, 0.328_048_240_0, 0.726_401_443_1, 0.205_208_926_7]);
        let thresholds = AlertThresholds::default();
        let texts = |scores: RiskScores| scores.alerts(&thresholds).map(|alert| alert.to_string()).collect::<Vec<_>>();
        assert_eq!(texts(scores), ["WARNING: correlation_risk = 0.726 (threshold: 0.6)"]);
        let at = RiskScores { portfolio: 0.7, position: 0.8, correlation: 0.6, liquidity: 0.75 };
        assert!(texts(at).is_empty(), "strictly greater");
        assert_eq!(
            texts(RiskScores { position: 0.901, portfolio: 0.9, ..at }),
            ["WARNING: portfolio_risk = 0.900 (threshold: 0.7)", "CRITICAL: position_risk = 0.901 (threshold: 0.8)"]
        );
    }

    /// RK-V16: weights above 1 together are divided by their sum; strategies that do not exist get nothing.
    #[test]
    fn allocations() {
        let logits = [-1.0, 0.0, 1.0, 2.0, -0.5];
        let all = allocation(logits, [true; 5]).unwrap();
        near(&all, &[0.097_501_265_6, 0.181_268_592_1, 0.265_035_918_6, 0.319_321_692_6, 0.136_872_531_0]);
        let two = allocation(logits, [true, true, false, false, false]).unwrap();
        near(&two, &[0.268_941_421_4, 0.5, 0.0, 0.0, 0.0]);
    }

    /// RK-36: what is not finite is no opinion.
    #[test]
    fn answers_that_are_not_finite_do_not_count() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let wanted = NoOpinion::NotFinite;
            assert_eq!(sizing([0.0, 0.0, bad, 0.0, 0.0]), Err(wanted));
            assert_eq!(stop_target([0.0, bad]), Err(wanted));
            assert_eq!(monitor_action([bad, 0.0, 0.0, 0.0]), Err(wanted));
            assert_eq!(allocation([0.0, 0.0, 0.0, 0.0, bad], [false; 5]), Err(wanted));
            assert_eq!(critic_scores([0.0, 0.0, 0.0, bad]), Err(wanted));
        }
        assert_eq!((sizing([0.0; 5]), monitor_action([0.0; 4])), (Ok(1), Ok(MonitorAction::NoAction)), "ties take no risk");
        assert_eq!(NoOpinion::NotFinite.to_string(), "model_not_finite");
    }
}
