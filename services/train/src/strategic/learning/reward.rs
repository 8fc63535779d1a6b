//! Reward of one decision after its trade is closed.

use serde::{Deserialize, Serialize};

use tradewind_features::strategic::decision::Action;

/// Outcomes before the running deviation of profits is trusted (ST-107).
const TRUSTED: u64 = 20;
/// Smallest deviation that is divided by (ST-107).
const LEAST_DEVIATION: f64 = 1e-8;

/// Weights of a reward (ST-105, SU-7).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RewardConfig {
    /// Of the profit, 0 to 10.
    pub pnl_weight: f64,
    /// Of agreeing with the synergy, 0 to 10.
    pub synergy_weight: f64,
    /// Of the drawdown's penalty, -10 to 0: a positive one would reward drawdown.
    pub risk_weight: f64,
    /// Of the agents' entropy, 0 to 10.
    pub exploration_weight: f64,
    /// Drawdown without a penalty, a fraction above 0 and at most 1.
    pub max_drawdown: f64,
    /// No reward lies farther from 0, above 0 and at most 1000.
    pub clip: f64,
}

impl Default for RewardConfig {
    fn default() -> Self {
        let (pnl_weight, synergy_weight, risk_weight, exploration_weight) = (1.0, 0.2, -0.3, 0.1);
        Self { pnl_weight, synergy_weight, risk_weight, exploration_weight, max_drawdown: 0.15, clip: 10.0 }
    }
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("strategic reward: {}", .0.join("; "))]
pub struct RewardConfigError(pub Vec<String>);

impl RewardConfig {
    /// Collects every violation; NaN is one (SU-15).
    ///
    /// # Errors
    /// [`RewardConfigError`] lists field, value seen and value allowed of each.
    pub fn validate(&self) -> Result<(), RewardConfigError> {
        let faults = [
            ("pnlWeight", self.pnl_weight, [0.0, 10.0]),
            ("synergyWeight", self.synergy_weight, [0.0, 10.0]),
            ("riskWeight", self.risk_weight, [-10.0, 0.0]),
            ("explorationWeight", self.exploration_weight, [0.0, 10.0]),
            ("maxDrawdown", self.max_drawdown, [1e-6, 1.0]),
            ("clip", self.clip, [1e-6, 1000.0]),
        ];
        let found: Vec<String> = faults
            .into_iter()
            .filter(|(_, value, [least, most])| !(least..=most).contains(&value))
            .map(|(field, value, [least, most])| format!("{field} is {value}, it must be {least} to {most}"))
            .collect();
        if found.is_empty() { Ok(()) } else { Err(RewardConfigError(found)) }
    }
}

/// Running deviation of profits (ST-107): what is asked before a sample knows earlier samples only.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PnlScale {
    prior: f64,
    seen: u64,
    mean: f64,
    variance: f64,
}

impl PnlScale {
    /// No profits yet; `prior` (above 0, account currency) stands in for the deviation. `None` when it is no such figure.
    #[must_use]
    pub fn new(prior: f64) -> Option<Self> {
        (prior.is_finite() && prior > 0.0).then_some(Self { prior, seen: 0, mean: 0.0, variance: 0.0 })
    }

    /// Deviation to divide the next profit by.
    #[must_use]
    pub fn deviation(&self) -> f64 {
        if self.seen < TRUSTED { self.prior } else { self.variance.sqrt().max(LEAST_DEVIATION) }
    }

    /// Takes a profit, account currency; one that is not finite is passed over.
    #[allow(clippy::cast_precision_loss)]
    pub fn push(&mut self, pnl: f64) {
        if !pnl.is_finite() {
            return;
        }
        self.seen += 1;
        let share = (1.0 / self.seen as f64).max(0.01);
        let distance = pnl - self.mean;
        self.mean += share * distance;
        self.variance = (1.0 - share) * (self.variance + share * distance * distance);
    }
}

/// What became of a decision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Net profit after costs, account currency (ST-116).
    pub pnl: f64,
    /// Drawdown of the account, a fraction of at least 0.
    pub drawdown: f64,
    /// Confidence of the synergy, 0 to 1.
    pub synergy_confidence: f64,
    /// Direction of the synergy.
    pub synergy_direction: i8,
    /// What the ensemble decided (ST-110).
    pub action: Action,
    /// Mean entropy of the agents, nats.
    pub mean_entropy: f64,
}

/// The parts of a reward, weighted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reward {
    /// Profit (ST-106, X-17).
    pub pnl: f64,
    /// Agreement with the synergy (ST-109).
    pub synergy: f64,
    /// Drawdown, at most 0 (ST-111).
    pub risk: f64,
    /// Entropy (ST-112).
    pub exploration: f64,
    clip: f64,
}

impl Reward {
    /// Reward of an outcome; `scale` has seen earlier outcomes only (ST-105 to ST-112, SU-31). `None` when a figure of
    /// the outcome is not finite.
    #[must_use]
    pub fn new(outcome: &Outcome, scale: &PnlScale, config: &RewardConfig) -> Option<Self> {
        let figures = [outcome.pnl, outcome.drawdown, outcome.synergy_confidence, outcome.mean_entropy];
        if !figures.iter().all(|figure| figure.is_finite()) {
            return None;
        }
        let excess = ((outcome.drawdown - config.max_drawdown) / config.max_drawdown).max(0.0);
        Some(Self {
            pnl: config.pnl_weight * libm::tanh(outcome.pnl / (2.0 * scale.deviation())),
            synergy: config.synergy_weight * outcome.synergy_confidence * alignment(outcome),
            risk: config.risk_weight * excess * excess,
            exploration: config.exploration_weight * outcome.mean_entropy,
            clip: config.clip,
        })
    }

