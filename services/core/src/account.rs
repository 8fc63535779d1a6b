//! Positions, profit and equity of one account, exact to the nano unit.
//!
//! Every amount is an integer. Splitting the cost of a position moves a remainder of less than one nano
//! unit between realised and unrealised profit, but their sum is always exactly the cash that flowed plus
//! the value of what is held.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::calendar::SessionId;
use crate::instrument::{Instrument, Lots, Symbol, Ticks};
use crate::money::Money;
use crate::side::Side;
use crate::time::Nanos;

/// One execution as the account books it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fill {
    /// What was traded.
    pub symbol: Symbol,
    /// Signed size: positive bought, negative sold; never 0.
    pub lots: Lots,
    /// Price paid or received.
    pub price: Ticks,
    /// Fee charged; 0 or more.
    pub fee: Money,
    /// Event time of the execution.
    pub event_time: Nanos,
}

/// Why the account refuses an event. Nothing is booked when it does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// A symbol that was never registered.
    #[error("account: {0} is not registered, register its instrument before the first fill or mark")]
    Unknown(Symbol),
    /// The instrument differs from the one registered earlier.
    #[error("account: {0} was registered with another tick, lot or point value; a changed instrument needs a new symbol")]
    Changed(Symbol),
    /// The fill has no size, a price that is not positive or a negative fee.
    #[error(
        "account: fill of {symbol} with {lots} lots at {price} ticks and fee {fee}: size must differ from 0, price be above 0 and fee at least 0"
    )]
    Fill {
        /// What was traded.
        symbol: Symbol,
        /// Size seen.
        lots: i64,
        /// Price seen.
        price: i64,
        /// Fee seen.
        fee: Money,
    },
    /// The mark is not positive.
    #[error("account: mark of {symbol} is {price} ticks, it must be above 0")]
    Mark {
        /// What was marked.
        symbol: Symbol,
        /// Price seen.
        price: i64,
    },
}

/// The holding of one instrument and what it earned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The instrument.
    pub instrument: Instrument,
    /// Signed size; 0 when flat.
    pub lots: Lots,
    /// Signed value at entry of what is held: above 0 when long, below 0 when short.
    pub cost: Money,
    /// Profit of everything closed, before fees.
    pub realised: Money,
    /// Fees paid.
    pub fees: Money,
    /// Newest known price; 0 before the first.
    pub mark: Ticks,
    /// Event time of the mark.
    pub marked_at: Nanos,
    /// Profit after costs since the position was last flat.
    trade: Money,
}

impl Position {
    const fn new(instrument: Instrument) -> Self {
        Self {
            instrument,
            lots: Lots(0),
            cost: Money::ZERO,
            realised: Money::ZERO,
            fees: Money::ZERO,
            mark: Ticks(0),
            marked_at: Nanos(0),
            trade: Money::ZERO,
        }
    }

    /// Average entry price to the nearest tick, for display; 0 when flat.
    #[must_use]
    pub fn average_price(&self) -> Ticks {
        let unit = self.instrument.tick_value().nanos() * i128::from(self.lots.0);
        if unit == 0 {
            return Ticks(0);
        }
        // Cost and unit carry the same sign, so the quotient is positive.
        Ticks(i64::try_from((2 * self.cost.nanos().abs() + unit.abs()) / (2 * unit.abs())).unwrap_or(i64::MAX))
    }

    /// Signed value at the newest mark.
    #[must_use]
    pub const fn value(&self) -> Money {
        self.instrument.notional(self.lots, self.mark)
    }

    /// Profit of what is held, at the newest mark.
    #[must_use]
    pub fn unrealised(&self) -> Money {
        self.value() - self.cost
    }

    /// Long, short, or `None` when flat.
    #[must_use]
    pub const fn side(&self) -> Option<Side> {
        Side::of(self.lots)
    }

