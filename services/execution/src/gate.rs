//! The gate of the account as execution sees it: the only way to a venue.

use tradewind_wire::v1;

/// Why the gate gave no answer. A refused order is an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// No answer: ask again, and send nothing meanwhile.
    #[error("risk service: no answer: {0}")]
    Unavailable(String),
    /// Another process owns the orders of the policy: this one must stop for good.
    #[error("risk service: {0}")]
    Fenced(String),
    /// The question is refused for good.
    #[error("risk service refuses: {0}")]
    Refused(String),
}

/// What execution asks of the gate. All calls are idempotent; every error means that nothing is known to have happened, so
/// the same is asked again.
pub trait RiskGate {
    /// Whether the risk service was heard lately. While it was not, no bar is met: it waits.
    ///
    /// # Errors
    /// [`GateError::Unavailable`].
    fn alive(&mut self) -> Result<(), GateError> {
        Ok(())
    }

    /// Takes the orders of the policy; answers with an epoch above every earlier one.
    ///
    /// # Errors
    /// [`GateError`].
    fn acquire(&mut self, request: &v1::AcquireRequest) -> Result<v1::AcquireReply, GateError>;

    /// Hands orders over: each is checked and sent, or refused.
    ///
    /// # Errors
    /// [`GateError`].
    fn place(&mut self, request: &v1::PlaceRequest) -> Result<v1::PlaceReply, GateError>;

    /// Takes orders back.
    ///
    /// # Errors
    /// [`GateError`].
    fn cancel(&mut self, request: &v1::CancelRequest) -> Result<v1::EventsReply, GateError>;

    /// Lets the venue meet a bar of the gate's own feed.
    ///
    /// # Errors
    /// [`GateError`].
    fn meet(&mut self, request: &v1::MeetRequest) -> Result<v1::MeetReply, GateError>;

    /// Says that everything of the feed up to a place is dealt with.
    ///
    /// # Errors
    /// [`GateError`].
    fn settle(&mut self, request: &v1::SettleOwnerRequest) -> Result<(), GateError>;

    /// What the venue said, and what works and is held there.
    ///
    /// # Errors
    /// [`GateError`].
    fn events(&mut self, request: &v1::EventsRequest) -> Result<v1::EventsReply, GateError>;
}
