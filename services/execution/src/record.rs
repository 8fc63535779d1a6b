//! What the execution engine writes to its journal.

use serde::{Deserialize, Serialize};
use tradewind_core::instrument::{Instrument, Symbol, Ticks};
use tradewind_core::money::Money;
use tradewind_core::orders::{Order, OrderId, Role};
use tradewind_core::side::Side;
use tradewind_core::time::Nanos;
use tradewind_venue::paper::VenueEvent;

/// One change of the engine. Replaying all of them gives the same engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    /// The journal begins.
    Opened {
        /// Account.
        account: String,
        /// Policy.
        policy: String,
        /// Equity before the first trade.
        starting_equity: Money,
    },
    /// An instrument is traded from here on.
    Listed {
        /// The instrument.
        instrument: Instrument,
    },
    /// What was drawn before the gate is asked for the orders of the policy.
    Claimed {
        /// Unlike every other claim of any process.
        claim: String,
    },
    /// The orders of the policy were acquired.
    Acquired {
        /// Epoch of the policy at the gate.
        epoch: u64,
    },
    /// A trade was taken in or turned away.
    Trade(TradeRecord),
    /// An order is being handed to the gate.
    Order(OrderRecord),
    /// The gate refused an order, or it was not handed over.
    Denied {
        /// Order.
        order_id: OrderId,
        /// Code of the denial.
        denial: String,
        /// Value seen, value allowed.
        message: String,
    },
    /// A cancellation is being sent.
    CancelSent {
        /// Order to take back.
        order_id: OrderId,
    },
    /// An order that never reached the venue was given up.
    Dropped {
        /// Order.
        order_id: OrderId,
        /// Why.
        reason: String,
    },
    /// The venue told something.
    Venue(VenueEvent),
    /// A bar is done: the gate has met it and valued the account.
    Bar(BarRecord),
    /// Trading was halted or released here.
    Halt {
        /// Whether new trades are refused.
        halt: bool,
        /// Who asked and why.
        reason: String,
    },
}

/// A qualified trade and what was made of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TradeRecord {
    /// Idempotency key.
    pub trade_id: String,
    /// What is traded.
    pub symbol: Symbol,
    /// Index of the deciding bar.
    pub index: u64,
    /// Position of that bar in the feed.
    pub sequence: u64,
    /// Event time of the decision.
    pub decided_at: Nanos,
    /// Direction wanted.
    pub side: Side,
    /// Close of the deciding bar.
    pub reference: Ticks,
    /// Protective stop.
    pub stop: Ticks,
    /// Profit target.
    pub target: Ticks,
    /// Bundle that drove.
    pub bundle: String,
    /// What was made of it.
    pub outcome: Outcome,
}

/// What was made of a trade.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Orders to be sent, in this order.
    Planned {
        /// Orders with their roles.
        orders: Vec<(Role, Order)>,
    },
    /// No order.
    TurnedAway {
        /// `rejected` or `nothing_to_do`.
        status: String,
        /// Code.
        reason: String,
    },
}

/// An order for the gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRecord {
    /// Trade that it belongs to.
    pub trade_id: String,
    /// Why it exists.
    pub role: Role,
    /// Mark as it is known here.
    pub reference: Ticks,
    /// The order.
    pub order: Order,
}

/// The account over all its policies, as the gate has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountFigures {
    /// Money and positions at their marks.
    pub equity: Money,
    /// Equity at the start of the session.
    pub session_start: Money,
    /// Profit of the session, basis points of the equity at its start.
    pub daily_pnl_bps: i64,
    /// Fall from the high-water mark, 0 or less: from the last acknowledged breaker on.
    pub drawdown_bps: i64,
    /// Gross exposure, basis points of equity.
    pub gross_exposure_bps: u64,
    /// Closed trades in a row that lost.
    pub losing_streak: u32,
    /// Positions that are not flat.
    pub open_positions: u32,
    /// Distance that the price of an entry may have from the mark.
    pub price_collar_bps: i64,
}

/// The end of one bar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BarRecord {
    /// Position in the feed.
    pub sequence: u64,
    /// Symbol.
    pub symbol: Symbol,
    /// Index within the symbol.
    pub index: u64,
    /// Close of the bar: the mark.
    pub close: Ticks,
    /// Instant from which the bar is known.
    pub close_time: Nanos,
    /// State that the gate answered.
    pub state: String,
    /// Its reason.
    pub reason: String,
    /// The account as the gate has it.
    pub figures: AccountFigures,
    /// The gate holds other positions than this book: nothing new is traded until it does not.
    pub differs: bool,
}
