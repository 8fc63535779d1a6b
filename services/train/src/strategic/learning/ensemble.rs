//! Learns how much each agent counts.

use tradewind_features::categorical::softmax;
use tradewind_features::strategic::decision::{EnsembleWeights, Probabilities};

/// Outcomes beyond count as this (ST-118).
const LARGEST_OUTCOME: f64 = 3.0;
/// Factor on the scores in the target: a temperature of 0.5 (ST-117).
const SHARPNESS: f64 = 2.0;
/// Adam (ST-87).
const LEARNING_RATE: f64 = 1e-3;
const DECAY: [f64; 2] = [0.9, 0.999];
const EPSILON: f64 = 1e-8;

/// One finished decision as the ensemble learns from it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lesson {
    /// Net profit that a long position would have had, over the running deviation of profits.
    pub long_outcome: f64,
    /// What each agent said, by agent id.
    pub agents: [Probabilities; 3],
}

/// Score of each agent: the mean of the outcome times how bullish the agent was (ST-118, X-19, SU C-10), so that being
/// confidently wrong costs. Zeros without lessons.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn scores(lessons: &[Lesson]) -> [f64; 3] {
    let mut sums = [0.0; 3];
    for lesson in lessons {
        let outcome = lesson.long_outcome.clamp(-LARGEST_OUTCOME, LARGEST_OUTCOME);
        for (sum, agent) in sums.iter_mut().zip(&lesson.agents) {
            *sum += outcome * (agent.bullish - agent.bearish);
        }
    }
    sums.map(|sum| sum / lessons.len().max(1) as f64)
}

/// What one step saw, before it moved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EnsembleStep {
    /// Weights that the scores ask for.
    pub target: [f64; 3],
    /// Mean squared distance of the weights from the target.
    pub loss: f64,
    /// Gradient of the loss by logit.
    pub gradient: [f64; 3],
}

/// Ensemble logits with the moments of their optimiser (ST-117, SU-32).
#[derive(Clone, Debug, PartialEq)]
pub struct EnsembleLearner {
    logits: [f64; 3],
    moments: [[f64; 3]; 2],
    steps: i32,
}

impl EnsembleLearner {
    /// Begins with these weights (ST-119, SU-33).
    #[must_use]
    pub const fn new(start: &EnsembleWeights) -> Self {
        Self { logits: start.logits(), moments: [[0.0; 3]; 2], steps: 0 }
    }

    /// One step of Adam toward the weights that the agents' scores ask for. `None`, and nothing has changed, when a
    /// score is not finite (ST-96).
    pub fn step(&mut self, scores: [f64; 3]) -> Option<EnsembleStep> {
        let target = softmax(scores.map(|score| SHARPNESS * score))?;
        let weights = softmax(self.logits)?;
        let apart: [f64; 3] = std::array::from_fn(|agent| weights[agent] - target[agent]);
        let loss = apart.iter().map(|apart| apart * apart).sum::<f64>() / 3.0;
        let slope = apart.map(|apart| apart * 2.0 / 3.0);
        let mean: f64 = slope.iter().zip(weights).map(|(slope, weight)| slope * weight).sum();
        let gradient: [f64; 3] = std::array::from_fn(|agent| weights[agent] * (slope[agent] - mean));
        self.steps += 1;
        let correction = DECAY.map(|decay| 1.0 - libm::pow(decay, f64::from(self.steps)));
        for (agent, g) in gradient.into_iter().enumerate() {
            for ((moment, decay), newest) in self.moments.iter_mut().zip(DECAY).zip([g, g * g]) {
                moment[agent] = decay * moment[agent] + (1.0 - decay) * newest;
            }
            let [first, second] = [0, 1].map(|i| self.moments[i][agent] / correction[i]);
            self.logits[agent] -= LEARNING_RATE * first / (second.sqrt() + EPSILON);
        }
        Some(EnsembleStep { target, loss, gradient })
    }

    /// Logits as they are now: what a checkpoint stores.
    #[must_use]
    pub const fn logits(&self) -> [f64; 3] {
        self.logits
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn near(seen: &[f64], wanted: &[f64], tolerance: f64) {
        assert_eq!(seen.len(), wanted.len());
        seen.iter().zip(wanted).for_each(|(s, w)| assert!((s - w).abs() < tolerance, "{seen:?} instead of {wanted:?}"));
    }

    /// Outcomes 1 and -0.5, five times each, times the confidences 0.9, 0.6, 0.3: the scores of ST-V41 and SU-V7.
    const SCORES: [f64; 3] = [0.225, 0.15, 0.075];

    /// ST-V41, SU-V7: from equal weights, one step and two hundred.
    #[test]
    fn steps_from_equal_weights() {
        let mut learner = EnsembleLearner::new(&EnsembleWeights::default());
        let step = learner.step(SCORES).unwrap();
        near(&step.target, &[0.384_389_748_3, 0.330_847_322_4, 0.284_762_929_4], 1e-10);
        near(&[step.loss], &[0.001_657_340_6], 1e-10);
        near(&step.gradient, &[-0.011_345_870_0, 0.000_552_446_9, 0.010_793_423_1], 1e-10);
        near(&learner.logits(), &[1.000_999_999_1, 0.999_000_018_1, 0.999_000_000_9], 1e-10);
        near(&softmax(learner.logits()).unwrap(), &[0.333_777_923_5, 0.333_111_041_1, 0.333_111_035_4], 1e-10);
        for _ in 1..200 {
            learner.step(SCORES);
        }
        near(&learner.logits(), &[1.130_646_858_5, 0.994_362_827_4, 0.868_388_097_8], 1e-9);
        near(&softmax(learner.logits()).unwrap(), &[0.378_514_504_8, 0.330_289_770_9, 0.291_195_724_3], 1e-9);
    }

    /// SU-V7, from the configured weights.
    #[test]
    fn a_step_from_configured_weights() {
        let mut learner = EnsembleLearner::new(&EnsembleWeights::from_probabilities([0.4, 0.35, 0.25]).unwrap());
        let step = learner.step(SCORES).unwrap();
        near(&step.gradient, &[0.003_027_585_7, 0.003_475_703_5, -0.006_503_289_1], 1e-10);
        near(&[step.loss], &[0.000_606_322_1], 1e-10);
        near(&softmax(learner.logits()).unwrap(), &[0.399_799_900_6, 0.349_824_912_8, 0.250_375_186_6], 1e-10);
    }

    /// ST-V42, ST-118: bearish before a fall is right.
    #[test]
    fn scores_heed_the_direction() {
        let agents = |p: [f64; 3]| [p.into(); 3];
        let lessons = [
            Lesson { long_outcome: 1.0, agents: agents([0.8, 0.15, 0.05]) },
            Lesson { long_outcome: -0.5, agents: agents([0.2, 0.3, 0.5]) },
        ];
        near(&scores(&lessons), &[0.45; 3], 1e-12);
        let wild = Lesson { long_outcome: 1e9, agents: agents([1.0, 0.0, 0.0]) };
        near(&scores(&[wild]), &[3.0; 3], 1e-12);
        near(&scores(&[]), &[0.0; 3], 1e-12);
    }

    /// ST-96: what is not finite teaches nothing.
    #[test]
    fn bad_scores_are_discarded() {
        let mut learner = EnsembleLearner::new(&EnsembleWeights::default());
        let before = learner.clone();
        assert_eq!(learner.step([f64::NAN, 0.0, 0.0]), None);
        assert_eq!(learner, before);
    }
}
