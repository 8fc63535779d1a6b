//! How much what is held moves together.

use crate::strategic::window::Window;
use tradewind_core::time::Nanos;

/// Daily prices remembered of each symbol (RK-38).
const LOOKBACK: usize = 252;
/// Prices of a symbol, and returns in common with another, that a correlation needs (RK-38, RK-40).
const LEAST_OBSERVATIONS: usize = 30;
/// Assumed of symbols of one asset class that are too young (RK-46).
const ASSUMED_WITHIN: f64 = 0.9;
/// Assumed of others that are too young (RK-46).
const ASSUMED_ACROSS: f64 = 0.5;

/// What is known of two symbols.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Correlation {
    /// Pearson's coefficient of their returns, -1 to 1.
    Measured(f64),
    /// One of them is too young: an absolute value of unknown sign (RK-46).
    Assumed(f64),
    /// One of them does not move (RK-40).
    Undefined,
}

/// Risk of a book from correlations, 0 to 1 each.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CorrelationRisk {
    /// Of the absolute coefficients (RK-44).
    pub absolute: f64,
    /// Of those that add up, so that a hedge is no concentration (RK-45).
    pub directional: f64,
    /// Mean of the absolute coefficients: a term of the stress (RK-13).
    pub average: f64,
}

/// A price that cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum PriceError {
    /// Not finite, or not above 0.
    #[error("price {0} must be finite and above 0")]
    Price(f64),
    /// Not after the one before.
    #[error("price at {} ns, the one before is at {} ns", .at.0, .before.0)]
    Order {
        /// Time seen.
        at: Nanos,
        /// Time of the price before.
        before: Nanos,
    },
}

/// Daily prices of the symbols of one account, by their places in its list. All memory is taken by
/// [`CorrelationTracker::new`].
#[derive(Clone, Debug)]
pub struct CorrelationTracker {
    symbols: Vec<Symbol>,
}

#[derive(Clone, Debug)]
struct Symbol {
    asset_class: u32,
    prices: Window<(Nanos, f64)>,
}

impl CorrelationTracker {
    /// Symbols by their asset classes; any numbers that tell classes apart.
    #[must_use]
    pub fn new(asset_classes: &[u32]) -> Self {
        let symbol = |&asset_class| Symbol { asset_class, prices: Window::new(LOOKBACK) };
        Self { symbols: asset_classes.iter().map(symbol).collect() }
    }

    /// Takes the price of a symbol's session.
    ///
    /// # Errors
    /// [`PriceError`]; nothing was changed.
    pub fn push(&mut self, symbol: usize, at: Nanos, price: f64) -> Result<(), PriceError> {
        if !(price.is_finite() && price > 0.0) {
            return Err(PriceError::Price(price));
        }
        let prices = &mut self.symbols[symbol].prices;
        if let Some(&(before, _)) = prices.slice().last().filter(|(before, _)| *before >= at) {
            return Err(PriceError::Order { at, before });
        }
        prices.push((at, price));
        Ok(())
    }

    /// Correlation of two different symbols: simple returns (RK-38) of the sessions that both have (RK-40).
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn pair(&self, first: usize, second: usize) -> Correlation {
        let [a, b] = [first, second].map(|symbol| &self.symbols[symbol]);
        let same_class = a.asset_class == b.asset_class;
        let assumed = Correlation::Assumed(if same_class { ASSUMED_WITHIN } else { ASSUMED_ACROSS });
        if a.prices.len().min(b.prices.len()) < LEAST_OBSERVATIONS {
            return assumed;
        }
        let mut sums = [0.0; 2];
        let mut count = 0_usize;
        for (x, y) in common_returns(a.prices.slice(), b.prices.slice()) {
            sums = [sums[0] + x, sums[1] + y];
            count += 1;
        }
        if count < LEAST_OBSERVATIONS {
            return assumed;
        }
        let mean = sums.map(|sum| sum / count as f64);
        let [mut xx, mut yy, mut xy] = [0.0; 3];
        for (x, y) in common_returns(a.prices.slice(), b.prices.slice()) {
            let (x, y) = (x - mean[0], y - mean[1]);
            (xx, yy, xy) = (xx + x * x, yy + y * y, xy + x * y);
        }
        let scale = xx.sqrt() * yy.sqrt();
        if scale > 0.0 { Correlation::Measured((xy / scale).clamp(-1.0, 1.0)) } else { Correlation::Undefined }
    }