    /// Books a part that does not cross zero; returns the profit after costs of the trade it closes.
    fn book_part(&mut self, lots: i64, price: Ticks, fee: Money) -> Option<Money> {
        self.fees += fee;
        self.trade -= fee;
        if self.lots.0 == 0 || self.lots.0.signum() == lots.signum() {
            self.cost += self.instrument.notional(Lots(lots), price);
            self.lots.0 += lots;
            return None;
        }
        let closed = Lots(-lots);
        let released = Money::from_nanos(self.cost.nanos() * i128::from(closed.0) / i128::from(self.lots.0));
        let profit = self.instrument.notional(closed, price) - released;
        self.cost -= released;
        self.realised += profit;
        self.trade += profit;
        self.lots.0 += lots;
        (self.lots.0 == 0).then(|| std::mem::take(&mut self.trade))
    }
}

/// The book of one account.
///
/// Equity = starting equity + realised profit - fees + unrealised profit at the newest marks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    starting_equity: Money,
    positions: BTreeMap<Symbol, Position>,
    high_water: Money,
    session: Option<SessionId>,
    session_start: Money,
    losing_streak: u32,
    closed_trades: u64,
}

impl Account {
    /// An account without positions. `starting_equity` must be above 0 for ratios to exist.
    #[must_use]
    pub const fn new(starting_equity: Money) -> Self {
        Self {
            starting_equity,
            positions: BTreeMap::new(),
            high_water: starting_equity,
            session: None,
            session_start: starting_equity,
            losing_streak: 0,
            closed_trades: 0,
        }
    }

    /// Makes an instrument known. Repeating it is free; changing it is refused.
    ///
    /// # Errors
    /// [`AccountError::Changed`] when tick, lot or point value differ from the first registration.
    pub fn register(&mut self, instrument: &Instrument) -> Result<(), AccountError> {
        match self.positions.get(&instrument.symbol) {
            Some(position) if position.instrument == *instrument => Ok(()),
            Some(_) => Err(AccountError::Changed(instrument.symbol.clone())),
            None => {
                self.positions.insert(instrument.symbol.clone(), Position::new(instrument.clone()));
                Ok(())
            }
        }
    }

    /// Begins a session of the account's calendar if it is later than the current one: its profit counts from the
    /// equity at this point. Call it before the fills of the first bar of a session. True when it began.
    pub fn roll_session(&mut self, session: SessionId) -> bool {
        if self.session.is_some_and(|current| session <= current) {
            return false;
        }
        self.session = Some(session);
        self.session_start = self.equity();
        true
    }

    /// Books one execution. Returns the profit after costs of the trade it closed, if it closed one.
    ///
    /// # Errors
    /// [`AccountError`] when the symbol is unknown or the figures cannot be; nothing is booked then.
    pub fn book(&mut self, fill: &Fill) -> Result<Option<Money>, AccountError> {
        let wrong = fill.lots.0 == 0 || fill.price.0 <= 0 || fill.fee < Money::ZERO;
        if wrong {
            let symbol = fill.symbol.clone();
            return Err(AccountError::Fill { symbol, lots: fill.lots.0, price: fill.price.0, fee: fill.fee });
        }
        let position = self.positions.get_mut(&fill.symbol).ok_or_else(|| AccountError::Unknown(fill.symbol.clone()))?;
        let held = position.lots.0;
        let crosses = held.signum() == -fill.lots.0.signum() && fill.lots.0.abs() > held.abs();
        let closed = if crosses {
            // A fill through zero is two: the one that closes and the one that opens; the fee is shared by size.
            let fee = Money::from_nanos(fill.fee.nanos() * i128::from(held.abs()) / i128::from(fill.lots.0.abs()));
            let closed = position.book_part(-held, fill.price, fee);
            position.book_part(fill.lots.0 + held, fill.price, fill.fee - fee);
            closed
        } else {
            position.book_part(fill.lots.0, fill.price, fill.fee)
        };
        if position.mark.0 == 0 {
            position.mark = fill.price;
        }
        if let Some(profit) = closed {
            self.closed_trades += 1;
            self.losing_streak = if profit < Money::ZERO { self.losing_streak + 1 } else { 0 };
        }
        Ok(closed)
    }

    /// Values a position at a new price and raises the high-water mark.
    ///
    /// # Errors
    /// [`AccountError`] when the symbol is unknown or the price is not positive.
    pub fn mark(&mut self, symbol: &Symbol, price: Ticks, event_time: Nanos) -> Result<(), AccountError> {
        self.revalue(symbol, price, event_time)?;
        self.high_water = self.high_water.max(self.equity());
        Ok(())
    }

