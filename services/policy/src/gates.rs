//! Gates between a decision of the networks and a qualified trade (TA-36).

use serde::{Deserialize, Serialize};

use crate::active_policy::ActivePolicy;
use tradewind_core::instrument::Symbol;
use tradewind_core::side::Side;

/// Thresholds of the gates (TA-75).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GateConfig {
    /// Loss of the session that blocks new trades, basis points of the equity at its start, 1 to 10000.
    pub session_max_drawdown_bps: u32,
    /// Open positions over all symbols, at least 1.
    pub max_active_positions: u32,
    /// Bars between two trades of a symbol, at least 1: one decision per bar.
    pub cooldown_bars: u32,
    /// Loss at the stop, basis points of equity, 1 to 10000.
    pub max_position_risk_bps: u32,
}

impl Default for GateConfig {
    fn default() -> Self {
        Self { session_max_drawdown_bps: 200, max_active_positions: 8, cooldown_bars: 1, max_position_risk_bps: 200 }
    }
}

impl GateConfig {
    /// What is wrong with the values, nothing when usable.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        let rows = [
            ("sessionMaxDrawdownBps", self.session_max_drawdown_bps, 10_000),
            ("maxActivePositions", self.max_active_positions, 10_000),
            ("cooldownBars", self.cooldown_bars, 100_000),
            ("maxPositionRiskBps", self.max_position_risk_bps, 10_000),
        ];
        let wrong = rows.into_iter().filter(|(_, value, most)| !(1..=*most).contains(value));
        wrong.map(|(field, value, most)| format!("orchestrator.gates.{field} is {value}, it must be 1 to {most}")).collect()
    }
}

/// State of the account as the risk service tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccountState {
    /// Orders within the limits are allowed.
    Normal,
    /// Only orders that reduce positions.
    ReduceOnly,
    /// No orders.
    Halted,
}

impl AccountState {
    /// From the text on the wire; what is not known is the strictest.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        match text {
            "Normal" => Self::Normal,
            "ReduceOnly" => Self::ReduceOnly,
            _ => Self::Halted,
        }
    }

    /// As on the wire.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::ReduceOnly => "ReduceOnly",
            Self::Halted => "Halted",
        }
    }
}

/// What the gates look at.
#[derive(Clone, Copy, Debug)]
pub struct GateInputs<'a> {
    /// The policy is halted by its spec.
    pub policy_halt: bool,
    /// State of the account.
    pub account: AccountState,
    /// Trading policy in force; `None` while the market state is unknown.
    pub policy: Option<&'a ActivePolicy>,
    /// Symbol of the trade.
    pub symbol: &'a Symbol,
    /// Direction wanted.
    pub side: Side,
    /// Score of the decision.
    pub confidence: f64,
    /// Profit of the session, basis points of the equity at its start.
    pub session_pnl_bps: i64,
    /// Side held in the symbol.
    pub held: Option<Side>,
    /// Open positions over all symbols.
    pub open_positions: u32,
    /// Bars since the last trade of this symbol.
    pub bars_since_trade: Option<u64>,
    /// Loss at the stop, basis points of equity, rounded up; `None` when it cannot be told.
    pub position_risk_bps: Option<u64>,
}

/// A gate that refused, in the order of TA-36.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// The policy is halted.
    PolicyHalt,
    /// The account is halted.
    AccountHalt,
    /// The account only reduces positions.
    ReduceOnly,
    /// The market state is not known yet.
    RegimeUnknown,
    /// The orchestrator allows no new trades.
    NewTradesBlocked,
    /// The symbol is not permitted.
    SymbolDisallowed,
    /// The decision is less sure than the orchestrator asks.
    LowConfidence,
    /// The session has lost too much.
    SessionDrawdown,
    /// Too many positions are open.
    MaxPositions,
    /// The symbol already has a position on that side.
    PositionOpen,
    /// The last trade of the symbol is too recent.
    Cooldown,
    /// The loss at the stop would be too large.
    PositionRisk,
}

impl Gate {
    /// Reason as recorded.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::PolicyHalt => "policy_halt",
            Self::AccountHalt => "account_halt",
            Self::ReduceOnly => "reduce_only",
            Self::RegimeUnknown => "regime_unknown",
            Self::NewTradesBlocked => "new_trades_blocked",
            Self::SymbolDisallowed => "symbol_disallowed",
            Self::LowConfidence => "low_confidence",
            Self::SessionDrawdown => "session_drawdown",
            Self::MaxPositions => "max_positions",
            Self::PositionOpen => "position_open",
            Self::Cooldown => "cooldown",
            Self::PositionRisk => "position_risk",
        }
    }
}

