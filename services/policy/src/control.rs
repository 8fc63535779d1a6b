//! What the policy's own resource says: halt, mode of trading, and who may drive. Read by this process itself, so
//! that a halt works while the operator is down.

use tradewind_crds::TradingPolicy;
use tradewind_crds::trading_policy::TradingMode;

use crate::record::Trading;
use crate::sequencer::{Control, Routing};

/// The part of a TradingPolicy that its decider obeys.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// Halt and mode of trading.
    pub control: Control,
    /// Who may drive.
    pub routing: Routing,
    /// Generation of the spec.
    pub generation: i64,
}

impl Wanted {
    /// Reads a policy as it stands at the API server.
    #[must_use]
    pub fn of(policy: &TradingPolicy) -> Self {
        let spec = &policy.spec;
        let trading = match spec.trading {
            TradingMode::Off => Trading::Off,
            TradingMode::Shadow => Trading::Shadow,
            TradingMode::Paper => Trading::Paper,
        };
        let unsigned = |value: i64| u32::try_from(value).unwrap_or(0);
        let confidence_bps = unsigned(spec.rollout.gates.paired_pnl.confidence_bps);
        let rollout = policy.status.as_ref().and_then(|status| status.rollout.as_ref());
        let routing = rollout.map_or_else(
            || Routing { confidence_bps, ..Routing::default() },
            |rollout| Routing {
                stable: rollout.stable_bundle.clone(),
                candidate: Some(rollout.candidate_bundle.clone()).filter(|bundle| !bundle.is_empty()),
                step: u32::try_from(rollout.step).unwrap_or(0),
                weight_bps: u32::try_from(rollout.weight_bps).unwrap_or(0),
                confidence_bps,
            },
        );
        Self { control: Control { halt: spec.halt, trading }, routing, generation: policy.metadata.generation.unwrap_or(0) }
    }

    /// What holds after a look at the API server: a policy that was deleted stops trading.
    #[must_use]
    pub fn after(policy: Option<&TradingPolicy>, known: Option<&Self>) -> Option<Self> {
        policy.map(Self::of).or_else(|| known.cloned().map(Self::stopped))
    }

    fn stopped(mut self) -> Self {
        self.control.halt = true;
        self
    }
}
