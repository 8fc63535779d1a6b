//! What the execution networks see of one tactical decision: 15 values, built anew for each.

use serde::{Deserialize, Serialize};

use crate::microstructure::MicrostructureReading;
use crate::schema::{ANY, FeatureSchema, FeatureValueError, FeatureVector, NOT_NEGATIVE, SHARE, SIGNED};
use tradewind_core::calendar::Calendar;
use tradewind_core::instrument::{Lots, Ticks};
use tradewind_core::money::Money;
use tradewind_core::side::Side;
use tradewind_core::time::Nanos;

/// Values in a context (EX-6).
pub const COLUMNS: usize = 15;
/// Values that the critic sees of the market (EX-13).
pub const MARKET_COLUMNS: usize = 4;
/// Equity that a simulation without an account assumes, account currency (EX-9).
pub const SIMULATED_EQUITY: Money = Money::from_units(100_000);

/// The layout of EX-7.
pub static SCHEMA: FeatureSchema<COLUMNS> = FeatureSchema {
    name: "execution-15-v1",
    columns: [
        "decision_direction",
        "decision_confidence",
        "synergy_strength",
        "urgency_factor",
        "bid_ask_spread_bps",
        "order_book_depth",
        "recent_volume_intensity",
        "price_volatility_1min",
        "current_position",
        "available_margin",
        "unrealized_pnl_pct",
        "var_utilization",
        "max_position_pct",
        "time_since_signal",
        "market_session_pct",
    ],
    ranges: [
        SIGNED,
        SHARE,
        SHARE,
        SHARE,
        NOT_NEGATIVE,
        NOT_NEGATIVE,
        NOT_NEGATIVE,
        NOT_NEGATIVE,
        ANY,
        ANY,
        ANY,
        NOT_NEGATIVE,
        NOT_NEGATIVE,
        NOT_NEGATIVE,
        SHARE,
    ],
};

/// First of the market's columns (EX-13).
const MARKET: usize = 4;
const NANOS_PER_SECOND: f64 = 1e9;

/// A tactical decision as execution takes it (EX-11).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TradeSignal {
    /// Direction; `None` is hold.
    pub side: Option<Side>,
    /// Confidence of the tactical stage, 0 to 1.
    pub confidence: f64,
    /// Strength of the synergy, 0 to 1; 0.5 if absent.
    pub synergy_strength: Option<f64>,
    /// Urgency, 0 to 1; 0.5 if absent.
    pub urgency: Option<f64>,
    /// When the tactical stage decided (EX-12).
    pub at: Nanos,
}

/// The market at the decision.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MarketState {
    /// Highest price that somebody pays.
    pub best_bid: Ticks,
    /// Lowest price that somebody takes.
    pub best_ask: Ticks,
    /// Normalised depth at the best prices, at least 0; 0.5 if unknown.
    pub depth: Option<f64>,
    /// Volume and volatility of the newest one-minute bar. An unknown volume counts as average; an unknown
    /// volatility is refused, because 0 would claim a market at rest.
    pub minute: MicrostructureReading,
}

/// The account, as the server knows it, never as a caller claims (EX-12, execution C-7).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PortfolioState {
    /// Equity; without one live trading refuses, a simulation assumes [`SIMULATED_EQUITY`] (EX-9).
    pub equity: Option<Money>,
    /// Margin that is not used yet, an amount and no fraction (execution C-3).
    pub available_margin: Money,
    /// Profit of what is held.
    pub unrealised: Money,
    /// Signed position in the instrument; one lot is one contract.
    pub position: Lots,
    /// Largest position in the instrument; `None` without a limit.
    pub position_limit: Option<Lots>,
    /// Value at risk of what is held, at least 0.
    pub var: Money,
    /// Largest value at risk; 0 or less is no limit.
    pub var_limit: Money,
}

/// Who asks, because a simulation may assume what live trading must know (EX-9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Equity {
    /// Refuse without equity.
    Required,
    /// Assume [`SIMULATED_EQUITY`] without equity.
    Simulated,
}

