//! The account as execution tells it after each bar.

use std::collections::BTreeMap;

use crate::gates::AccountState;
use crate::orchestrator::RiskInputs;
use serde::{Deserialize, Serialize};
use tradewind_core::instrument::{InstrumentError, Lots, Symbol};
use tradewind_core::money::Money;
use tradewind_wire::convert::{ConvertError, money_from_wire, required};
use tradewind_wire::v1;

/// Figures of the account at the close of the bar in hand, part of every decision record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountFigures {
    /// Money and positions at their marks.
    pub equity: Money,
    /// Profit of the session, basis points of the equity at its start.
    pub daily_pnl_bps: i64,
    /// Fall from the high-water mark, basis points, 0 or less.
    pub drawdown_bps: i64,
    /// Gross exposure, basis points of equity.
    pub gross_exposure_bps: u64,
    /// Closed losing trades in a row.
    pub losing_streak: u32,
    /// Open positions over all symbols.
    pub open_positions: u32,
    /// State that the risk service allows.
    pub state: AccountState,
}

/// Figures and positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSnapshot {
    /// The figures.
    pub figures: AccountFigures,
    /// Signed sizes by symbol; a symbol that is not there is flat.
    pub positions: BTreeMap<Symbol, Lots>,
}

impl AccountSnapshot {
    /// Reads the message that execution answers with.
    ///
    /// # Errors
    /// [`ConvertError`] names the first field that is missing or wrong.
    pub fn from_wire(view: &v1::AccountView) -> Result<Self, ConvertError> {
        let position = |position: &v1::PositionView| -> Result<(Symbol, Lots), InstrumentError> {
            Ok((position.symbol.clone().try_into()?, Lots(position.lots)))
        };
        Ok(Self {
            figures: AccountFigures {
                equity: money_from_wire(required(view.equity, "AccountView", "equity")?)?,
                daily_pnl_bps: view.daily_pnl_bps,
                drawdown_bps: view.drawdown_bps,
                gross_exposure_bps: view.gross_exposure_bps,
                losing_streak: view.losing_streak,
                open_positions: view.open_positions,
                state: AccountState::from_text(&view.trading_state),
            },
            positions: view.positions.iter().map(position).collect::<Result<_, _>>()?,
        })
    }

    /// Signed size held in a symbol.
    #[must_use]
    pub fn lots(&self, symbol: &Symbol) -> Lots {
        self.positions.get(symbol).copied().unwrap_or_default()
    }
}

impl AccountFigures {
    /// The same in percent, as the orchestrator wants it (PO-G4).
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn risk_inputs(&self) -> RiskInputs {
        RiskInputs {
            daily_pnl_pct: self.daily_pnl_bps as f64 / 100.0,
            current_drawdown_pct: self.drawdown_bps as f64 / 100.0,
            losing_streak: self.losing_streak,
            open_trades_count: self.open_positions,
            total_exposure_pct: self.gross_exposure_bps as f64 / 100.0,
        }
    }
}
