//! The raw risk state.

use serde::{Deserialize, Serialize};

use crate::schema::{FeatureSchema, FeatureValueError, FeatureVector, NOT_NEGATIVE, SHARE, SchemaError};
use tradewind_core::money::Money;
use tradewind_core::time::Nanos;

/// Values in a state (RK-5).
pub const COLUMNS: usize = 10;

/// The layout of RK-6.
pub static SCHEMA: FeatureSchema<COLUMNS> = FeatureSchema {
    name: "risk-10-v1",
    columns: [
        "account_equity_normalized",
        "open_positions_count",
        "volatility_regime",
        "correlation_risk",
        "var_estimate_5pct",
        "current_drawdown_pct",
        "margin_usage_pct",
        "time_of_day_risk",
        "market_stress_level",
        "liquidity_conditions",
    ],
    ranges: [NOT_NEGATIVE, NOT_NEGATIVE, SHARE, SHARE, NOT_NEGATIVE, [0.0, 100.0], NOT_NEGATIVE, SHARE, SHARE, SHARE],
};

/// Other names of the same columns (RK-7).
const ALIASES: [&str; COLUMNS] = [
    "account_equity",
    "open_positions",
    "volatility_regime",
    "correlation_risk",
    "var_estimate",
    "drawdown_current",
    "margin_usage",
    "time_risk",
    "market_stress_level",
    "liquidity_conditions",
];
const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// Place of a column by its name or its alias (RK-6, RK-7).
///
/// # Errors
/// [`SchemaError::UnknownColumn`]
pub fn column(name: &str) -> Result<usize, SchemaError> {
    ALIASES.iter().position(|alias| *alias == name).map_or_else(|| SCHEMA.column(name), Ok)
}

/// The account at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccountReading {
    /// When it was read.
    pub at: Nanos,
    /// Equity, above 0.
    pub equity: Money,
    /// Capital at the beginning, above 0.
    pub initial_capital: Money,
    /// Margin in use, at least 0.
    pub margin_used: Money,
    /// Fall from the session's highest equity, percent points (RK-10); `None` before the first equity of the session.
    pub drawdown_pct: Option<f64>,
    /// Number of open positions; `None` until the positions were received.
    pub open_positions: Option<u32>,
    /// Value at risk at 5 %, at least 0; 0 without positions (RK-53).
    pub var: Money,
}

/// The prices of everything held or asked for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PriceReading {
    /// When the oldest of them was known.
    pub oldest: Nanos,
    /// Percentile of the volatility, 0 to 1 (RK-11); 0.5 if unknown (RK-17).
    pub volatility_regime: Option<f64>,
    /// Correlation risk of the book, 0 to 1 (RK-44).
    pub correlation_risk: f64,
    /// Stress of the market, 0 to 1 (RK-13).
    pub stress: f64,
    /// Liquidity risk of the worst symbol, 0 good to 1 worst (RK-14).
    pub liquidity_risk: f64,
}

/// Everything a state is made from; `None` until it was received once (RK-15).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RiskInputs {
    /// Event time of the state.
    pub now: Nanos,
    /// The account.
    pub account: Option<AccountReading>,
    /// The prices.
    pub prices: Option<PriceReading>,
    /// Risk of the time of day, 0 to 1 (RK-12).
    pub time_of_day_risk: f64,
}

/// Largest ages of inputs (RK-16).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RiskAges {
    /// Of prices, nanoseconds.
    pub prices_nanos: i64,
    /// Of the account, nanoseconds.
    pub account_nanos: i64,
}

impl Default for RiskAges {
    fn default() -> Self {
        Self { prices_nanos: NANOS_PER_SECOND, account_nanos: 5 * NANOS_PER_SECOND }
    }
}

