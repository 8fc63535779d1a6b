//! The risk service as execution sees it.

use tradewind_wire::v1;

/// Why the risk service gave no answer. A refused order is an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// No answer: ask again, and send nothing meanwhile.
    #[error("risk service: no answer: {0}")]
    Unavailable(String),
    /// Another process owns the account: this one must stop.
    #[error("risk service: {0}")]
    Fenced(String),
    /// The question is refused for good.
    #[error("risk service refuses: {0}")]
    Refused(String),
}

/// Pre-trade checks and account reports. All calls are idempotent; every error means: no order.
pub trait RiskGate {
    /// Whether the risk service was heard lately. While it was not, no bar is met: it waits.
    ///
    /// # Errors
    /// [`GateError::Unavailable`].
    fn alive(&mut self) -> Result<(), GateError> {
        Ok(())
    }

    /// Takes the account; answers with a token above every earlier one.
    ///
    /// # Errors
    /// [`GateError`].
    fn acquire(&mut self, request: &v1::AcquireRequest) -> Result<v1::AcquireReply, GateError>;

    /// Checks one order and reserves it.
    ///
    /// # Errors
    /// [`GateError`].
    fn check_order(&mut self, order: &v1::OrderProposal) -> Result<v1::OrderVerdict, GateError>;

    /// Reports fills and a mark.
    ///
    /// # Errors
    /// [`GateError`].
    fn report(&mut self, report: &v1::AccountReport) -> Result<v1::RiskState, GateError>;
}
