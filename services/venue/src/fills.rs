//! How an order meets a bar. The paper venue and the shadow books share this, so that what a shadow
//! earns is what the venue would have paid.
//!
//! Every rounding is against the trader: half spreads and fees round up.

use serde::{Deserialize, Serialize};

use tradewind_core::bar::Bar;
use tradewind_core::instrument::{Instrument, Lots, Ticks};
use tradewind_core::money::Money;
use tradewind_core::side::Side;

/// Costs of trading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FillModel {
    /// Full bid-ask spread in basis points of the price; a market order pays half of it.
    pub spread_bps: u32,
    /// Fee in basis points of the traded notional.
    pub fee_bps: u32,
}

/// The two protective orders of a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    /// Price at which the loss is taken.
    pub stop: Ticks,
    /// Price at which the profit is taken.
    pub target: Ticks,
}

/// Which protective order of a position was executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// The stop.
    Stop,
    /// The target.
    Target,
}

impl FillModel {
    /// Half the spread at a price, in ticks, rounded up.
    #[must_use]
    pub fn half_spread(&self, price: Ticks) -> i64 {
        let exact = i128::from(price.0.max(0)) * i128::from(self.spread_bps);
        i64::try_from((exact + 19_999) / 20_000).unwrap_or(i64::MAX)
    }

    /// Price of a market order of this side at a quoted mid price; at least one tick.
    #[must_use]
    pub fn market(&self, side: Side, mid: Ticks) -> Ticks {
        Ticks(mid.0.saturating_add(side.sign().saturating_mul(self.half_spread(mid))).max(1))
    }

    /// Fee of an execution, rounded up to the nano unit.
    #[must_use]
    pub fn fee(&self, instrument: &Instrument, lots: Lots, price: Ticks) -> Money {
        let exact = instrument.notional(lots, price).abs().nanos() * i128::from(self.fee_bps);
        Money::from_nanos((exact + 9_999) / 10_000)
    }

    /// Price of a stop order that trades on `side` (the side of the order: a long position is stopped by a
    /// short order), if the bar touches its trigger. A gap through the trigger trades at the open.
    #[must_use]
    pub fn stop(&self, side: Side, trigger: Ticks, bar: &Bar) -> Option<Ticks> {
        let (touched, mid) = match side {
            Side::Short => (bar.low <= trigger, trigger.min(bar.open)),
            Side::Long => (bar.high >= trigger, trigger.max(bar.open)),
        };
        touched.then(|| self.market(side, mid))
    }

    /// Price of a limit order that trades on `side`, if the bar touches it. Beyond the limit at the open
    /// it trades at the open less half a spread, but never worse than its limit.
    #[must_use]
    pub fn limit(&self, side: Side, limit: Ticks, bar: &Bar) -> Option<Ticks> {
        let at_open = self.market(side, bar.open);
        match side {
            Side::Short => (bar.high >= limit).then(|| limit.max(if bar.open >= limit { at_open } else { limit })),
            Side::Long => (bar.low <= limit).then(|| limit.min(if bar.open <= limit { at_open } else { limit })),
        }
    }

