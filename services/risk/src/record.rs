//! What the risk engine writes to its journal.

use crate::limits::Denial;
use crate::stops::halt::HaltRecord;
use serde::{Deserialize, Serialize};
use tradewind_core::instrument::{Instrument, Lots, Symbol, Ticks};
use tradewind_core::money::Money;
use tradewind_core::time::Nanos;
use tradewind_crds::RiskProfileSpec;

/// One change of the engine. Replaying all of them gives the same engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    /// The journal begins.
    Opened {
        /// Account it is for.
        account: String,
        /// What tells it from every other journal of the account; empty where ids need not differ between journals.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        journal: String,
    },
    /// A valid profile was read.
    Profile {
        /// `metadata.generation`.
        generation: i64,
        /// Its spec.
        spec: Box<RiskProfileSpec>,
    },
    /// The profile was deleted.
    ProfileGone,
    /// A halt was asked for.
    Halted(HaltRecord),
    /// An execution process took the account.
    Acquired {
        /// Its token.
        token: u64,
        /// Its policy.
        policy: String,
    },
    /// An order was checked.
    Checked(CheckRecord),
    /// Fills and a mark were booked.
    Reported(ReportRecord),
}

/// A checked order and its verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckRecord {
    /// Order.
    pub order_id: String,
    /// Its instrument.
    pub instrument: Instrument,
    /// Signed size.
    pub lots: Lots,
    /// Mark of the check.
    pub reference: Ticks,
    /// Whether it may only reduce.
    pub reduce_only: bool,
    /// Event time.
    pub event_time: Nanos,
    /// Reasons against it; empty when allowed.
    pub denials: Vec<Denial>,
}

/// One booked report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportRecord {
    /// Position in the feed.
    pub sequence: u64,
    /// Close of the bar in hand: its session begins before the fills are booked.
    pub session: Option<Nanos>,
    /// Fills, ascending.
    pub fills: Vec<FillRecord>,
    /// Mark.
    pub mark: Option<MarkRecord>,
    /// Orders that are done.
    pub closed: Vec<String>,
}

/// One booked fill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FillRecord {
    /// Number within the account, from 1 without holes.
    pub number: u64,
    /// Order that was filled.
    pub order_id: String,
    /// What was traded.
    pub symbol: Symbol,
    /// Signed size.
    pub lots: Lots,
    /// Price.
    pub price: Ticks,
    /// Fee.
    pub fee: Money,
    /// Event time.
    pub event_time: Nanos,
}

/// A new price of an instrument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkRecord {
    /// Instrument.
    pub instrument: Instrument,
    /// Price.
    pub price: Ticks,
    /// Event time.
    pub event_time: Nanos,
}
