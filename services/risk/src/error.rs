//! What can go wrong in the risk engine.

use tradewind_core::account::AccountError;
use tradewind_core::instrument::InstrumentError;
use tradewind_journal::JournalError;
use tradewind_wire::convert::ConvertError;

/// Why a question has no answer. A refused order is an answer, not an error.
#[derive(Debug, thiserror::Error)]
pub enum RiskError {
    /// The journal cannot be written: nothing more may be answered, the process must end.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal belongs to another account.
    #[error("risk journal: written for account '{found}', this service guards '{wanted}'; give it its own data directory")]
    Account {
        /// Account in the journal.
        found: String,
        /// Account of this service.
        wanted: String,
    },
    /// The question is about another account.
    #[error("account '{seen}': this service guards account '{guarded}'")]
    OtherAccount {
        /// Account seen.
        seen: String,
        /// Account guarded.
        guarded: String,
    },
    /// A newer process owns the account.
    #[error("fencing token {seen}: the account belongs to token {allowed}; stop, or acquire the account again")]
    Fenced {
        /// Token seen.
        seen: u64,
        /// Token in force.
        allowed: u64,
    },
    /// Fills are missing between what was booked and what is reported.
    #[error("report: fill {seen} follows fill {booked}; send every fill from {} on", .booked + 1)]
    Gap {
        /// Newest fill booked.
        booked: u64,
        /// Fill reported.
        seen: u64,
    },
    /// A message that makes no sense.
    #[error(transparent)]
    Message(#[from] ConvertError),
    /// A symbol, tick, lot or point value is unusable.
    #[error(transparent)]
    Instrument(#[from] InstrumentError),
    /// The account cannot book the figures.
    #[error(transparent)]
    Figures(#[from] AccountError),
    /// There is no account before the first valid profile: its starting equity is not known.
    #[error("no valid RiskProfile has been seen yet, so the account's starting equity is not known")]
    NoProfile,
}

impl RiskError {
    /// Whether the engine can go on. After a journal error it must not.
    #[must_use]
    pub const fn is_fatal(&self) -> bool {
        matches!(self, Self::Journal(_))
    }
}
