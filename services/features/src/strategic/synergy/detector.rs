//! Signals to synergy events.

use serde::{Deserialize, Serialize};

use crate::strategic::config::SynergyConfig;

use super::signals::{Signal, SignalKind};

/// Which order the signals came in (ST-40).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SynergyType {
    /// mlmi, nwrqk, fvg.
    #[serde(rename = "TYPE_1")]
    Type1,
    /// mlmi, fvg, nwrqk.
    #[serde(rename = "TYPE_2")]
    Type2,
    /// nwrqk, fvg, mlmi.
    #[serde(rename = "TYPE_3")]
    Type3,
    /// nwrqk, mlmi, fvg.
    #[serde(rename = "TYPE_4")]
    Type4,
}

impl SynergyType {
    /// All types.
    pub const ALL: [Self; 4] = [Self::Type1, Self::Type2, Self::Type3, Self::Type4];

    /// The order of its signals (ST-40).
    #[must_use]
    pub const fn sequence(self) -> [SignalKind; 3] {
        use SignalKind::{Fvg, Mlmi, Nwrqk};
        match self {
            Self::Type1 => [Mlmi, Nwrqk, Fvg],
            Self::Type2 => [Mlmi, Fvg, Nwrqk],
            Self::Type3 => [Nwrqk, Fvg, Mlmi],
            Self::Type4 => [Nwrqk, Mlmi, Fvg],
        }
    }

    /// Name on the wire (ST-39).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Type1 => "TYPE_1",
            Self::Type2 => "TYPE_2",
            Self::Type3 => "TYPE_3",
            Self::Type4 => "TYPE_4",
        }
    }

    /// The type of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// `SYNERGY_DETECTED` (ST-39).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SynergyEvent {
    /// Which pattern.
    pub synergy_type: SynergyType,
    /// +1 bullish, -1 bearish.
    pub direction: i8,
    /// Mean strength of the three signals, 0 to 1 (ST-44).
    pub confidence: f64,
    /// The signals in the order in which they came.
    pub signal_sequence: [SignalKind; 3],
    /// Slot of the first signal.
    pub first_slot: u64,
    /// Slot of the last signal: when the event is known.
    pub slot: u64,
}

impl SynergyEvent {
    /// Bars from the first to the last signal.
    #[must_use]
    pub const fn bars_to_complete(&self) -> u64 {
        self.slot - self.first_slot
    }
}

/// Where a detector stands (ST-43).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DetectorState {
    /// No signal counts.
    Idle,
    /// One or two signals of a pattern came.
    Building,
    /// An event was raised a few bars ago; what completes now is not raised.
    Cooldown,
}

/// Finds the four patterns (ST-40 to ST-44). Deterministic, constant work per signal, no allocation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Detector {
    window: u64,
    cooldown: u64,
    /// The beginning of a pattern: signals of one direction, at most two between calls.
    sequence: [Option<Signal>; 3],
    emitted: Option<u64>,
    suppressed: u64,
}

impl Detector {
    /// No signals yet.
    #[must_use]
    pub fn new(config: &SynergyConfig) -> Self {
        Self {
            window: u64::from(config.window_bars),
            cooldown: u64::from(config.cooldown_bars),
            sequence: [None; 3],
            emitted: None,
            suppressed: 0,
        }
    }

    /// Takes the next signal. Signals come in the order of their slots; those of one instant in the order
    /// `mlmi`, `nwrqk`, `fvg` (ST-43). A signal from before the newest one is ignored.
    pub fn push(&mut self, signal: Signal) -> Option<SynergyEvent> {
        let newest = self.held().last();
        if newest.is_some_and(|newest| signal.slot() < newest.slot()) {
            return None;
        }
        self.expire(signal.slot());
        let opposite = self.held().next().is_some_and(|first| first.direction() != signal.direction());
        if opposite {
            self.sequence = [None; 3];
        }
        if self.held().any(|held| held.kind() == signal.kind()) {
            return None;
        }
        let length = self.held().count();
        self.sequence[length] = Some(signal);
        if self.is_prefix() {
            return (length == 2).then(|| self.complete(signal))?;
        }
        // The order begins no pattern: start again with this signal, unless it can start none either.
        self.sequence = [Some(signal), None, None];
        if !self.is_prefix() {
            self.sequence = [None; 3];
        }
        None
    }

    /// Takes the signals of one bar in any order.
    pub fn push_bar(&mut self, signals: &mut [Signal]) -> Option<SynergyEvent> {
        signals.sort_unstable_by_key(|signal| (signal.slot(), signal.kind()));
        let mut event = None;
        for signal in signals {
            event = self.push(*signal).or(event);
        }
        event
    }

