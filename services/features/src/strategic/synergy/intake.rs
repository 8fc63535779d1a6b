//! Events from outside: what is no event is refused and counted.

use crate::strategic::config::SynergyConfig;
use crate::tactical::Synergy;
use tradewind_core::time::Nanos;

use super::detector::{SynergyEvent, SynergyType};

/// Who gives the context, as recorded.
const SOURCE: &str = "Strategic";
const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// What a message claims to be an event; a field that did not come is `None`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EventClaim<'a> {
    /// `TYPE_1` to `TYPE_4`.
    pub synergy_type: Option<&'a str>,
    /// +1, 0 or -1.
    pub direction: Option<f64>,
    /// 0 to 1.
    pub confidence: Option<f64>,
    /// Close of the bar that it belongs to.
    pub bar_close_time: Nanos,
    /// When it arrived.
    pub arrived: Nanos,
}

/// An event that may be decided on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AcceptedEvent {
    /// Which pattern.
    pub synergy_type: SynergyType,
    /// +1, 0 or -1; 0 counts as neutral (ST-39).
    pub direction: i8,
    /// 0 to 1.
    pub confidence: f64,
}

impl From<&SynergyEvent> for AcceptedEvent {
    /// An event of the detector needs no further check.
    fn from(event: &SynergyEvent) -> Self {
        Self { synergy_type: event.synergy_type, direction: event.direction, confidence: event.confidence }
    }
}

impl From<&AcceptedEvent> for Synergy {
    /// The context of tactical decisions.
    fn from(event: &AcceptedEvent) -> Self {
        Self {
            synergy_type: event.synergy_type.name().to_owned(),
            direction: event.direction,
            confidence: event.confidence,
            source: SOURCE.to_owned(),
        }
    }
}

/// Why an event is refused (ST-45); the text is the label of `strategic_synergy_rejected_total{cause}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Rejection {
    /// No type.
    #[error("missing_type")]
    MissingType,
    /// A type other than `TYPE_1` to `TYPE_4`.
    #[error("unknown_type")]
    UnknownType,
    /// No direction.
    #[error("missing_direction")]
    MissingDirection,
    /// A direction other than +1, 0 and -1.
    #[error("bad_direction")]
    BadDirection,
    /// No confidence.
    #[error("missing_confidence")]
    MissingConfidence,
    /// A confidence that is not finite or outside 0 and 1.
    #[error("bad_confidence")]
    BadConfidence,
    /// More than 120 s after the close of its bar.
    #[error("late")]
    Late,
}

impl Rejection {
    /// All causes.
    pub const ALL: [Self; 7] = [
        Self::MissingType,
        Self::UnknownType,
        Self::MissingDirection,
        Self::BadDirection,
        Self::MissingConfidence,
        Self::BadConfidence,
        Self::Late,
    ];
}

/// Judges events and counts the refused ones.
#[derive(Clone, Debug)]
pub struct Intake {
    max_delay: i64,
    rejected: [u64; Rejection::ALL.len()],
}

impl Intake {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(config: &SynergyConfig) -> Self {
        Self { max_delay: i64::from(config.max_delay_seconds) * NANOS_PER_SECOND, rejected: [0; Rejection::ALL.len()] }
    }

    /// Judges one event (ST-45, SU-48); no field has a default when serving.
    ///
    /// # Errors
    /// [`Rejection`], the first cause, which is counted.
    pub fn accept(&mut self, claim: &EventClaim<'_>) -> Result<AcceptedEvent, Rejection> {
        let judged = judge(claim, self.max_delay);
        if let Err(cause) = judged {
            self.rejected[cause as usize] += 1;
        }
        judged
    }

    /// How many were refused for a cause.
    #[must_use]
    pub const fn rejected(&self, cause: Rejection) -> u64 {
        self.rejected[cause as usize]
    }
}

fn judge(claim: &EventClaim<'_>, max_delay: i64) -> Result<AcceptedEvent, Rejection> {
    let name = claim.synergy_type.ok_or(Rejection::MissingType)?;
    let synergy_type = SynergyType::from_name(name).ok_or(Rejection::UnknownType)?;
    let direction = match claim.direction.ok_or(Rejection::MissingDirection)? {
        1.0 => 1,
        0.0 => 0,
        -1.0 => -1,
        _ => return Err(Rejection::BadDirection),
    };
    let confidence = claim.confidence.ok_or(Rejection::MissingConfidence)?;
    if !(0.0..=1.0).contains(&confidence) {
        return Err(Rejection::BadConfidence);
    }
    if claim.arrived.since(claim.bar_close_time) > max_delay {
        return Err(Rejection::Late);
    }
    Ok(AcceptedEvent { synergy_type, direction, confidence })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: EventClaim<'_> = EventClaim {
        synergy_type: Some("TYPE_2"),
        direction: Some(-1.0),
        confidence: Some(0.8),
        bar_close_time: Nanos(0),
        arrived: Nanos(120 * NANOS_PER_SECOND),
    };

    /// ST-45, ST-149: each fault has its cause, each cause its counter.
    #[test]
    fn faulty_events_are_refused_and_counted() {
        let mut intake = Intake::new(&SynergyConfig::default());
        let accepted = AcceptedEvent { synergy_type: SynergyType::Type2, direction: -1, confidence: 0.8 };
        assert_eq!(intake.accept(&GOOD), Ok(accepted));
        let faults = [
            (EventClaim { synergy_type: None, ..GOOD }, Rejection::MissingType),
            (EventClaim { synergy_type: Some("TYPE_5"), ..GOOD }, Rejection::UnknownType),
            (EventClaim { direction: None, ..GOOD }, Rejection::MissingDirection),
            (EventClaim { direction: Some(2.0), ..GOOD }, Rejection::BadDirection),
            (EventClaim { direction: Some(f64::NAN), ..GOOD }, Rejection::BadDirection),
            (EventClaim { confidence: None, ..GOOD }, Rejection::MissingConfidence),
            (EventClaim { confidence: Some(1.5), ..GOOD }, Rejection::BadConfidence),
            (EventClaim { confidence: Some(f64::NAN), ..GOOD }, Rejection::BadConfidence),
            (EventClaim { arrived: Nanos(120 * NANOS_PER_SECOND + 1), ..GOOD }, Rejection::Late),
        ];
        for (claim, cause) in faults {
            let before = intake.rejected(cause);
            assert_eq!(intake.accept(&claim), Err(cause));
            assert_eq!(intake.rejected(cause), before + 1);
        }
        assert_eq!(Rejection::ALL.map(|cause| intake.rejected(cause)).iter().sum::<u64>(), 9);
        assert_eq!(Rejection::Late.to_string(), "late");
    }
}
