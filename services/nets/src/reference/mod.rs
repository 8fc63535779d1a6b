//! The networks in candle: each one for training ([`CandleNetwork`]), and all that serve together as the reference of a stage.

mod inputs;
mod network;

pub use inputs::Inputs;
pub use network::{CandleNetwork, batch};

use crate::answer::{NoAnswer, Served, check_finite};
use crate::architecture::{Stage, Use};
use crate::checkpoint::Manifest;
use crate::weights::StageWeights;

/// The served networks of a stage in candle.
pub struct Reference {
    stage: &'static Stage,
    inputs: Inputs,
    networks: Vec<(usize, CandleNetwork)>,
    view: Vec<f32>,
}

impl Reference {
    /// The networks of a checkpoint.
    ///
    /// # Errors
    /// When lengths are wrong or a served network is missing; a checkpoint that was read has neither.
    pub fn new(manifest: &Manifest, weights: &StageWeights) -> Result<Self, NoAnswer> {
        let stage = weights.stage;
        let mut networks = Vec::new();
        for (at, (network, weights)) in stage.networks.iter().zip(&weights.networks).enumerate() {
            if network.used == Use::Served {
                let weights = weights.as_ref().ok_or_else(|| NoAnswer(format!("network {} has no weights", network.id)))?;
                networks.push((at, CandleNetwork::new(network, weights).map_err(|error| NoAnswer(error.to_string()))?));
            }
        }
        let inputs = Inputs::new(manifest, weights).map_err(NoAnswer)?;
        Ok(Self { stage, inputs, networks, view: Vec::new() })
    }
}

impl Served for Reference {
    fn stage(&self) -> &'static Stage {
        self.stage
    }

    fn outputs(&mut self, input: &[f32], outputs: &mut [f32]) -> Result<(), NoAnswer> {
        check_finite("input", input)?;
        let mut rest = &mut outputs[..];
        for (at, candle) in &self.networks {
            let network = &self.stage.networks[*at];
            self.view.clear();
            self.inputs.view(network, input, &mut self.view);
            let seen = batch(&[&self.view]).and_then(|view| candle.outputs(&view)?.flatten_all()?.to_vec1::<f32>());
            let seen = seen.map_err(|error| NoAnswer(error.to_string()))?;
            check_finite(network.id, &seen)?;
            let (now, later) = rest.split_at_mut(seen.len());
            now.copy_from_slice(&seen);
            rest = later;
        }
        Ok(())
    }
}
