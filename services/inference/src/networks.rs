//! The networks of a bundle, read from its checkpoints.

use std::path::Path;

use tradewind_core::calendar::CalendarName;
use tradewind_features::strategic::decision::{ModelParameters, StrategicNetwork};
use tradewind_features::tactical::Network;
use tradewind_nets::{LoadError, StrategicPolicies, TacticalNetwork};
use tradewind_wire::config::{BundleConfig, CheckpointConfig};

/// The networks of both stages.
pub struct Networks {
    /// Strategic policies.
    pub strategic: Box<dyn StrategicNetwork + Send>,
    /// What their checkpoint says beside the weights.
    pub parameters: ModelParameters,
    /// Calendar whose half hours the strategic policies learned; `None` when they learned bars as they were recorded.
    pub calendar: Option<CalendarName>,
    /// Tactical actors.
    pub tactical: Box<dyn Network + Send>,
}

/// Why a bundle has no networks.
#[derive(Debug, thiserror::Error)]
pub enum NetworksError {
    /// A role has no checkpoint.
    #[error("bundle {bundle} has no {role} checkpoint; it needs one of each role, Strategic and Tactical")]
    Absent {
        /// Id of the bundle.
        bundle: String,
        /// Role in question.
        role: &'static str,
    },
    /// A file cannot be served.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl Networks {
    /// Reads the checkpoints from a directory in which they are named by their digests.
    ///
    /// # Errors
    /// [`NetworksError`] for the first role that has none that can be served.
    pub fn load(bundle: &BundleConfig, directory: &Path) -> Result<Self, NetworksError> {
        let absent = |role| NetworksError::Absent { bundle: bundle.bundle.clone(), role };
        let of = |role| bundle.checkpoint(role).ok_or_else(|| absent(role));
        let path = |checkpoint: &CheckpointConfig| directory.join(checkpoint.file_name());
        let (strategic, tactical) = (of("Strategic")?, of("Tactical")?);
        let tactical = TacticalNetwork::load(&path(tactical), &tactical.sha256)?;
        let strategic = StrategicPolicies::load(&path(strategic), &strategic.sha256)?;
        Ok(Self::new(strategic, tactical))
    }

    /// Networks that were read before.
    #[must_use]
    pub fn new(strategic: StrategicPolicies, tactical: TacticalNetwork) -> Self {
        let (parameters, calendar) = (strategic.parameters().clone(), strategic.manifest().calendar);
        Self { strategic: Box::new(strategic), parameters, calendar, tactical: Box::new(tactical) }
    }
}