    /// Where the detector stands at a slot.
    #[must_use]
    pub fn state(&self, slot: u64) -> DetectorState {
        let alive = self.held().any(|signal| slot <= signal.slot() + self.window);
        if self.cooling(slot) {
            DetectorState::Cooldown
        } else if alive {
            DetectorState::Building
        } else {
            DetectorState::Idle
        }
    }

    /// Patterns that completed during a cooldown.
    #[must_use]
    pub const fn suppressed(&self) -> u64 {
        self.suppressed
    }

    fn held(&self) -> impl Iterator<Item = &Signal> {
        self.sequence.iter().flatten()
    }

    /// ST-43: drops the oldest signals that lie too far back, and what is no beginning of a pattern without them.
    fn expire(&mut self, slot: u64) {
        while let Some(oldest) = self.sequence[0] {
            if slot <= oldest.slot() + self.window && self.is_prefix() {
                return;
            }
            self.sequence = [self.sequence[1], self.sequence[2], None];
        }
    }

    fn is_prefix(&self) -> bool {
        let begins = |pattern: [SignalKind; 3]| self.held().zip(pattern).all(|(signal, kind)| signal.kind() == kind);
        SynergyType::ALL.into_iter().any(|kind| begins(kind.sequence()))
    }

    const fn cooling(&self, slot: u64) -> bool {
        match self.emitted {
            Some(emitted) => slot.saturating_sub(emitted) < self.cooldown,
            None => false,
        }
    }