/// Why there is no context, so no inference and no order (EX-9, EX-10).
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum ContextError {
    /// The book has no bid, or bid and ask are crossed.
    #[error("execution context: bid {bid} and ask {ask} (ticks) must be above 0 and not crossed")]
    Book {
        /// Bid seen.
        bid: i64,
        /// Ask seen.
        ask: i64,
    },
    /// The account's equity is unknown or not above 0.
    #[error("execution context: equity is {}, it must be known and above 0", .0.map_or("unknown".to_owned(), |equity| equity.to_string()))]
    Equity(Option<Money>),
    /// The volatility of the last minutes is unknown.
    #[error("execution context: price_volatility_1min is unknown, 21 one-minute bars are needed")]
    Volatility,
    /// A value is not finite or out of its range.
    #[error(transparent)]
    Value(#[from] FeatureValueError),
}

/// Context of one decision (EX-6, EX-7): every value finite and in its range (EX-10). Allocates nothing.
///
/// # Errors
/// [`ContextError`] names what is wrong or missing.
pub fn execution_context(
    signal: &TradeSignal,
    market: &MarketState,
    portfolio: &PortfolioState,
    calendar: &Calendar,
    now: Nanos,
    assumed: Equity,
) -> Result<FeatureVector<COLUMNS>, ContextError> {
    let assumed = (assumed == Equity::Simulated).then_some(SIMULATED_EQUITY);
    let equity =
        portfolio.equity.or(assumed).filter(|equity| *equity > Money::ZERO).ok_or(ContextError::Equity(portfolio.equity))?;
    let share = |amount: Money| amount.to_f64() / equity.to_f64();
    let values = [
        portfolio_sign(signal.side),
        signal.confidence,
        signal.synergy_strength.unwrap_or(0.5),
        signal.urgency.unwrap_or(0.5),
        spread_bps(market.best_bid, market.best_ask)?,
        market.depth.unwrap_or(0.5),
        market.minute.volume_ratio.unwrap_or(1.0),
        market.minute.volatility.ok_or(ContextError::Volatility)?,
        count(portfolio.position),
        share(portfolio.available_margin),
        share(portfolio.unrealised),
        utilisation(portfolio.var.to_f64(), portfolio.var_limit.to_f64()),
        portfolio.position_limit.map_or(0.0, |limit| utilisation(count(portfolio.position).abs(), count(limit))),
        seconds(now.since(signal.at)),
        calendar.progress(now),
    ];
    Ok(SCHEMA.vector(values)?)
}

/// What the critic sees of the market: spread, depth, volume and volatility (EX-13).
#[must_use]
pub fn critic_market(context: &FeatureVector<COLUMNS>) -> [f32; MARKET_COLUMNS] {
    let values = context.to_f32();
    std::array::from_fn(|at| values[MARKET + at])
}

/// Spread in basis points of the middle (execution C-1).
///
/// # Errors
/// [`ContextError::Book`]
#[allow(clippy::cast_precision_loss)]
pub fn spread_bps(bid: Ticks, ask: Ticks) -> Result<f64, ContextError> {
    if bid.0 <= 0 || ask < bid {
        return Err(ContextError::Book { bid: bid.0, ask: ask.0 });
    }
    let (bid, ask) = (bid.0 as f64, ask.0 as f64);
    Ok((ask - bid) / f64::midpoint(bid, ask) * 10_000.0)
}

/// Part of a limit that is used; 0 without a limit (EX-7, execution C-4).
#[must_use]
pub fn utilisation(used: f64, limit: f64) -> f64 {
    if limit > 0.0 { used / limit } else { 0.0 }
}

fn portfolio_sign(side: Option<Side>) -> f64 {
    match side {
        Some(Side::Long) => 1.0,
        Some(Side::Short) => -1.0,
        None => 0.0,
    }
}

#[allow(clippy::cast_precision_loss)]
const fn count(lots: Lots) -> f64 {
    lots.0 as f64
}

#[allow(clippy::cast_precision_loss)]
fn seconds(nanos: i64) -> f64 {
    nanos as f64 / NANOS_PER_SECOND
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::float_cmp)]
    use super::*;
    use tradewind_core::calendar::CalendarName;

    /// 2025-01-08 16:07:30 UTC: a quarter of the New York session has passed.
    const NOW: Nanos = Nanos(1_736_352_450_000_000_000);

    const SIGNAL: TradeSignal =
        TradeSignal { side: Some(Side::Long), confidence: 0.85, synergy_strength: None, urgency: Some(0.7), at: NOW };
    const MINUTE: MicrostructureReading =
        MicrostructureReading { volume_ratio: Some(1.2), spread_ratio: None, volatility: Some(0.018) };
    /// Ticks of 0.125 around 4150.25: a spread of 0.25.
    const MARKET: MarketState = MarketState { best_bid: Ticks(33_201), best_ask: Ticks(33_203), depth: None, minute: MINUTE };
    const PORTFOLIO: PortfolioState = PortfolioState {
        equity: Some(Money::from_units(100_000)),
        available_margin: Money::from_units(80_000),
        unrealised: Money::ZERO,
        position: Lots(0),
        position_limit: Some(Lots(10)),
        var: Money::from_units(2_500),
        var_limit: Money::from_units(5_000),
    };

    fn context(
        signal: &TradeSignal,
        market: &MarketState,
        portfolio: &PortfolioState,
        now: Nanos,
    ) -> Result<FeatureVector<COLUMNS>, ContextError> {
        let calendar = CalendarName::Xnys.calendar();
        execution_context(signal, market, portfolio, calendar, now, Equity::Required)
    }

    /// EX-V14, input A: built from what it stands for; EX-13: the critic's part of it.
    #[test]
    fn input_a_of_the_golden_model() {
        let wanted = [1.0, 0.85, 0.5, 0.7, 0.602_373_351_0, 0.5, 1.2, 0.018, 0.0, 0.8, 0.0, 0.5, 0.0, 0.0, 0.25];
        let seen = context(&SIGNAL, &MARKET, &PORTFOLIO, NOW).unwrap();
        for ((column, seen), wanted) in SCHEMA.columns.iter().zip(seen.values()).zip(wanted) {
            assert!((seen - wanted).abs() < 1e-9, "{column}: {seen} instead of {wanted}");
        }
        assert_eq!(critic_market(&seen), seen.to_f32()[4..8]);
    }

    /// EX-V14, input B: a short position with a loss, late in the session.
    #[test]
    fn input_b_of_the_golden_model() {
        let signal = TradeSignal {
            side: Some(Side::Short),
            confidence: 0.78,
            synergy_strength: Some(0.4),
            urgency: Some(0.9),
            at: Nanos(1_736_367_660_000_000_000 - 350_000_000),
        };
        // 20:21 UTC: 351 of 390 minutes.
        let now = Nanos(1_736_367_660_000_000_000);
        let minute = MicrostructureReading { volume_ratio: Some(0.7), spread_ratio: None, volatility: Some(0.03) };
        let market = MarketState { best_bid: Ticks(49_997), best_ask: Ticks(50_003), depth: Some(0.3), minute };
        let portfolio = PortfolioState {
            available_margin: Money::from_units(35_000),
            unrealised: Money::from_units(-1_000),
            position: Lots(-2),
            var: Money::from_units(3_750),
            ..PORTFOLIO
        };
        let wanted = [-1.0, 0.78, 0.4, 0.9, 1.2, 0.3, 0.7, 0.03, -2.0, 0.35, -0.01, 0.75, 0.2, 0.35, 0.9];
        let seen = context(&signal, &market, &portfolio, now).unwrap();
        for ((column, seen), wanted) in SCHEMA.columns.iter().zip(seen.values()).zip(wanted) {
            assert!((seen - wanted).abs() < 1e-9, "{column}: {seen} instead of {wanted}");
        }
    }

    /// EX-V12, last figure: 0.25 at 4150.25 is 0.602373351 bps, not 2500.
    #[test]
    fn spread_in_basis_points() {
        assert!((spread_bps(Ticks(33_201), Ticks(33_203)).unwrap() - 0.602_373_351).abs() < 1e-9);
        assert_eq!(spread_bps(Ticks(100), Ticks(100)), Ok(0.0));
        for (bid, ask) in [(0, 1), (-1, 1), (101, 100)] {
            assert_eq!(spread_bps(Ticks(bid), Ticks(ask)), Err(ContextError::Book { bid, ask }));
        }
    }

    /// EX-V20, utilisations: 5 of 10, 2500 of 5000, 250000 of 500000, 0.005 of 0.02; none without a limit.
    #[test]
    fn utilisation_of_limits() {
        for (used, limit, wanted) in [(5.0, 10.0, 0.5), (2500.0, 5000.0, 0.5), (250_000.0, 500_000.0, 0.5), (0.005, 0.02, 0.25)] {
            assert_eq!(utilisation(used, limit), wanted);
        }
        assert_eq!((utilisation(7.0, 0.0), utilisation(7.0, -1.0)), (0.0, 0.0));
        let free = PortfolioState { position: Lots(-3), position_limit: None, var_limit: Money::ZERO, ..PORTFOLIO };
        let seen = context(&SIGNAL, &MARKET, &free, NOW).unwrap();
        assert_eq!(
            (seen.get("max_position_pct"), seen.get("var_utilization"), seen.get("current_position")),
            (Ok(0.0), Ok(0.0), Ok(-3.0))
        );
    }

    /// EX-7, defaults: what is unknown of synergy, urgency, depth and volume; hold has no direction.
    #[test]
    fn defaults_of_what_is_unknown() {
        let signal = TradeSignal { side: None, urgency: None, ..SIGNAL };
        let market = MarketState { minute: MicrostructureReading { volume_ratio: None, ..MINUTE }, ..MARKET };
        let seen = context(&signal, &market, &PORTFOLIO, NOW).unwrap();
        let get = |column: &str| seen.get(column).unwrap();
        assert_eq!([get("decision_direction"), get("synergy_strength"), get("urgency_factor")], [0.0, 0.5, 0.5]);
        assert_eq!([get("order_book_depth"), get("recent_volume_intensity")], [0.5, 1.0]);
    }

    /// EX-9: live trading refuses without equity, a simulation assumes 100,000.
    #[test]
    fn missing_equity() {
        let unknown = PortfolioState { equity: None, ..PORTFOLIO };
        assert_eq!(context(&SIGNAL, &MARKET, &unknown, NOW), Err(ContextError::Equity(None)));
        let calendar = CalendarName::Xnys.calendar();
        let simulated =
            |portfolio: &PortfolioState| execution_context(&SIGNAL, &MARKET, portfolio, calendar, NOW, Equity::Simulated);
        assert_eq!(simulated(&unknown).unwrap().get("available_margin"), Ok(0.8));
        for equity in [Money::ZERO, Money::from_units(-5)] {
            let broke = PortfolioState { equity: Some(equity), ..PORTFOLIO };
            assert_eq!(simulated(&broke), Err(ContextError::Equity(Some(equity))), "a known loss is no unknown equity");
        }
    }

    /// EX-10: every entry that is not finite or out of its domain is named.
    #[test]
    fn bad_values_are_named() {
        let text =
            |signal: TradeSignal, market: MarketState, now| context(&signal, &market, &PORTFOLIO, now).unwrap_err().to_string();
        let depth = |depth| MarketState { depth: Some(depth), ..MARKET };
        let minute = |volatility| MarketState { minute: MicrostructureReading { volatility, ..MINUTE }, ..MARKET };
        for (signal, market, now, wanted) in [
            (TradeSignal { confidence: f64::NAN, ..SIGNAL }, MARKET, NOW, "decision_confidence is NaN, it must be finite"),
            (TradeSignal { confidence: 1.01, ..SIGNAL }, MARKET, NOW, "decision_confidence is 1.01, it must lie within 0 and 1"),
            (TradeSignal { urgency: Some(-0.1), ..SIGNAL }, MARKET, NOW, "urgency_factor is -0.1"),
            (SIGNAL, depth(f64::INFINITY), NOW, "order_book_depth is inf, it must be finite"),
            (SIGNAL, minute(Some(-0.5)), NOW, "price_volatility_1min is -0.5"),
            (SIGNAL, minute(None), NOW, "price_volatility_1min is unknown"),
            (SIGNAL, MARKET, Nanos(NOW.0 - 1), "time_since_signal is -0.000000001"),
        ] {
            let seen = text(signal, market, now);
            assert!(seen.contains(wanted), "{seen}");
        }
    }
}
