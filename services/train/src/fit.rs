//! A training run: samples in, weights out.

use candle_core::{Device, Tensor};
use tradewind_nets::actor::{Actor, batch};
use tradewind_nets::architecture::{ACTIONS, AGENT_COUNT, AGENTS, tactical};
use tradewind_nets::checkpoint::{Manifest, SelfTest};
use tradewind_nets::golden;
use tradewind_nets::reference::Reference;
use tradewind_nets::served::NoAnswer;
use tradewind_nets::weights::{ActorWeights, TacticalWeights};

use crate::dice::Dice;
use crate::objective::{Trainer, loss};
use crate::samples::Sample;
use crate::trend::{CONVERGENCE_WINDOW, convergence, slope};

/// Samples of one optimiser step (TA-44).
pub const BATCH: usize = 64;
/// Samples evaluated at once before and after a run.
const EVALUATED: usize = 256;
/// Factor on the initial weights of the last layer: the untrained networks are nearly undecided.
const QUIET: f64 = 0.1;

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// Nothing to learn from.
    #[error("{samples} samples in the training period, at least {BATCH} are needed: give more bars or a longer period")]
    TooFew {
        /// Samples found.
        samples: usize,
    },
    /// The loss is not finite any more.
    #[error("the loss of {agent} is {loss} at step {step}: the run has diverged, use another seed")]
    Diverged {
        /// Agent.
        agent: &'static str,
        /// Loss seen.
        loss: f64,
        /// Step, from 0.
        step: usize,
    },
    /// candle failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

/// How the loss of one agent went.
#[derive(Debug, Clone, PartialEq)]
pub struct LossRun {
    /// Agent.
    pub agent: &'static str,
    /// Mean over all samples before the first step.
    pub first: f64,
    /// Mean over all samples after the last step.
    pub last: f64,
    /// Least-squares slope of the batch losses of the last 100 steps, per step (TA-49).
    pub slope: f64,
    /// Convergence score of those (TA-48).
    pub convergence: f64,
}

/// The result of a run.
#[derive(Debug, Clone)]
pub struct Fitted {
    /// Trained actors, no critic: the objective needs none.
    pub weights: TacticalWeights,
    /// One entry per agent.
    pub losses: Vec<LossRun>,
}

/// Trains the three actors for `steps` steps each; `progress` is called after each step. The same
/// arguments give the same weights.
///
/// # Errors
/// [`FitError`].
pub fn fit(samples: &[Sample], seed: u64, steps: usize, mut progress: impl FnMut(usize, f64)) -> Result<Fitted, FitError> {
    if samples.len() < BATCH {
        return Err(FitError::TooFew { samples: samples.len() });
    }
    let mut trainers = Vec::with_capacity(AGENT_COUNT);
    for (stream, agent) in (0..).zip(AGENTS) {
        trainers.push(Trainer::new(Actor::new(&initial(agent.initial_attention, &mut Dice::new(seed, stream)))?)?);
    }
    let before = evaluate(&trainers, samples)?;
    let mut order: Vec<usize> = (0..samples.len()).collect();
    let mut dice = Dice::new(seed, 100);
    let mut position = samples.len();
    let mut losses = vec![Vec::new(); AGENT_COUNT];
    for step in 0..steps {
        if position + BATCH > samples.len() {
            dice.shuffle(&mut order);
            position = 0;
        }
        let chosen: Vec<&Sample> = order[position..position + BATCH].iter().map(|index| &samples[*index]).collect();
        position += BATCH;
        let matrices = batch(&chosen.iter().map(|sample| sample.matrix).collect::<Vec<_>>())?;
        for (index, (agent, trainer)) in AGENTS.iter().zip(&mut trainers).enumerate() {
            let rewards = rewards(&chosen, index)?;
            let loss = trainer.step(&matrices, &rewards, f64::from(agent.temperature))?;
            if !loss.is_finite() {
                return Err(FitError::Diverged { agent: agent.id, loss, step });
            }
            losses[index].push(loss);
        }
        progress(step, losses.iter().filter_map(|all| all.last()).sum());
    }
    let mut weights = TacticalWeights::zeros();
    for (into, trainer) in weights.agents.iter_mut().zip(&trainers) {
        *into = trainer.actor.weights()?;
    }
    let after = evaluate(&trainers, samples)?;
    let summary = |index: usize| {
        let all = &losses[index];
        LossRun {
            agent: AGENTS[index].id,
            first: before[index],
            last: after[index],
            slope: slope(&all[all.len().saturating_sub(CONVERGENCE_WINDOW)..]),
            convergence: convergence(all),
        }
    };
    Ok(Fitted { weights, losses: (0..AGENT_COUNT).map(summary).collect() })
}

