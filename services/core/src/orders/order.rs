//! What is asked of a venue.

use serde::{Deserialize, Serialize};

use crate::instrument::{Lots, Symbol, Ticks};
use crate::time::Nanos;

/// Client order id: `<trade id>#<child index>`, so that sending again can never double (EX-79).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrderId(String);

impl OrderId {
    /// The id of one child of a trade.
    #[must_use]
    pub fn child(trade_id: &str, index: u32) -> Self {
        Self(format!("{trade_id}#{index}"))
    }

    /// An id that came in a message.
    #[must_use]
    pub const fn from_text(text: String) -> Self {
        Self(text)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for OrderId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// When an order trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Kind {
    /// At the open of the next bar.
    Market,
    /// When the price reaches the trigger against the position.
    Stop {
        /// Trigger price.
        trigger: Ticks,
    },
    /// At this price or better.
    Limit {
        /// Worst price.
        limit: Ticks,
    },
}

impl Kind {
    /// Trigger or limit; `None` for a market order.
    #[must_use]
    pub const fn price(self) -> Option<Ticks> {
        match self {
            Self::Market => None,
            Self::Stop { trigger } => Some(trigger),
            Self::Limit { limit } => Some(limit),
        }
    }
}

/// What becomes of a remainder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeInForce {
    /// What does not fill at once is cancelled: entries (TA-31).
    ImmediateOrCancel,
    /// Works until filled or cancelled: closes and protective orders.
    GoodTillCancel,
}

/// Why an order exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Closes the position of an earlier trade.
    Close,
    /// Opens the position of its trade.
    Entry,
    /// Takes the loss.
    Stop,
    /// Takes the profit.
    Target,
}

impl Order {
    /// Whether two orders ask for the same. When they were sent and which bar caused them is not part of it.
    #[must_use]
    pub fn same_content(&self, other: &Self) -> bool {
        Self { after_index: None, sent_at: Nanos(0), ..self.clone() }
            == Self { after_index: None, sent_at: Nanos(0), ..other.clone() }
    }
}

/// An order as sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Client order id.
    pub id: OrderId,
    /// What is traded.
    pub symbol: Symbol,
    /// Signed size, never 0.
    pub lots: Lots,
    /// When it trades.
    pub kind: Kind,
    /// What becomes of a remainder.
    pub time_in_force: TimeInForce,
    /// May only bring the position closer to flat.
    pub reduce_only: bool,
    /// Orders of one group cancel one another: what one fills, the others lose.
    pub group: Option<String>,
    /// The order meets bars after this index, never the bar that caused it.
    pub after_index: Option<u64>,
    /// Event time at which it was sent.
    pub sent_at: Nanos,
}