    fn complete(&mut self, last: Signal) -> Option<SynergyEvent> {
        let [Some(first), Some(second), Some(third)] = std::mem::take(&mut self.sequence) else { return None };
        if self.cooling(last.slot()) {
            self.suppressed += 1;
            return None;
        }
        self.emitted = Some(last.slot());
        let signal_sequence = [first.kind(), second.kind(), third.kind()];
        let synergy_type = SynergyType::ALL.into_iter().find(|kind| kind.sequence() == signal_sequence)?;
        let confidence = (first.strength() + second.strength() + third.strength()) / 3.0;
        let slots = (first.slot(), last.slot());
        let direction = last.direction();
        Some(SynergyEvent { synergy_type, direction, confidence, signal_sequence, first_slot: slots.0, slot: slots.1 })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::SignalKind::{Fvg, Mlmi, Nwrqk};
    use super::*;
    use crate::strategic::synergy::AcceptedEvent;
    use crate::tactical::Synergy;

    fn signal(kind: SignalKind, direction: i8, slot: u64) -> Signal {
        let strength = match kind {
            Mlmi => 0.6,
            Nwrqk => 0.45,
            Fvg => 0.4,
        };
        Signal::new(kind, direction, strength, slot).unwrap()
    }

    fn detector() -> Detector {
        Detector::new(&SynergyConfig::default())
    }

    fn run(detector: &mut Detector, signals: &[(SignalKind, i8, u64)]) -> Vec<SynergyEvent> {
        signals.iter().filter_map(|&(kind, direction, slot)| detector.push(signal(kind, direction, slot))).collect()
    }

    fn types(signals: &[(SignalKind, i8, u64)]) -> Vec<(&'static str, i8)> {
        run(&mut detector(), signals).iter().map(|event| (event.synergy_type.name(), event.direction)).collect()
    }

    /// ST-V34: the first pattern, the window.
    #[test]
    fn a_pattern_within_ten_bars() {
        let events = run(&mut detector(), &[(Mlmi, 1, 0), (Nwrqk, 1, 3), (Fvg, 1, 9)]);
        let [event] = events[..] else { panic!("{events:?}") };
        assert_eq!((event.synergy_type, event.direction, event.bars_to_complete()), (SynergyType::Type1, 1, 9));
        assert!((event.confidence - 0.483_333_33).abs() < 1e-8);
        assert_eq!(types(&[(Mlmi, 1, 0), (Nwrqk, 1, 3), (Fvg, 1, 10)]), [("TYPE_1", 1)]);
        assert_eq!(types(&[(Mlmi, 1, 0), (Nwrqk, 1, 3), (Fvg, 1, 11)]), []);
    }

    /// ST-V34: the cooldown.
    #[test]
    fn the_next_pattern_waits_five_bars() {
        let first = [(Mlmi, 1, 0), (Nwrqk, 1, 3), (Fvg, 1, 9)];
        for (last, wanted) in [(13, 1), (14, 2)] {
            let mut detector = detector();
            let mut events = run(&mut detector, &first);
            assert_eq!(detector.state(13), DetectorState::Cooldown);
            events.extend(run(&mut detector, &[(Nwrqk, -1, 10), (Mlmi, -1, 11), (Fvg, -1, last)]));
            assert_eq!((events.len(), detector.suppressed()), (wanted, 2 - wanted as u64));
            if wanted == 2 {
                assert_eq!((events[1].synergy_type, events[1].direction), (SynergyType::Type4, -1));
            }
        }
    }

    /// ST-40: the four orders, and no others.
    #[test]
    fn orders_that_are_patterns() {
        let kinds = [Mlmi, Nwrqk, Fvg];
        for a in kinds {
            for b in kinds {
                for c in kinds {
                    let known = SynergyType::ALL.into_iter().find(|kind| kind.sequence() == [a, b, c]);
                    let wanted: Vec<_> = known.map(|kind| (kind.name(), -1)).into_iter().collect();
                    assert_eq!(types(&[(a, -1, 0), (b, -1, 1), (c, -1, 2)]), wanted, "{a:?} {b:?} {c:?}");
                }
            }
        }
        assert_eq!(SynergyType::from_name("TYPE_3"), Some(SynergyType::Type3));
        assert_eq!(SynergyType::from_name("TYPE_5"), None);
    }

    /// ST-43: opposite signals restart, repeated ones are ignored, a gap starts nothing.
    #[test]
    fn restarts_and_repetitions() {
        assert_eq!(types(&[(Mlmi, 1, 0), (Nwrqk, -1, 1), (Mlmi, -1, 2), (Fvg, -1, 3)]), [("TYPE_4", -1)]);
        assert_eq!(types(&[(Mlmi, 1, 0), (Mlmi, 1, 2), (Nwrqk, 1, 3), (Fvg, 1, 10)]), [("TYPE_1", 1)]);
        assert_eq!(types(&[(Mlmi, 1, 0), (Mlmi, 1, 2), (Nwrqk, 1, 3), (Fvg, 1, 11)]), [], "the first one counts");
        assert_eq!(types(&[(Mlmi, 1, 0), (Fvg, -1, 1), (Nwrqk, 1, 2), (Fvg, 1, 3)]), [], "the gap cleared the start");
        assert_eq!(types(&[(Fvg, 1, 0), (Mlmi, 1, 1), (Nwrqk, 1, 2), (Fvg, 1, 3)]), [("TYPE_1", 1)]);
    }

    /// ST-43: what expires is dropped one by one, the rest must still begin a pattern.
    #[test]
    fn expiry_re_evaluates() {
        assert_eq!(types(&[(Mlmi, 1, 0), (Nwrqk, 1, 5), (Fvg, 1, 12), (Mlmi, 1, 13)]), [("TYPE_3", 1)]);
        assert_eq!(types(&[(Mlmi, 1, 0), (Fvg, 1, 5), (Nwrqk, 1, 12), (Mlmi, 1, 13), (Fvg, 1, 14)]), [("TYPE_4", 1)]);
        let mut detector = detector();
        run(&mut detector, &[(Mlmi, 1, 0)]);
        assert_eq!([0, 10, 11].map(|slot| detector.state(slot)), {
            use DetectorState::{Building, Idle};
            [Building, Building, Idle]
        });
    }

    /// ST-43: signals of one bar are applied in a fixed order, however they come.
    #[test]
    fn order_within_a_bar() {
        let mut signals = [signal(Fvg, 1, 4), signal(Nwrqk, 1, 4), signal(Mlmi, 1, 4)];
        let event = detector().push_bar(&mut signals).unwrap();
        assert_eq!((event.synergy_type, event.bars_to_complete()), (SynergyType::Type1, 0));
        let mut late = detector();
        late.push(signal(Mlmi, 1, 4));
        assert_eq!(late.push(signal(Nwrqk, 1, 3)), None, "from the past");
        assert_eq!(late.push(signal(Fvg, 1, 5)), None);
    }

    /// ST-39: names on the wire, and the context it gives the tactical stage.
    #[test]
    fn events_on_the_wire() {
        let [event] = run(&mut detector(), &[(Nwrqk, -1, 2), (Fvg, -1, 3), (Mlmi, -1, 3)])[..] else { panic!() };
        let json = serde_json::to_value(event).unwrap();
        assert_eq!(json["synergyType"], "TYPE_3");
        assert_eq!(json["signalSequence"], serde_json::json!(["nwrqk", "fvg", "mlmi"]));
        let synergy = Synergy::from(&AcceptedEvent::from(&event));
        assert_eq!((synergy.synergy_type.as_str(), synergy.direction, synergy.source.as_str()), ("TYPE_3", -1, "Strategic"));
    }
}