/// The first gate that refuses, in the order of TA-36; `None` qualifies. The veto of the risk service comes after.
///
/// Figures that are unknown or not a number refuse. A position on the other side does not: the trade turns it.
#[must_use]
pub fn first_refusal(config: &GateConfig, inputs: &GateInputs<'_>) -> Option<Gate> {
    let Some(policy) = inputs.policy else {
        let stopped = stopped(inputs);
        return stopped.or(Some(Gate::RegimeUnknown));
    };
    let adds_position = inputs.held.is_none();
    let sure = inputs.confidence >= policy.min_confidence;
    let rested = inputs.bars_since_trade.is_none_or(|bars| bars >= u64::from(config.cooldown_bars));
    let bearable = inputs.position_risk_bps.is_some_and(|bps| bps <= u64::from(config.max_position_risk_bps));
    let checks = [
        (!policy.allow_new_trades, Gate::NewTradesBlocked),
        (!policy.permits(inputs.symbol), Gate::SymbolDisallowed),
        (!sure, Gate::LowConfidence),
        (inputs.session_pnl_bps <= -i64::from(config.session_max_drawdown_bps), Gate::SessionDrawdown),
        (adds_position && inputs.open_positions >= config.max_active_positions, Gate::MaxPositions),
        (inputs.held == Some(inputs.side), Gate::PositionOpen),
        (!rested, Gate::Cooldown),
        (!bearable, Gate::PositionRisk),
    ];
    stopped(inputs).or_else(|| checks.into_iter().find_map(|(refuses, gate)| refuses.then_some(gate)))
}

/// Kill switch and pause: the first gates.
const fn stopped(inputs: &GateInputs<'_>) -> Option<Gate> {
    match (inputs.policy_halt, inputs.account) {
        (true, _) => Some(Gate::PolicyHalt),
        (false, AccountState::Halted) => Some(Gate::AccountHalt),
        (false, AccountState::ReduceOnly) => Some(Gate::ReduceOnly),
        (false, AccountState::Normal) => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::orchestrator::{CostLevel, Inputs, OrchestratorConfig, PerformanceTag, RiskInputs, evaluate};
    use crate::regime::{RegimeTag, VolLevel};

    fn spx() -> Symbol {
        "SPX".to_owned().try_into().unwrap()
    }

    fn policy(vol_level: VolLevel, tag: PerformanceTag) -> ActivePolicy {
        let inputs = Inputs {
            regime_tag: RegimeTag::Trending,
            vol_level,
            risk: RiskInputs::default(),
            symbols: &[(spx(), tag)],
            ensemble_quality: None,
            spread_level: CostLevel::Normal,
            slippage_level: CostLevel::Normal,
        };
        evaluate(&OrchestratorConfig::default(), &inputs)
    }

    /// Inputs that fail every gate; each step of the test repairs the first.
    #[test]
    fn gates_refuse_in_the_order_of_the_specification() {
        let (fine, blocked) = (policy(VolLevel::Low, PerformanceTag::Neutral), policy(VolLevel::Extreme, PerformanceTag::Bad));
        let bad_symbol = policy(VolLevel::Low, PerformanceTag::Bad);
        let symbol = spx();
        let config = GateConfig { max_active_positions: 1, ..GateConfig::default() };
        let mut inputs = GateInputs {
            policy_halt: true,
            account: AccountState::Halted,
            policy: None,
            symbol: &symbol,
            side: Side::Long,
            confidence: f64::NAN,
            session_pnl_bps: -200,
            held: None,
            open_positions: 1,
            bars_since_trade: Some(0),
            position_risk_bps: None,
        };
        let mut seen = Vec::new();
        let mut step = |inputs: GateInputs<'_>| seen.push(first_refusal(&config, &inputs).unwrap());
        step(inputs);
        inputs.policy_halt = false;
        step(inputs);
        inputs.account = AccountState::ReduceOnly;
        step(inputs);
        inputs.account = AccountState::Normal;
        step(inputs);
        let inputs = GateInputs { policy: Some(&blocked), ..inputs };
        step(inputs);
        step(GateInputs { policy: Some(&bad_symbol), ..inputs });
        let inputs = GateInputs { policy: Some(&fine), ..inputs };
        step(inputs);
        let inputs = GateInputs { confidence: 0.5, ..inputs };
        step(inputs);
        let inputs = GateInputs { session_pnl_bps: -199, ..inputs };
        step(inputs);
        let inputs = GateInputs { held: Some(Side::Long), ..inputs };
        step(inputs);
        let inputs = GateInputs { held: Some(Side::Short), ..inputs };
        step(inputs);
        let inputs = GateInputs { bars_since_trade: Some(1), ..inputs };
        step(inputs);
        step(GateInputs { position_risk_bps: Some(201), ..inputs });
        let wanted = [
            "policy_halt",
            "account_halt",
            "reduce_only",
            "regime_unknown",
            "new_trades_blocked",
            "symbol_disallowed",
            "low_confidence",
            "session_drawdown",
            "max_positions",
            "position_open",
            "cooldown",
            "position_risk",
            "position_risk",
        ];
        assert_eq!(seen.iter().map(|gate| gate.text()).collect::<Vec<_>>(), wanted);
        assert_eq!(first_refusal(&config, &GateInputs { position_risk_bps: Some(200), ..inputs }), None, "it clears");
    }

    #[test]
    fn an_unknown_account_state_is_a_halt() {
        for (text, state) in
            [("Normal", AccountState::Normal), ("ReduceOnly", AccountState::ReduceOnly), ("", AccountState::Halted)]
        {
            assert_eq!(AccountState::from_text(text), state);
        }
        assert_eq!(AccountState::from_text("Sideways"), AccountState::Halted);
    }

    #[test]
    fn wrong_thresholds_are_named() {
        assert!(GateConfig::default().violations().is_empty());
        let wrong = GateConfig { cooldown_bars: 0, max_position_risk_bps: 10_001, ..GateConfig::default() };
        assert_eq!(wrong.violations().len(), 2);
    }
}
