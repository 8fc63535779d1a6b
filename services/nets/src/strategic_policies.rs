//! A strategic checkpoint ready to serve.

use std::path::Path;

use tradewind_features::strategic::decision::{EnsembleWeights, Logits, ModelParameters, StrategicNetwork};
use tradewind_features::strategic::{AGENTS, COLUMNS, CONTEXT, pooled};
use tradewind_features::tactical::NetworkError;

use crate::architecture::Role;
use crate::checkpoint::{Checkpoint, Faults, Manifest, Reason};
use crate::load::{self, LoadError};
use crate::served::Policies;

/// The policies of one verified checkpoint (ST-56, ST-58, SU-45): digest, structure and self-test were right when it was
/// loaded. Its critic is checked and left out (ST-79, SU-47).
pub struct StrategicPolicies {
    manifest: Manifest,
    sha256: String,
    parameters: ModelParameters,
    policies: Policies,
}

impl StrategicPolicies {
    /// Loads a file whose SHA-256 (lower-case hex) is known.
    ///
    /// # Errors
    /// When it cannot be read, or with everything that is wrong with it.
    pub fn load(path: &Path, expected_sha256: &str) -> Result<Self, LoadError> {
        load::file(path, |bytes| Self::from_bytes(bytes, expected_sha256))
    }

    /// The same from memory.
    ///
    /// # Errors
    /// Everything that is wrong with the bytes.
    pub fn from_bytes(bytes: &[u8], expected_sha256: &str) -> Result<Self, Faults> {
        let (checkpoint, sha256) = load::checkpoint(bytes, expected_sha256, Role::Strategic)?;
        let parameters = parameters(&checkpoint, &sha256)?;
        let mut policies = Policies::new(&checkpoint)
            .map_err(|error| Faults::one(Reason::UnknownArchitecture, "manifest.architecture", error.to_string()))?;
        checkpoint.golden.run(&mut policies)?;
        Ok(Self { manifest: checkpoint.manifest, sha256, parameters, policies })
    }

    /// What the checkpoint says about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Hex SHA-256 of the file.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// What decisions take from the checkpoint beside its logits: its temperatures (ST-51), the learned weights of the ensemble
    /// (ST-54), the switch of ST-47. The version that decisions carry (ST-130, SU-46) is the file's SHA-256.
    pub fn parameters(&self) -> &ModelParameters {
        &self.parameters
    }
}

/// Reading a checkpoint checks lengths and ranges; what fails here all the same is a fault of the file, never a guess.
fn parameters(checkpoint: &Checkpoint, sha256: &str) -> Result<ModelParameters, Faults> {
    let bad = |subject: &str, message: &str| Faults::one(Reason::BadFormat, subject, message);
    let mut temperatures = [0.0; AGENTS.len()];
    for (temperature, agent) in temperatures.iter_mut().zip(AGENTS) {
        let name = format!("agents.{agent}.temperature");
        let [value] = checkpoint.weights.vector(&name).unwrap_or_default() else { return Err(bad(&name, "must be one number")) };
        *temperature = f64::from(*value);
    }
    let name = "ensemble_weights";
    let Ok(logits) = <[f32; AGENTS.len()]>::try_from(checkpoint.weights.vector(name).unwrap_or_default()) else {
        return Err(bad(name, "must be one number for each agent"));
    };
    let ensemble = EnsembleWeights::from_logits(logits.map(f64::from)).map_err(|error| bad(name, &error.to_string()))?;
    let Some(adjust) = checkpoint.manifest.regime_volatility_adjust else {
        return Err(bad("manifest.regimeVolatilityAdjust", "missing, must be true or false"));
    };
    ModelParameters::new(sha256, temperatures, ensemble, adjust).map_err(|error| bad("temperature", &error.to_string()))
}

impl StrategicNetwork for StrategicPolicies {
    fn logits(&mut self, rows: &[[f32; COLUMNS]], context: &[f64; CONTEXT]) -> Result<Logits, NetworkError> {
        self.policies.logits(&pooled(rows), context).map_err(|error| NetworkError(error.to_string()))
    }
}
