//! What the decider is made from.

use std::collections::BTreeMap;

use crate::freshness::Freshness;
use crate::orchestrator::{CostLevel, OrchestratorConfig};
use tradewind_core::bar::Bar;
use tradewind_core::calendar::SessionId;
use tradewind_core::instrument::{Instrument, Symbol};
use tradewind_core::money::Money;
use tradewind_venue::fills::FillModel;
use tradewind_venue::shadow::ShadowConfig;
use tradewind_wire::config::TradingConfig;

/// A move of this many basis points of a full-size trade is the largest difference per bar that evidence counts.
const BOUND_MOVE_BPS: f64 = 1_000.0;

/// Settings of the decider of one policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Name of the TradingPolicy.
    pub policy: String,
    /// Instruments by symbol.
    pub instruments: BTreeMap<Symbol, Instrument>,
    /// Notional of a trade at full confidence and full risk scale.
    pub base_notional: Money,
    /// Equity before the first trade.
    pub starting_equity: Money,
    /// Thresholds of orchestrator and gates.
    pub orchestrator: OrchestratorConfig,
    /// Costs, for the shadow books.
    pub fills: FillModel,
    /// How old bars may be, and when the markets are open.
    pub freshness: Freshness,
}

/// Everything that is wrong with `trading.json`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("trading configuration: {}", .0.join("; "))]
pub struct SettingsError(pub Vec<String>);

impl Settings {
    /// Reads the operator's configuration.
    ///
    /// # Errors
    /// [`SettingsError`] with every violation.
    pub fn from_config(config: &TradingConfig) -> Result<Self, SettingsError> {
        let mut found = config.violations();
        let orchestrator: OrchestratorConfig = config.orchestrator().unwrap_or_else(|error| {
            found.push(format!("orchestrator: {error}"));
            OrchestratorConfig::default()
        });
        found.extend(orchestrator.violations());
        let instruments = config.instruments().unwrap_or_default();
        if !found.is_empty() {
            return Err(SettingsError(found));
        }
        Ok(Self {
            policy: config.policy.clone(),
            instruments: instruments.into_iter().map(|instrument| (instrument.symbol.clone(), instrument)).collect(),
            base_notional: config.sizing.base_notional,
            starting_equity: config.starting_equity,
            orchestrator,
            freshness: Freshness {
                kind: config.feed_kind,
                max_age: i64::try_from(config.max_data_age_ms).unwrap_or(i64::MAX).saturating_mul(1_000_000),
                calendars: config.calendars(),
            },
            fills: FillModel { spread_bps: config.venue.spread_bps, fee_bps: config.venue.fee_bps },
        })
    }

    /// Session of a bar by the calendar of its symbol: the unit in which a rollout gives sessions to the candidate.
    #[must_use]
    pub fn session(&self, symbol: &Symbol, bar: &Bar) -> SessionId {
        self.freshness.calendar(symbol).calendar().session_of_bar(bar.open_time, bar.close_time)
    }

    /// Level of the configured spread (PO-45).
    #[must_use]
    pub fn spread_level(&self) -> CostLevel {
        CostLevel::of_spread(f64::from(self.fills.spread_bps))
    }

    /// Figures of both shadow books.
    #[must_use]
    pub const fn shadow(&self) -> ShadowConfig {
        ShadowConfig { starting_equity: self.starting_equity, base_notional: self.base_notional, fills: self.fills }
    }

    /// Largest difference per bar that evidence counts, basis points of starting equity.
    #[must_use]
    pub fn bound_bps(&self) -> f64 {
        BOUND_MOVE_BPS * self.base_notional.to_f64() / self.starting_equity.to_f64()
    }
}