    /// Values a position at a price within a bar: the high-water mark counts closes alone.
    ///
    /// # Errors
    /// [`AccountError`] when the symbol is unknown or the price is not positive.
    pub fn revalue(&mut self, symbol: &Symbol, price: Ticks, event_time: Nanos) -> Result<(), AccountError> {
        if price.0 <= 0 {
            return Err(AccountError::Mark { symbol: symbol.clone(), price: price.0 });
        }
        let position = self.positions.get_mut(symbol).ok_or_else(|| AccountError::Unknown(symbol.clone()))?;
        position.mark = price;
        position.marked_at = event_time;
        Ok(())
    }

    /// Measures drawdown from the present equity on; for the acknowledgement of a drawdown breaker.
    pub fn rebase_high_water(&mut self) {
        self.high_water = self.equity();
    }

    /// Equity the account began with.
    #[must_use]
    pub const fn starting_equity(&self) -> Money {
        self.starting_equity
    }

    /// Starting equity + realised - fees + unrealised.
    #[must_use]
    pub fn equity(&self) -> Money {
        self.starting_equity + self.positions.values().map(|p| p.realised - p.fees + p.unrealised()).sum()
    }

    /// Highest equity seen at a mark (or the start, or the last acknowledgement of a breaker).
    #[must_use]
    pub const fn high_water(&self) -> Money {
        self.high_water
    }

    /// Equity at which the current session began.
    #[must_use]
    pub const fn session_start(&self) -> Money {
        self.session_start
    }

    /// The current session, `None` before the first.
    #[must_use]
    pub const fn session(&self) -> Option<SessionId> {
        self.session
    }

    /// Profit of the session, realised and not, after fees.
    #[must_use]
    pub fn daily_pnl(&self) -> Money {
        self.equity() - self.session_start
    }

    /// Profit of the session in basis points of its starting equity, rounded down.
    #[must_use]
    pub fn daily_pnl_bps(&self) -> i64 {
        self.daily_pnl().ratio_bps(self.session_start).unwrap_or(i64::MIN)
    }

    /// `(equity - high water) / high water` in basis points, 0 or less, rounded down. RK-10, C-43.
    #[must_use]
    pub fn drawdown_bps(&self) -> i64 {
        (self.equity() - self.high_water).ratio_bps(self.high_water).map_or(i64::MIN, |bps| bps.min(0))
    }

    /// Sum of the absolute values of all positions at their marks.
    #[must_use]
    pub fn gross_exposure(&self) -> Money {
        self.positions.values().map(|p| p.value().abs()).sum()
    }

    /// Gross exposure in basis points of equity, rounded down; `u64::MAX` when equity is gone.
    #[must_use]
    pub fn gross_exposure_bps(&self) -> u64 {
        self.gross_exposure().ratio_bps(self.equity()).and_then(|bps| u64::try_from(bps).ok()).unwrap_or(u64::MAX)
    }

    /// Closed trades in a row that lost after costs. A trade lasts from flat to flat.
    #[must_use]
    pub const fn losing_streak(&self) -> u32 {
        self.losing_streak
    }

    /// Trades closed so far.
    #[must_use]
    pub const fn closed_trades(&self) -> u64 {
        self.closed_trades
    }

    /// Number of positions that are not flat.
    #[must_use]
    pub fn open_positions(&self) -> u32 {
        u32::try_from(self.positions.values().filter(|p| p.lots.0 != 0).count()).unwrap_or(u32::MAX)
    }

    /// The position of a registered symbol.
    #[must_use]
    pub fn position(&self, symbol: &Symbol) -> Option<&Position> {
        self.positions.get(symbol)
    }

    /// Signed size held; 0 for an unknown symbol.
    #[must_use]
    pub fn lots(&self, symbol: &Symbol) -> Lots {
        self.positions.get(symbol).map_or(Lots(0), |p| p.lots)
    }

    /// All registered symbols, ascending.
    pub fn positions(&self) -> impl Iterator<Item = &Position> {
        self.positions.values()
    }
}