    /// Risk of what is held: places of distinct symbols with the signs of their positions. Fewer than two: none (RK-39).
    #[must_use]
    pub fn risk(&self, held: &[(usize, i64)]) -> CorrelationRisk {
        let pairs = || held.iter().enumerate().flat_map(|(i, a)| held[i + 1..].iter().map(move |b| (a, b)));
        let terms = |term: &dyn Fn(Correlation, i64) -> Option<f64>| {
            mean_and_highest(pairs().filter_map(|(a, b)| term(self.pair(a.0, b.0), (a.1 * b.1).signum())))
        };
        let absolute = terms(&|correlation, _| match correlation {
            Correlation::Measured(rho) => Some(rho.abs()),
            Correlation::Assumed(rho) => Some(rho),
            Correlation::Undefined => None,
        });
        let directional = terms(&|correlation, sign| match correlation {
            Correlation::Measured(rho) => Some((if sign < 0 { -rho } else { rho }).max(0.0)),
            Correlation::Assumed(rho) => Some(rho),
            Correlation::Undefined => None,
        });
        CorrelationRisk { absolute: combine(absolute), directional: combine(directional), average: absolute.0 }
    }
}

/// Returns between the sessions that both have, so that both span the same time.
fn common_returns<'a>(a: &'a [(Nanos, f64)], b: &'a [(Nanos, f64)]) -> impl Iterator<Item = (f64, f64)> + 'a {
    let mut others = b.iter().peekable();
    let mut before: Option<(f64, f64)> = None;
    a.iter().filter_map(move |(at, price)| {
        while others.next_if(|(other, _)| other < at).is_some() {}
        let (_, other) = others.next_if(|(other, _)| other == at)?;
        let (first, second) = before.replace((*price, *other))?;
        Some((price / first - 1.0, other / second - 1.0))
    })
}

#[allow(clippy::cast_precision_loss)]
fn mean_and_highest(terms: impl Iterator<Item = f64>) -> (f64, f64) {
    let (sum, highest, count) =
        terms.fold((0.0, 0.0_f64, 0_usize), |(sum, highest, count), term| (sum + term, highest.max(term), count + 1));
    (sum / count.max(1) as f64, highest)
}

