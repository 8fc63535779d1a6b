//! Fall of the equity within a session.

use serde::{Deserialize, Serialize};

use tradewind_core::money::Money;

/// Fall from the highest equity of the session.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drawdown {
    /// Percent points of the peak, at least 0.
    pub pct: f64,
    /// The same as an amount, exact (risk C-43).
    pub loss: Money,
}

/// The highest equity since the session began, its first equity included (RK-10).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionPeak(Option<Money>);

impl SessionPeak {
    /// A new session begins; its peak is the next equity.
    pub fn reset(&mut self) {
        self.0 = None;
    }

    /// Takes the newest equity. An equity that was never above 0 counts as lost altogether.
    pub fn push(&mut self, equity: Money) -> Drawdown {
        let peak = self.0.map_or(equity, |peak| peak.max(equity));
        self.0 = Some(peak);
        let loss = peak - equity;
        let pct = if peak > Money::ZERO { 100.0 * loss.to_f64() / peak.to_f64() } else { 100.0 };
        Drawdown { pct, loss }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp)]
    use super::*;

    /// RK-V23: the loss is a part of the peak, not of what is left.
    #[test]
    fn drawdown_from_the_peak() {
        let mut peak = SessionPeak::default();
        for (equity, pct, loss) in
            [(90_000, 0.0, 0), (100_000, 0.0, 0), (98_500, 1.5, 1_500), (98_499, 1.501, 1_501), (98_000, 2.0, 2_000)]
        {
            let seen = peak.push(Money::from_units(equity));
            assert!((seen.pct - pct).abs() < 1e-12, "{equity}: {}", seen.pct);
            assert_eq!(seen.loss, Money::from_units(loss));
        }
        peak.reset();
        assert_eq!(peak.push(Money::from_units(98_000)), Drawdown { pct: 0.0, loss: Money::ZERO });
        assert_eq!(SessionPeak::default().push(Money::ZERO).pct, 100.0);
    }
}
