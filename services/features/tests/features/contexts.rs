//! Schemas, the risk agents' context blocks and what networks are given of them.

use proptest::prelude::*;
use tradewind_core::bar::Bar;
use tradewind_core::calendar::CalendarName;
use tradewind_core::instrument::{Lots, Ticks};
use tradewind_core::money::Money;
use tradewind_core::side::Side;
use tradewind_core::time::Nanos;
use tradewind_features::execution_context::{self, Equity, MarketState, PortfolioState, TradeSignal, execution_context};
use tradewind_features::microstructure::MicrostructureReading;
use tradewind_features::risk_state::blocks::{
    BLOCK, PORTFOLIO, PortfolioInputs, SIZING, STOPS, STRATEGY, SizingInputs, StopInputs, concentration, critic_input,
    empty_block, observation, portfolio_block, sizing_block, stops_block, strategy_block,
};
use tradewind_features::risk_state::correlation::CorrelationRisk;
use tradewind_features::risk_state::excursion::Excursion;
use tradewind_features::risk_state::strategies::StrategyFigures;
use tradewind_features::risk_state::{self, AccountReading, PriceReading, RawRiskState, RiskAges, RiskInputs, RiskScaler};
use tradewind_features::schema::FeatureVector;
use tradewind_features::{strategic, tactical};

pub(crate) const ACCOUNT: AccountReading = AccountReading {
    at: Nanos(0),
    equity: Money::from_units(98_500),
    initial_capital: Money::from_units(100_000),
    margin_used: Money::from_units(39_400),
    drawdown_pct: Some(1.5),
    open_positions: Some(2),
    var: Money::from_units(985),
};

pub(crate) fn risk_inputs(account: AccountReading) -> RiskInputs {
    let prices = PriceReading {
        oldest: Nanos(0),
        volatility_regime: Some(0.3),
        correlation_risk: 0.58,
        stress: 0.8,
        liquidity_risk: 0.24,
    };
    RiskInputs { now: Nanos(0), account: Some(account), prices: Some(prices), time_of_day_risk: 0.1 }
}

fn values(block: FeatureVector<BLOCK>) -> [f64; BLOCK] {
    *block.values()
}

fn all_near<const N: usize>(seen: [f64; N], wanted: [f64; N]) {
    for (at, (s, w)) in seen.into_iter().zip(wanted).enumerate() {
        assert!((s - w).abs() < 1e-12, "value {at}: {s} instead of {w}");
    }
}

/// Names carry a version, no two schemas and no two columns of one share a name, and every range is one.
#[test]
fn schemas_are_named_and_versioned() {
    fn lines<const N: usize>(schema: &tradewind_features::schema::FeatureSchema<N>) -> (&'static str, String) {
        let version = schema.name.rsplit_once("-v").unwrap().1;
        assert!(version.parse::<u32>().is_ok(), "{}", schema.name);
        let size = schema.name.split('-').find_map(|part| part.rsplit('x').next()?.parse::<usize>().ok());
        assert_eq!(size, Some(N), "{}", schema.name);
        for (at, column) in schema.columns.iter().enumerate() {
            assert_eq!(schema.column(column), Ok(at), "{}: {column}", schema.name);
            assert!(schema.ranges[at][0] <= schema.ranges[at][1], "{}: {column}", schema.name);
        }
        (schema.name, schema.digest())
    }
    let schemas = [
        lines(&strategic::SCHEMA),
        lines(&tactical::SCHEMA),
        lines(&execution_context::SCHEMA),
        lines(&risk_state::SCHEMA),
        lines(&SIZING),
        lines(&STOPS),
        lines(&PORTFOLIO),
        lines(&STRATEGY),
    ];
    let names: std::collections::BTreeSet<_> = schemas.iter().map(|(name, _)| name).collect();
    let digests: std::collections::BTreeSet<_> = schemas.iter().map(|(_, digest)| digest).collect();
    assert_eq!((names.len(), digests.len()), (8, 8));
}

const REQUEST: SizingInputs = SizingInputs {
    side: Side::Short,
    base_quantity: Lots(3),
    confidence: 0.7,
    stop_distance: 75.0,
    atr: 50.0,
    kelly_contracts: 2.0,
    win_probability: 0.55,
    payoff_ratio: 1.5,
    volatility_adjustment: 0.75,
    position: Lots(-2),
    pending: Lots(1),
    session_budget: 0.4,
    marginal_var_pct: 0.3,
    directional_correlation: 0.2,
    liquidity_risk: 0.24,
    synergy: None,
};