/// RK-44: mean and highest in one figure.
fn combine((mean, highest): (f64, f64)) -> f64 {
    (0.6 * mean + 0.4 * highest).min(1.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::float_cmp)]
    use super::*;

    fn near(seen: f64, wanted: f64) {
        assert!((seen - wanted).abs() < 1e-9, "{seen} instead of {wanted}");
    }

    /// The three series of RK-V6, so many prices each.
    fn tracker(counts: [u32; 3]) -> CorrelationTracker {
        let mut tracker = CorrelationTracker::new(&[1, 1, 2]);
        let sin = libm::sin;
        for t in 0..counts.into_iter().max().unwrap_or(0) {
            let x = f64::from(t);
            let prices = [
                100.0 + 5.0 * sin(0.3 * x) + 0.1 * x,
                50.0 + 2.0 * sin(0.3 * x + 0.4) + 0.05 * x,
                200.0 + 6.0 * libm::cos(0.45 * x) - 0.2 * x,
            ];
            for (symbol, price) in prices.into_iter().enumerate().filter(|(symbol, _)| t < counts[*symbol]) {
                tracker.push(symbol, Nanos(i64::from(t)), price).unwrap();
            }
        }
        tracker
    }

    fn measured(tracker: &CorrelationTracker, first: usize, second: usize) -> f64 {
        match tracker.pair(first, second) {
            Correlation::Measured(rho) => rho,
            other => panic!("{other:?}"),
        }
    }

    /// RK-V6: coefficients, risk of three and of two, the directional risk, and the abstract figures.
    #[test]
    fn correlations_and_their_risk() {
        let tracker = tracker([40; 3]);
        near(measured(&tracker, 0, 1), 0.910_500_821_7);
        near(measured(&tracker, 0, 2), -0.077_558_726_4);
        near(measured(&tracker, 1, 2), -0.089_433_804_1);
        assert_eq!(tracker.pair(2, 1), tracker.pair(1, 2));
        let long = tracker.risk(&[(0, 1), (1, 1), (2, 1)]);
        near(long.average, 0.359_164_450_7);
        near(long.absolute, 0.579_698_999_1);
        near(tracker.risk(&[(0, 1), (1, 1)]).absolute, 0.910_500_821_7);
        near(tracker.risk(&[(0, 3), (1, -2), (2, 1)]).directional, 0.053_660_282_4);
        near(combine(mean_and_highest([0.5, 0.8, 0.2].into_iter())), 0.62);
    }

    /// RK-39: one position has no correlation.
    #[test]
    fn fewer_than_two_positions() {
        assert_eq!(tracker([40; 3]).risk(&[]), CorrelationRisk::default());
        assert_eq!(tracker([40; 3]).risk(&[(2, -1)]), CorrelationRisk::default());
    }

    /// RK-46: a young symbol counts as dangerous, most so within its class; it may point either way.
    #[test]
    fn young_symbols_are_assumed() {
        let tracker = tracker([40, 29, 40]);
        assert_eq!((tracker.pair(0, 1), tracker.pair(1, 2)), (Correlation::Assumed(0.9), Correlation::Assumed(0.5)));
        let risk = tracker.risk(&[(0, 1), (1, -1)]);
        [risk.absolute, risk.directional, risk.average].into_iter().for_each(|seen| near(seen, 0.9));
    }

    /// RK-40: sessions that only one of them has are left out; too few in common count as young.
    #[test]
    fn sessions_are_joined_by_time() {
        let whole = tracker([40; 3]);
        let mut tracker = CorrelationTracker::new(&[1, 1, 1]);
        for &(at, price) in whole.symbols[0].prices.slice() {
            tracker.push(0, at, price).unwrap();
            tracker.push(1, at, 2.0 * price).unwrap();
            if at.0 % 4 != 0 {
                tracker.push(2, at, price).unwrap();
            }
        }
        near(measured(&tracker, 0, 1), 1.0);
        assert_eq!(tracker.pair(0, 2), Correlation::Assumed(0.9), "30 prices, but 29 returns in common");
    }

    /// RK-40: what does not move has no correlation and leaves the mean; RK-38: a price beyond the look-back is forgotten.
    #[test]
    fn symbols_that_do_not_move() {
        let mut tracker = tracker([40; 3]);
        for day in 40..400 {
            tracker.push(0, Nanos(day), 7.0).unwrap();
            tracker.push(1, Nanos(day), 50.0 + (day % 3) as f64).unwrap();
            tracker.push(2, Nanos(day), 70.0 - (day % 3) as f64).unwrap();
        }
        assert_eq!(tracker.pair(0, 1), Correlation::Undefined);
        let risk = tracker.risk(&[(0, 1), (1, 1), (2, -1)]);
        assert!(risk.absolute > 0.99 && risk.directional > 0.99, "{risk:?}");
    }

    /// RK-16
    #[test]
    fn impossible_prices_are_refused() {
        let mut tracker = CorrelationTracker::new(&[1]);
        tracker.push(0, Nanos(5), 1.0).unwrap();
        for price in [f64::NAN, f64::INFINITY, 0.0, -1.0] {
            assert!(tracker.push(0, Nanos(6), price).is_err(), "{price}");
        }
        assert_eq!(tracker.push(0, Nanos(5), 2.0), Err(PriceError::Order { at: Nanos(5), before: Nanos(5) }));
    }
}
