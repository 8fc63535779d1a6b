//! Weights and inputs of a stage as `graphs.py` wrote them.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use safetensors::SafeTensors;
use tradewind_nets::weights::Layer;

/// The tensors of one file.
pub struct Weights(Vec<u8>);

impl Weights {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self> {
        Ok(Self(std::fs::read(path).with_context(|| path.display().to_string())?))
    }

    /// The numbers of a tensor, flat.
    pub fn tensor(&self, name: &str) -> Result<Vec<f32>> {
        let tensors = SafeTensors::deserialize(&self.0)?;
        let view = tensors.tensor(name).with_context(|| name.to_string())?;
        Ok(view.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    /// A weight and its bias.
    pub fn layer(&self, name: &str) -> Result<Layer> {
        Ok(Layer { weight: self.tensor(&format!("{name}.weight"))?, bias: self.tensor(&format!("{name}.bias"))? })
    }

    /// Several layers of one network.
    pub fn layers(&self, prefix: &str, names: &[&str]) -> Result<Vec<Layer>> {
        names.iter().map(|name| self.layer(&format!("{prefix}.{name}"))).collect()
    }

    /// The rows of `inputs.<name>`.
    pub fn inputs<const N: usize>(&self, name: &str) -> Result<Vec<[f32; N]>> {
        let values = self.tensor(&format!("inputs.{name}"))?;
        let (rows, rest) = values.as_chunks();
        ensure!(rest.is_empty(), "inputs.{name} does not have rows of {N}");
        Ok(rows.to_vec())
    }
}
