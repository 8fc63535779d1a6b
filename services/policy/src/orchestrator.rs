//! The orchestrator: one authoritative trading policy per evaluation, from regime, risk, performance and cost.
//!
//! Pure and O(1) but for the symbol lists. It only ever tightens what the limits of the account allow (PO-G29).

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::active_policy::{ActivePolicy, EntryMode, ExitMode, RiskPosture};
use crate::gates::GateConfig;
use crate::regime::{RegimeTag, VolLevel};
use tradewind_core::instrument::Symbol;

/// Thresholds of the orchestrator (PO-47). Percent and [0, 1], as the names say.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct OrchestratorConfig {
    /// Least confidence of a trade before adjustments, [0, 1].
    pub base_confidence: f64,
    /// Risk of a trade before adjustments, percent of equity, above 0.
    pub base_risk_pct: f64,
    /// Loss of the day that blocks new trades, percent, above 0.
    pub daily_dd_limit_pct: f64,
    /// Closed losing trades in a row that reduce risk.
    pub losing_streak_limit: u32,
    /// Open positions that block new trades.
    pub max_open_positions: u32,
    /// Gross exposure that blocks new trades, percent of equity, above 0.
    pub total_exposure_limit_pct: f64,
    /// Bars that make a day of the market state, 1 to 1440 (PO-20).
    pub bars_per_day: u32,
    /// Gates between a decision and a qualified trade.
    pub gates: GateConfig,
}

impl Default for OrchestratorConfig {
    fn default() -> Self {
        Self {
            base_confidence: 0.50,
            base_risk_pct: 1.0,
            daily_dd_limit_pct: 3.0,
            losing_streak_limit: 5,
            max_open_positions: 8,
            total_exposure_limit_pct: 15.0,
            bars_per_day: 1,
            gates: GateConfig::default(),
        }
    }
}

impl OrchestratorConfig {
    /// What is wrong with the values, nothing when usable; NaN is wrong.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        let mut found = Vec::new();
        if !(0.0..=1.0).contains(&self.base_confidence) {
            found.push(format!("orchestrator.baseConfidence is {}, it must be 0 to 1", self.base_confidence));
        }
        for (field, value) in [
            ("baseRiskPct", self.base_risk_pct),
            ("dailyDdLimitPct", self.daily_dd_limit_pct),
            ("totalExposureLimitPct", self.total_exposure_limit_pct),
        ] {
            let fine = value > 0.0 && value.is_finite();
            if !fine {
                found.push(format!("orchestrator.{field} is {value}, it must be above 0 and finite"));
            }
        }
        for (field, value) in [("losingStreakLimit", self.losing_streak_limit), ("maxOpenPositions", self.max_open_positions)] {
            if value == 0 {
                found.push(format!("orchestrator.{field} is 0, it must be at least 1"));
            }
        }
        if !(1..=1_440).contains(&self.bars_per_day) {
            found.push(format!("orchestrator.barsPerDay is {}, it must be 1 to 1440", self.bars_per_day));
        }
        found.extend(self.gates.violations());
        found
    }
}

/// State of the account as the orchestrator sees it (PO-44): signed percent and counts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RiskInputs {
    /// Profit of the day, percent of the equity at its start.
    pub daily_pnl_pct: f64,
    /// Fall from the high-water mark, percent, 0 or less.
    pub current_drawdown_pct: f64,
    /// Closed losing trades in a row.
    pub losing_streak: u32,
    /// Open positions.
    pub open_trades_count: u32,
    /// Gross exposure, percent of equity.
    pub total_exposure_pct: f64,
}

/// How a symbol has done (PO-45).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum PerformanceTag {
    /// Win rate above 0.55 and average R above 1.2.
    Good,
    /// Neither.
    Neutral,
    /// Win rate below 0.35 or average R below 0.5.
    Bad,
}

impl PerformanceTag {
    /// PO-45, strict comparisons. What is not a number is bad.
    #[must_use]
    pub fn of(winrate: f64, average_r: f64) -> Self {
        // Negated so that NaN ends in the stricter branch.
        let acceptable = winrate >= 0.35 && average_r >= 0.5;
        match acceptable {
            false => Self::Bad,
            true if winrate > 0.55 && average_r > 1.2 => Self::Good,
            true => Self::Neutral,
        }
    }
}

/// Level of a cost (PO-45).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum CostLevel {
    /// At or below its threshold.
    #[default]
    Normal,
    /// Above it.
    High,
}

impl CostLevel {
    /// PO-45: above 10 basis points.
    #[must_use]
    pub fn of_spread(bps: f64) -> Self {
        if bps <= 10.0 { Self::Normal } else { Self::High }
    }

    /// PO-45: above 8 basis points.
    #[must_use]
    pub fn of_slippage(bps: f64) -> Self {
        if bps <= 8.0 { Self::Normal } else { Self::High }
    }
}

/// Everything that an evaluation depends on (PO-44).
#[derive(Clone, Debug, PartialEq)]
pub struct Inputs<'a> {
    /// Trending or not.
    pub regime_tag: RegimeTag,
    /// Volatility class.
    pub vol_level: VolLevel,
    /// State of the account.
    pub risk: RiskInputs,
    /// Symbols and how they have done.
    pub symbols: &'a [(Symbol, PerformanceTag)],
    /// Quality of the ensemble, [0, 1]; absent has no effect.
    pub ensemble_quality: Option<f64>,
    /// Level of the spread.
    pub spread_level: CostLevel,
    /// Level of the slippage.
    pub slippage_level: CostLevel,
}

