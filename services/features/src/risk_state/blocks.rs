//! The context blocks P1 to P4: what each risk agent sees beside the state.

use crate::execution_context::utilisation;
use crate::schema::{ANY, FeatureSchema, FeatureValueError, FeatureVector, NOT_NEGATIVE, Range, SHARE, SIGNED};
use tradewind_core::instrument::{Lots, Ticks};
use tradewind_core::money::Money;
use tradewind_core::side::Side;
use tradewind_core::time::Nanos;

use super::correlation::CorrelationRisk;
use super::excursion::Excursion;
use super::scores::ScoredRiskState;
use super::state::COLUMNS;
use super::strategies::{STRATEGIES, StrategyFigures};

/// Values in a block (RK-23).
pub const BLOCK: usize = 16;
/// Inputs of an actor: state and block (RK-23).
pub const OBSERVATION: usize = COLUMNS + BLOCK;
/// Inputs of the critic: state and four blocks (RK-30).
pub const CRITIC: usize = COLUMNS + 4 * BLOCK;

/// Contracts that count as one (RK-24, RK-25).
const CONTRACTS: f64 = 5.0;
/// Longest time in a trade that counts, in days (RK-25).
const LONGEST_DAYS: f64 = 2.0;
const NANOS_PER_DAY: f64 = 8.64e13;
/// Largest Sharpe ratio that counts (RK-27).
const SHARPE_CLIP: f64 = 3.0;

/// P1: a new trade, for position sizing (RK-24).
pub static SIZING: FeatureSchema<BLOCK> = FeatureSchema {
    name: "risk-sizing-16-v1",
    columns: [
        "direction",
        "base_quantity",
        "strategy_confidence",
        "stop_distance_atr",
        "kelly_contracts",
        "win_probability",
        "payoff_ratio",
        "volatility_adjustment",
        "position",
        "pending",
        "session_budget",
        "marginal_var_pct",
        "directional_correlation",
        "liquidity_risk",
        "synergy",
        "reserved",
    ],
    ranges: [
        SIGNED,
        NOT_NEGATIVE,
        SHARE,
        NOT_NEGATIVE,
        NOT_NEGATIVE,
        SHARE,
        SHARE,
        NOT_NEGATIVE,
        ANY,
        ANY,
        SHARE,
        ANY,
        SHARE,
        SHARE,
        SIGNED,
        NONE,
    ],
};

/// P2: an open position, for stops and targets (RK-25).
pub static STOPS: FeatureSchema<BLOCK> = FeatureSchema {
    name: "risk-stops-16-v1",
    columns: [
        "side",
        "quantity",
        "days_held",
        "open_profit_atr",
        "stop_distance_atr",
        "target_distance_atr",
        "favourable_excursion_atr",
        "adverse_excursion_atr",
        "volatility_regime",
        "atr_pct",
        "spread_ratio",
        "volume_ratio",
        "days_to_close",
        "move_5_atr",
        "stop_multiple",
        "target_multiple",
    ],
    ranges: [
        SIGNED,
        NOT_NEGATIVE,
        [0.0, LONGEST_DAYS],
        ANY,
        ANY,
        ANY,
        NOT_NEGATIVE,
        NOT_NEGATIVE,
        SHARE,
        NOT_NEGATIVE,
        NOT_NEGATIVE,
        NOT_NEGATIVE,
        NOT_NEGATIVE,
        ANY,
        NOT_NEGATIVE,
        NOT_NEGATIVE,
    ],
};

