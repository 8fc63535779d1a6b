//! A training run of the strategic policies, their critic and their ensemble: samples in, weights out.

use crate::strategic::learning::{EnsembleLearner, Lesson, scores};
use candle_core::{D, Device, Tensor};
use candle_nn::ops::softmax;
use tradewind_features::strategic::decision::{DecisionConfig, EnsembleWeights, Probabilities};
use tradewind_features::strategic::{AGENTS, COLUMNS};
use tradewind_nets::answer::NoAnswer;
use tradewind_nets::architecture::strategic::STAGE;
use tradewind_nets::architecture::{Network, Vector};
use tradewind_nets::checkpoint::{Checkpoint, Manifest, SelfTest};
use tradewind_nets::golden;
use tradewind_nets::reference::{CandleNetwork, Inputs, Reference, batch};
use tradewind_nets::weights::{NetworkWeights, StageWeights};

use super::samples::Sample;
use crate::dice::Dice;
use crate::objective::{Optimiser, POLICY_LR, loss};
use crate::run::{Batches, FitError, LossRun, QUIET, initialise};

/// Learning rate of the critic (ST-87).
pub const CRITIC_LR: f64 = 1e-3;
/// Smallest deviation of a normaliser (ST-14).
const LEAST_DEVIATION: f32 = 1e-6;
/// Place of the critic among the networks.
const CRITIC: usize = AGENTS.len();

/// The result of a run.
#[derive(Debug, Clone)]
pub struct Fitted {
    /// Policies, critic, ensemble, and statistics of the normaliser. The temperatures stay 1: the last layers scale the logits
    /// freely, a learnt temperature could do nothing that they cannot.
    pub weights: StageWeights,
    /// One entry per agent, then the critic.
    pub losses: Vec<LossRun>,
    /// Share of the variance of the returns that the critic explains on the samples (ST-96).
    pub explained_variance: f64,
}

/// Trains for `steps` steps (ST-92: policies, critic, ensemble); `progress` is called after each with the sum of the policies'
/// losses. The same arguments give the same weights.
///
/// # Errors
/// [`FitError`].
pub fn fit(samples: &[Sample], seed: u64, steps: usize, mut progress: impl FnMut(usize, f64)) -> Result<Fitted, FitError> {
    let mut batches = Batches::new(samples.len(), seed)?;
    let mut weights = StageWeights::zeros(&STAGE);
    set_statistics(&mut weights, samples);
    let all = Lessons::new(samples, &Inputs::new(&manifest(), &weights).map_err(FitError::Inputs)?)?;
    let mut learners = Learners::new(seed)?;
    let before = learners.evaluate(&all)?;
    let mut losses = vec![Vec::new(); STAGE.networks.len()];
    for step in 0..steps {
        let seen = learners.step(&all.pick(batches.draw())?)?;
        for ((network, loss), losses) in STAGE.networks.iter().zip(seen).zip(&mut losses) {
            if !loss.is_finite() {
                return Err(FitError::Diverged { network: network.id, loss, step });
            }
            losses.push(loss);
        }
        progress(step, seen[..CRITIC].iter().sum());
    }
    let after = learners.evaluate(&all)?;
    for (into, learner) in weights.networks.iter_mut().zip(&learners.networks) {
        *into = Some(learner.network.weights()?);
    }
    let logits = learners.ensemble.logits().map(|logit| logit as f32);
    set_vector(&mut weights, "ensemble_weights", &logits);
    let summary = |(at, network): (usize, &Network)| LossRun::new(network.id, before[at], after[at], &losses[at]);
    let losses = STAGE.networks.iter().enumerate().map(summary).collect();
    Ok(Fitted { weights, losses, explained_variance: learners.explained_variance(&all)? })
}

/// The manifest of what this run makes; its provenance is empty.
pub fn manifest() -> Manifest {
    Manifest { normaliser: "statistics".to_owned(), ..Manifest::of(&STAGE) }
}

/// A checkpoint whose self-test is what the trained networks give in candle, so that whoever serves it is compared with what was
/// trained.
///
/// # Errors
/// When an output is not finite.
pub fn checkpoint(manifest: Manifest, weights: StageWeights, self_test_inputs: usize) -> Result<Checkpoint, NoAnswer> {
    let inputs = golden::self_test_inputs(&STAGE, self_test_inputs);
    let golden = SelfTest::record(inputs, &mut Reference::new(&manifest, &weights)?)?;
    Ok(Checkpoint { manifest, weights, golden })
}

