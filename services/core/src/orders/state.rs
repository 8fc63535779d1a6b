//! The states of an order and the transitions that are legal (EX-67, EX-68, EX-69).

use serde::{Deserialize, Serialize};

/// State of an order. `Rejected`, `Filled`, `Cancelled` and `Expired` are terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// Planned.
    New,
    /// Passed the pre-trade check.
    Validated,
    /// Refused by the check or by the venue.
    Rejected,
    /// Journaled and on its way; the venue may or may not have it.
    PendingSubmit,
    /// Working at the venue, nothing filled.
    Submitted,
    /// Working at the venue, a part filled.
    PartiallyFilled,
    /// Filled whole.
    Filled,
    /// A cancellation is on its way.
    CancelPending,
    /// Taken back.
    Cancelled,
    /// Ran out.
    Expired,
    /// The venue's state is not known: it must be reconciled before anything new is sent.
    Unknown,
}

/// What happens to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum OrderEvent {
    /// The pre-trade check allowed it.
    Validated,
    /// The pre-trade check refused it.
    Denied,
    /// It is journaled and is being sent.
    Sent,
    /// The venue has it.
    Accepted,
    /// The venue refused it.
    VenueRejected,
    /// A part or all was filled.
    Filled {
        /// Size of this fill, above 0.
        lots: i64,
    },
    /// The venue took lots away: a sibling of its group was filled.
    Reduced {
        /// Size taken, above 0.
        lots: i64,
    },
    /// A cancellation is being sent.
    CancelSent,
    /// The venue took the remainder back.
    Cancelled,
    /// The venue let the remainder run out.
    Expired,
    /// Contact was lost.
    Lost,
}

/// A transition that no order can make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("order: {event:?} cannot follow {state:?} with {filled} of {lots} lots filled")]
pub struct IllegalTransition {
    /// State it was in.
    pub state: OrderState,
    /// Event refused.
    pub event: OrderEvent,
    /// Lots asked for.
    pub lots: i64,
    /// Lots filled.
    pub filled: i64,
}

/// How far an order is. Sizes without sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// State.
    pub state: OrderState,
    /// Lots asked for, less what a sibling took.
    pub lots: i64,
    /// Lots filled.
    pub filled: i64,
}

impl OrderState {
    /// Whether the state can never change again.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Rejected | Self::Filled | Self::Cancelled | Self::Expired)
    }

    /// Whether the venue may hold the order.
    #[must_use]
    pub const fn is_working(self) -> bool {
        matches!(self, Self::PendingSubmit | Self::Submitted | Self::PartiallyFilled | Self::CancelPending | Self::Unknown)
    }
}

impl Progress {
    /// A new order of this size (without sign, above 0).
    #[must_use]
    pub const fn new(lots: i64) -> Self {
        Self { state: OrderState::New, lots, filled: 0 }
    }

    /// Lots not filled.
    #[must_use]
    pub const fn left(&self) -> i64 {
        self.lots - self.filled
    }

    /// Applies an event.
    ///
    /// A fill may cross a cancellation on its way, so it may follow `CancelPending` and even `Cancelled` and
    /// `Expired`: the lots are counted, the terminal state stays.
    ///
    /// # Errors
    /// [`IllegalTransition`]; nothing changes then.
    pub fn apply(&mut self, event: OrderEvent) -> Result<(), IllegalTransition> {
        use OrderEvent as E;
        use OrderState as S;
        let state = self.state;
        let next = match (state, event) {
            (S::New, E::Validated) => S::Validated,
            (S::New | S::Validated, E::Denied) => S::Rejected,
            (S::Validated, E::Sent) => S::PendingSubmit,
            (S::PendingSubmit | S::Unknown, E::Accepted) => self.by_size(S::Submitted),
            (S::CancelPending, E::Accepted) => S::CancelPending,
            (S::PendingSubmit | S::Unknown, E::VenueRejected) if self.filled == 0 => S::Rejected,
            (S::PendingSubmit | S::Submitted | S::PartiallyFilled | S::CancelPending | S::Unknown, E::Filled { lots }) => {
                self.fill(lots, event)?;
                if state == S::CancelPending && self.left() > 0 { state } else { self.by_size(S::PartiallyFilled) }
            }
            (S::Cancelled | S::Expired, E::Filled { lots }) => {
                self.fill(lots, event)?;
                state
            }
            (S::Submitted | S::PartiallyFilled | S::CancelPending | S::Unknown, E::Reduced { lots })
                if lots > 0 && lots < self.left() =>
            {
                self.lots -= lots;
                state
            }
            (S::PendingSubmit | S::Submitted | S::PartiallyFilled | S::Unknown, E::CancelSent) => S::CancelPending,
            (S::PendingSubmit | S::Submitted | S::PartiallyFilled | S::CancelPending | S::Unknown, E::Cancelled) => S::Cancelled,
            (S::Submitted | S::PartiallyFilled | S::CancelPending | S::Unknown, E::Expired) => S::Expired,
            (S::PendingSubmit | S::Submitted | S::PartiallyFilled | S::CancelPending, E::Lost) => S::Unknown,
            _ => return Err(self.illegal(event)),
        };
        self.state = next;
        Ok(())
    }

    const fn by_size(&self, otherwise: OrderState) -> OrderState {
        if self.filled == self.lots {
            OrderState::Filled
        } else if self.filled > 0 {
            OrderState::PartiallyFilled
        } else {
            otherwise
        }
    }

    const fn fill(&mut self, lots: i64, event: OrderEvent) -> Result<(), IllegalTransition> {
        if lots <= 0 || lots > self.left() {
            return Err(self.illegal(event));
        }
        self.filled += lots;
        Ok(())
    }

    const fn illegal(&self, event: OrderEvent) -> IllegalTransition {
        IllegalTransition { state: self.state, event, lots: self.lots, filled: self.filled }
    }

    /// Status for metrics (EX-69): `filled` above 99 %, `partial` above nothing, else `rejected`.
    #[must_use]
    pub const fn status(&self) -> &'static str {
        if self.filled * 100 > self.lots * 99 {
            "filled"
        } else if self.filled > 0 {
            "partial"
        } else {
            "rejected"
        }
    }
}