/// P3: the portfolio, for the risk monitor (RK-26).
pub static PORTFOLIO: FeatureSchema<BLOCK> = FeatureSchema {
    name: "risk-portfolio-16-v1",
    columns: [
        "portfolio_var_pct",
        "expected_shortfall_pct",
        "position_concentration",
        "correlation_risk",
        "directional_correlation_risk",
        "drawdown",
        "margin",
        "positions",
        "gross_exposure",
        "net_exposure",
        "unrealised_pct",
        "liquidity_risk",
        "volatility_ratio",
        "var_ratio",
        "severity",
        "halt",
    ],
    ranges: [
        NOT_NEGATIVE,
        NOT_NEGATIVE,
        SHARE,
        SHARE,
        SHARE,
        NOT_NEGATIVE,
        NOT_NEGATIVE,
        NOT_NEGATIVE,
        NOT_NEGATIVE,
        ANY,
        ANY,
        SHARE,
        NOT_NEGATIVE,
        NOT_NEGATIVE,
        SHARE,
        SHARE,
    ],
};

/// P4: the strategies, for the portfolio optimiser (RK-27).
pub static STRATEGY: FeatureSchema<BLOCK> = FeatureSchema {
    name: "risk-strategies-16-v1",
    columns: [
        "sharpe_0",
        "variance_share_0",
        "weight_0",
        "sharpe_1",
        "variance_share_1",
        "weight_1",
        "sharpe_2",
        "variance_share_2",
        "weight_2",
        "sharpe_3",
        "variance_share_3",
        "weight_3",
        "sharpe_4",
        "variance_share_4",
        "weight_4",
        "mean_correlation",
    ],
    ranges: [
        SIGNED, SHARE, SHARE, SIGNED, SHARE, SHARE, SIGNED, SHARE, SHARE, SIGNED, SHARE, SHARE, SIGNED, SHARE, SHARE, SIGNED,
    ],
};

/// Only 0.
const NONE: Range = [0.0, 0.0];

/// A trade that is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SizingInputs {
    /// Direction.
    pub side: Side,
    /// Size before any adjustment, at least 0; one lot is one contract.
    pub base_quantity: Lots,
    /// Confidence of the strategy, 0 to 1.
    pub confidence: f64,
    /// Distance of the stop from the entry, ticks.
    pub stop_distance: f64,
    /// Average true range, ticks, above 0.
    pub atr: f64,
    /// Size by Kelly's rule, at least 0.
    pub kelly_contracts: f64,
    /// Probability of a profit, 0 to 1.
    pub win_probability: f64,
    /// Mean profit over mean loss, at least 0.
    pub payoff_ratio: f64,
    /// Factor from the volatility, at least 0.
    pub volatility_adjustment: f64,
    /// Signed position in the symbol.
    pub position: Lots,
    /// Signed size of working orders in the symbol.
    pub pending: Lots,
    /// Part of the session's loss budget that is left, 0 to 1.
    pub session_budget: f64,
    /// What the trade adds to the value at risk, percent of equity.
    pub marginal_var_pct: f64,
    /// Directional correlation with the book, 0 to 1 (RK-45).
    pub directional_correlation: f64,
    /// Liquidity risk of the symbol, 0 to 1 (RK-75).
    pub liquidity_risk: f64,
    /// Signed strength of the synergy, -1 to 1; 0 if absent.
    pub synergy: Option<f64>,
}

/// P1 (RK-24).
///
/// # Errors
/// [`FeatureValueError`] names the first column that is not finite or out of range; an ATR of 0 makes one.
pub fn sizing_block(inputs: &SizingInputs) -> Result<FeatureVector<BLOCK>, FeatureValueError> {
    SIZING.vector([
        sign(inputs.side),
        count(inputs.base_quantity) / CONTRACTS,
        inputs.confidence,
        inputs.stop_distance / inputs.atr,
        inputs.kelly_contracts / CONTRACTS,
        inputs.win_probability,
        capped(inputs.payoff_ratio, 5.0) / 5.0,
        inputs.volatility_adjustment / 2.0,
        count(inputs.position) / CONTRACTS,
        count(inputs.pending) / CONTRACTS,
        inputs.session_budget,
        inputs.marginal_var_pct,
        inputs.directional_correlation,
        inputs.liquidity_risk,
        inputs.synergy.unwrap_or(0.0),
        0.0,
    ])
}

