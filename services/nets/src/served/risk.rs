//! The risk actors on the serving path, and their critic.

use super::layers::layers;
use crate::answer::{NoAnswer, Served, check_finite};
use crate::architecture::Stage;
use crate::architecture::risk::{BLOCK, INPUTS, STAGE, STATE};
use crate::checkpoint::Checkpoint;
use crate::forward::RiskForward;
use crate::reference::{CandleNetwork, Inputs, batch};

/// Place of the critic among the networks of the stage.
const CRITIC: usize = 4;

/// The four actors of a checkpoint and its critic (RK-30). The critic runs in candle, because no forward pass of ours has one.
pub(super) struct Networks {
    inputs: Inputs,
    forward: RiskForward,
    critic: CandleNetwork,
    view: Vec<f32>,
}

impl Networks {
    /// The networks of a risk checkpoint whose actors see their context blocks (RK-23).
    ///
    /// # Errors
    /// When a network has other lengths; a checkpoint that was read has none such.
    pub(super) fn new(checkpoint: &Checkpoint) -> Result<Self, NoAnswer> {
        let weights = &checkpoint.weights;
        let forward = RiskForward::new(layers(weights)?).map_err(|error| NoAnswer(error.to_string()))?;
        let critic = weights.networks[CRITIC].as_ref().ok_or_else(|| NoAnswer("the critic has no weights".to_owned()))?;
        let critic = CandleNetwork::new(&STAGE.networks[CRITIC], critic).map_err(|error| NoAnswer(error.to_string()))?;
        let inputs = Inputs::new(&checkpoint.manifest, weights).map_err(NoAnswer)?;
        Ok(Self { inputs, forward, critic, view: Vec::new() })
    }
}

impl Served for Networks {
    fn stage(&self) -> &'static Stage {
        &STAGE
    }

    fn outputs(&mut self, input: &[f32], outputs: &mut [f32]) -> Result<(), NoAnswer> {
        check_finite("input", input)?;
        if input.len() != INPUTS {
            return Err(NoAnswer(format!("{} values are no risk state with its four blocks", input.len())));
        }
        let mut seen = [[0.0; STATE + BLOCK]; CRITIC];
        for (actor, values) in STAGE.networks.iter().zip(&mut seen) {
            self.view.clear();
            self.inputs.view(actor, input, &mut self.view);
            values.copy_from_slice(&self.view);
        }
        let logits = self.forward.logits(&seen).map_err(|error| NoAnswer(error.to_string()))?;
        let critic = batch(&[input]).and_then(|input| self.critic.outputs(&input)?.flatten_all()?.to_vec1::<f32>());
        let critic = critic.map_err(|error| NoAnswer(error.to_string()))?;
        check_finite(STAGE.networks[CRITIC].id, &critic)?;
        let all = [logits.sizing.as_slice(), &logits.stops, &logits.monitor, &logits.allocation, &critic];
        outputs.iter_mut().zip(all.into_iter().flatten()).for_each(|(into, logit)| *into = *logit);
        Ok(())
    }
}
