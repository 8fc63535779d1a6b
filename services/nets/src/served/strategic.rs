//! The strategic policies with what stands before them.

use tradewind_features::strategic::{COLUMNS, CONTEXT, PolicyInput, SCHEMA};

use super::layers::layers;
use crate::answer::{NoAnswer, Served};
use crate::architecture::{Stage, strategic};
use crate::checkpoint::Checkpoint;
use crate::forward::{StrategicForward, StrategicInputs, StrategicLogits};
use crate::reference::Inputs;

/// The three policies of a checkpoint: gathering (ST-8), normaliser (ST-14), forward pass. Without temperatures, which belong to the
/// decision (ST-51).
pub(crate) struct Policies {
    inputs: Inputs,
    forward: StrategicForward,
}

impl Policies {
    /// The policies of a strategic checkpoint.
    ///
    /// # Errors
    /// When a policy or its statistics have other lengths; a checkpoint that was read has none such.
    pub(crate) fn new(checkpoint: &Checkpoint) -> Result<Self, NoAnswer> {
        let inputs = Inputs::new(&checkpoint.manifest, &checkpoint.weights).map_err(NoAnswer)?;
        let forward = StrategicForward::new(layers(&checkpoint.weights)?).map_err(|error| NoAnswer(error.to_string()))?;
        Ok(Self { inputs, forward })
    }

    /// Logits of `mlmi`, `nwrqk` and `regime` for the mean row of a matrix (ST-9) and the shared context (ST-10). Allocates nothing.
    ///
    /// # Errors
    /// When a value or a logit is not finite, with its name.
    pub(crate) fn logits(&mut self, pooled: &[f64; COLUMNS], context: &[f64; CONTEXT]) -> Result<StrategicLogits, NoAnswer> {
        // Before the clip of the normaliser, which would make an ordinary number of an infinite one.
        if let Some((value, column)) = pooled.iter().zip(SCHEMA.columns).find(|(value, _)| !value.is_finite()) {
            return Err(NoAnswer(format!("the mean of {column} is {value}; every value must be finite")));
        }
        let (gathers, normalisers) = (self.inputs.gathers(), self.inputs.normalisers());
        let input = |agent| PolicyInput::new(agent, pooled, gathers, &normalisers[agent], context);
        let inputs = StrategicInputs { mlmi: array(&input(0)), nwrqk: array(&input(1)), regime: array(&input(2)) };
        self.forward.logits(&inputs).map_err(|error| NoAnswer(error.to_string()))
    }
}

/// The values of an input whose width the checkpoint's columns were checked for.
fn array<const N: usize>(input: &PolicyInput) -> [f32; N] {
    std::array::from_fn(|index| input.as_slice()[index])
}

impl Served for Policies {
    fn stage(&self) -> &'static Stage {
        &strategic::STAGE
    }

    fn outputs(&mut self, input: &[f32], outputs: &mut [f32]) -> Result<(), NoAnswer> {
        let parts = input.split_first_chunk().and_then(|(pooled, rest)| Some((pooled, <&[f32; CONTEXT]>::try_from(rest).ok()?)));
        let Some((pooled, context)) = parts else {
            return Err(NoAnswer(format!("{} values are no mean row with its context", input.len())));
        };
        let logits = self.logits(&pooled.map(f64::from), &context.map(f64::from))?;
        outputs.copy_from_slice(logits.as_flattened());
        Ok(())
    }
}