/// An open position and its market. `Default` is not given: nothing of it may be guessed.
#[derive(Clone, Debug)]
pub struct StopInputs<'a> {
    /// What the position has been through; knows side and entry.
    pub excursion: &'a Excursion,
    /// Size, at least 0.
    pub quantity: Lots,
    /// When it was opened.
    pub opened_at: Nanos,
    /// Event time.
    pub now: Nanos,
    /// Newest price.
    pub price: Ticks,
    /// Stop in force.
    pub stop: Ticks,
    /// Target in force.
    pub target: Ticks,
    /// Average true range, ticks, above 0.
    pub atr: f64,
    /// Percentile of the volatility, 0 to 1 (RK-11).
    pub volatility_regime: f64,
    /// Spread over its mean (RK-75).
    pub spread_ratio: f64,
    /// Volume over its mean (RK-75).
    pub volume_ratio: f64,
    /// Hours until the session closes.
    pub hours_to_close: f64,
    /// Distance of the stop at the entry, ATR.
    pub stop_multiple: f64,
    /// Distance of the target at the entry, ATR.
    pub target_multiple: f64,
}

/// P2 (RK-25). Distances to stop and target are positive while the price lies between them.
///
/// # Errors
/// [`FeatureValueError`] names the first column that is not finite or out of range; an ATR of 0 makes one.
#[allow(clippy::cast_precision_loss)]
pub fn stops_block(inputs: &StopInputs<'_>) -> Result<FeatureVector<BLOCK>, FeatureValueError> {
    let excursion = inputs.excursion;
    let ranges = |ticks: f64| ticks / inputs.atr;
    let profit = |price: Ticks| excursion.profit(price) as f64;
    STOPS.vector([
        sign(excursion.side()),
        count(inputs.quantity) / CONTRACTS,
        (inputs.now.since(inputs.opened_at) as f64 / NANOS_PER_DAY).min(LONGEST_DAYS),
        ranges(profit(inputs.price)),
        ranges(profit(inputs.price) - profit(inputs.stop)),
        ranges(profit(inputs.target) - profit(inputs.price)),
        ranges(excursion.favourable() as f64),
        ranges(excursion.adverse() as f64),
        inputs.volatility_regime,
        100.0 * inputs.atr / inputs.price.0 as f64,
        inputs.spread_ratio,
        inputs.volume_ratio,
        inputs.hours_to_close / 24.0,
        ranges(excursion.recent_move() as f64),
        inputs.stop_multiple,
        inputs.target_multiple,
    ])
}

/// The portfolio of an account.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PortfolioInputs<'a> {
    /// Equity, above 0.
    pub equity: Money,
    /// Signed value of each position.
    pub exposures: &'a [Money],
    /// Largest sum of exposures that the account may have (RK-80).
    pub exposure_capacity: Money,
    /// Value at risk at 5 %, at least 0.
    pub var: Money,
    /// Expected shortfall at 5 %, at least 0.
    pub expected_shortfall: Money,
    /// Correlation risk (RK-44, RK-45).
    pub correlation: CorrelationRisk,
    /// Drawdown of the session, percent points (RK-10).
    pub drawdown_pct: f64,
    /// Margin in use, percent points of equity.
    pub margin_pct: f64,
    /// Profit of what is held.
    pub unrealised: Money,
    /// Liquidity risk of the worst symbol, 0 to 1 (RK-14).
    pub liquidity_risk: f64,
    /// Volatility over its normal.
    pub volatility_ratio: f64,
    /// Value at risk over its normal.
    pub var_ratio: f64,
    /// Highest active severity: 0 none, 1 low, 2 medium, 3 high, 4 critical.
    pub severity: u8,
    /// Trading is halted.
    pub halted: bool,
}

