//! What a run comes to.

use std::fmt;

use serde::Serialize;
use tradewind_core::money::Money;
use tradewind_policy::{AccountFigures, Entry, Figures, Report};

use crate::ledgers::{Digests, Ledgers};

/// Figures of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Bars decided.
    pub bars: u64,
    /// Trades that qualified.
    pub trades: u64,
    /// Order events.
    pub orders: u64,
    /// Fills.
    pub fills: u64,
    /// Equity before the first bar.
    pub starting_equity: Money,
    /// Equity after the last bar.
    pub equity: Money,
    /// Profit after costs, basis points of starting equity.
    pub net_pnl_bps: i64,
    /// Deepest fall from the high-water mark, basis points, 0 or less.
    pub max_drawdown_bps: i64,
    /// State of the account after the last bar.
    pub account_state: &'static str,
    /// Bars per second of this run; the only figure that another run will not repeat.
    pub bars_per_second: u64,
    /// Digests of the three ledgers.
    pub digests: Digests,
    /// A candidate against the bundle that drove.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
}

/// A candidate in the shadow of the bundle that drove, as a rollout judges it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// Bars compared.
    pub n: u64,
    /// Candidate minus stable per bar, basis points of starting equity.
    pub mean_bps: f64,
    /// Lower end of the interval.
    pub lower_bps: f64,
    /// Upper end of the interval.
    pub upper_bps: f64,
    /// Margin of the policy.
    pub margin_bps: f64,
    /// Pass, Fail or Inconclusive.
    pub verdict: String,
    /// Trades, net profit and turnover (basis points of starting equity) of the stable's shadow book.
    pub stable: (u64, f64, f64),
    /// The same of the candidate's.
    pub candidate: (u64, f64, f64),
}

impl Comparison {
    /// Judges a report by the policy's margin.
    #[must_use]
    pub fn of(report: &Report, margin_bps: f64) -> Self {
        let interval = report.evidence.interval();
        let book = |figures: &Figures| (figures.trades, figures.net_pnl_bps, figures.turnover_bps);
        Self {
            n: report.evidence.n(),
            mean_bps: interval.mean_bps,
            lower_bps: interval.lower_bps,
            upper_bps: interval.upper_bps,
            margin_bps,
            verdict: format!("{:?}", report.evidence.non_inferiority(margin_bps)),
            stable: book(&report.stable),
            candidate: book(&report.candidate),
        }
    }
}

impl Summary {
    /// Of the entries of a run; `seconds` is how long it took.
    #[must_use]
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn of(entries: &[Entry], ledgers: &Ledgers, starting_equity: Money, seconds: f64) -> Self {
        let figures: Vec<&AccountFigures> = entries.iter().map(|entry| &entry.record.account).collect();
        let equity = figures.last().map_or(starting_equity, |last| last.equity);
        Self {
            bars: entries.len() as u64,
            trades: entries.iter().filter(|entry| entry.record.trade.is_some()).count() as u64,
            orders: ledgers.orders.len() as u64,
            fills: ledgers.fills.len() as u64,
            starting_equity,
            equity,
            net_pnl_bps: (equity - starting_equity).ratio_bps(starting_equity).unwrap_or(i64::MIN),
            max_drawdown_bps: figures.iter().map(|figures| figures.drawdown_bps).min().unwrap_or(0),
            account_state: figures.last().map_or("Normal", |last| last.state.text()),
            bars_per_second: (entries.len() as f64 / seconds.max(1e-9)) as u64,
            digests: ledgers.digests(),
            comparison: None,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |bps: i64| format!("{:.2} %", bps as f64 / 100.0);
        let rows = [
            ("bars decided", self.bars.to_string()),
            ("trades", self.trades.to_string()),
            ("order events", self.orders.to_string()),
            ("fills", self.fills.to_string()),
            ("equity", format!("{} (began with {})", self.equity, self.starting_equity)),
            ("net profit", percent(self.net_pnl_bps)),
            ("deepest drawdown", percent(self.max_drawdown_bps)),
            ("account", self.account_state.to_owned()),
            ("bars per second", self.bars_per_second.to_string()),
            ("decisions sha256", self.digests.decisions.clone()),
            ("orders sha256", self.digests.orders.clone()),
            ("fills sha256", self.digests.fills.clone()),
        ];
        rows.iter().try_for_each(|(name, value)| writeln!(f, "{name:<18}{value}"))?;
        self.comparison.as_ref().map_or(Ok(()), |comparison| write!(f, "{comparison}"))
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { n, mean_bps, lower_bps, upper_bps, margin_bps, verdict, .. } = self;
        writeln!(
            f,
            "candidate         {verdict}: {mean_bps:.3} bps per bar, {lower_bps:.3} to {upper_bps:.3}, margin {margin_bps}, n {n}"
        )?;
        for (name, (trades, net, turnover)) in [("  stable shadow", self.stable), ("  its shadow", self.candidate)] {
            writeln!(f, "{name:<18}{trades} trades, net {net:.1} bps, turnover {turnover:.0} bps")?;
        }
        Ok(())
    }
}
