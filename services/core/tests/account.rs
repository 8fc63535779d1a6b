//! The account: exact figures by hand, and conservation for any sequence of fills.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;
use tradewind_core::account::{Account, AccountError, Fill};
use tradewind_core::calendar::SessionId;
use tradewind_core::instrument::{Instrument, Lots, Symbol, Ticks};
use tradewind_core::money::Money;
use tradewind_core::time::Nanos;

fn amount(text: &str) -> Money {
    text.parse().unwrap()
}

fn symbol(text: &str) -> Symbol {
    Symbol::try_from(text.to_owned()).unwrap()
}

fn instrument(name: &str) -> Instrument {
    Instrument::new(symbol(name), amount("0.01"), amount("1"), amount("1")).unwrap()
}

fn account() -> Account {
    let mut account = Account::new(amount("100000"));
    account.register(&instrument("SPX")).unwrap();
    account.register(&instrument("IXIC")).unwrap();
    account
}

fn fill(name: &str, lots: i64, price: i64, fee: &str) -> Fill {
    Fill { symbol: symbol(name), lots: Lots(lots), price: Ticks(price), fee: amount(fee), event_time: Nanos(0) }
}

#[test]
fn a_long_trade_by_hand() {
    let mut account = account();
    assert_eq!(account.book(&fill("SPX", 10, 100_000, "1")).unwrap(), None);
    account.mark(&symbol("SPX"), Ticks(101_000), Nanos(1)).unwrap();
    let position = account.position(&symbol("SPX")).unwrap();
    assert_eq!((position.average_price(), position.unrealised()), (Ticks(100_000), amount("100")));
    assert_eq!(account.equity(), amount("100099"));
    assert_eq!(account.book(&fill("SPX", -4, 102_000, "0.5")).unwrap(), None, "a part is no closed trade");
    assert_eq!(account.book(&fill("SPX", -6, 99_000, "0.5")).unwrap(), Some(amount("18")), "80 - 60 - 2");
    assert_eq!((account.equity(), account.open_positions(), account.closed_trades()), (amount("100018"), 0, 1));
}

#[test]
fn a_short_gains_when_the_price_falls() {
    let mut account = account();
    account.book(&fill("SPX", -5, 100_000, "0")).unwrap();
    account.mark(&symbol("SPX"), Ticks(90_000), Nanos(1)).unwrap();
    assert_eq!(account.equity(), amount("100500"));
    assert_eq!(account.gross_exposure(), amount("4500"));
    assert_eq!(account.position(&symbol("SPX")).unwrap().average_price(), Ticks(100_000));
    assert_eq!(account.book(&fill("SPX", 5, 110_000, "0")).unwrap(), Some(amount("-500")));
    assert_eq!(account.losing_streak(), 1);
}

#[test]
fn a_fill_through_zero_closes_one_trade_and_opens_another() {
    let mut account = account();
    account.book(&fill("SPX", 10, 100_000, "0")).unwrap();
    assert_eq!(account.book(&fill("SPX", -15, 100_000, "3")).unwrap(), Some(amount("-2")), "two thirds of the fee");
    assert_eq!(account.lots(&symbol("SPX")), Lots(-5));
    assert_eq!(account.book(&fill("SPX", 5, 100_000, "0")).unwrap(), Some(amount("-1")));
    assert_eq!(account.losing_streak(), 2);
    account.book(&fill("SPX", 1, 100_000, "0")).unwrap();
    account.book(&fill("SPX", -1, 100_000, "0")).unwrap();
    assert_eq!(account.losing_streak(), 0, "a trade without loss ends the streak");
}

#[test]
fn sessions_and_drawdown() {
    // RK-V23 with the amounts of this account: measured from the peak, rounded down
    let mut account = account();
    assert!(account.roll_session(SessionId(10)));
    account.book(&fill("SPX", 100, 100_000, "0")).unwrap();
    account.mark(&symbol("SPX"), Ticks(98_500), Nanos(1)).unwrap();
    assert_eq!((account.drawdown_bps(), account.daily_pnl_bps()), (-150, -150));
    account.mark(&symbol("SPX"), Ticks(98_499), Nanos(2)).unwrap();
    assert_eq!(account.drawdown_bps(), -151);
    assert!(!account.roll_session(SessionId(10)), "the same day");
    assert!(!account.roll_session(SessionId(9)), "an earlier day");
    assert!(account.roll_session(SessionId(11)));
    assert_eq!((account.daily_pnl_bps(), account.drawdown_bps()), (0, -151));
    account.rebase_high_water();
    assert_eq!(account.drawdown_bps(), 0);
}

#[test]
fn exposure_without_equity_is_endless() {
    let mut account = account();
    account.book(&fill("SPX", 1_000, 100_000, "0")).unwrap();
    assert_eq!(account.gross_exposure_bps(), 100_000);
    account.mark(&symbol("SPX"), Ticks(90_000), Nanos(1)).unwrap();
    assert_eq!(account.gross_exposure_bps(), u64::MAX);
}

#[test]
fn impossible_figures_are_refused_and_change_nothing() {
    let mut account = account();
    account.book(&fill("SPX", 3, 100_000, "1")).unwrap();
    let before = account.clone();
    for wrong in [fill("SPX", 0, 1, "0"), fill("SPX", 1, 0, "0"), fill("SPX", 1, 1, "-1")] {
        assert!(matches!(account.book(&wrong), Err(AccountError::Fill { .. })));
    }
    assert!(matches!(account.book(&fill("DAX", 1, 1, "0")), Err(AccountError::Unknown(_))));
    assert!(matches!(account.mark(&symbol("SPX"), Ticks(0), Nanos(1)), Err(AccountError::Mark { .. })));
    let changed = Instrument::new(symbol("SPX"), amount("0.05"), amount("1"), amount("1")).unwrap();
    assert!(matches!(account.register(&changed), Err(AccountError::Changed(_))));
    assert_eq!(account, before);
}

proptest! {
    /// Whatever is traded, equity is start + cash that flowed + value of what is held, to the nano unit.
    #[test]
    fn nothing_is_created_and_nothing_lost(
        fills in prop::collection::vec((0..2usize, -50i64..50, 1i64..300_000, 0i64..2_000_000_000), 1..60),
        marks in prop::collection::vec(1i64..300_000, 2),
    ) {
        let mut account = account();
        let names = ["SPX", "IXIC"];
        let mut cash = amount("100000");
        let mut held = [0i64; 2];
        for (which, lots, price, fee) in fills {
            if lots == 0 {
                continue;
            }
            let one = Fill { fee: Money::from_nanos(i128::from(fee)), ..fill(names[which], lots, price, "0") };
            let before = account.lots(&one.symbol);
            let closed = account.book(&one).unwrap();
            cash -= instrument(names[which]).notional(one.lots, one.price) + one.fee;
            held[which] += lots;
            prop_assert_eq!(account.lots(&one.symbol), Lots(held[which]));
            let reaches_zero = before.0 != 0 && before.0.signum() != held[which].signum();
            prop_assert_eq!(closed.is_some(), reaches_zero);
        }
        let mut worth = cash;
        for (which, name) in names.iter().enumerate() {
            account.mark(&symbol(name), Ticks(marks[which]), Nanos(1)).unwrap();
            worth += instrument(name).notional(Lots(held[which]), Ticks(marks[which]));
        }
        prop_assert_eq!(account.equity(), worth);
        prop_assert!(account.high_water() >= account.equity());
        prop_assert!(account.drawdown_bps() <= 0);
    }
}
