//! What can go wrong at the gate.

use tradewind_core::account::AccountError;
use tradewind_core::instrument::InstrumentError;
use tradewind_journal::JournalError;
use tradewind_venue::adapter::VenueError;
use tradewind_wire::bus::{FeedName, StreamIdentity};
use tradewind_wire::convert::ConvertError;

/// Why a question has no answer. A refused order is an answer, not an error.
#[derive(Debug, thiserror::Error)]
pub enum RiskError {
    /// The journal cannot be written: nothing more may be answered, the process must end.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A change could not be carried through after it had begun: memory and journal may differ, the process must end.
    #[error("the gate cannot go on: {0}; a restart continues where its journal ends")]
    Broken(String),
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
    /// The policy does not trade this account.
    #[error(
        "policy '{0}' does not trade this account by its resources; wait until the operator has written them, or ask the account's own gate"
    )]
    UnknownPolicy(String),
    /// The instrument is not one of the policy.
    #[error("symbol '{symbol}' is not an instrument of policy '{policy}'")]
    UnknownSymbol {
        /// Symbol seen.
        symbol: String,
        /// Policy that asks.
        policy: String,
    },
    /// A newer process owns the orders of the policy, or the caller never did.
    #[error(
        "epoch {seen} of policy '{policy}': its orders belong to epoch {allowed}; this process has lost them for good and must stop"
    )]
    Fenced {
        /// Policy that asks.
        policy: String,
        /// Epoch seen.
        seen: u64,
        /// Epoch in force.
        allowed: u64,
    },
    /// The gate's own feed has not brought the bar yet.
    #[error("bar {sequence} of {symbol} has not come to the gate yet; ask again")]
    NotSeen {
        /// Symbol asked for.
        symbol: String,
        /// Sequence asked for.
        sequence: u64,
    },
    /// A bar of a live feed from the future.
    #[error("bar {sequence} of {symbol} closes {seen_ms} ms ahead of the clock of arrival, allowed are 5000; it is left out")]
    Ahead {
        /// Symbol of the bar.
        symbol: String,
        /// Its place in the feed.
        sequence: u64,
        /// Distance.
        seen_ms: i64,
    },
    /// The stream of a feed was removed and made again: its numbers mean other bars.
    #[error(
        "the stream of feed '{feed}' is another one than before ({found}, the gate began on the one {expected}): two histories must not be mixed; restore the old stream, or make a policy of another name and delete the ones that began on the old stream"
    )]
    Replaced {
        /// The feed.
        feed: FeedName,
        /// The stream on which the gate began.
        expected: StreamIdentity,
        /// The stream of that name now.
        found: StreamIdentity,
    },
    /// A message that makes no sense.
    #[error(transparent)]
    Message(#[from] ConvertError),
    /// More than one message may hold.
    #[error("{what}: {seen} in one message, allowed are {allowed}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// Number seen.
        seen: usize,
        /// Number allowed.
        allowed: usize,
    },
    /// A symbol, tick, lot or point value is unusable.
    #[error(transparent)]
    Instrument(#[from] InstrumentError),
    /// There is no account before the first valid profile: its starting equity is not known.
    #[error("no valid RiskProfile has been seen yet, so the account's starting equity is not known")]
    NoProfile,
}

impl RiskError {
    /// Whether the engine can go on. After these it must not.
    #[must_use]
    pub const fn is_fatal(&self) -> bool {
        matches!(self, Self::Journal(_) | Self::Broken(_))
    }
}

impl From<AccountError> for RiskError {
    fn from(error: AccountError) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<VenueError> for RiskError {
    fn from(error: VenueError) -> Self {
        Self::Broken(error.to_string())
    }
}
