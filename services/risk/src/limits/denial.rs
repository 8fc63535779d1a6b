//! Why an order is refused: a closed list of codes, each message with the value seen and the value allowed.

use serde::{Deserialize, Serialize};

use tradewind_core::money::Money;

/// One reason against an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Denial {
    /// The order has no size or a price that is not positive.
    #[error(
        "order of {lots} lots at {price} ticks around a mark of {reference}: the size must differ from 0 and prices be above 0"
    )]
    OrderInvalid {
        /// Size seen.
        lots: i64,
        /// Price seen.
        price: i64,
        /// Mark seen.
        reference: i64,
    },
    /// The order is not of the account that this service guards.
    #[error("account '{seen}': this service guards account '{allowed}'")]
    UnknownAccount {
        /// Account seen.
        seen: String,
        /// Account guarded.
        allowed: String,
    },
    /// Tick, lot or point value are unusable or differ from earlier ones.
    #[error("instrument: {reason}")]
    UnknownInstrument {
        /// What is wrong.
        reason: String,
    },
    /// The id was used for an order of other content.
    #[error("order id {order_id} stands for another order; draw a new id")]
    IdReused {
        /// Id seen.
        order_id: String,
    },
    /// The order was taken back before it came.
    #[error("order {order_id} was taken back before it came")]
    TakenBack {
        /// Id seen.
        order_id: String,
    },
    /// The gate has seen no price of the instrument yet.
    #[error("no bar of {symbol} has come to the gate yet; wait for the feed")]
    NoMark {
        /// Instrument of the order.
        symbol: String,
    },
    /// An order that may open a position carries no price that it cannot trade beyond.
    #[error("a {kind} order may only reduce a position: an order that opens one must be a limit within the collar")]
    Unpriced {
        /// Kind of the order.
        kind: String,
    },
    /// The venue refuses the order.
    #[error("the venue refuses: {reason}")]
    VenueRefused {
        /// What it says.
        reason: String,
    },
    /// The order waited too long for its check.
    #[error("the check began {seen_ms} ms after the order came, allowed are {allowed_ms} ms")]
    Deadline {
        /// Time waited.
        seen_ms: i64,
        /// Time allowed.
        allowed_ms: i64,
    },
    /// The sender speaks of a bar that the gate has not seen.
    #[error("the sender saw a bar {seen_ms} ms newer than the newest of the gate; wait for the gate's feed")]
    DataAhead {
        /// Distance.
        seen_ms: i64,
    },
    /// An order marked reduce-only would not reduce.
    #[error(
        "reduce-only order of {lots} lots: the position is {held} lots, so at most {allowed} lots of the other side can reduce it"
    )]
    NotReducing {
        /// Size seen.
        lots: i64,
        /// Position.
        held: i64,
        /// Size that would reduce.
        allowed: i64,
    },
    /// More orders would wait to reduce one position than any way of leaving it needs.
    #[error("{seen} reduce-only orders of {symbol} are working, allowed are {allowed}: take some back first")]
    ReducingOrders {
        /// Instrument.
        symbol: String,
        /// Orders that work already.
        seen: u64,
        /// Orders allowed.
        allowed: u64,
    },
    /// Trading is halted.
    #[error("trading is halted ({reason}); {allowed}")]
    Halted {
        /// Who halted and why.
        reason: String,
        /// What is still allowed.
        allowed: String,
    },
    /// A drawdown breaker is latched.
    #[error("breaker {id} has fired ({reason}); only orders that reduce a position until it is acknowledged")]
    DrawdownBreaker {
        /// Id to acknowledge.
        id: String,
        /// What fired it.
        reason: String,
    },
    /// The loss of the session is beyond its limit.
    #[error("loss of the session is {seen}, allowed is {allowed}; only orders that reduce a position until the next session")]
    DailyLoss {
        /// Loss seen.
        seen: Money,
        /// Loss allowed.
        allowed: Money,
    },
    /// The newest bar of the instrument is too old.
    #[error("newest bar is {seen_ms} ms old, allowed is {allowed_ms} ms")]
    DataAge {
        /// Age seen.
        seen_ms: i64,
        /// Age allowed.
        allowed_ms: i64,
    },
    /// The price is too far from the mark.
    #[error("price {price} ticks is {seen_bps} bps from the mark {reference}, allowed is {allowed_bps} bps")]
    PriceCollar {
        /// Price seen.
        price: i64,
        /// Mark.
        reference: i64,
        /// Distance, rounded up.
        seen_bps: i64,
        /// Distance allowed.
        allowed_bps: i64,
    },
    /// The order is too large.
    #[error("order is worth {seen}, allowed is {allowed}")]
    OrderNotional {
        /// Value seen.
        seen: Money,
        /// Value allowed.
        allowed: Money,
    },
    /// The position would be too large.
    #[error("position with all working orders would be worth {seen}, allowed is {allowed}")]
    PositionNotional {
        /// Value seen.
        seen: Money,
        /// Value allowed.
        allowed: Money,
    },
    /// All positions together would be too large.
    #[error("gross exposure with all working orders would be {seen}, allowed is {allowed} ({allowed_bps} bps of equity)")]
    GrossExposure {
        /// Exposure seen.
        seen: Money,
        /// Exposure allowed.
        allowed: Money,
        /// Limit.
        allowed_bps: i64,
    },
    /// Too many orders within a minute.
    #[error("this would be order {seen} within a minute, allowed are {allowed}")]
    OrderRate {
        /// Orders with this one.
        seen: u64,
        /// Orders allowed.
        allowed: u32,
    },
}

impl Denial {
    /// The code for replies, ledgers and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::OrderInvalid { .. } => "order_invalid",
            Self::UnknownAccount { .. } => "unknown_account",
            Self::UnknownInstrument { .. } => "unknown_instrument",
            Self::IdReused { .. } => "id_reused",
            Self::TakenBack { .. } => "taken_back",
            Self::NoMark { .. } => "no_mark",
            Self::Unpriced { .. } => "unpriced",
            Self::VenueRefused { .. } => "venue_refused",
            Self::Deadline { .. } => "deadline",
            Self::DataAhead { .. } => "data_ahead",
            Self::NotReducing { .. } => "not_reducing",
            Self::ReducingOrders { .. } => "reducing_orders",
            Self::Halted { .. } => "halted",
            Self::DrawdownBreaker { .. } => "drawdown_breaker",
            Self::DailyLoss { .. } => "daily_loss",
            Self::DataAge { .. } => "data_age",
            Self::PriceCollar { .. } => "price_collar",
            Self::OrderNotional { .. } => "order_notional",
            Self::PositionNotional { .. } => "position_notional",
            Self::GrossExposure { .. } => "gross_exposure",
            Self::OrderRate { .. } => "order_rate",
        }
    }
}
