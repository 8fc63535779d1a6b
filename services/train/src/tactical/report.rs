//! What a strategy would have earned: the same engine and the same book as in the cluster.

use std::collections::BTreeMap;

use tradewind_core::calendar::SessionId;
use tradewind_core::instrument::Instrument;
use tradewind_core::money::Money;
use tradewind_core::side::Side;
use tradewind_core::sizing::TradeIntent;
use tradewind_core::time::Nanos;
use tradewind_features::tactical::{
    ConfigError, Decision, Engine, EngineError, Logits, Matrix, Network, NetworkError, TacticalConfig,
};
use tradewind_venue::fills::FillModel;
use tradewind_venue::shadow::{ShadowBook, ShadowConfig, ShadowError};

use crate::bars::Series;
use crate::contexts::Contexts;
use crate::holding::COSTS;

/// Trading days of a year.
const DAYS: f64 = 252.0;
/// Full risk.
const FULL_SCALE: u32 = 10_000;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A bar was not decided.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A bar or decision was not booked.
    #[error(transparent)]
    Book(#[from] ShadowError),
}

/// The account that the report assumes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    /// Equity at the start of the period.
    pub starting_equity: Money,
    /// Notional of a trade at multiplier 1.
    pub base_notional: Money,
    /// Costs.
    pub fills: FillModel,
    /// Contexts of less confidence are ignored (TA-35).
    pub min_synergy_confidence: f64,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            starting_equity: Money::from_units(1_000_000),
            base_notional: Money::from_units(250_000),
            fills: COSTS,
            min_synergy_confidence: TacticalConfig::default().min_synergy_confidence,
        }
    }
}

/// Figures of one strategy over the period, all symbols in one account.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// Bars decided.
    pub bars: u64,
    /// Of these, bars with a context.
    pub with_context: u64,
    /// Bars on which the networks wanted to trade.
    pub executes: u64,
    /// Positions opened.
    pub trades: u64,
    /// Traded notional over starting equity.
    pub turnover: f64,
    /// Net profit in percent of starting equity.
    pub net_pct: f64,
    /// Mean over standard deviation of the daily net, times sqrt(252); 0 when it never moved.
    pub sharpe: f64,
    /// Largest fall of the equity from a high, percent of starting equity, 0 or less.
    pub drawdown_pct: f64,
}

/// Follows the sign of the newest five-bar momentum with full conviction: the baseline.
#[derive(Debug, Clone, Copy)]
pub struct FollowMomentum;

impl Network for FollowMomentum {
    fn logits(&mut self, matrix: &Matrix) -> Result<Logits, NetworkError> {
        let side = 20.0 * matrix[59][5].signum();
        Ok([[side, 0.0, -side], [side, 0.0, -side], [0.0, 20.0, 0.0]])
    }
}

/// Runs networks over the bars that close within `from..=until`, each decided in its context; earlier bars warm the features
/// up.
///
/// # Errors
/// [`ReportError`].
pub fn run(
    series: &[Series],
    contexts: &Contexts,
    [from, until]: [Nanos; 2],
    terms: &Terms,
    network: impl Network,
) -> Result<Figures, ReportError> {
    let instruments: Vec<Instrument> = series.iter().map(|one| one.instrument.clone()).collect();
    let config = TacticalConfig { min_synergy_confidence: terms.min_synergy_confidence, ..TacticalConfig::default() };
    let mut engine = Engine::new("report", config, &instruments, network)?;
    let Terms { starting_equity, base_notional, fills, .. } = *terms;
    let mut book = ShadowBook::new(ShadowConfig { starting_equity, base_notional, fills });
    let mut figures = Figures::default();
    let mut daily: BTreeMap<SessionId, f64> = BTreeMap::new();
    for (one, contexts) in series.iter().zip(contexts) {
        let symbol = &one.instrument.symbol;
        for (bar, context) in one.bars.iter().zip(contexts).take_while(|(bar, _)| bar.close_time <= until) {
            if bar.close_time < from {
                engine.warm(symbol, bar)?;
                continue;
            }
            let booked = book.on_bar(&one.instrument, bar)?;
            *daily.entry(SessionId::around_the_clock(bar.close_time)).or_default() += booked.net_bps;
            let decision = engine.decide(symbol, bar, context.clone())?;
            figures.bars += 1;
            figures.with_context += u64::from(context.is_some());
            if let Some(intent) = intent(&decision, bar.close) {
                figures.executes += 1;
                book.decide(&one.instrument, &intent)?;
            }
        }
    }
    let days: Vec<f64> = daily.into_values().collect();
    figures.trades = book.trades();
    figures.turnover = book.turnover_bps() / 10_000.0;
    figures.net_pct = book.net_pnl_bps() / 100.0;
    figures.sharpe = sharpe(&days);
    figures.drawdown_pct = drawdown(&days) / 100.0;
    Ok(figures)
}

/// The trade that a decision asks for.
fn intent(decision: &Decision, close: tradewind_core::instrument::Ticks) -> Option<TradeIntent> {
    let side = Side::from_sign(i64::from(decision.action)).filter(|_| decision.execute)?;
    Some(TradeIntent {
        side,
        reference_price: close,
        stop: decision.stop,
        target: decision.target,
        confidence_multiplier: decision.confidence_multiplier,
        risk_scale_bps: FULL_SCALE,
    })
}

fn sharpe(days: &[f64]) -> f64 {
    let n = days.len() as f64;
    if days.len() < 2 {
        return 0.0;
    }
    let mean = days.iter().sum::<f64>() / n;
    let variance = days.iter().map(|day| (day - mean).powi(2)).sum::<f64>() / (n - 1.0);
    if variance > 0.0 { mean / variance.sqrt() * DAYS.sqrt() } else { 0.0 }
}

fn drawdown(days: &[f64]) -> f64 {
    let (mut equity, mut high, mut worst) = (0.0f64, 0.0f64, 0.0f64);
    for day in days {
        equity += day;
        high = high.max(equity);
        worst = worst.min(equity - high);
    }
    worst
}

/// Rows of strategies as a table.
pub fn table(rows: &[(&str, &Figures)]) -> String {
    let mut text = format!(
        "{:<38}{:>8}{:>10}{:>10}{:>8}{:>10}{:>9}{:>8}{:>11}\n",
        "strategy", "bars", "context", "execute", "trades", "turnover", "net", "sharpe", "drawdown"
    );
    for (name, figures) in rows {
        let share = |part: u64| 100.0 * part as f64 / figures.bars.max(1) as f64;
        text.push_str(&format!(
            "{name:<38}{:>8}{:>9.1}%{:>9.1}%{:>8}{:>9.1}x{:>8.1}%{:>8.2}{:>10.1}%\n",
            figures.bars,
            share(figures.with_context),
            share(figures.executes),
            figures.trades,
            figures.turnover,
            figures.net_pct,
            figures.sharpe,
            figures.drawdown_pct
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn figures_of_a_hand_made_week() {
        let days = [10.0, -20.0, 5.0, 30.0];
        assert_eq!(drawdown(&days), -20.0);
        let mean = 6.25;
        let variance = days.iter().map(|d| (d - mean) * (d - mean)).sum::<f64>() / 3.0;
        assert!((sharpe(&days) - mean / variance.sqrt() * 252f64.sqrt()).abs() < 1e-12);
        assert_eq!((sharpe(&[0.0; 5]), drawdown(&[])), (0.0, 0.0));
    }
}
