//! What a checkpoint says beside its weights: temperatures and the weights of the agents.

use super::agent::Agent;
use super::ensemble::EnsembleWeights;
use super::fault::DecisionConfigError;

/// Temperatures outside are refused (ST-51, SU-45, SU C-26).
const TEMPERATURE_RANGE: [f64; 2] = [0.1, 10.0];

/// What a checkpoint says beside the weights of its networks (ST-56, ST-57).
#[derive(Clone, Debug, PartialEq)]
pub struct ModelParameters {
    pub(super) version: String,
    pub(super) temperatures: [f64; 3],
    pub(super) ensemble: EnsembleWeights,
    pub(super) regime_volatility_adjust: bool,
}

impl ModelParameters {
    /// Parameters of a checkpoint: `version` names it in decisions, temperatures are by agent id.
    ///
    /// # Errors
    /// [`DecisionConfigError`] lists every temperature outside 0.1 to 10; 0, negative ones and NaN are.
    pub fn new(
        version: impl Into<String>,
        temperatures: [f64; 3],
        ensemble: EnsembleWeights,
        regime_volatility_adjust: bool,
    ) -> Result<Self, DecisionConfigError> {
        let [least, most] = TEMPERATURE_RANGE;
        let faults = Agent::ALL.into_iter().zip(temperatures).filter(|(_, tau)| !(least..=most).contains(tau));
        let faults: Vec<String> = faults
            .map(|(agent, tau)| format!("temperature of {} is {tau}, it must be {least} to {most}", agent.name()))
            .collect();
        if !faults.is_empty() {
            return Err(DecisionConfigError(faults));
        }
        Ok(Self { version: version.into(), temperatures, ensemble, regime_volatility_adjust })
    }
}

impl Default for ModelParameters {
    /// Before training: temperatures 1, equal weights, adjustment on.
    fn default() -> Self {
        let (version, ensemble) = (String::new(), EnsembleWeights::default());
        Self { version, temperatures: [1.0; 3], ensemble, regime_volatility_adjust: true }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// ST-51, X-31: temperatures that would invert or explode a softmax.
    #[test]
    fn bad_temperatures_are_refused() {
        let model = |temperatures| ModelParameters::new("m", temperatures, EnsembleWeights::default(), true);
        assert!(model([0.1, 1.0, 10.0]).is_ok());
        for bad in [0.0, -1.0, 0.099, 10.1, f64::NAN, f64::INFINITY] {
            assert!(model([1.0, bad, 1.0]).is_err(), "{bad}");
        }
        let text = model([1.0, 0.0, f64::NAN]).unwrap_err().to_string();
        assert_eq!(
            text,
            "strategic decisions: temperature of nwrqk is 0, it must be 0.1 to 10; temperature of regime is NaN, it must be 0.1 to 10"
        );
    }
}