/// Inputs and what the trained networks give for them in candle: the self-test of a checkpoint, so that
/// whoever serves it is compared with what was trained.
///
/// # Errors
/// When an output is not finite.
pub fn self_test(weights: &TacticalWeights, inputs: usize) -> Result<SelfTest, NoAnswer> {
    let inputs = golden::self_test_inputs(&tactical::STAGE, inputs);
    SelfTest::record(inputs, &mut Reference::new(&Manifest::tactical(), &weights.to_stage())?)
}

/// The rewards of one agent's actions, (samples, 3).
fn rewards(samples: &[&Sample], agent: usize) -> candle_core::Result<Tensor> {
    let values: Vec<f32> = samples.iter().flat_map(|sample| sample.rewards[agent]).collect();
    Tensor::from_vec(values, (samples.len(), ACTIONS), &Device::Cpu)
}

/// Loss of each agent over all samples.
fn evaluate(trainers: &[Trainer], samples: &[Sample]) -> candle_core::Result<[f64; AGENT_COUNT]> {
    let mut sums = [0.0; AGENT_COUNT];
    for chunk in samples.chunks(EVALUATED) {
        let chosen: Vec<&Sample> = chunk.iter().collect();
        let matrices = batch(&chunk.iter().map(|sample| sample.matrix).collect::<Vec<_>>())?;
        for (index, trainer) in trainers.iter().enumerate() {
            let temperature = f64::from(AGENTS[index].temperature);
            let loss = loss(&trainer.actor.logits(&matrices)?, &rewards(&chosen, index)?, temperature)?;
            sums[index] += f64::from(loss.to_scalar::<f32>()?) * chunk.len() as f64;
        }
    }
    Ok(sums.map(|sum| sum / samples.len() as f64))
}

/// Uniform weights in +-sqrt(6 / inputs), zero biases, the attention of TA-19.
fn initial(attention: [f32; 7], dice: &mut Dice) -> ActorWeights {
    let mut actor = ActorWeights::zeros(attention);
    let last = actor.layers.len() - 1;
    for (position, layer) in actor.layers.iter_mut().enumerate() {
        let fan_in = layer.weight.len() / layer.bias.len();
        let limit = (6.0 / fan_in as f64).sqrt() * if position == last { QUIET } else { 1.0 };
        for weight in &mut layer.weight {
            *weight = (limit * dice.signed()) as f32;
        }
    }
    actor
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use tradewind_nets::forward::TacticalForward;

    /// Samples whose best action is the sign of all momenta.
    fn learnable(count: u32) -> Vec<Sample> {
        let sample = |index: u32| {
            let mut matrix = golden::self_test_input(index);
            let side = if index.is_multiple_of(2) { 1.0 } else { -1.0 };
            matrix.iter_mut().for_each(|row| row[5] = side * row[5].abs());
            Sample { matrix, rewards: [[side, 0.0, -side], [side, 0.0, -side], [-side, 0.0, side]] }
        };
        (0..count).map(sample).collect()
    }

    /// TA-79: agents can train on a simple scenario; the loss of each falls.
    #[test]
    fn losses_fall() {
        for loss in fit(&learnable(96), 1, 50, |_, _| {}).unwrap().losses {
            assert!(loss.first.abs() < 0.2 && loss.last < loss.first - 0.4, "{loss:?}");
        }
    }

    #[test]
    fn runs_repeat() {
        let run = |seed| fit(&learnable(80), seed, 3, |_, _| {}).unwrap().weights;
        assert_eq!(run(1), run(1), "the same seed gives the same weights");
        assert_ne!(run(1), run(2));
    }

    /// What was trained and what is served agree, but not by being the same code.
    #[test]
    fn the_self_test_is_candles() {
        let weights = fit(&learnable(80), 4, 3, |_, _| {}).unwrap().weights;
        let test = self_test(&weights, 64).unwrap();
        let error = test.run(&mut TacticalForward::new(&weights)).unwrap();
        assert!(error > 0.0 && error < 1e-5, "{error}");
    }

    #[test]
    fn too_few_samples_are_refused() {
        let error = fit(&learnable(10), 1, 5, |_, _| {}).unwrap_err();
        assert!(matches!(error, FitError::TooFew { samples: 10 }), "{error}");
    }
}
