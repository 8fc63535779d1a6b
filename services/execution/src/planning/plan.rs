//! One plan from the actors' outputs, the trade and the account.

use serde::{Deserialize, Serialize};

use tradewind_core::instrument::{Instrument, Lots, Ticks};
use tradewind_core::money::Money;
use tradewind_core::side::Side;
use tradewind_features::tactical::Levels;
use tradewind_measures::kelly::{contracts, penalised_kelly, risk_amount};

use super::config::PlanConfig;
use super::impact::expected_impact_bps;
use super::outputs::{ActorOutputs, STOP_RANGE, Strategy, TARGET_RANGE};

/// Urgency and risk tolerance stay within these bounds (EX-30).
const SCALE_RANGE: [f64; 2] = [0.5, 2.0];
/// Factor on the target at the two ends of the risk tolerance (EX-31).
const TARGET_FACTOR_RANGE: [f64; 2] = [0.5, 1.5];
/// Stops farther than this many ticks are no stops; keeps the risk per contract an exact integer.
const MOST_STOP_TICKS: f64 = 1e12;

/// A qualified trade and what the account and the market are like (EX-11, EX-12).
#[derive(Clone, Copy, Debug)]
pub struct PlanRequest<'a> {
    /// What is traded; one contract is one lot.
    pub instrument: &'a Instrument,
    /// Direction; `None` is hold. There is no default (C-13).
    pub side: Option<Side>,
    /// Confidence of the tactical stage, 0 to 1: the probability of a win (C-53).
    pub confidence: f64,
    /// Arrival price.
    pub price: Ticks,
    /// Average true range over 14 bars, in ticks; a plan needs it (C-14).
    pub atr_ticks: Option<f64>,
    /// Equity of the account; a plan needs it (EX-9).
    pub equity: Option<Money>,
    /// Average win over average loss (C-54).
    pub payoff_ratio: f64,
    /// Daily volatility, a fraction of at least 0 (C-2).
    pub volatility: f64,
    /// Contracts traded per day on average, at least 0.
    pub daily_volume: f64,
    /// Contracts for which every limit leaves room, at least 0 (EX-37).
    pub room: i64,
    /// 0.5 to 2; copied to the plan (EX-30).
    pub urgency: f64,
    /// 0.5 to 2; 1 is neutral (EX-30).
    pub risk_tolerance: f64,
}

/// What decided the size (EX-37).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SizeBound {
    /// The sizing actor.
    Policy,
    /// Kelly.
    Kelly,
    /// Contracts per trade.
    PerTrade,
    /// Room under the limits.
    Limits,
}

/// How a trade is carried out (EX-32).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecutionPlan {
    /// Signed size; its sign is the direction (C-13).
    pub lots: Lots,
    /// What decided the size.
    pub bound: SizeBound,
    /// Contracts that Kelly allows, before the other bounds.
    pub kelly_contracts: i64,
    /// How the orders reach the market.
    pub strategy: Strategy,
    /// Arrival price.
    pub reference_price: Ticks,
    /// Protective stop and target.
    #[serde(flatten)]
    pub levels: Levels,
    /// Distance of the stop in ATR, 0.5 to 3.
    pub stop_multiplier: f64,
    /// Distance of the target in ATR, 1 to 5.
    pub target_multiplier: f64,
    /// As asked, 0.5 to 2.
    pub urgency: f64,
    /// Expected impact, basis points (EX-47).
    pub expected_impact_bps: f64,
    /// The distributions that the plan was made from (EX-28).
    pub outputs: ActorOutputs,
}

/// Why there is no plan; [`NoPlan::code`] is the reason as recorded.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum NoPlan {
    /// The trade is no trade (EX-33).
    #[error("hold yields no order")]
    Hold,
    /// No contracts remain (EX-35).
    #[error("no contracts remain, bound by {0:?}")]
    ZeroPositionSize(SizeBound),
    /// The equity of the account is unknown (EX-9).
    #[error("the equity of the account is unknown or not above 0")]
    MissingEquity,
    /// The range is unknown (C-14).
    #[error("the average true range is unknown; a stop cannot be placed")]
    MissingAtr,
    /// A figure is infinite, not a number or out of its range (EX-10).
    #[error("{field} is {value}, it must be {allowed}")]
    Input {
        /// Which figure.
        field: &'static str,
        /// The value seen.
        value: f64,
        /// What it may be.
        allowed: &'static str,
    },
    /// Stop and target do not fit around the price.
    #[error("the range leaves no room for stop and target around the price")]
    NoRoomForLevels,
}

impl NoPlan {
    /// Reason for records and replies; a closed list.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::ZeroPositionSize(_) => "zero_position_size",
            Self::MissingEquity => "missing_equity",
            Self::MissingAtr => "missing_atr",
            Self::Input { .. } => "invalid_input",
            Self::NoRoomForLevels => "no_range",
        }
    }
}

