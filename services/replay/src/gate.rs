//! The risk engine of the same process as execution's gate.

use tradewind_execution::{GateError, RiskGate};
use tradewind_risk::{Engine, RiskError};
use tradewind_wire::v1;

/// A risk engine that answers directly.
#[derive(Debug)]
pub struct LocalRisk(pub Engine);

fn refused(error: RiskError) -> GateError {
    match error {
        RiskError::Fenced { .. } => GateError::Fenced(error.to_string()),
        RiskError::Journal(_) => GateError::Unavailable(error.to_string()),
        other => GateError::Refused(other.to_string()),
    }
}

impl RiskGate for LocalRisk {
    fn acquire(&mut self, request: &v1::AcquireRequest) -> Result<v1::AcquireReply, GateError> {
        self.0.acquire(request).map_err(refused)
    }

    fn check_order(&mut self, order: &v1::OrderProposal) -> Result<v1::OrderVerdict, GateError> {
        self.0.check_order(order).map_err(refused)
    }

    fn report(&mut self, report: &v1::AccountReport) -> Result<v1::RiskState, GateError> {
        self.0.report(report).map_err(refused)
    }
}
