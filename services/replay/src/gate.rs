//! The gate of the same process: its own feed is the bar that the pipeline was given.

use tradewind_execution::{GateError, RiskGate};
use tradewind_risk::{Arrival, Engine, RiskError};
use tradewind_wire::bus::SequencedBar;
use tradewind_wire::v1;

/// A gate that answers directly.
#[derive(Debug)]
pub struct LocalRisk {
    /// The gate.
    pub engine: Engine,
    /// What its feed has brought.
    pub own: Option<SequencedBar>,
}

fn refused(error: RiskError) -> GateError {
    match error {
        RiskError::Fenced { .. } => GateError::Fenced(error.to_string()),
        RiskError::Journal(_) | RiskError::Broken(_) | RiskError::NotSeen { .. } => GateError::Unavailable(error.to_string()),
        other => GateError::Refused(other.to_string()),
    }
}

impl RiskGate for LocalRisk {
    fn acquire(&mut self, request: &v1::AcquireRequest) -> Result<v1::AcquireReply, GateError> {
        self.engine.acquire(request).map_err(refused)
    }

    fn place(&mut self, request: &v1::PlaceRequest) -> Result<v1::PlaceReply, GateError> {
        // A recorded feed has no clock but its events.
        self.engine.place(request, Arrival::default()).map_err(refused)
    }

    fn cancel(&mut self, request: &v1::CancelRequest) -> Result<v1::EventsReply, GateError> {
        self.engine.cancel(request).map_err(refused)
    }

    fn meet(&mut self, request: &v1::MeetRequest) -> Result<v1::MeetReply, GateError> {
        self.engine.meet(request, self.own.as_ref()).map_err(refused)
    }

    fn events(&mut self, request: &v1::EventsRequest) -> Result<v1::EventsReply, GateError> {
        self.engine.events(request).map_err(refused)
    }
}