/// Why there is no state: only reducing orders may pass (RK-15, RK-16).
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum RiskStateError {
    /// Something was never received. Code `NOT_READY`.
    #[error("NOT_READY: {0} was not received yet")]
    NotReady(&'static str),
    /// Something is too old, or from the future.
    #[error("{what} is {age_nanos} ns old, at most {most_nanos} ns are allowed")]
    Stale {
        /// `prices` or `account`.
        what: &'static str,
        /// Age seen; negative when it lies in the future.
        age_nanos: i64,
        /// Age allowed.
        most_nanos: i64,
    },
    /// Equity or initial capital is not above 0 (RK-53).
    #[error("account: {field} is {value}, it must be above 0")]
    NoEquity {
        /// `equity` or `initialCapital`.
        field: &'static str,
        /// Amount seen.
        value: Money,
    },
    /// A value is not finite or out of its range.
    #[error(transparent)]
    Value(#[from] FeatureValueError),
}

/// A state in its own units (RK-6, RK-9): fractions, percent points and counts, every value finite and in its range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RawRiskState(FeatureVector<COLUMNS>);

impl RawRiskState {
    /// State of an instant, for each tick anew; allocates nothing.
    ///
    /// # Errors
    /// [`RiskStateError`]: unknown, stale and impossible inputs are named.
    pub fn new(inputs: &RiskInputs, ages: &RiskAges) -> Result<Self, RiskStateError> {
        let account = inputs.account.as_ref().ok_or(RiskStateError::NotReady("account"))?;
        let prices = inputs.prices.as_ref().ok_or(RiskStateError::NotReady("prices"))?;
        let positions = account.open_positions.ok_or(RiskStateError::NotReady("positions"))?;
        let drawdown = account.drawdown_pct.ok_or(RiskStateError::NotReady("drawdown"))?;
        fresh("account", inputs.now.since(account.at), ages.account_nanos)?;
        fresh("prices", inputs.now.since(prices.oldest), ages.prices_nanos)?;
        for (field, value) in [("equity", account.equity), ("initialCapital", account.initial_capital)] {
            if value <= Money::ZERO {
                return Err(RiskStateError::NoEquity { field, value });
            }
        }
        let equity = account.equity.to_f64();
        let values = [
            equity / account.initial_capital.to_f64(),
            f64::from(positions),
            prices.volatility_regime.unwrap_or(0.5),
            prices.correlation_risk,
            100.0 * account.var.to_f64() / equity,
            drawdown,
            100.0 * account.margin_used.to_f64() / equity,
            inputs.time_of_day_risk,
            prices.stress,
            prices.liquidity_risk,
        ];
        Ok(Self(SCHEMA.vector(values)?))
    }

    /// All values in the order of the schema.
    #[must_use]
    pub const fn values(&self) -> &[f64; COLUMNS] {
        self.0.values()
    }

    /// A value by its name or alias (RK-7).
    ///
    /// # Errors
    /// [`SchemaError::UnknownColumn`]
    pub fn get(&self, name: &str) -> Result<f64, SchemaError> {
        column(name).map(|at| self.values()[at])
    }
}

const fn fresh(what: &'static str, age_nanos: i64, most_nanos: i64) -> Result<(), RiskStateError> {
    if age_nanos < 0 || age_nanos > most_nanos {
        return Err(RiskStateError::Stale { what, age_nanos, most_nanos });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::float_cmp)]
    use super::*;

    const ACCOUNT: AccountReading = AccountReading {
        at: Nanos(1_000),
        equity: Money::from_units(98_500),
        initial_capital: Money::from_units(100_000),
        margin_used: Money::from_units(39_400),
        drawdown_pct: Some(1.5),
        open_positions: Some(2),
        var: Money::from_units(985),
    };
    const PRICES: PriceReading =
        PriceReading { oldest: Nanos(1_000), volatility_regime: None, correlation_risk: 0.58, stress: 0.8, liquidity_risk: 0.24 };
    const INPUTS: RiskInputs =
        RiskInputs { now: Nanos(1_000), account: Some(ACCOUNT), prices: Some(PRICES), time_of_day_risk: 0.1 };

    fn state(inputs: RiskInputs) -> Result<RawRiskState, RiskStateError> {
        RawRiskState::new(&inputs, &RiskAges::default())
    }

    fn with_account(account: AccountReading) -> RiskInputs {
        RiskInputs { account: Some(account), ..INPUTS }
    }

    /// RK-6: fractions, counts and percent points; RK-17: an unknown regime is 0.5; RK-7: by either name.
    #[test]
    fn values_and_names() {
        let seen = state(INPUTS).unwrap();
        assert_eq!(*seen.values(), [0.985, 2.0, 0.5, 0.58, 1.0, 1.5, 40.0, 0.1, 0.8, 0.24]);
        for (at, (name, alias)) in SCHEMA.columns.iter().zip(ALIASES).enumerate() {
            assert_eq!((column(name), column(alias)), (Ok(at), Ok(at)));
        }
        assert_eq!(seen.get("drawdown_current"), Ok(1.5));
        assert!(seen.get("drawdown").is_err());
    }

    /// RK-15: ten zeros are no state; each input is asked for by name.
    #[test]
    fn not_ready() {
        let missing = |inputs| state(inputs).unwrap_err();
        assert_eq!(missing(RiskInputs { account: None, ..INPUTS }), RiskStateError::NotReady("account"));
        assert_eq!(missing(RiskInputs { prices: None, ..INPUTS }).to_string(), "NOT_READY: prices was not received yet");
        let positions = AccountReading { open_positions: None, ..ACCOUNT };
        assert_eq!(missing(with_account(positions)), RiskStateError::NotReady("positions"));
        let drawdown = AccountReading { drawdown_pct: None, ..ACCOUNT };
        assert_eq!(missing(with_account(drawdown)), RiskStateError::NotReady("drawdown"), "RK-17: missing is not 0");
    }

    /// RK-16: prices live for a second, the account for five; nothing comes from the future.
    #[test]
    fn stale_inputs() {
        let second = 1_000_000_000;
        let at = |nanos| state(RiskInputs { now: Nanos(1_000 + nanos), ..INPUTS });
        assert!(at(second).is_ok());
        assert_eq!(
            at(second + 1).unwrap_err(),
            RiskStateError::Stale { what: "prices", age_nanos: second + 1, most_nanos: second }
        );
        assert!(matches!(at(-1).unwrap_err(), RiskStateError::Stale { what: "account", age_nanos: -1, .. }));
        let fresh = PriceReading { oldest: Nanos(i64::MAX), ..PRICES };
        let old = state(RiskInputs { now: Nanos(i64::MAX), prices: Some(fresh), ..INPUTS });
        assert!(matches!(old, Err(RiskStateError::Stale { what: "account", .. })));
    }

    /// RK-16, RK-53: no equity, NaN and values out of range are refused by name.
    #[test]
    fn impossible_inputs() {
        let broke = state(with_account(AccountReading { equity: Money::ZERO, ..ACCOUNT })).unwrap_err();
        assert_eq!(broke.to_string(), "account: equity is 0, it must be above 0");
        let text = |inputs| state(inputs).unwrap_err().to_string();
        let nan = PriceReading { stress: f64::NAN, ..PRICES };
        assert_eq!(text(RiskInputs { prices: Some(nan), ..INPUTS }), "risk-10-v1: market_stress_level is NaN, it must be finite");
        let margin = AccountReading { margin_used: Money::from_units(-1), ..ACCOUNT };
        assert!(text(with_account(margin)).starts_with("risk-10-v1: margin_usage_pct is -0.001"));
        assert!(text(RiskInputs { time_of_day_risk: 1.5, ..INPUTS }).contains("time_of_day_risk is 1.5"));
    }
}
