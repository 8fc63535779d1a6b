//! Hard limits and the check of one order against them.

mod check;
mod denial;
mod reservations;

pub use check::{Proposal, Standing, check};
pub use denial::Denial;
pub use reservations::{OrderRate, Reservation, Reservations};

use serde::{Deserialize, Serialize};

use tradewind_core::account::Account;
use tradewind_core::money::Money;

/// Every limit of an account. A figure equal to its limit passes (EX-114).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    /// Value of one order, at most.
    pub max_order_notional: Money,
    /// Value of the position in one instrument, at most, working orders counted as filled.
    pub max_position_notional: Money,
    /// Sum of all positions without their sign, basis points of equity, at most, working orders counted as filled.
    pub max_gross_exposure_bps: i64,
    /// Loss since the start of the session, basis points of the equity at its start, at most.
    pub daily_loss_bps: i64,
    /// Fall from the highest equity, basis points of it, at most: beyond it the breaker fires.
    pub max_drawdown_bps: i64,
    /// Orders in any minute of event time, at most.
    pub max_orders_per_minute: u32,
    /// Distance of an order's price from the last mark, basis points of the mark, at most.
    pub price_collar_bps: i64,
    /// Age of the instrument's newest bar, nanoseconds of event time, at most.
    pub max_data_age_ns: i64,
}

impl Limits {
    /// The tighter of two limits, one by one. Every limit is a maximum, so tighter is smaller.
    #[must_use]
    pub fn tightest(&self, other: &Self) -> Self {
        Self {
            max_order_notional: self.max_order_notional.min(other.max_order_notional),
            max_position_notional: self.max_position_notional.min(other.max_position_notional),
            max_gross_exposure_bps: self.max_gross_exposure_bps.min(other.max_gross_exposure_bps),
            daily_loss_bps: self.daily_loss_bps.min(other.daily_loss_bps),
            max_drawdown_bps: self.max_drawdown_bps.min(other.max_drawdown_bps),
            max_orders_per_minute: self.max_orders_per_minute.min(other.max_orders_per_minute),
            price_collar_bps: self.price_collar_bps.min(other.price_collar_bps),
            max_data_age_ns: self.max_data_age_ns.min(other.max_data_age_ns),
        }
    }

    /// Whether the loss of the session is beyond its limit.
    #[must_use]
    pub fn daily_loss_exceeded(&self, account: &Account) -> bool {
        exceeds_bps(-account.daily_pnl(), account.session_start(), self.daily_loss_bps)
    }

    /// Whether the fall from the high-water mark is beyond its limit.
    #[must_use]
    pub fn drawdown_exceeded(&self, account: &Account) -> bool {
        exceeds_bps(account.high_water() - account.equity(), account.high_water(), self.max_drawdown_bps)
    }
}

/// `part > whole * bps / 10000`, exactly; a part above 0 exceeds every share of a whole that is not above 0.
#[must_use]
pub(crate) const fn exceeds_bps(part: Money, whole: Money, bps: i64) -> bool {
    let whole = if whole.nanos() > 0 { whole.nanos() } else { 0 };
    part.nanos() * 10_000 > whole * bps as i128
}

/// Which orders are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TradingState {
    /// Every order within the limits.
    Normal,
    /// Orders that reduce a position.
    ReduceOnly,
    /// None.
    Halted,
}

impl std::fmt::Display for TradingState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Normal => "Normal",
            Self::ReduceOnly => "ReduceOnly",
            Self::Halted => "Halted",
        })
    }
}
