//! The shadow book of one revision: what its decisions would have earned alone.
//!
//! Each revision owns one, both see every bar, and their paired difference is the evidence of a rollout.
//! The fill model is that of the paper venue without partial fills and latency: a trade fills at the next
//! bar's open, its stop and target work from then on, costs are paid. No limit of the risk service applies:
//! a revision is judged by what it wants.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::fills::{FillModel, Guard};
use tradewind_core::account::{Account, AccountError, Fill};
use tradewind_core::bar::Bar;
use tradewind_core::instrument::{Instrument, Lots, Symbol, Ticks};
use tradewind_core::money::Money;
use tradewind_core::side::Side;
use tradewind_core::sizing::{self, SizingError, TradeIntent};
use tradewind_core::time::Nanos;

/// Figures of a shadow book; the same for both revisions of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShadowConfig {
    /// Equity the book starts with; profits are told in basis points of it. Above 0.
    pub starting_equity: Money,
    /// Notional of a trade at multiplier 1 and full risk scale.
    pub base_notional: Money,
    /// Costs of trading.
    pub fills: FillModel,
}

/// Why a bar or decision cannot be booked. The book is unchanged then.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ShadowError {
    /// The bar is not newer than the newest one of its symbol.
    #[error("shadow book: bar {index} of {symbol} comes after bar {newest}; feed every bar once, in order")]
    Order {
        /// Symbol of the bar.
        symbol: Symbol,
        /// Its number.
        index: u64,
        /// Newest number seen.
        newest: u64,
    },
    /// A decision without a bar before it.
    #[error("shadow book: decision for {0} before its first bar")]
    NoBar(Symbol),
    /// The trade has no size.
    #[error(transparent)]
    Sizing(#[from] SizingError),
    /// The account refused a figure.
    #[error(transparent)]
    Account(#[from] AccountError),
}

/// What one bar did to the book.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShadowBar {
    /// Change of equity over the bar, after costs.
    pub net: Money,
    /// `net` in basis points of starting equity.
    pub net_bps: f64,
    /// Absolute notional traded in the bar.
    pub traded: Money,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    lots: Lots,
    guard: Guard,
}

/// Positions, profit and turnover of one revision. Serialisable: a snapshot continues exactly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShadowBook {
    config: ShadowConfig,
    account: Account,
    waiting: BTreeMap<Symbol, Entry>,
    guards: BTreeMap<Symbol, Guard>,
    newest: BTreeMap<Symbol, u64>,
    turnover: Money,
    bars: u64,
    trades: u64,
}

impl ShadowBook {
    /// An empty, flat book.
    #[must_use]
    pub const fn new(config: ShadowConfig) -> Self {
        Self {
            config,
            account: Account::new(config.starting_equity),
            waiting: BTreeMap::new(),
            guards: BTreeMap::new(),
            newest: BTreeMap::new(),
            turnover: Money::ZERO,
            bars: 0,
            trades: 0,
        }
    }

    /// Lets the waiting trade and the protective orders of the bar's symbol meet the bar, then values the
    /// position at its close. Call it for every bar, before the decision of that bar.
    ///
    /// # Errors
    /// [`ShadowError::Order`] for a bar seen before, [`ShadowError::Account`] for a changed instrument.
    pub fn on_bar(&mut self, instrument: &Instrument, bar: &Bar) -> Result<ShadowBar, ShadowError> {
        let symbol = &instrument.symbol;
        if let Some(&newest) = self.newest.get(symbol).filter(|newest| bar.index <= **newest) {
            return Err(ShadowError::Order { symbol: symbol.clone(), index: bar.index, newest });
        }
        self.account.register(instrument)?;
        let (equity, turnover) = (self.account.equity(), self.turnover);
        if let Some(entry) = self.waiting.remove(symbol) {
            let held = self.account.lots(symbol);
            if held.0 != 0 {
                self.trade(instrument, Lots(-held.0), bar.open, bar.open_time)?;
            }
            self.trade(instrument, entry.lots, bar.open, bar.open_time)?;
            self.guards.insert(symbol.clone(), entry.guard);
            self.trades += 1;
        }
        if let (Some(side), Some(guard)) = (Side::of(self.account.lots(symbol)), self.guards.get(symbol).copied())
            && let Some((_, price)) = self.config.fills.guarded_exit(side, guard, bar)
        {
            let held = self.account.lots(symbol);
            self.book(instrument, Lots(-held.0), price, bar.close_time)?;
            self.guards.remove(symbol);
        }
        self.account.mark(symbol, bar.close, bar.close_time)?;
        self.newest.insert(symbol.clone(), bar.index);
        self.bars += 1;
        let net = self.account.equity() - equity;
        Ok(ShadowBar { net, net_bps: self.bps(net), traded: self.turnover - turnover })
    }

