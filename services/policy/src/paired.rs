//! Paired evidence of a rollout: is the candidate not worse than the stable?
//!
//! Per bar both revisions earn something in their shadow books; the difference, candidate minus stable in
//! basis points of starting equity, is one observation. Its mean is enclosed by a confidence sequence: an
//! interval that holds at every moment at once, so that looking after each bar, and stopping when the answer
//! pleases, costs nothing of its confidence.
//!
//! The sequence is the predictable plug-in empirical Bernstein confidence sequence (theorem 2) of
//! I. Waudby-Smith and A. Ramdas, "Estimating means of bounded random variables by betting", Journal of the
//! Royal Statistical Society B, 2024. It assumes no distribution, only bounded observations: differences are
//! winsorised to `bound_bps` first, and how many were is told, because the interval then speaks of the
//! winsorised mean. When the mean drifts, the interval encloses the average of the conditional means weighted
//! by the bets; intervals of different moments are therefore not intersected.

use serde::{Deserialize, Serialize};

/// Largest bet. One half and three quarters are the customary choices; the larger one is narrower when
/// differences are small against the bound, which daily bars make the normal case.
const LARGEST_BET: f64 = 0.75;

/// Why evidence cannot be gathered. Missing evidence never passes.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum EvidenceError {
    /// Bound or confidence make no sense.
    #[error(
        "evidence: bound {bound_bps} bps and confidence {confidence_bps} bps; the bound must be finite and above 0, the confidence within 5000 and 9999"
    )]
    Config {
        /// Bound seen.
        bound_bps: f64,
        /// Confidence seen.
        confidence_bps: u32,
    },
    /// A difference is not a number or infinite.
    #[error("evidence: difference number {number} is {value}, it must be finite")]
    NotFinite {
        /// How many differences came before.
        number: u64,
        /// Value seen.
        value: f64,
    },
}

/// An interval around the mean difference.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Interval {
    /// Plain mean of the winsorised differences.
    pub mean_bps: f64,
    /// Lower end.
    pub lower_bps: f64,
    /// Upper end.
    pub upper_bps: f64,
}

/// What the evidence says about "not worse than the stable by more than the margin".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NonInferiority {
    /// The whole interval lies above minus the margin.
    Pass,
    /// The whole interval lies below minus the margin.
    Fail,
    /// The interval holds both answers.
    Inconclusive,
}

/// Streaming evidence: constant time and memory per difference. Serialisable: a snapshot continues exactly.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PairedEvidence {
    bound_bps: f64,
    confidence_bps: u32,
    n: u64,
    winsorised: u64,
    /// Sum of the observations, each within 0 and 1.
    sum: f64,
    /// Sum of squared distances from the running mean that includes the observation.
    spread: f64,
    /// Sum of the bets.
    bets: f64,
    /// Sum of bet times observation.
    weighted: f64,
    /// Sum of the bets' penalties.
    penalty: f64,
}

impl PairedEvidence {
    /// No evidence yet. Differences beyond `bound_bps` count as the bound; `confidence_bps` = 9500 is 95 %.
    ///
    /// # Errors
    /// [`EvidenceError::Config`].
    pub fn new(bound_bps: f64, confidence_bps: u32) -> Result<Self, EvidenceError> {
        let sensible = bound_bps.is_finite() && bound_bps > 0.0 && (5_000..10_000).contains(&confidence_bps);
        if !sensible {
            return Err(EvidenceError::Config { bound_bps, confidence_bps });
        }
        let none = 0.0;
        Ok(Self {
            bound_bps,
            confidence_bps,
            n: 0,
            winsorised: 0,
            sum: none,
            spread: none,
            bets: none,
            weighted: none,
            penalty: none,
        })
    }

    /// Adds one paired difference, candidate minus stable, in basis points of starting equity.
    ///
    /// # Errors
    /// [`EvidenceError::NotFinite`]; the evidence is unchanged then.
    pub fn push(&mut self, difference_bps: f64) -> Result<(), EvidenceError> {
        if !difference_bps.is_finite() {
            return Err(EvidenceError::NotFinite { number: self.n, value: difference_bps });
        }
        let clipped = difference_bps.clamp(-self.bound_bps, self.bound_bps);
        let x = (clipped + self.bound_bps) / (2.0 * self.bound_bps);
        // Bet and centre are fixed before the observation is seen: that is what "predictable" means.
        let (bet, centre) = (self.bet(), self.centre());
        self.bets += bet;
        self.weighted += bet * x;
        self.penalty += (x - centre) * (x - centre) * (-(-bet).ln_1p() - bet);
        self.n += 1;
        self.sum += x;
        let distance = x - self.centre();
        self.spread += distance * distance;
        self.winsorised += u64::from(difference_bps.abs() > self.bound_bps);
        Ok(())
    }

    /// Number of differences.
    #[must_use]
    pub const fn n(&self) -> u64 {
        self.n
    }

    /// Number of differences that were cut to the bound.
    #[must_use]
    pub const fn winsorised(&self) -> u64 {
        self.winsorised
    }

    /// The interval at this moment; everything between the bounds before the first difference.
    #[must_use]
    pub fn interval(&self) -> Interval {
        if self.n == 0 {
            return Interval { mean_bps: 0.0, lower_bps: -self.bound_bps, upper_bps: self.bound_bps };
        }
        let middle = self.weighted / self.bets;
        let width = (self.log_two_over_alpha() + self.penalty) / self.bets;
        let bps = |x: f64| x.clamp(0.0, 1.0) * 2.0 * self.bound_bps - self.bound_bps;
        Interval { mean_bps: bps(self.sum / self.count()), lower_bps: bps(middle - width), upper_bps: bps(middle + width) }
    }

    /// Judges "the candidate earns at most `margin_bps` per bar less than the stable". A margin that is
    /// negative or not finite is never passed.
    #[must_use]
    pub fn non_inferiority(&self, margin_bps: f64) -> NonInferiority {
        if self.n == 0 || !(margin_bps.is_finite() && margin_bps >= 0.0) {
            return NonInferiority::Inconclusive;
        }
        let interval = self.interval();
        if interval.lower_bps > -margin_bps {
            NonInferiority::Pass
        } else if interval.upper_bps < -margin_bps {
            NonInferiority::Fail
        } else {
            NonInferiority::Inconclusive
        }
    }

    #[allow(clippy::cast_precision_loss)] // exact up to 2^53 bars
    const fn count(&self) -> f64 {
        self.n as f64
    }

    fn log_two_over_alpha(&self) -> f64 {
        (2.0 / (1.0 - f64::from(self.confidence_bps) / 1e4)).ln()
    }

    /// Regularised mean of the observations so far; one half before the first.
    fn centre(&self) -> f64 {
        (0.5 + self.sum) / (self.count() + 1.0)
    }

    /// The bet on the next observation.
    fn bet(&self) -> f64 {
        let variance = (0.25 + self.spread) / (self.count() + 1.0);
        let t = self.count() + 1.0;
        (2.0 * self.log_two_over_alpha() / (variance * t * t.ln_1p())).sqrt().min(LARGEST_BET)
    }
}