/// RK-24
#[test]
fn block_of_a_request() {
    let wanted = [-1.0, 0.6, 0.7, 1.5, 0.4, 0.55, 0.3, 0.375, -0.4, 0.2, 0.4, 0.3, 0.2, 0.24, 0.0, 0.0];
    all_near(values(sizing_block(&REQUEST).unwrap()), wanted);
    let rich = sizing_block(&SizingInputs { payoff_ratio: 80.0, synergy: Some(-0.6), ..REQUEST }).unwrap();
    assert_eq!((rich.get("payoff_ratio"), rich.get("synergy")), (Ok(1.0), Ok(-0.6)));
}

/// RK-24, RK-16: NaN is named, also where a smaller value would hide it; no range is no distance.
#[test]
fn bad_requests_are_named() {
    let text = |inputs| sizing_block(&inputs).unwrap_err().to_string();
    let nan = f64::NAN;
    assert_eq!(text(SizingInputs { payoff_ratio: nan, ..REQUEST }), "risk-sizing-16-v1: payoff_ratio is NaN, it must be finite");
    assert_eq!(text(SizingInputs { atr: 0.0, ..REQUEST }), "risk-sizing-16-v1: stop_distance_atr is inf, it must be finite");
    assert!(text(SizingInputs { session_budget: 1.2, ..REQUEST }).contains("session_budget is 1.2"));
    assert!(text(SizingInputs { base_quantity: Lots(-1), ..REQUEST }).contains("base_quantity is -0.2"));
}

fn bar([high, low, close]: [i64; 3]) -> Bar {
    let [high, low, close] = [high, low, close].map(Ticks);
    Bar { index: 0, open_time: Nanos(0), close_time: Nanos(0), open: close, high, low, close, volume: 1.0 }
}

/// RK-25: distances are positive while the price lies between stop and target, for either side.
#[test]
fn block_of_a_position() {
    const HOUR: i64 = 3_600_000_000_000;
    let block = |side: Side, [stop, target]: [i64; 2], hours: i64| {
        let mut excursion = Excursion::new(side, Ticks(1_000));
        [[1_030, 990, 1_010], [1_005, 960, 980]].into_iter().for_each(|figures| excursion.push(&bar(figures)).unwrap());
        let inputs = StopInputs {
            excursion: &excursion,
            quantity: Lots(2),
            opened_at: Nanos(0),
            now: Nanos(hours * HOUR),
            price: Ticks(980),
            stop: Ticks(stop),
            target: Ticks(target),
            atr: 40.0,
            volatility_regime: 0.3,
            spread_ratio: 1.1,
            volume_ratio: 0.9,
            hours_to_close: 6.0,
            stop_multiple: 1.5,
            target_multiple: 2.0,
        };
        values(stops_block(&inputs).unwrap())
    };
    let market = [0.3, 4_000.0 / 980.0, 1.1, 0.9, 0.25, 0.0, 1.5, 2.0];
    let wanted = |own: [f64; 8]| std::array::from_fn(|at| if at < 8 { own[at] } else { market[at - 8] });
    all_near(block(Side::Long, [940, 1_080], 12), wanted([1.0, 0.4, 0.5, -0.5, 1.0, 2.5, 0.75, 1.0]));
    all_near(block(Side::Short, [1_060, 920], 100), wanted([-1.0, 0.4, 2.0, 0.5, 2.0, 1.5, 1.0, 0.75]));
    assert!(block(Side::Long, [990, 1_080], 12)[4] < 0.0, "beyond its stop");
}

const PORTFOLIO_INPUTS: PortfolioInputs<'_> = PortfolioInputs {
    equity: Money::from_units(100_000),
    exposures: &[Money::from_units(40_000), Money::from_units(-25_000)],
    exposure_capacity: Money::from_units(200_000),
    var: Money::from_units(1_200),
    expected_shortfall: Money::from_units(1_500),
    correlation: CorrelationRisk { absolute: 0.58, directional: 0.05, average: 0.36 },
    drawdown_pct: 1.5,
    margin_pct: 40.0,
    unrealised: Money::from_units(-250),
    liquidity_risk: 0.24,
    volatility_ratio: 1.3,
    var_ratio: 1.1,
    severity: 3,
    halted: true,
};

