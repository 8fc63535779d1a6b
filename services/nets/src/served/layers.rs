//! The layers of a stage, for the forward passes that take several networks at once.

use crate::answer::NoAnswer;
use crate::weights::{Layer, StageWeights};

/// Layers of the first networks of a stage.
pub(super) fn layers<const N: usize>(weights: &StageWeights) -> Result<[&[Layer]; N], NoAnswer> {
    let mut layers = [[].as_slice(); N];
    for (into, (network, weights)) in layers.iter_mut().zip(weights.stage.networks.iter().zip(&weights.networks)) {
        let weights = weights.as_ref().ok_or_else(|| NoAnswer(format!("network {} has no weights", network.id)))?;
        *into = weights.layers.as_slice();
    }
    Ok(layers)
}
