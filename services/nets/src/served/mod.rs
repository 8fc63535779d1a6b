//! The serving path of each stage.

mod execution;
mod layers;
mod risk;
mod strategic;

use crate::answer::{NoAnswer, Served};
use crate::architecture::{Role, Stage, tactical};
use crate::checkpoint::Checkpoint;
use crate::forward::TacticalForward;
use crate::reference::Reference;
use crate::weights::TacticalWeights;

pub(crate) use strategic::Policies;

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
