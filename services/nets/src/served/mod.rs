//! Whatever computes the served networks of a stage: the reference, and the serving path.

mod execution;
mod risk;
mod strategic;

use crate::architecture::{Role, Stage, tactical};
use crate::checkpoint::Checkpoint;
use crate::forward::TacticalForward;
use crate::reference::Reference;
use crate::weights::{Layer, StageWeights, TacticalWeights};

pub(crate) use strategic::Policies;

/// Why there is no answer. Nothing is guessed: the caller does nothing new.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoAnswer(pub String);

/// The served networks of a stage.
pub trait Served {
    /// The table that inputs and outputs follow.
    fn stage(&self) -> &'static Stage;

    /// Outputs of all served networks side by side ([`Stage::output_width`] values) for one input of the self-test
    /// ([`Stage::input_width`] values).
    ///
    /// # Errors
    /// When a value is not finite, with its place.
    fn outputs(&mut self, input: &[f32], outputs: &mut [f32]) -> Result<(), NoAnswer>;
}

/// The networks of a checkpoint as they are served: the fast path of its architecture. Risk actors without context blocks
/// (`risk-mlp-10-v1`) have none, so theirs is the reference.
///
/// # Errors
/// When lengths are wrong; a checkpoint that was read has none such.
pub fn served(checkpoint: &Checkpoint) -> Result<Box<dyn Served>, NoAnswer> {
    let stage = checkpoint.weights.stage;
    Ok(match stage.role {
        Role::Strategic => Box::new(Policies::new(checkpoint)?),
        Role::Tactical => {
            let weights = TacticalWeights::from_stage(&checkpoint.weights);
            Box::new(TacticalForward::new(&weights.ok_or_else(|| NoAnswer("an actor has other layers".to_owned()))?))
        }
        Role::Execution => Box::new(execution::Actors::new(checkpoint)?),
        Role::Risk if stage == Role::Risk.stage() => Box::new(risk::Networks::new(checkpoint)?),
        Role::Risk => Box::new(Reference::new(&checkpoint.manifest, &checkpoint.weights)?),
    })
}

/// Layers of the first networks of a stage.
fn layers<const N: usize>(weights: &StageWeights) -> Result<[&[Layer]; N], NoAnswer> {
    let mut layers = [[].as_slice(); N];
    for (into, (network, weights)) in layers.iter_mut().zip(weights.stage.networks.iter().zip(&weights.networks)) {
        let weights = weights.as_ref().ok_or_else(|| NoAnswer(format!("network {} has no weights", network.id)))?;
        *into = weights.layers.as_slice();
    }
    Ok(layers)
}

impl Served for TacticalForward {
    fn stage(&self) -> &'static Stage {
        &tactical::STAGE
    }

    fn outputs(&mut self, input: &[f32], outputs: &mut [f32]) -> Result<(), NoAnswer> {
        let rows = input.as_chunks().0;
        let Some(matrix) = rows.first_chunk().filter(|matrix| matrix.as_flattened().len() == input.len()) else {
            return Err(NoAnswer(format!("{} values are no model matrix", input.len())));
        };
        let logits = self.logits(matrix).map_err(|error| NoAnswer(error.to_string()))?;
        outputs.copy_from_slice(logits.as_flattened());
        Ok(())
    }
}

/// Refuses values that are not finite.
pub(crate) fn check_finite(what: &str, values: &[f32]) -> Result<(), NoAnswer> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(NoAnswer(format!("value {at} of {what} is {}; every value must be finite", values[at]))),
        None => Ok(()),
    }
}
