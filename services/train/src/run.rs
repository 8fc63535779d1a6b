//! What the training runs of both stages share: batches, first weights, the course of the losses.

use tradewind_features::strategic::decision::DecisionConfigError;
use tradewind_nets::architecture::{Network, Step};
use tradewind_nets::weights::Layer;

use crate::dice::Dice;
use crate::trend::{CONVERGENCE_WINDOW, convergence, slope};

/// Samples of one optimiser step (TA-44, ST-89).
pub const BATCH: usize = 64;
/// Factor on the first weights of a policy's last layer: untrained networks are nearly undecided.
pub const QUIET: f64 = 0.1;
/// Stream of the numbers that shuffle samples.
const ORDER_STREAM: u64 = 100;

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
    #[error("the loss of {network} is {loss} at step {step}: the run has diverged, use another seed")]
    Diverged {
        /// Agent or critic.
        network: &'static str,
        /// Loss seen.
        loss: f64,
        /// Step, from 0.
        step: usize,
    },
    /// Statistics that no normaliser takes, or columns that no network takes.
    #[error("inputs of the networks: {0}")]
    Inputs(String),
    /// The weights of the ensemble are none.
    #[error(transparent)]
    Ensemble(#[from] DecisionConfigError),
    /// candle failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

/// How the loss of one network went.
#[derive(Debug, Clone, PartialEq)]
pub struct LossRun {
    /// Agent or critic.
    pub network: &'static str,
    /// Mean over all samples before the first step.
    pub first: f64,
    /// Mean over all samples after the last step.
    pub last: f64,
    /// Least-squares slope of the batch losses of the last 100 steps, per step (TA-49).
    pub slope: f64,
    /// Convergence score of those (TA-48).
    pub convergence: f64,
}

impl LossRun {
    /// From the losses over all samples before and after a run, and those of its batches.
    pub fn new(network: &'static str, first: f64, last: f64, batches: &[f64]) -> Self {
        let slope = slope(&batches[batches.len().saturating_sub(CONVERGENCE_WINDOW)..]);
        Self { network, first, last, slope, convergence: convergence(batches) }
    }
}

/// Batches without end: all samples in random order, then again in another. What does not fill a batch is left out.
#[derive(Debug)]
pub struct Batches {
    order: Vec<usize>,
    dice: Dice,
    position: usize,
}

impl Batches {
    /// Over this many samples.
    ///
    /// # Errors
    /// [`FitError::TooFew`] when they do not fill a batch.
    pub fn new(samples: usize, seed: u64) -> Result<Self, FitError> {
        if samples < BATCH {
            return Err(FitError::TooFew { samples });
        }
        Ok(Self { order: (0..samples).collect(), dice: Dice::new(seed, ORDER_STREAM), position: samples })
    }

    /// Numbers of the next [`BATCH`] samples.
    pub fn draw(&mut self) -> &[usize] {
        if self.position + BATCH > self.order.len() {
            self.dice.shuffle(&mut self.order);
            self.position = 0;
        }
        self.position += BATCH;
        &self.order[self.position - BATCH..self.position]
    }
}

/// First weights: uniform in +-sqrt(6 / inputs), those of the last layer times `last`; biases are left as they are. A layer norm
/// begins with gain 1. Stands in for the orthogonal matrices of ST-95, a default: networks this small learn from either.
pub fn initialise(network: &Network, layers: &mut [Layer], last: f64, dice: &mut Dice) {
    let end = layers.len().saturating_sub(1);
    for (position, (step, layer)) in network.layers().into_iter().zip(layers).enumerate() {
        if matches!(step, Step::Norm(..)) {
            layer.weight.fill(1.0);
            continue;
        }
        let fan_in = layer.weight.len() / layer.bias.len();
        let limit = (6.0 / fan_in as f64).sqrt() * if position == end { last } else { 1.0 };
        for weight in &mut layer.weight {
            *weight = (limit * dice.signed()) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use tradewind_nets::architecture::strategic::STAGE;
    use tradewind_nets::weights::NetworkWeights;

    /// Every sample comes once before any comes again.
    #[test]
    fn batches_go_round() {
        let mut batches = Batches::new(2 * BATCH + 5, 1).unwrap();
        let mut seen: Vec<usize> = [batches.draw().to_vec(), batches.draw().to_vec()].concat();
        let first = seen.clone();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 2 * BATCH);
        assert_ne!(batches.draw(), &first[..BATCH]);
        assert!(matches!(Batches::new(BATCH - 1, 1), Err(FitError::TooFew { samples: 63 })));
    }

    #[test]
    fn first_weights_follow_the_table() {
        let network = &STAGE.networks[0];
        let mut weights = NetworkWeights::zeros(network);
        initialise(network, &mut weights.layers, QUIET, &mut Dice::new(1, 0));
        let largest = |at: usize| weights.layers[at].weight.iter().fold(0.0f32, |most, weight| most.max(weight.abs()));
        assert_eq!(weights.layers[1].weight, vec![1.0; 256], "gain of the first layer norm");
        assert!((0.7..0.7746).contains(&largest(0)), "{} of sqrt(6/10)", largest(0));
        assert!((0.02..0.030_62).contains(&largest(6)), "{} of a tenth of sqrt(6/64)", largest(6));
        assert!(weights.layers.iter().all(|layer| layer.bias.iter().all(|bias| *bias == 0.0)));
    }
}