/// Mean and population deviation of each agent's pooled features over the training samples (ST-14).
fn set_statistics(weights: &mut StageWeights, samples: &[Sample]) {
    let gathers = tradewind_features::strategic::Gathers::default();
    let count = samples.len() as f64;
    for (agent, id) in AGENTS.into_iter().enumerate() {
        let (mut means, mut deviations) = (Vec::new(), Vec::new());
        for column in gathers.agent(agent) {
            let values = || samples.iter().map(|sample| f64::from(sample.input[*column]));
            let mean = values().sum::<f64>() / count;
            let variance = values().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count;
            means.push(mean as f32);
            deviations.push((variance.sqrt() as f32).max(LEAST_DEVIATION));
        }
        set_vector(weights, &format!("norm.{id}.mean"), &means);
        set_vector(weights, &format!("norm.{id}.std"), &deviations);
    }
}

fn set_vector(weights: &mut StageWeights, name: &str, values: &[f32]) {
    let named = |(vector, _): &(&Vector, &mut Option<Vec<f32>>)| vector.name == name;
    if let Some((_, into)) = STAGE.vectors.iter().zip(&mut weights.vectors).find(named) {
        *into = Some(values.to_vec());
    }
}

/// Samples as tensors; all have one row per sample.
struct Lessons {
    /// What each policy sees (ST-13).
    views: Vec<Tensor>,
    /// Factor on each policy's logits (ST-47), one column.
    factors: Vec<Tensor>,
    /// Rewards of the three actions.
    rewards: Tensor,
    /// Pooled columns, for the critic.
    pooled: Tensor,
    long_outcomes: Vec<f64>,
}

impl Lessons {
    fn new(samples: &[Sample], inputs: &Inputs) -> candle_core::Result<Self> {
        let column = |values: Vec<f32>| Tensor::from_vec(values, (samples.len(), 1), &Device::Cpu);
        let (mut views, mut factors) = (Vec::new(), Vec::new());
        for (agent, network) in STAGE.agents().enumerate() {
            let mut rows = vec![Vec::with_capacity(network.inputs); samples.len()];
            rows.iter_mut().zip(samples).for_each(|(row, sample)| inputs.view(network, &sample.input, row));
            views.push(batch(&rows)?);
            let regime = AGENTS[agent] == "regime";
            factors.push(column(samples.iter().map(|sample| if regime { sample.adjustment } else { 1.0 }).collect())?);
        }
        Ok(Self {
            views,
            factors,
            rewards: batch(&samples.iter().map(|sample| sample.rewards).collect::<Vec<_>>())?,
            pooled: batch(&samples.iter().map(|sample| &sample.input[..COLUMNS]).collect::<Vec<_>>())?,
            long_outcomes: samples.iter().map(|sample| sample.long_outcome).collect(),
        })
    }

    fn pick(&self, chosen: &[usize]) -> candle_core::Result<Self> {
        let numbers = Tensor::from_iter(chosen.iter().map(|index| *index as u32), &Device::Cpu)?;
        let rows = |tensor: &Tensor| tensor.index_select(&numbers, 0);
        Ok(Self {
            views: self.views.iter().map(rows).collect::<candle_core::Result<_>>()?,
            factors: self.factors.iter().map(rows).collect::<candle_core::Result<_>>()?,
            rewards: rows(&self.rewards)?,
            pooled: rows(&self.pooled)?,
            long_outcomes: chosen.iter().map(|index| self.long_outcomes[*index]).collect(),
        })
    }
}

/// A network while it learns.
struct Learner {
    network: CandleNetwork,
    optimiser: Optimiser,
}

/// Everything that learns.
struct Learners {
    /// The policies, then the critic.
    networks: Vec<Learner>,
    ensemble: EnsembleLearner,
}

impl Learners {
    fn new(seed: u64) -> Result<Self, FitError> {
        let mut networks = Vec::with_capacity(STAGE.networks.len());
        for (stream, table) in (0..).zip(STAGE.networks) {
            let critic = table.actions.is_empty();
            let (last, learning_rate) = if critic { (1.0, CRITIC_LR) } else { (QUIET, POLICY_LR) };
            let mut weights = NetworkWeights::zeros(table);
            initialise(table, &mut weights.layers, last, &mut Dice::new(seed, stream));
            let network = CandleNetwork::new(table, &weights)?;
            networks.push(Learner { optimiser: Optimiser::new(network.variables(), learning_rate)?, network });
        }
        Ok(Self { networks, ensemble: EnsembleLearner::new(&EnsembleWeights::default()) })
    }