/// RK-26
#[test]
fn block_of_the_portfolio() {
    let wanted = [1.2, 1.5, 0.2, 0.58, 0.05, 0.75, 0.4, 0.4, 0.65, 0.15, -0.25, 0.24, 1.3, 1.1, 0.75, 1.0];
    all_near(values(portfolio_block(&PORTFOLIO_INPUTS).unwrap()), wanted);
    let broke = PortfolioInputs { equity: Money::ZERO, ..PORTFOLIO_INPUTS };
    assert!(portfolio_block(&broke).unwrap_err().to_string().contains("portfolio_var_pct is inf"));
    let worse = PortfolioInputs { severity: 5, ..PORTFOLIO_INPUTS };
    assert!(portfolio_block(&worse).unwrap_err().to_string().contains("severity is 1.25"));
}

/// RK-V22: concentration of long and short positions against the capacity, the recommended figures.
#[test]
fn concentration_of_positions() {
    let of = |units: &[i64]| {
        let exposures: Vec<Money> = units.iter().map(|units| Money::from_units(*units)).collect();
        concentration(&exposures, Money::from_units(1_000_000))
    };
    assert_eq!(of(&[225_000]), 0.225);
    assert_eq!(of(&[225_000, -180_000, 90_000]), 0.225);
    assert_eq!(of(&[400_000, 100_000]), 0.4);
    assert!((of(&[400_000, 100_000]) / 0.3 - 1.333_333_333_3).abs() < 1e-9);
    assert_eq!((of(&[]), of(&[-3_000_000, 1_000_000])), (0.0, 0.75));
}

/// RK-27: Sharpe ratios are clipped at 3 and shown as a share of it.
#[test]
fn block_of_the_strategies() {
    let figures = StrategyFigures {
        sharpe: [1.5, -9.0, 0.0, 4.0, 3.0],
        variance_share: [0.1, 0.2, 0.3, 0.4, 0.0],
        mean_correlation: -0.25,
    };
    let wanted = [0.5, 0.1, 0.2, -1.0, 0.2, 0.3, 0.0, 0.3, 0.1, 1.0, 0.4, 0.4, 1.0, 0.0, 0.0, -0.25];
    all_near(values(strategy_block(&figures, &[0.2, 0.3, 0.1, 0.4, 0.0]).unwrap()), wanted);
    let nan = strategy_block(&figures, &[0.2, f64::NAN, 0.1, 0.4, 0.0]).unwrap_err().to_string();
    assert_eq!(nan, "risk-strategies-16-v1: weight_1 is NaN, it must be finite");
}

/// RK-23, RK-30, RK-31: 26 inputs of an actor, 74 of the critic, state first, P1 to P4 in order, zeros without a request.
#[test]
fn inputs_of_the_networks() {
    let mut scaler = RiskScaler::new(None).unwrap();
    let state = |positions| {
        let account = AccountReading { open_positions: Some(positions), ..ACCOUNT };
        RawRiskState::new(&risk_inputs(account), &RiskAges::default()).unwrap()
    };
    [1, 3].into_iter().for_each(|positions| scaler.sample(&state(positions)));
    let scored = scaler.score(&state(4));
    assert_eq!(scored.to_f32()[1], 2.0, "population deviation 1, mean 2");
    let sizing = sizing_block(&REQUEST).unwrap().to_f32();
    let seen = observation(&scored, &sizing);
    assert_eq!((seen.len(), &seen[..10], &seen[10..]), (26, &scored.to_f32()[..], &sizing[..]));
    let portfolio = portfolio_block(&PORTFOLIO_INPUTS).unwrap().to_f32();
    let none = empty_block();
    let seen = critic_input(&scored, [&none, &sizing, &portfolio, &none]);
    assert_eq!((seen.len(), &seen[..10], &seen[26..42], &seen[42..58]), (74, &scored.to_f32()[..], &sizing[..], &portfolio[..]));
    assert_eq!((&seen[10..26], &seen[58..]), (&none[..], &none[..]));
}

/// Any float, the odd ones often.
fn any_float() -> impl Strategy<Value = f64> {
    let odd = prop::sample::select(vec![0.0, -0.0, 1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, f64::MAX]);
    prop_oneof![2 => -1.0..2.0_f64, 1 => any::<f64>(), 1 => odd]
}