    /// What training maximises, clipped.
    #[must_use]
    pub fn total(&self) -> f64 {
        (self.pnl + self.synergy + self.risk + self.exploration).clamp(-self.clip, self.clip)
    }

    /// What models are chosen by: without the bonus for exploring (ST-112).
    #[must_use]
    pub fn trading(&self) -> f64 {
        (self.pnl + self.synergy + self.risk).clamp(-self.clip, self.clip)
    }
}

/// ST-109: 1 with the synergy, 0 against it, a half for standing aside; without a direction standing aside is right.
fn alignment(outcome: &Outcome) -> f64 {
    match (outcome.synergy_direction, outcome.action.direction()) {
        (wanted, taken) if wanted == taken => 1.0,
        (0, _) | (_, 0) => 0.5,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::float_cmp)]
    use super::*;

    fn near(seen: f64, wanted: f64) {
        assert!((seen - wanted).abs() < 1e-8, "{seen} instead of {wanted}");
    }

    fn outcome() -> Outcome {
        Outcome {
            pnl: 100.0,
            drawdown: 0.20,
            synergy_confidence: 0.8,
            synergy_direction: 1,
            action: Action::Bullish,
            mean_entropy: 0.9,
        }
    }

    fn reward(outcome: Outcome) -> Reward {
        Reward::new(&outcome, &PnlScale::new(50.0).unwrap(), &RewardConfig::default()).unwrap()
    }

    /// ST-V45, SU-V14 (first part)
    #[test]
    fn parts_of_a_reward() {
        let seen = reward(outcome());
        near(seen.pnl, 0.761_594_156_0);
        near(seen.synergy, 0.16);
        near(seen.risk, -0.033_333_333_3);
        near(seen.exploration, 0.09);
        near(seen.total(), 0.978_260_822_6);
        near(seen.trading(), 0.888_260_822_6);
        for (drawdown, risk) in [(0.15, 0.0), (0.0, 0.0), (0.30, -0.3)] {
            near(reward(Outcome { drawdown, ..outcome() }).risk, risk);
        }
        let worst = Outcome { pnl: -1e9, drawdown: 1.0, action: Action::Bearish, mean_entropy: 0.0, ..outcome() };
        near(reward(worst).pnl + reward(worst).risk, -10.633_333_333_3);
        assert_eq!(reward(worst).total(), -10.0);
        assert_eq!(
            Reward::new(&Outcome { pnl: f64::NAN, ..outcome() }, &PnlScale::new(1.0).unwrap(), &RewardConfig::default()),
            None
        );
    }

    /// ST-109: the table.
    #[test]
    fn alignments() {
        let of = |direction, action| alignment(&Outcome { synergy_direction: direction, action, ..outcome() });
        assert_eq!(Action::ALL.map(|action| of(1, action)), [1.0, 0.5, 0.0]);
        assert_eq!(Action::ALL.map(|action| of(-1, action)), [0.0, 0.5, 1.0]);
        assert_eq!(Action::ALL.map(|action| of(0, action)), [0.5, 1.0, 0.5]);
    }

    /// ST-V43: means and deviations after each profit; ST-107: the prior serves until twenty are known.
    #[test]
    fn running_deviation() {
        let mut scale = PnlScale::new(7.0).unwrap();
        let wanted = [(100.0, 0.0), (25.0, 75.0), (25.0, 61.237_243_57), (21.25, 53.429_275_68), (16.0, 48.928_519_29)];
        for (pnl, (mean, deviation)) in [100.0, -50.0, 25.0, 10.0, -5.0].into_iter().zip(wanted) {
            assert_eq!(scale.deviation(), 7.0);
            scale.push(pnl);
            near(scale.mean, mean);
            near(scale.variance.sqrt(), deviation);
        }
        scale.push(f64::NAN);
        assert_eq!(scale.seen, 5);
        (5..20).for_each(|_| scale.push(16.0));
        near(scale.deviation(), scale.variance.sqrt());
        assert_eq!([f64::NAN, 0.0, -1.0].map(PnlScale::new), [None; 3]);
    }

    /// ST-V44, X-17: a smaller loss after larger ones stays a loss; centring would have rewarded it with 0.9898.
    #[test]
    fn a_loss_is_never_rewarded() {
        let mut scale = PnlScale::new(50.0).unwrap();
        [-100.0, -80.0, -120.0].into_iter().for_each(|pnl| scale.push(pnl));
        let seen = Reward::new(&Outcome { pnl: -20.0, ..outcome() }, &scale, &RewardConfig::default()).unwrap();
        assert!(seen.pnl < 0.0);
    }

    /// SU-7, SU-15: defaults are valid; a weight that rewards drawdown is not.
    #[test]
    fn configurations_are_validated() {
        let read: RewardConfig = serde_json::from_str("{}").unwrap();
        assert_eq!((read, read.validate()), (RewardConfig::default(), Ok(())));
        let wrong = RewardConfig { risk_weight: 0.3, clip: f64::NAN, ..read };
        let wanted = "strategic reward: riskWeight is 0.3, it must be -10 to 0; clip is NaN, it must be 0.000001 to 1000";
        assert_eq!(wrong.validate().unwrap_err().to_string(), wanted);
    }
}