    /// Takes a decision made at the close of the newest bar; it trades at the next bar's open. A decision for
    /// the side already held changes nothing; one for the other side closes and opens. True when it will trade.
    ///
    /// # Errors
    /// [`ShadowError`] when the trade has no size or no bar came before it; nothing waits then.
    pub fn decide(&mut self, instrument: &Instrument, intent: &TradeIntent) -> Result<bool, ShadowError> {
        let symbol = &instrument.symbol;
        if !self.newest.contains_key(symbol) {
            return Err(ShadowError::NoBar(symbol.clone()));
        }
        if Side::of(self.account.lots(symbol)) == Some(intent.side) {
            return Ok(false);
        }
        let size = sizing::lots(self.config.base_notional, instrument, intent)?;
        let guard = Guard { stop: intent.stop, target: intent.target };
        self.waiting.insert(symbol.clone(), Entry { lots: intent.side.lots(size.0), guard });
        Ok(true)
    }

    /// Side held in a symbol, `None` when flat.
    #[must_use]
    pub fn side(&self, symbol: &Symbol) -> Option<Side> {
        Side::of(self.account.lots(symbol))
    }

    /// The account behind the book.
    #[must_use]
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// Bars booked.
    #[must_use]
    pub const fn bars(&self) -> u64 {
        self.bars
    }

    /// Trades opened.
    #[must_use]
    pub const fn trades(&self) -> u64 {
        self.trades
    }

    /// Absolute notional traded so far.
    #[must_use]
    pub const fn turnover(&self) -> Money {
        self.turnover
    }

    /// Turnover in basis points of starting equity.
    #[must_use]
    pub fn turnover_bps(&self) -> f64 {
        self.bps(self.turnover)
    }

    /// Profit after costs in basis points of starting equity.
    #[must_use]
    pub fn net_pnl_bps(&self) -> f64 {
        self.bps(self.account.equity() - self.config.starting_equity)
    }

    fn bps(&self, amount: Money) -> f64 {
        Money::from_nanos(amount.nanos() * 10_000).to_f64() / self.config.starting_equity.to_f64()
    }

    /// A market order at a quoted mid price.
    fn trade(&mut self, instrument: &Instrument, lots: Lots, mid: Ticks, at: Nanos) -> Result<(), ShadowError> {
        let side = Side::of(lots).unwrap_or(Side::Long);
        self.book(instrument, lots, self.config.fills.market(side, mid), at)
    }