proptest! {
    /// RK-16, EX-10: whatever comes, a block is finite as f32 and within its ranges, or there is none.
    #[test]
    fn blocks_are_finite_or_refused(f in prop::collection::vec(any_float(), 10), lots in any::<i64>(), units in any::<i64>()) {
        let request = SizingInputs {
            side: Side::Long, base_quantity: Lots(lots), confidence: f[0], stop_distance: f[1], atr: f[2], kelly_contracts: f[3],
            win_probability: f[4], payoff_ratio: f[5], volatility_adjustment: f[6], position: Lots(lots), pending: Lots(lots),
            session_budget: f[7], marginal_var_pct: f[8], directional_correlation: f[9], liquidity_risk: f[0], synergy: Some(f[1]),
        };
        let money = Money::from_units(units);
        let portfolio = PortfolioInputs {
            equity: Money::from_units(units / 3), exposures: &[money, money], exposure_capacity: money, var: money,
            expected_shortfall: money, drawdown_pct: f[2], margin_pct: f[3], unrealised: money, liquidity_risk: f[4],
            volatility_ratio: f[5], var_ratio: f[6], ..PORTFOLIO_INPUTS
        };
        let mut excursion = Excursion::new(Side::Short, Ticks(lots));
        excursion.push(&bar([9, 5, 7])).unwrap();
        let position = StopInputs {
            excursion: &excursion, quantity: Lots(2), opened_at: Nanos(0), now: Nanos(units), price: Ticks(7), stop: Ticks(8),
            target: Ticks(5), atr: f[0], volatility_regime: f[1], spread_ratio: f[2], volume_ratio: f[3], hours_to_close: f[4],
            stop_multiple: f[5], target_multiple: f[6],
        };
        let figures = StrategyFigures {
            sharpe: [f[0], f[1], f[2], f[3], f[4]], variance_share: [f[5], f[6], f[7], f[8], f[9]], mean_correlation: f[0],
        };
        let weights = [f[0], f[2], f[4], f[6], f[8]];
        for block in [sizing_block(&request), portfolio_block(&portfolio), stops_block(&position), strategy_block(&figures, &weights)] {
            let Ok(block) = block else { continue };
            prop_assert!(block.to_f32().iter().all(|value| value.is_finite()));
            for (value, [least, most]) in block.values().iter().zip(block.schema().ranges) {
                prop_assert!((least..=most).contains(value));
            }
        }
    }

    /// EX-10: whatever comes, an execution context is finite as f32 and within its ranges, or there is none.
    #[test]
    fn execution_contexts_are_finite_or_refused(
        f in prop::collection::vec(prop_oneof![19 => 0.0..=1.0_f64, 1 => any_float()], 6),
        (bid, spread) in (prop_oneof![9 => 1..1_000_000_i64, 1 => any::<i64>()], prop_oneof![9 => 0..1_000_i64, 1 => any::<i64>()]),
        [position, limit, now, at] in any::<[i64; 4]>(),
        units in [1..i64::MAX, -1_000..1_000_000_000_i64, -1_000..1_000_000_000, 0..1_000_000_000],
    ) {
        let ask = bid.saturating_add(spread);
        let calendar = CalendarName::Xnys.calendar();
        let side = Side::from_sign(position);
        let signal = TradeSignal { side, confidence: f[0], synergy_strength: Some(f[1]), urgency: Some(f[2]), at: Nanos(now.min(at)) };
        let minute = MicrostructureReading { volume_ratio: Some(f[3]), spread_ratio: None, volatility: Some(f[4]) };
        let market = MarketState { best_bid: Ticks(bid), best_ask: Ticks(ask), depth: Some(f[5]), minute };
        let [equity, available_margin, unrealised, var] = units.map(Money::from_units);
        let portfolio = PortfolioState {
            equity: Some(equity), available_margin, unrealised, position: Lots(position), position_limit: Some(Lots(limit)), var,
            var_limit: equity,
        };
        if let Ok(context) = execution_context(&signal, &market, &portfolio, calendar, Nanos(now), Equity::Required) {
            prop_assert!(context.to_f32().iter().all(|value| value.is_finite()));
            for (value, [least, most]) in context.values().iter().zip(context.schema().ranges) {
                prop_assert!((least..=most).contains(value));
            }
        }
    }
}
