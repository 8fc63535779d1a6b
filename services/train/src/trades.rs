//! What finished trades earned.

use crate::mappo::column::{self, ColumnError};

/// Figures of finished trades (TA-62, TA-G30), account currency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TradeSummary {
    /// Sum of the profits.
    pub total: f64,
    /// Share of the trades with a profit above 0, 0 to 1; one that earned nothing is not won. 0 without trades.
    pub win_rate: f64,
    /// Mean of the profits above 0; 0 without any.
    pub average_win: f64,
    /// Mean of the profits below 0; 0 without any.
    pub average_loss: f64,
    /// Average win over average loss, at least 0; none without a loss.
    pub payoff: Option<f64>,
    /// All wins over all losses, at least 0; none without a loss.
    pub profit_factor: Option<f64>,
    /// Population deviation of the profits of days; 0 without days.
    pub daily_deviation: f64,
}

/// Summary of the profits of trades, and of the days in the same window.
///
/// # Errors
/// [`ColumnError`] when a profit is not finite.
pub fn summary(trades: &[f64], days: &[f64]) -> Result<TradeSummary, ColumnError> {
    column::finite("trades", trades, trades.len())?;
    column::finite("days", days, days.len())?;
    let mean = |sum: f64, count: usize| sum / count.max(1) as f64;
    let part = |sign: f64| {
        let own = trades.iter().filter(|pnl| *pnl * sign > 0.0);
        own.fold((0.0, 0), |(sum, count), pnl| (sum + pnl, count + 1))
    };
    let ((won, wins), (lost, losses)) = (part(1.0), part(-1.0));
    let (average_win, average_loss) = (mean(won, wins), mean(lost, losses));
    let day = mean(days.iter().sum(), days.len());
    let squares = days.iter().map(|pnl| (pnl - day).powi(2)).sum();
    Ok(TradeSummary {
        total: trades.iter().sum(),
        win_rate: mean(wins as f64, trades.len()),
        average_win,
        average_loss,
        payoff: (losses > 0).then(|| average_win / -average_loss),
        profit_factor: (losses > 0).then(|| won / -lost),
        daily_deviation: mean(squares, days.len()).sqrt(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    /// TA-V18
    #[test]
    fn summary_of_six_trades() {
        let seen = summary(&[120.0, -60.0, 45.0, 30.0, -30.0, 0.0], &[150.0, -60.0, 15.0]).unwrap();
        assert_eq!((seen.total, seen.win_rate, seen.average_win, seen.average_loss), (105.0, 0.5, 65.0, -45.0));
        assert!((seen.payoff.unwrap() - 1.444_444).abs() < 1e-6 && (seen.profit_factor.unwrap() - 2.166_667).abs() < 1e-6);
        assert!((seen.daily_deviation - 86.890_736).abs() < 1e-6, "{}", seen.daily_deviation);
    }

    #[test]
    fn without_losses_there_is_no_factor() {
        let none = summary(&[], &[]).unwrap();
        assert_eq!((none.total, none.win_rate, none.payoff, none.daily_deviation), (0.0, 0.0, None, 0.0));
        assert_eq!(summary(&[1.0], &[1.0]).unwrap().profit_factor, None);
        assert!(summary(&[f64::NAN], &[]).is_err() && summary(&[], &[f64::INFINITY]).is_err());
    }
}
