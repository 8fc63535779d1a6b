//! What can go wrong in the execution engine.

use tradewind_core::account::AccountError;
use tradewind_core::instrument::Symbol;
use tradewind_core::orders::{IllegalTransition, OrderId};
use tradewind_journal::JournalError;
use tradewind_wire::convert::ConvertError;

use crate::gate::GateError;

/// Why a call has no answer. A refused trade is an answer.
#[derive(Debug, thiserror::Error)]
pub enum ExecutionError {
    /// The journal cannot be written: the process must end, its restart reads back what is there.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The risk service did not answer, refused the question or fenced this process.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// The gate answered with something else than was asked for.
    #[error("risk service: {0}")]
    Answer(String),
    /// The account has not been acquired and reconciled yet.
    #[error("execution: not reconciled yet; ask again")]
    NotRecovered,
    /// The journal was written for something else.
    #[error("execution journal: {field} is '{found}', this process was started with '{wanted}'; give it its own data directory")]
    OtherJournal {
        /// What differs.
        field: &'static str,
        /// Value in the journal.
        found: String,
        /// Value of this process.
        wanted: String,
    },
    /// Our book and the venue's book differ after everything was exchanged. Nothing is traded until a person looked.
    #[error("reconciliation: {what} of {key} is {ours} here and {theirs} at the venue; trading stays off, compare both journals")]
    Differs {
        /// What was compared.
        what: &'static str,
        /// Symbol or order.
        key: String,
        /// Our value.
        ours: String,
        /// The venue's value.
        theirs: String,
    },
    /// The symbol is not one of the policy.
    #[error("symbol '{0}' is not traded by this policy")]
    UnknownSymbol(String),
    /// The venue speaks of an order that was never sent.
    #[error("venue event {number} is about order {order_id}, which was never sent from here")]
    UnknownOrder {
        /// Number of the event.
        number: u64,
        /// Order it names.
        order_id: OrderId,
    },
    /// The venue reports what cannot follow.
    #[error("order {order_id}: {source}")]
    Transition {
        /// Order in question.
        order_id: OrderId,
        /// What is illegal.
        source: IllegalTransition,
    },
    /// A bar or trade is malformed.
    #[error(transparent)]
    Message(#[from] ConvertError),
    /// A field of a trade makes no sense.
    #[error("trade {trade_id}: {field} is {seen}, allowed is {allowed}")]
    Trade {
        /// Trade in question.
        trade_id: String,
        /// Field that is wrong.
        field: &'static str,
        /// Value seen.
        seen: String,
        /// Values allowed.
        allowed: &'static str,
    },
    /// Figures cannot be booked.
    #[error(transparent)]
    Figures(#[from] AccountError),
    /// A position without a trade that opened it.
    #[error("{0}: there is a position and no trade that opened it")]
    Orphan(Symbol),
}

impl ExecutionError {
    /// Whether the process must end: its state on disk and in memory may differ, or another process owns the account.
    #[must_use]
    pub const fn is_fatal(&self) -> bool {
        matches!(self, Self::Journal(_) | Self::Gate(GateError::Fenced(_)) | Self::Transition { .. })
    }
}
