//! What the three execution actors say.

use serde::{Deserialize, Serialize};

use tradewind_features::categorical::{argmax, sigmoid, softmax};

/// Contracts of each sizing action (EX-22, C-9).
pub const SIZES: [i64; 5] = [0, 1, 2, 3, 5];
/// Smallest and largest distance of the stop, in ATR (EX-18, EX-24).
pub(super) const STOP_RANGE: [f64; 2] = [0.5, 3.0];
/// Smallest and largest distance of the target, in ATR (EX-18, EX-24).
pub(super) const TARGET_RANGE: [f64; 2] = [1.0, 5.0];

/// How orders reach the market (EX-23, EX-55); the place in [`Strategy::ALL`] is the action's index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Strategy {
    /// At once, within a collar.
    #[serde(rename = "IMMEDIATE")]
    Immediate,
    /// In equal slices over five minutes.
    #[serde(rename = "TWAP_5MIN")]
    Twap5Min,
    /// With the volume, ahead of it.
    #[serde(rename = "VWAP_AGGRESSIVE")]
    VwapAggressive,
    /// Showing a small part at a time.
    #[serde(rename = "ICEBERG")]
    Iceberg,
}

impl Strategy {
    /// All strategies by index.
    pub const ALL: [Self; 4] = [Self::Immediate, Self::Twap5Min, Self::VwapAggressive, Self::Iceberg];

    /// Seconds over which the orders are spread (EX-58, EX-61).
    #[must_use]
    pub const fn horizon_seconds(self) -> f64 {
        match self {
            Self::Immediate => 0.0,
            Self::Twap5Min | Self::VwapAggressive | Self::Iceberg => 300.0,
        }
    }
}

/// Raw answers of the three actors, before softmax and sigmoid (EX-16 to EX-18).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ActorLogits {
    /// Of the five sizes.
    pub sizing: [f32; 5],
    /// Of the four strategies.
    pub timing: [f32; 4],
    /// Of the distances of stop and target.
    pub risk: [f32; 2],
}

/// An actor answered with a value that is infinite or not a number (EX-27): the model is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("network_not_finite: the {0} actor answered with a value that is not finite")]
pub struct NotFinite(pub &'static str);

/// The actors' answers as distributions and distances (EX-28).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActorOutputs {
    /// Of the sizes in [`SIZES`]; sums to 1.
    pub sizing: [f64; 5],
    /// Of the strategies in [`Strategy::ALL`]; sums to 1.
    pub timing: [f64; 4],
    /// Distance of the stop in ATR, 0.5 to 3.
    pub stop_multiplier: f64,
    /// Distance of the target in ATR, 1 to 5.
    pub target_multiplier: f64,
}

impl ActorOutputs {
    /// Softmax and sigmoid of the answers (EX-16 to EX-18).
    ///
    /// # Errors
    /// [`NotFinite`] names the actor.
    pub fn new(logits: &ActorLogits) -> Result<Self, NotFinite> {
        let scaled = |logit: f32, [least, most]: [f64; 2]| least + (most - least) * sigmoid(f64::from(logit));
        if !logits.risk.iter().all(|logit| logit.is_finite()) {
            return Err(NotFinite("risk"));
        }
        Ok(Self {
            sizing: softmax(logits.sizing.map(f64::from)).ok_or(NotFinite("sizing"))?,
            timing: softmax(logits.timing.map(f64::from)).ok_or(NotFinite("timing"))?,
            stop_multiplier: scaled(logits.risk[0], STOP_RANGE),
            target_multiplier: scaled(logits.risk[1], TARGET_RANGE),
        })
    }

    /// Contracts of the most probable size; ties go to the smaller one (EX-29, C-9, C-10).
    #[must_use]
    pub fn contracts(&self) -> i64 {
        SIZES[argmax(&self.sizing)]
    }

    /// The most probable strategy; ties go to the lower index (EX-29, C-10).
    #[must_use]
    pub fn strategy(&self) -> Strategy {
        Strategy::ALL[argmax(&self.timing)]
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::float_cmp)]
    use super::*;

    fn logits() -> ActorLogits {
        ActorLogits { sizing: [0.0; 5], timing: [0.0; 4], risk: [0.0; 2] }
    }

    /// EX-V14, input A: from the sizing actor's printed logits to its distribution and to three contracts.
    #[test]
    fn sizing_of_the_golden_model() {
        let sizing = [-0.533_978_3, -0.237_510_9, -0.736_546_5, 0.049_569_4, -0.161_731];
        let outputs = ActorOutputs::new(&ActorLogits { sizing, ..logits() }).unwrap();
        let wanted = [0.156_125_4, 0.210_004_1, 0.127_496_8, 0.279_837_0, 0.226_536_7];
        assert!(outputs.sizing.iter().zip(wanted).all(|(seen, wanted)| (seen - wanted).abs() < 1e-6), "{outputs:?}");
        assert_eq!(outputs.contracts(), 3);
    }

    /// EX-V14: argmax of the printed distributions of both inputs, and of five contracts (C-9).
    #[test]
    fn actions_are_the_most_probable_ones() {
        let of = |sizing, timing| ActorOutputs { sizing, timing, stop_multiplier: 1.0, target_multiplier: 2.0 };
        let b = of(
            [0.145_225_4, 0.093_746_2, 0.153_262_9, 0.459_459_4, 0.148_306_2],
            [0.085_079_7, 0.354_750_7, 0.306_722_3, 0.253_447_3],
        );
        assert_eq!((b.contracts(), b.strategy()), (3, Strategy::Twap5Min));
        let a = of([0.1, 0.1, 0.1, 0.1, 0.6], [0.126_186_5, 0.403_013_7, 0.324_406_0, 0.146_393_8]);
        assert_eq!((a.contracts(), a.strategy()), (5, Strategy::Twap5Min));
        assert_eq!(serde_json::to_string(&Strategy::ALL).unwrap(), r#"["IMMEDIATE","TWAP_5MIN","VWAP_AGGRESSIVE","ICEBERG"]"#);
    }

    /// EX-V15: all-zero weights give uniform distributions and the middle of both ranges; the tie takes no size.
    #[test]
    fn answers_of_nothing() {
        let outputs = ActorOutputs::new(&logits()).unwrap();
        assert_eq!((outputs.sizing, outputs.timing), ([0.2; 5], [0.25; 4]));
        assert_eq!((outputs.stop_multiplier, outputs.target_multiplier), (1.75, 3.0));
        assert_eq!((outputs.contracts(), outputs.strategy()), (0, Strategy::Immediate));
    }

    /// EX-27: what is not finite is refused with the actor's name.
    #[test]
    fn the_actor_that_is_not_finite_is_named() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut faulty = logits();
            faulty.risk[1] = bad;
            assert_eq!(ActorOutputs::new(&faulty), Err(NotFinite("risk")));
            faulty = logits();
            faulty.sizing[4] = bad;
            assert_eq!(ActorOutputs::new(&faulty), Err(NotFinite("sizing")));
            faulty = logits();
            faulty.timing[0] = bad;
            assert_eq!(ActorOutputs::new(&faulty), Err(NotFinite("timing")));
        }
    }

    /// EX-18, EX-24: distances never leave their box, however large the answers.
    #[test]
    fn distances_stay_in_their_box() {
        for (answer, stop, target) in [(f32::MAX, 3.0, 5.0), (f32::MIN, 0.5, 1.0)] {
            let outputs = ActorOutputs::new(&ActorLogits { risk: [answer; 2], ..logits() }).unwrap();
            assert_eq!((outputs.stop_multiplier, outputs.target_multiplier), (stop, target));
        }
    }
}