    /// One step of every network and of the ensemble; the losses before it.
    fn step(&mut self, lessons: &Lessons) -> Result<[f64; CRITIC + 1], FitError> {
        let mut losses = [0.0; CRITIC + 1];
        let logits = self.logits(lessons)?;
        for (agent, (loss_seen, learner)) in losses.iter_mut().zip(&mut self.networks).take(CRITIC).enumerate() {
            *loss_seen = learner.optimiser.descend(&loss(&logits[agent], &lessons.rewards, 1.0)?)?;
        }
        let probabilities = probabilities(&logits)?;
        let critic_loss = self.critic_loss(lessons, &probabilities)?;
        losses[CRITIC] = self.networks[CRITIC].optimiser.descend(&critic_loss)?;
        // Scores that are not finite leave the weights as they are (ST-96); the losses show why.
        self.ensemble.step(scores(&ensemble_lessons(lessons, &probabilities)?));
        Ok(losses)
    }

    /// Logits of the three policies as they are decided by (ST-47).
    fn logits(&self, lessons: &Lessons) -> candle_core::Result<Vec<Tensor>> {
        let views = lessons.views.iter().zip(&lessons.factors).zip(&self.networks);
        views.map(|((view, factor), learner)| learner.network.outputs(view)?.broadcast_mul(factor)).collect()
    }

    /// Value that the critic gives (ST-53) and what the ensemble can expect, each (samples, 1): the reward of every action is
    /// known, so the return needs no sampling.
    fn values(&self, lessons: &Lessons, probabilities: &[Tensor]) -> Result<[Tensor; 2], FitError> {
        let joint: Vec<&Tensor> = std::iter::once(&lessons.pooled).chain(probabilities).collect();
        let value = self.networks[CRITIC].network.outputs(&Tensor::cat(&joint, 1)?)?;
        let shares = EnsembleWeights::from_logits(self.ensemble.logits())?.floored(DecisionConfig::default().weight_floor);
        let mut mixed = lessons.rewards.zeros_like()?;
        for (share, probabilities) in shares.into_iter().zip(probabilities) {
            mixed = (mixed + (probabilities * share)?)?;
        }
        Ok([value, (mixed * &lessons.rewards)?.sum_keepdim(D::Minus1)?])
    }

    /// Mean square of the critic's error: least squares.
    fn critic_loss(&self, lessons: &Lessons, probabilities: &[Tensor]) -> Result<Tensor, FitError> {
        let [value, expected] = self.values(lessons, probabilities)?;
        Ok((value - expected)?.sqr()?.mean_all()?)
    }

    /// Losses over all samples.
    fn evaluate(&self, lessons: &Lessons) -> Result<[f64; CRITIC + 1], FitError> {
        let logits = self.logits(lessons)?;
        let mut losses = [0.0; CRITIC + 1];
        for (into, logits) in losses.iter_mut().zip(&logits) {
            *into = number(&loss(logits, &lessons.rewards, 1.0)?)?;
        }
        losses[CRITIC] = number(&self.critic_loss(lessons, &probabilities(&logits)?)?)?;
        Ok(losses)
    }

    fn explained_variance(&self, lessons: &Lessons) -> Result<f64, FitError> {
        let [value, expected] = self.values(lessons, &probabilities(&self.logits(lessons)?)?)?;
        let variance = |of: &Tensor| number(&of.broadcast_sub(&of.mean_all()?)?.sqr()?.mean_all()?);
        let whole = variance(&expected)?;
        Ok(if whole > 0.0 { 1.0 - variance(&(expected - value)?)? / whole } else { 0.0 })
    }
}

/// Distributions of the three policies, cut off from their gradients.
fn probabilities(logits: &[Tensor]) -> candle_core::Result<Vec<Tensor>> {
    logits.iter().map(|logits| softmax(&logits.detach(), D::Minus1)).collect()
}

fn number(tensor: &Tensor) -> candle_core::Result<f64> {
    tensor.to_scalar::<f32>().map(f64::from)
}

