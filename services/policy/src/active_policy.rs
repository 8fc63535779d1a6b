//! The trading policy in force: what the orchestrator says and the gates apply.

use serde::{Deserialize, Serialize};

use tradewind_core::instrument::Symbol;

/// How much new risk is taken; severity ascends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RiskPosture {
    /// Full base risk.
    Normal,
    /// Less.
    Reduced,
    /// None.
    NoNewTrades,
}

/// How positions are entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum EntryMode {
    /// At the market.
    Aggressive,
    /// As usual.
    Normal,
    /// Only at better prices. Overrides the others (PO-52).
    Defensive,
}

impl EntryMode {
    /// Name on the wire.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Aggressive => "AGGRESSIVE",
            Self::Normal => "NORMAL",
            Self::Defensive => "DEFENSIVE",
        }
    }
}

/// How positions are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExitMode {
    /// Take small profits.
    FastTp,
    /// Follow the trend.
    TrendFollow,
    /// Trail defensively; no rule emits it yet (PO-G11).
    DefensiveTrail,
}

/// The trading policy in force (PO-46), without its timestamp: it belongs to the bar that it was made for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActivePolicy {
    /// New trades may be opened. False exactly when `risk_posture` is `NO_NEW_TRADES` (PO-52).
    pub allow_new_trades: bool,
    /// How much new risk is taken.
    pub risk_posture: RiskPosture,
    /// Risk per trade at its stop, percent of equity, at most.
    pub max_risk_pct: f64,
    /// Least confidence of a trade.
    pub min_confidence: f64,
    /// How positions are entered.
    pub entry_mode: EntryMode,
    /// How positions are left.
    pub exit_mode: ExitMode,
    /// Symbols that may be traded, in the order of the input.
    pub allowed_symbols: Vec<Symbol>,
    /// Symbols that may not.
    pub disallowed_symbols: Vec<Symbol>,
    /// Product of the risk factors, 0 to 1, in basis points: 10000 = full base size.
    pub risk_scale_bps: u32,
    /// Why, in the fixed fragments of PO-53.
    pub note: String,
}

impl ActivePolicy {
    /// PO-55: whether a symbol may be traded.
    #[must_use]
    pub fn permits(&self, symbol: &Symbol) -> bool {
        let nothing_listed = self.allowed_symbols.is_empty() && self.disallowed_symbols.is_empty();
        !self.disallowed_symbols.contains(symbol) && (nothing_listed || self.allowed_symbols.contains(symbol))
    }

    /// PO-17: the stricter form while the market has only just left a panic.
    #[must_use]
    pub fn made_safe(mut self) -> Self {
        self.entry_mode = EntryMode::Defensive;
        self.max_risk_pct *= 0.5;
        self.risk_scale_bps /= 2;
        self.min_confidence = self.min_confidence.max(0.65);
        self.risk_posture = self.risk_posture.max(RiskPosture::Reduced);
        self.note.push_str("; SAFE after panic");
        self
    }
}
