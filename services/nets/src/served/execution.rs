//! The execution actors with what stands before them.

use super::layers::layers;
use crate::answer::{NoAnswer, Served, check_finite};
use crate::architecture::Stage;
use crate::architecture::execution::{CONTEXT, STAGE};
use crate::checkpoint::Checkpoint;
use crate::forward::{ExecutionActor, ExecutionForward};
use crate::reference::Inputs;

/// The three actors of a checkpoint: normaliser (EX-14), forward pass. Before softmax and sigmoid.
pub(super) struct Actors {
    inputs: Inputs,
    forward: ExecutionForward,
    context: Vec<f32>,
}

impl Actors {
    /// The actors of an execution checkpoint.
    ///
    /// # Errors
    /// When an actor or its statistics have other lengths; a checkpoint that was read has none such.
    pub(super) fn new(checkpoint: &Checkpoint) -> Result<Self, NoAnswer> {
        let weights = &checkpoint.weights;
        let [sizing, timing, risk] = layers(weights)?;
        let attention = |agent: usize| {
            let factors = weights.networks[agent].as_ref().and_then(|network| network.attention.as_slice().try_into().ok());
            factors.ok_or_else(|| NoAnswer(format!("the attention of {} is not {CONTEXT} factors", STAGE.networks[agent].id)))
        };
        let actors = [
            ExecutionActor { attention: attention(0)?, layers: sizing },
            ExecutionActor { attention: attention(1)?, layers: timing },
            ExecutionActor { attention: attention(2)?, layers: risk },
        ];
        let forward = ExecutionForward::new(actors).map_err(|error| NoAnswer(error.to_string()))?;
        let inputs = Inputs::new(&checkpoint.manifest, weights).map_err(NoAnswer)?;
        Ok(Self { inputs, forward, context: Vec::with_capacity(CONTEXT) })
    }
}

impl Served for Actors {
    fn stage(&self) -> &'static Stage {
        &STAGE
    }

    fn outputs(&mut self, input: &[f32], outputs: &mut [f32]) -> Result<(), NoAnswer> {
        check_finite("input", input)?;
        self.context.clear();
        // All actors look at the same values.
        self.inputs.view(&STAGE.networks[0], input, &mut self.context);
        let Ok(context) = self.context.as_slice().try_into() else {
            return Err(NoAnswer(format!("{} values are no execution context", input.len())));
        };
        let logits = self.forward.logits(context).map_err(|error| NoAnswer(error.to_string()))?;
        let all = [logits.sizing.as_slice(), &logits.timing, &logits.risk];
        outputs.iter_mut().zip(all.into_iter().flatten()).for_each(|(into, logit)| *into = *logit);
        Ok(())
    }
}