/// Makes a plan (EX-28 to EX-37). Every bound can only lower what the sizing actor asks for.
///
/// # Errors
/// [`NoPlan`]: no order is sent then.
pub fn plan(request: &PlanRequest<'_>, outputs: &ActorOutputs, config: &PlanConfig) -> Result<ExecutionPlan, NoPlan> {
    let side = request.side.ok_or(NoPlan::Hold)?;
    check(request)?;
    let atr = request.atr_ticks.ok_or(NoPlan::MissingAtr)?;
    let equity = request.equity.filter(|equity| *equity > Money::ZERO).ok_or(NoPlan::MissingEquity)?;
    let (stop_multiplier, target_multiplier) = multipliers(outputs, request.risk_tolerance);
    let stop_ticks = stop_multiplier * atr;
    let sign = if side == Side::Long { 1 } else { -1 };
    let levels = Levels::around(sign, request.price, stop_ticks, target_multiplier * atr).ok_or(NoPlan::NoRoomForLevels)?;

    let fraction = penalised_kelly(request.confidence, request.payoff_ratio, request.volatility, config.risk_aversion)
        .map_or(0.0, |fraction| fraction * config.kelly_multiplier);
    let amount = risk_amount(equity, fraction, config.max_risk_fraction);
    let kelly_contracts = contracts(amount, risk_per_contract(request.instrument, stop_ticks, config), i64::MAX);
    let bounds = [
        (SizeBound::Policy, outputs.contracts()),
        (SizeBound::Kelly, if config.kelly_cap { kelly_contracts } else { i64::MAX }),
        (SizeBound::PerTrade, config.max_contracts),
        (SizeBound::Limits, request.room),
    ];
    let (bound, size) = bounds.into_iter().fold(bounds[0], |least, next| if next.1 < least.1 { next } else { least });
    if size <= 0 {
        return Err(NoPlan::ZeroPositionSize(bound));
    }
    let strategy = outputs.strategy();
    #[allow(clippy::cast_precision_loss)] // at most 5
    let count = size as f64;
    let seconds = strategy.horizon_seconds();
    Ok(ExecutionPlan {
        lots: side.lots(size),
        bound,
        kelly_contracts,
        strategy,
        reference_price: request.price,
        levels,
        stop_multiplier,
        target_multiplier,
        urgency: request.urgency,
        expected_impact_bps: expected_impact_bps(count, request.daily_volume, request.volatility, seconds, &config.impact),
        outputs: *outputs,
    })
}

/// Refuses figures out of their range before anything is computed; NaN is out of every range (EX-10).
fn check(request: &PlanRequest<'_>) -> Result<(), NoPlan> {
    let within = |[least, most]: [f64; 2]| move |value: f64| (least..=most).contains(&value);
    let scale = within(SCALE_RANGE);
    let share = within([0.0, 1.0]);
    let at_least_0 = within([0.0, f64::MAX]);
    // A range of 0 is a frozen feed, not a calm market.
    let above_0 = within([f64::MIN_POSITIVE, f64::MAX]);
    let figures: [(&'static str, f64, bool, &'static str); 7] = [
        ("confidence", request.confidence, share(request.confidence), "0 to 1"),
        ("payoff ratio", request.payoff_ratio, at_least_0(request.payoff_ratio), "finite and at least 0"),
        ("volatility", request.volatility, at_least_0(request.volatility), "finite and at least 0"),
        ("daily volume", request.daily_volume, at_least_0(request.daily_volume), "finite and at least 0"),
        ("urgency", request.urgency, scale(request.urgency), "0.5 to 2"),
        ("risk tolerance", request.risk_tolerance, scale(request.risk_tolerance), "0.5 to 2"),
        ("atr", request.atr_ticks.unwrap_or(0.0), request.atr_ticks.is_none_or(above_0), "finite and above 0"),
    ];
    match figures.into_iter().find(|(_, _, fine, _)| !fine) {
        Some((field, value, _, allowed)) => Err(NoPlan::Input { field, value, allowed }),
        None => Ok(()),
    }
}

/// EX-31, C-11: more tolerance means a farther stop and a nearer target, both within the actor's own box.
fn multipliers(outputs: &ActorOutputs, tolerance: f64) -> (f64, f64) {
    let factor = (2.0 - tolerance).clamp(TARGET_FACTOR_RANGE[0], TARGET_FACTOR_RANGE[1]);
    let stop = (outputs.stop_multiplier * tolerance).clamp(STOP_RANGE[0], STOP_RANGE[1]);
    let target = (outputs.target_multiplier * factor).clamp(TARGET_RANGE[0], TARGET_RANGE[1]);
    (stop, target)
}

/// EX-41, C-17: what one contract loses at its stop, a whole tick more rather than less.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
fn risk_per_contract(instrument: &Instrument, stop_ticks: f64, config: &PlanConfig) -> Money {
    let least_ticks = config.least_stop_points * 1e9 / instrument.tick.nanos() as f64;
    let ticks = stop_ticks.max(least_ticks).min(MOST_STOP_TICKS).ceil() as i128;
    Money::from_nanos(instrument.tick_value().nanos() * ticks)
}