/// Evaluates the rules in the order of PO-51.
#[must_use]
pub fn evaluate(config: &OrchestratorConfig, inputs: &Inputs<'_>) -> ActivePolicy {
    let (disallowed, allowed): (Vec<_>, Vec<_>) = inputs.symbols.iter().partition(|(_, tag)| *tag == PerformanceTag::Bad);
    let names = |list: Vec<&(Symbol, PerformanceTag)>| list.into_iter().map(|(symbol, _)| symbol.clone()).collect();
    let baseline = ActivePolicy {
        allow_new_trades: true,
        risk_posture: RiskPosture::Normal,
        max_risk_pct: config.base_risk_pct,
        min_confidence: config.base_confidence,
        entry_mode: EntryMode::Normal,
        exit_mode: ExitMode::TrendFollow,
        allowed_symbols: names(allowed),
        disallowed_symbols: names(disallowed),
        risk_scale_bps: 10_000,
        note: String::new(),
    };
    let blocks = hard_blocks(config, inputs);
    if blocks.is_empty() {
        return adjusted(config, inputs, baseline);
    }
    ActivePolicy { allow_new_trades: false, risk_posture: RiskPosture::NoNewTrades, note: blocks.join("; "), ..baseline }
}

/// PO-51.2. Written so that a figure that is not a number blocks.
fn hard_blocks(config: &OrchestratorConfig, inputs: &Inputs<'_>) -> Vec<String> {
    let mut blocks = Vec::new();
    if inputs.vol_level == VolLevel::Extreme {
        blocks.push("EXTREME volatility - no new trades".to_owned());
    }
    let within = inputs.risk.daily_pnl_pct > -config.daily_dd_limit_pct;
    if !within {
        blocks.push(format!("Daily DD limit hit ({:.2}%)", inputs.risk.daily_pnl_pct));
    }
    blocks
}

/// PO-51.10. Written so that a figure that is not a number blocks.
fn capacity_blocks(config: &OrchestratorConfig, risk: &RiskInputs) -> Vec<String> {
    let mut blocks = Vec::new();
    let (open, most) = (risk.open_trades_count, config.max_open_positions);
    if open >= most {
        blocks.push(format!("Open positions {open} at limit {most}"));
    }
    let within = risk.total_exposure_pct < config.total_exposure_limit_pct;
    if !within {
        blocks.push(format!("Total exposure {:.2}% at limit {:.2}%", risk.total_exposure_pct, config.total_exposure_limit_pct));
    }
    blocks
}

/// PO-51, steps 3 to 10.
fn adjusted(config: &OrchestratorConfig, inputs: &Inputs<'_>, mut policy: ActivePolicy) -> ActivePolicy {
    let (mut factor, mut confidence, mut notes) = (1.0, config.base_confidence, Vec::new());
    if inputs.vol_level == VolLevel::High {
        factor *= 0.5;
        confidence += 0.03;
        notes.push("HIGH volatility - risk reduced 50%".to_owned());
    }
    match (inputs.regime_tag, inputs.vol_level) {
        (RegimeTag::Trending, VolLevel::Normal) => {
            policy.entry_mode = EntryMode::Aggressive;
            confidence -= 0.03;
            notes.push("TRENDING + NORMAL_VOL - aggressive trend following".to_owned());
        }
        (RegimeTag::Trending, _) => {}
        (RegimeTag::Ranging, _) => {
            factor *= 0.7;
            confidence += 0.05;
            (policy.entry_mode, policy.exit_mode) = (EntryMode::Defensive, ExitMode::FastTp);
            notes.push("RANGING market - defensive scalping".to_owned());
        }
    }
    let streak = inputs.risk.losing_streak;
    if streak >= config.losing_streak_limit {
        factor *= 0.3;
        policy.entry_mode = EntryMode::Defensive;
        confidence = confidence.max(config.base_confidence + 0.05);
        notes.push(format!("Losing streak {streak} - reduced to 30% risk"));
    }
    if inputs.spread_level == CostLevel::High || inputs.slippage_level == CostLevel::High {
        policy.entry_mode = EntryMode::Defensive;
        confidence += 0.03;
        notes.push("High costs - tighter entry filter".to_owned());
    }
    if let Some(quality) = inputs.ensemble_quality {
        let sufficient = quality >= 0.40;
        if !sufficient {
            confidence += 0.05;
            notes.push(format!("Low ensemble quality {quality:.2} - stricter confidence"));
        }
    }
    policy.max_risk_pct = config.base_risk_pct * factor;
    policy.min_confidence = confidence.clamp(0.0, 1.0);
    policy.risk_posture = if factor < 1.0 { RiskPosture::Reduced } else { RiskPosture::Normal };
    policy.risk_scale_bps = scale_bps(factor);
    let blocks = capacity_blocks(config, &inputs.risk);
    if !blocks.is_empty() {
        policy.allow_new_trades = false;
        policy.risk_posture = RiskPosture::NoNewTrades;
    }
    policy.note = joined(blocks, notes);
    policy
}

/// Capacity reasons first, then the rules in the order of evaluation (PO-53).
fn joined(blocks: Vec<String>, notes: Vec<String>) -> String {
    let mut text = String::new();
    for fragment in blocks.into_iter().chain(notes) {
        let separator = if text.is_empty() { "" } else { "; " };
        // Writing to a String cannot fail.
        let _ = write!(text, "{separator}{fragment}");
    }
    if text.is_empty() { "Baseline".to_owned() } else { text }
}

/// A factor of 0 to 1 as basis points, to the nearest; the products of the table are whole.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn scale_bps(factor: f64) -> u32 {
    (factor.clamp(0.0, 1.0) * 10_000.0).round() as u32
}
