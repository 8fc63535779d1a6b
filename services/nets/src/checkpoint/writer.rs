//! From weights to bytes, with the public crate's writer: what any other tool would make.

use std::collections::HashMap;

use safetensors::SafeTensorError;
use safetensors::tensor::{Dtype, TensorView};

use super::self_test::{GOLDEN_INPUTS, golden_logits};
use super::{Checkpoint, MANIFEST_KEY};

/// Why a checkpoint could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The manifest is not JSON, which means a number that is not finite.
    #[error("the manifest cannot be written as JSON: {0}; every figure must be finite")]
    Manifest(#[from] serde_json::Error),
    /// A tensor does not fit its shape.
    #[error("the tensors cannot be written: {0}")]
    Tensors(#[from] SafeTensorError),
}

/// The bytes of a checkpoint file. The same checkpoint gives the same bytes.
///
/// # Errors
/// When the manifest or a tensor cannot be expressed.
pub fn write(checkpoint: &Checkpoint) -> Result<Vec<u8>, WriteError> {
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    for (spec, values) in checkpoint.weights.tensors() {
        tensors.push((spec.name, spec.shape, to_bytes(values)));
    }
    let (stage, golden) = (checkpoint.weights.stage, &checkpoint.golden);
    let mut shape = vec![golden.inputs.len()];
    shape.extend_from_slice(stage.input_shape);
    tensors.push((GOLDEN_INPUTS.to_owned(), shape, to_bytes(&golden.inputs.concat())));
    for ((_, network), logits) in stage.served().zip(&golden.logits) {
        tensors.push((golden_logits(network.id), vec![logits.len(), network.outputs()], to_bytes(&logits.concat())));
    }
    let mut views = Vec::with_capacity(tensors.len());
    for (name, shape, bytes) in &tensors {
        views.push((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?));
    }
    let manifest = serde_json::to_string(&checkpoint.manifest)?;
    let metadata = HashMap::from([(MANIFEST_KEY.to_owned(), manifest)]);
    Ok(safetensors::serialize(views, Some(metadata))?)
}

fn to_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}
