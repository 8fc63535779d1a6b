//! Once warm, a bar allocates nothing; nor does a decision's context.

use tradewind_core::calendar::CalendarName;
use tradewind_core::instrument::{Lots, Ticks};
use tradewind_core::money::Money;
use tradewind_core::side::Side;
use tradewind_core::time::Nanos;
use tradewind_features::execution_context::{Equity, MarketState, PortfolioState, TradeSignal, critic_market, execution_context};
use tradewind_features::microstructure::Microstructure;
use tradewind_features::risk_state::correlation::CorrelationTracker;
use tradewind_features::risk_state::excursion::Excursion;
use tradewind_features::risk_state::percentile::{Horizon, VolatilityRegime};
use tradewind_features::risk_state::strategies::StrategyReturns;
use tradewind_features::risk_state::{RawRiskState, RiskAges, RiskScaler};
use tradewind_features::strategic::{BarClock, RETAINED, StrategicConfig, StrategicFeatures};
use tradewind_features::tactical::{FeatureState, TacticalConfig};

use crate::contexts::{ACCOUNT, risk_inputs};
use crate::recorded::daily;
use crate::series::in_ticks;

/// Allocations of what a closure does.
fn allocations(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).count_total
}

/// A counter that counts nothing would prove nothing.
#[test]
fn the_counter_counts() {
    assert!(allocations(|| drop(std::hint::black_box(vec![1_u8; 64]))) > 0);
}

/// ST-123, ST-124: strategic bars, from the one after the ring of snapshots is full; matrices are slices.
#[test]
fn strategic_bars_allocate_nothing() {
    let bars = daily("SPX");
    let mut state = StrategicFeatures::new(&StrategicConfig::default(), BarClock::Numbered).unwrap();
    let (warm, rest) = bars.split_at(RETAINED);
    for bar in warm {
        state.push(bar).unwrap();
    }
    let count = allocations(|| {
        for bar in &rest[..500] {
            state.push(bar).unwrap();
            assert!(state.matrix(bar.index).is_some());
        }
    });
    assert_eq!(count, 0);
}

/// TA-11: tactical bars with gaps that open, fill and expire.
#[test]
fn tactical_bars_allocate_nothing() {
    let bars = in_ticks(&daily("SPX"), 0.01);
    let mut state = FeatureState::new(&TacticalConfig::default());
    let (warm, rest) = bars.split_at(200);
    warm.iter().for_each(|bar| state.push(bar).unwrap());
    let count = allocations(|| {
        for bar in rest {
            state.push(bar).unwrap();
            assert!(state.matrix(bar.index).is_some());
        }
    });
    assert_eq!(count, 0);
}

/// EX-6: a context of each decision, the calendar's time zone included.
#[test]
fn execution_contexts_allocate_nothing() {
    let calendar = CalendarName::Xnys.calendar();
    let mut minutes = Microstructure::default();
    let bars = daily("SPX");
    let (warm, rest) = bars.split_at(21);
    for bar in warm {
        minutes.push(bar, 0.25).unwrap();
    }
    let signal = TradeSignal { side: Some(Side::Short), confidence: 0.7, synergy_strength: None, urgency: None, at: Nanos(0) };
    let portfolio = PortfolioState {
        equity: Some(Money::from_units(100_000)),
        available_margin: Money::from_units(50_000),
        unrealised: Money::from_units(-20),
        position: Lots(-2),
        position_limit: Some(Lots(5)),
        var: Money::from_units(700),
        var_limit: Money::from_units(1_000),
    };
    let count = allocations(|| {
        for bar in rest {
            let minute = minutes.push(bar, 0.25).unwrap();
            let market = MarketState { best_bid: Ticks(100), best_ask: Ticks(101), depth: None, minute };
            let signal = TradeSignal { at: bar.close_time, ..signal };
            let context = execution_context(&signal, &market, &portfolio, calendar, bar.close_time, Equity::Required).unwrap();
            std::hint::black_box(critic_market(&context));
        }
    });
    assert_eq!(count, 0);
}

/// RK-5: the risk state with its score at each tick, and what feeds it.
#[test]
fn risk_states_allocate_nothing() {
    let bars = daily("SPX");
    let ticks = in_ticks(&bars, 0.01);
    let mut scaler = RiskScaler::new(None).unwrap();
    let mut regime = VolatilityRegime::default();
    let mut correlation = CorrelationTracker::new(&[1, 2]);
    let mut excursion = Excursion::new(Side::Long, ticks[0].close);
    let mut strategies = StrategyReturns::default();
    let count = allocations(|| {
        for (bar, tick) in bars.iter().zip(&ticks).take(1_500) {
            let state = RawRiskState::new(&risk_inputs(ACCOUNT), &RiskAges::default()).unwrap();
            std::hint::black_box(scaler.score(&state));
            scaler.sample(&state);
            regime.push(Horizon::Daily, bar.high / bar.low - 1.0).unwrap();
            correlation.push(0, bar.close_time, bar.close).unwrap();
            correlation.push(1, bar.close_time, bar.open).unwrap();
            excursion.push(tick).unwrap();
            strategies.push(&[bar.close / bar.open - 1.0; 5]).unwrap();
            std::hint::black_box((correlation.risk(&[(0, 1), (1, -1)]), strategies.figures()));
        }
    });
    assert_eq!(count, 0);
}