/// P3 (RK-26).
///
/// # Errors
/// [`FeatureValueError`] names the first column that is not finite or out of range; an equity of 0 makes one.
#[allow(clippy::cast_precision_loss)]
pub fn portfolio_block(inputs: &PortfolioInputs<'_>) -> Result<FeatureVector<BLOCK>, FeatureValueError> {
    let equity = inputs.equity.to_f64();
    let share = |amount: Money| amount.to_f64() / equity;
    PORTFOLIO.vector([
        100.0 * share(inputs.var),
        100.0 * share(inputs.expected_shortfall),
        concentration(inputs.exposures, inputs.exposure_capacity),
        inputs.correlation.absolute,
        inputs.correlation.directional,
        inputs.drawdown_pct / 2.0,
        inputs.margin_pct / 100.0,
        inputs.exposures.len() as f64 / CONTRACTS,
        share(inputs.exposures.iter().map(|exposure| exposure.abs()).sum()),
        share(inputs.exposures.iter().copied().sum()),
        100.0 * share(inputs.unrealised),
        inputs.liquidity_risk,
        inputs.volatility_ratio,
        inputs.var_ratio,
        f64::from(inputs.severity) / 4.0,
        f64::from(u8::from(inputs.halted)),
    ])
}

/// Largest exposure over the larger of their sum and the capacity, 0 to 1; 0 without positions (RK-80, risk C-5).
#[must_use]
pub fn concentration(exposures: &[Money], capacity: Money) -> f64 {
    let largest = exposures.iter().map(|exposure| exposure.abs()).max().unwrap_or(Money::ZERO);
    let sum: Money = exposures.iter().map(|exposure| exposure.abs()).sum();
    utilisation(largest.to_f64(), sum.max(capacity).to_f64())
}

/// P4 (RK-27): figures of the strategies and the shares of risk that they have now, 0 to 1.
///
/// # Errors
/// [`FeatureValueError`] names the first column that is not finite or out of range.
pub fn strategy_block(figures: &StrategyFigures, weights: &[f64; STRATEGIES]) -> Result<FeatureVector<BLOCK>, FeatureValueError> {
    let mut values = [0.0; BLOCK];
    for (at, of) in values.chunks_exact_mut(3).enumerate() {
        let sharpe = figures.sharpe[at].clamp(-SHARPE_CLIP, SHARPE_CLIP) / SHARPE_CLIP;
        of.copy_from_slice(&[sharpe, figures.variance_share[at], weights[at]]);
    }
    values[BLOCK - 1] = figures.mean_correlation;
    STRATEGY.vector(values)
}

/// The block of an agent that has nothing to look at: P1 without a request, P2 without a position (RK-31).
#[must_use]
pub const fn empty_block() -> [f32; BLOCK] {
    [0.0; BLOCK]
}

/// Input of one actor: state, then its block (RK-23).
#[must_use]
pub fn observation(state: &ScoredRiskState, block: &[f32; BLOCK]) -> [f32; OBSERVATION] {
    let state = state.to_f32();
    std::array::from_fn(|at| if at < COLUMNS { state[at] } else { block[at - COLUMNS] })
}

/// Input of the critic: state, P1, P2 (of the position with the largest risk), P3, P4 (RK-31).
#[must_use]
pub fn critic_input(state: &ScoredRiskState, blocks: [&[f32; BLOCK]; 4]) -> [f32; CRITIC] {
    let state = state.to_f32();
    let value = |at: usize| match at.checked_sub(COLUMNS) {
        Some(at) => blocks[at / BLOCK][at % BLOCK],
        None => state[at],
    };
    std::array::from_fn(value)
}

#[allow(clippy::cast_precision_loss)]
const fn sign(side: Side) -> f64 {
    side.sign() as f64
}

#[allow(clippy::cast_precision_loss)]
const fn count(lots: Lots) -> f64 {
    lots.0 as f64
}

/// The smaller one; NaN stays NaN, which `f64::min` would hide.
fn capped(value: f64, most: f64) -> f64 {
    if value > most { most } else { value }
}