    /// Which protective order of a position the bar executes, and at what price. A bar does not say which of
    /// two touched prices came first, so the stop does.
    #[must_use]
    pub fn guarded_exit(&self, position: Side, guard: Guard, bar: &Bar) -> Option<(Exit, Ticks)> {
        let side = position.opposite();
        let stopped = self.stop(side, guard.stop, bar).map(|price| (Exit::Stop, price));
        stopped.or_else(|| self.limit(side, guard.target, bar).map(|price| (Exit::Target, price)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use tradewind_core::time::Nanos;

    const MODEL: FillModel = FillModel { spread_bps: 10, fee_bps: 2 };

    fn bar(open: i64, high: i64, low: i64, close: i64) -> Bar {
        let [open, high, low, close] = [open, high, low, close].map(Ticks);
        Bar { index: 7, open_time: Nanos(0), close_time: Nanos(1), open, high, low, close, volume: 1.0 }
    }

    #[test]
    fn a_market_order_pays_half_the_spread_rounded_up() {
        assert_eq!(MODEL.market(Side::Long, Ticks(100_000)), Ticks(100_050));
        assert_eq!(MODEL.market(Side::Short, Ticks(100_000)), Ticks(99_950));
        assert_eq!(MODEL.market(Side::Long, Ticks(1)), Ticks(2));
        assert_eq!(MODEL.market(Side::Short, Ticks(1)), Ticks(1), "a price stays above zero");
        assert_eq!(FillModel::default().market(Side::Long, Ticks(100_001)), Ticks(100_001));
    }

    #[test]
    fn a_touched_stop_trades_at_its_trigger_and_a_gap_at_the_open() {
        let free = FillModel::default();
        assert_eq!(free.stop(Side::Short, Ticks(95), &bar(100, 101, 96, 97)), None);
        assert_eq!(free.stop(Side::Short, Ticks(95), &bar(100, 101, 95, 97)), Some(Ticks(95)));
        assert_eq!(free.stop(Side::Short, Ticks(95), &bar(90, 101, 88, 97)), Some(Ticks(90)));
        assert_eq!(free.stop(Side::Long, Ticks(105), &bar(100, 105, 95, 97)), Some(Ticks(105)));
        assert_eq!(free.stop(Side::Long, Ticks(105), &bar(110, 111, 95, 97)), Some(Ticks(110)));
    }

    #[test]
    fn a_limit_is_never_filled_worse_than_its_price() {
        assert_eq!(MODEL.limit(Side::Short, Ticks(100_000), &bar(99_000, 100_000, 98_000, 99_000)), Some(Ticks(100_000)));
        assert_eq!(MODEL.limit(Side::Short, Ticks(100_000), &bar(100_010, 100_020, 98_000, 99_000)), Some(Ticks(100_000)));
        assert_eq!(MODEL.limit(Side::Short, Ticks(100_000), &bar(101_000, 101_000, 98_000, 99_000)), Some(Ticks(100_949)));
        assert_eq!(MODEL.limit(Side::Long, Ticks(99_000), &bar(99_500, 99_900, 99_001, 99_500)), None);
        assert_eq!(MODEL.limit(Side::Long, Ticks(99_000), &bar(98_000, 99_900, 97_000, 99_500)), Some(Ticks(98_049)));
    }

    #[test]
    fn when_both_are_touched_the_stop_comes_first() {
        let guard = Guard { stop: Ticks(95), target: Ticks(110) };
        let free = FillModel::default();
        assert_eq!(free.guarded_exit(Side::Long, guard, &bar(100, 112, 94, 105)), Some((Exit::Stop, Ticks(95))));
        assert_eq!(free.guarded_exit(Side::Long, guard, &bar(100, 112, 96, 105)), Some((Exit::Target, Ticks(110))));
        assert_eq!(free.guarded_exit(Side::Long, guard, &bar(100, 109, 96, 105)), None);
        let short = Guard { stop: Ticks(110), target: Ticks(95) };
        assert_eq!(free.guarded_exit(Side::Short, short, &bar(100, 112, 94, 105)), Some((Exit::Stop, Ticks(110))));
    }

    #[test]
    fn fees_round_up() {
        let amount = |t: &str| t.parse::<Money>().unwrap();
        let symbol = tradewind_core::instrument::Symbol::try_from("SPX".to_owned()).unwrap();
        let spx = Instrument::new(symbol, amount("0.01"), amount("1"), amount("1")).unwrap();
        assert_eq!(MODEL.fee(&spx, Lots(-3), Ticks(122_923)), amount("0.737538"));
        let odd = FillModel { spread_bps: 0, fee_bps: 1 };
        assert_eq!(odd.fee(&spx, Lots(1), Ticks(1)), amount("0.000001"));
    }
}
