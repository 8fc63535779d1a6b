//! A training run of the tactical actors: samples in, weights out.

use candle_core::{Device, Tensor};
use tradewind_nets::actor::{Actor, batch};
use tradewind_nets::answer::NoAnswer;
use tradewind_nets::architecture::{ACTIONS, AGENT_COUNT, AGENTS, tactical};
use tradewind_nets::checkpoint::{Manifest, SelfTest};
use tradewind_nets::golden;
use tradewind_nets::reference::Reference;
use tradewind_nets::weights::{ActorWeights, TacticalWeights};

use super::samples::Sample;
use crate::dice::Dice;
use crate::objective::{Optimiser, POLICY_LR, loss};
use crate::run::{Batches, FitError, LossRun, QUIET, initialise};

/// Samples evaluated at once before and after a run.
const EVALUATED: usize = 256;

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
    let mut batches = Batches::new(samples.len(), seed)?;
    let mut trainers = Vec::with_capacity(AGENT_COUNT);
    for (stream, agent) in (0..).zip(AGENTS) {
        let actor = Actor::new(&initial(agent.initial_attention, &mut Dice::new(seed, stream)))?;
        trainers.push(Trainer { optimiser: Optimiser::new(actor.variables(), POLICY_LR)?, actor });
    }
    let before = evaluate(&trainers, samples)?;
    let mut losses = vec![Vec::new(); AGENT_COUNT];
    for step in 0..steps {
        let chosen: Vec<&Sample> = batches.draw().iter().map(|index| &samples[*index]).collect();
        let matrices = batch(&chosen.iter().map(|sample| sample.matrix).collect::<Vec<_>>())?;
        for (index, (agent, trainer)) in AGENTS.iter().zip(&mut trainers).enumerate() {
            let rewards = rewards(&chosen, index)?;
            let loss = loss(&trainer.actor.logits(&matrices)?, &rewards, f64::from(agent.temperature))?;
            let loss = trainer.optimiser.descend(&loss)?;
            if !loss.is_finite() {
                return Err(FitError::Diverged { network: agent.id, loss, step });
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
    let summary = |index: usize| LossRun::new(AGENTS[index].id, before[index], after[index], &losses[index]);
    Ok(Fitted { weights, losses: (0..AGENT_COUNT).map(summary).collect() })
}

/// An actor while it learns.
struct Trainer {
    actor: Actor,
    optimiser: Optimiser,
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

/// Weights before training, with the attention of TA-19.
fn initial(attention: [f32; 7], dice: &mut Dice) -> ActorWeights {
    let mut actor = ActorWeights::zeros(attention);
    initialise(&tactical::STAGE.networks[0], &mut actor.layers, QUIET, dice);
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
}
