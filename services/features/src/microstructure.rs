//! Volume, spread and volatility of single bars, compared with the bars before them.

use serde::{Deserialize, Serialize};

use crate::strategic::window::Window;
use crate::strategic::{Candle, CandleError};

/// Bars in the means and in the volatility (RK-75).
const BARS: usize = 20;

/// What is known at one bar; `None` while fewer than 20 bars are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MicrostructureReading {
    /// Volume over the mean of the newest 20, at least 0; 0 while nothing is traded (RK-75, EX-7).
    pub volume_ratio: Option<f64>,
    /// Spread over the mean of the newest 20, at least 0; 1 while there is none (RK-75).
    pub spread_ratio: Option<f64>,
    /// Root mean square of the newest 20 log returns of one bar, a share of the price per bar (EX-7, execution C-2).
    pub volatility: Option<f64>,
}

/// Why a bar was not taken; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum MicrostructureError {
    /// The figures of the bar are impossible.
    #[error(transparent)]
    Candle(#[from] CandleError),
    /// The spread is negative or not finite.
    #[error("bar {index}: spread is {spread}, it must be finite and at least 0")]
    Spread {
        /// Number of the bar.
        index: u64,
        /// The value seen.
        spread: f64,
    },
}

/// Incremental figures of one symbol, meant for one-minute bars. Sums are formed anew over their short windows, so
/// that no rounding error is carried along; all memory is taken by `default`.
#[derive(Clone, Debug)]
pub struct Microstructure {
    volumes: Window,
    spreads: Window,
    squares: Window,
    close: Option<f64>,
}

impl Default for Microstructure {
    fn default() -> Self {
        let window = || Window::new(BARS);
        Self { volumes: window(), spreads: window(), squares: window(), close: None }
    }
}

impl Microstructure {
    /// Takes the next closed bar and the spread at its close, in the unit of the prices.
    ///
    /// # Errors
    /// [`MicrostructureError`]: NaN and infinity are named.
    pub fn push(&mut self, candle: &Candle, spread: f64) -> Result<MicrostructureReading, MicrostructureError> {
        candle.validate()?;
        if !(spread.is_finite() && spread >= 0.0) {
            return Err(MicrostructureError::Spread { index: candle.index, spread });
        }
        self.volumes.push(candle.volume);
        self.spreads.push(spread);
        if let Some(before) = self.close.replace(candle.close) {
            let log_return = libm::log(candle.close / before);
            self.squares.push(log_return * log_return);
        }
        Ok(MicrostructureReading {
            volume_ratio: ratio(&self.volumes, candle.volume, 0.0),
            spread_ratio: ratio(&self.spreads, spread, 1.0),
            volatility: mean(&self.squares).map(f64::sqrt),
        })
    }
}

#[allow(clippy::cast_precision_loss)]
fn mean(window: &Window) -> Option<f64> {
    window.is_full().then(|| window.slice().iter().sum::<f64>() / window.len() as f64)
}

fn ratio(window: &Window, value: f64, without: f64) -> Option<f64> {
    mean(window).map(|mean| if mean > 0.0 { value / mean } else { without })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tradewind_core::time::Nanos;

    fn candle(index: u64, close: f64, volume: f64) -> Candle {
        Candle { index, close_time: Nanos(0), open: close, high: close, low: close, close, volume }
    }

    /// RK-75: nothing before the twentieth bar; the means include the newest.
    #[test]
    fn ratios_need_twenty_bars() {
        let mut state = Microstructure::default();
        for index in 0..19 {
            let reading = state.push(&candle(index, 100.0, 10.0), 0.5).unwrap();
            assert_eq!(reading, MicrostructureReading::default());
        }
        let reading = state.push(&candle(19, 100.0, 210.0), 0.5).unwrap();
        assert_eq!((reading.volume_ratio, reading.spread_ratio, reading.volatility), (Some(10.5), Some(1.0), None));
    }

    /// RK-75: no volume at all is a ratio of 0, no spread at all a ratio of 1.
    #[test]
    fn nothing_traded() {
        let mut state = Microstructure::default();
        let last = (0..25).map(|index| state.push(&candle(index, 7.0, 0.0), 0.0).unwrap()).last().unwrap();
        let wanted = MicrostructureReading { volume_ratio: Some(0.0), spread_ratio: Some(1.0), volatility: Some(0.0) };
        assert_eq!(last, wanted);
    }

    /// EX-7, index 7: a price that moves by 1 % at each bar, up and down, has a volatility of ln 1.01.
    #[test]
    fn volatility_of_one_bar() {
        let mut state = Microstructure::default();
        let close = |index: u64| if index.is_multiple_of(2) { 100.0 } else { 101.0 };
        let last = (0..40).map(|index| state.push(&candle(index, close(index), 1.0), 0.0).unwrap()).last().unwrap();
        assert!((last.volatility.unwrap() - libm::log(1.01)).abs() < 1e-15);
    }

    /// RK-16: what is not finite is refused by name and leaves no trace.
    #[test]
    fn what_is_not_finite_is_refused() {
        let (mut plain, mut tried) = (Microstructure::default(), Microstructure::default());
        for index in 0..40 {
            let bar = candle(index, 5.0 + index as f64, 3.0);
            let spread = tried.push(&bar, f64::NAN).unwrap_err();
            assert_eq!(spread.to_string(), format!("bar {index}: spread is NaN, it must be finite and at least 0"));
            let volume = tried.push(&Candle { volume: f64::INFINITY, ..bar }, 1.0).unwrap_err();
            assert_eq!(volume.to_string(), format!("bar {index}: volume is inf, it must be finite"));
            assert_eq!(tried.push(&bar, 0.25), plain.push(&bar, 0.25));
        }
    }
}