    fn book(&mut self, instrument: &Instrument, lots: Lots, price: Ticks, event_time: Nanos) -> Result<(), ShadowError> {
        let fee = self.config.fills.fee(instrument, lots, price);
        self.account.book(&Fill { symbol: instrument.symbol.clone(), lots, price, fee, event_time })?;
        self.turnover += instrument.notional(lots, price).abs();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::float_cmp)]
    use super::*;

    fn amount(text: &str) -> Money {
        text.parse().unwrap()
    }

    fn spx() -> Instrument {
        Instrument::new(Symbol::try_from("SPX".to_owned()).unwrap(), amount("1"), amount("1"), amount("1")).unwrap()
    }

    fn bar(index: u64, prices: [i64; 4]) -> Bar {
        let at = i64::try_from(index).unwrap() * 100;
        let [open, high, low, close] = prices.map(Ticks);
        Bar { index, open_time: Nanos(at), close_time: Nanos(at + 99), open, high, low, close, volume: 1.0 }
    }

    fn book(spread_bps: u32, fee_bps: u32) -> ShadowBook {
        let fills = FillModel { spread_bps, fee_bps };
        ShadowBook::new(ShadowConfig { starting_equity: amount("100000"), base_notional: amount("10000"), fills })
    }

    fn intent(side: Side, reference: i64, stop: i64, target: i64) -> TradeIntent {
        let [reference_price, stop, target] = [reference, stop, target].map(Ticks);
        TradeIntent { side, reference_price, stop, target, confidence_multiplier: 1.0, risk_scale_bps: 10_000 }
    }

    #[test]
    fn a_decision_trades_at_the_next_open_and_not_at_its_own_close() {
        let (spx, mut book) = (spx(), book(0, 0));
        book.on_bar(&spx, &bar(0, [1000, 1000, 1000, 1000])).unwrap();
        assert!(book.decide(&spx, &intent(Side::Long, 1000, 900, 1200)).unwrap());
        assert_eq!(book.account().lots(&spx.symbol), Lots(0));
        let second = book.on_bar(&spx, &bar(1, [1010, 1030, 1000, 1020])).unwrap();
        assert_eq!(book.account().lots(&spx.symbol), Lots(10));
        assert_eq!(second.net, amount("100"), "10 lots from 1010 to 1020");
        assert_eq!(second.net_bps, 10.0);
        assert_eq!(second.traded, amount("10100"));
    }

    #[test]
    fn costs_are_paid_on_both_ways_and_the_stop_ends_the_trade() {
        let (spx, mut book) = (spx(), book(20, 10));
        book.on_bar(&spx, &bar(0, [1000, 1000, 1000, 1000])).unwrap();
        book.decide(&spx, &intent(Side::Long, 1000, 950, 1200)).unwrap();
        let entry = book.on_bar(&spx, &bar(1, [1000, 1000, 990, 1000])).unwrap();
        // half a spread of 1 on 10 lots, fee 0.1 % of 10010
        assert_eq!(entry.net, amount("-20.01"));
        let exit = book.on_bar(&spx, &bar(2, [960, 1300, 940, 1250])).unwrap();
        // stopped at 950 - 1 although the target was touched too: from the mark 1000, and a fee on 9490
        assert_eq!(exit.net, amount("-519.49"));
        assert_eq!(book.side(&spx.symbol), None);
        assert_eq!(book.on_bar(&spx, &bar(3, [1, 2000, 1, 1000])).unwrap().net, Money::ZERO, "no order is left behind");
        assert_eq!((book.trades(), book.bars()), (1, 4));
        assert_eq!(book.net_pnl_bps(), -53.95);
    }

    #[test]
    fn the_same_side_is_kept_and_the_other_side_flips() {
        let (spx, mut book) = (spx(), book(0, 0));
        book.on_bar(&spx, &bar(0, [1000, 1000, 1000, 1000])).unwrap();
        book.decide(&spx, &intent(Side::Short, 1000, 1100, 800)).unwrap();
        book.on_bar(&spx, &bar(1, [1000, 1000, 1000, 1000])).unwrap();
        assert!(!book.decide(&spx, &intent(Side::Short, 1000, 1100, 800)).unwrap());
        assert!(book.decide(&spx, &intent(Side::Long, 1000, 900, 1200)).unwrap());
        let flip = book.on_bar(&spx, &bar(2, [1000, 1000, 1000, 1000])).unwrap();
        assert_eq!(flip.traded, amount("20000"));
        assert_eq!(book.side(&spx.symbol), Some(Side::Long));
    }

    #[test]
    fn a_bar_is_booked_once() {
        let (spx, mut book) = (spx(), book(0, 0));
        book.on_bar(&spx, &bar(3, [10, 10, 10, 10])).unwrap();
        assert!(matches!(book.on_bar(&spx, &bar(3, [10, 10, 10, 10])), Err(ShadowError::Order { newest: 3, .. })));
        let early = Instrument { symbol: Symbol::try_from("X".to_owned()).unwrap(), ..spx };
        assert!(matches!(book.decide(&early, &intent(Side::Long, 10, 9, 12)), Err(ShadowError::NoBar(_))));
    }

    #[test]
    fn a_snapshot_continues_exactly() {
        let (spx, mut book) = (spx(), book(3, 7));
        book.on_bar(&spx, &bar(0, [1000, 1000, 1000, 1000])).unwrap();
        book.decide(&spx, &intent(Side::Long, 1000, 950, 1200)).unwrap();
        let mut restored: ShadowBook = serde_json::from_str(&serde_json::to_string(&book).unwrap()).unwrap();
        let next = bar(1, [1001, 1300, 990, 1000]);
        assert_eq!(book.on_bar(&spx, &next), restored.on_bar(&spx, &next));
        assert_eq!(book, restored);
    }
}