/// What the ensemble learns from (ST-118).
fn ensemble_lessons(lessons: &Lessons, probabilities: &[Tensor]) -> candle_core::Result<Vec<Lesson>> {
    let mut found: Vec<Lesson> = lessons
        .long_outcomes
        .iter()
        .map(|long_outcome| Lesson { long_outcome: *long_outcome, agents: [Probabilities::from([0.0; 3]); 3] })
        .collect();
    for (agent, probabilities) in probabilities.iter().enumerate() {
        for (lesson, row) in found.iter_mut().zip(probabilities.to_vec2::<f32>()?) {
            if let [bullish, neutral, bearish] = row[..] {
                lesson.agents[agent] = Probabilities::from([bullish, neutral, bearish].map(f64::from));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use std::time::Instant;

    use tradewind_core::time::Nanos;
    use tradewind_nets::checkpoint::{Verdict, sha256, verify, write};

    use super::*;
    use crate::strategic::samples::tests::{samples, swinging};

    fn lessons() -> Vec<Sample> {
        samples(&[swinging(760)], Nanos(i64::MAX), 1)
    }

    /// ST-50, ST-53: every policy and the critic learn something; the critic explains most of a market without noise.
    #[test]
    fn losses_fall() {
        let fitted = fit(&lessons(), 1, 60, |_, _| {}).unwrap();
        assert_eq!(fitted.losses.iter().map(|loss| loss.network).collect::<Vec<_>>(), ["mlmi", "nwrqk", "regime", "critic"]);
        for loss in &fitted.losses[..CRITIC] {
            assert!(loss.last < loss.first - 0.1, "{loss:?}");
        }
        let critic = &fitted.losses[CRITIC];
        assert!(critic.last < critic.first / 2.0, "{critic:?}");
        assert!(fitted.explained_variance > 0.3, "{}", fitted.explained_variance);
        let ensemble = fitted.weights.vector("ensemble_weights").unwrap();
        assert!(ensemble.iter().any(|logit| (logit - 1.0).abs() > 1e-3), "{ensemble:?}");
    }

    /// The file is what the cluster takes (ST-56, ST-58); its self-test is candle's and not the serving path's own.
    #[test]
    fn a_checkpoint_is_verified() {
        let bytes = |seed| {
            let fitted = fit(&lessons(), seed, 3, |_, _| {}).unwrap();
            write(&checkpoint(manifest(), fitted.weights, 16).unwrap()).unwrap()
        };
        let first = bytes(1);
        let begun = Instant::now();
        let report = verify(&first, &sha256(&first), "Strategic", &mut || begun.elapsed().as_nanos() as u64);
        assert_eq!(report.verdict, Verdict::Verified, "{report:?}");
        assert_eq!(first, bytes(1), "the same seed gives the same bytes");
        assert_ne!(first, bytes(2));
    }

    /// ST-47: volatility scales the regime policy's logits and no other.
    #[test]
    fn volatility_scales_the_regime_policy() {
        let inputs = Inputs::new(&manifest(), &StageWeights::zeros(&STAGE)).unwrap();
        let learners = Learners::new(1).unwrap();
        let logits = |adjustment| {
            let mut samples = lessons();
            samples.truncate(1);
            samples[0].adjustment = adjustment;
            let logits = learners.logits(&Lessons::new(&samples, &inputs).unwrap()).unwrap();
            logits.iter().map(|logits| logits.to_vec2::<f32>().unwrap()[0].clone()).collect::<Vec<_>>()
        };
        let (plain, scaled) = (logits(1.0), logits(2.0));
        assert_eq!(plain[..2], scaled[..2]);
        assert_eq!(plain[2].iter().map(|logit| 2.0 * logit).collect::<Vec<_>>(), scaled[2]);
    }

    /// ST-14: statistics of the training samples.
    #[test]
    fn statistics_are_those_of_the_samples() {
        let mut samples = lessons();
        samples.truncate(2);
        for (sample, value) in samples.iter_mut().zip([1.0, 4.0]) {
            sample.input[0] = value;
            sample.input[1] = 0.25;
        }
        let mut weights = StageWeights::zeros(&STAGE);
        set_statistics(&mut weights, &samples);
        assert_eq!(weights.vector("norm.mlmi.mean").unwrap()[..2], [2.5, 0.25]);
        assert_eq!(weights.vector("norm.mlmi.std").unwrap()[..2], [1.5, 1e-6]);
    }

    #[test]
    fn too_few_samples_are_refused() {
        let error = fit(&lessons()[..10], 1, 5, |_, _| {}).unwrap_err();
        assert!(matches!(error, FitError::TooFew { samples: 10 }), "{error}");
    }
}
