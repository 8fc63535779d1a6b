//! Bars of one symbol to synergy events.

use serde::{Deserialize, Serialize};

use crate::tactical::GapTracker;
use tradewind_core::bar::Bar;
use tradewind_core::calendar::CalendarName;
use tradewind_core::time::Nanos;

use super::candle::Candle;
use super::config::SynergyConfig;
use super::features::{StrategicFeatureError, StrategicFeatures};
use super::half_hours::HalfHours;
use super::stage::{BarPlan, StageConfigError, StrategicStageConfig};
use super::synergy::{Detector, Signal, SignalSource, SynergyEvent, filled_gaps, gap_signal};

/// Everything between the bars of a feed and `SYNERGY_DETECTED`: a function of the bars so far, no networks (ST-17).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventStream {
    /// `None` when the features see the bars as fed.
    half_hours: Option<HalfHours>,
    features: StrategicFeatures,
    gaps: GapTracker,
    max_gap_age: u64,
    signals: SignalSource,
    detector: Detector,
    synergy: SynergyConfig,
    /// Signals of the newest bar, until they are handed on.
    #[serde(skip)]
    fired: Vec<Signal>,
    /// Bars taken so far, and the close of the newest.
    taken: u64,
    newest: Option<Nanos>,
}

impl EventStream {
    /// No bars yet of a market of this calendar.
    ///
    /// # Errors
    /// [`StageConfigError`] with every violation.
    pub fn new(config: &StrategicStageConfig, calendar: CalendarName) -> Result<Self, StageConfigError> {
        config.validate()?;
        let synergy = config.features.synergy;
        Ok(Self {
            half_hours: (config.bars == BarPlan::HalfHours).then(HalfHours::default),
            features: StrategicFeatures::new(&config.features, config.bars.clock(calendar))
                .map_err(|error| StageConfigError(error.0))?,
            gaps: GapTracker::new(&config.gaps),
            max_gap_age: u64::from(config.gaps.max_age_bars),
            signals: SignalSource::new(synergy),
            detector: Detector::new(&synergy),
            synergy,
            fired: Vec::with_capacity(config.gaps.max_age_bars as usize + 4),
            taken: 0,
            newest: None,
        })
    }

    /// Number of the feed's bar that is due next.
    #[must_use]
    pub const fn next_index(&self) -> u64 {
        self.taken
    }

    /// The features of the strategic bars closed so far.
    #[must_use]
    pub const fn features(&self) -> &StrategicFeatures {
        &self.features
    }

    /// Takes the next closed bar of the feed; the event that it completes, if any (ST-40 to ST-44).
    ///
    /// # Errors
    /// [`StrategicFeatureError`]: a bar that is impossible, repeated or out of order; nothing was changed.
    pub fn push(&mut self, bar: &Bar) -> Result<Option<SynergyEvent>, StrategicFeatureError> {
        let event = self.take(bar)?;
        self.settle();
        Ok(event)
    }

    /// The same, but the features of the strategic bar are whole after [`EventStream::settle`] only
    /// ([`StrategicFeatures::take`]).
    ///
    /// # Errors
    /// As [`EventStream::push`].
    pub fn take(&mut self, bar: &Bar) -> Result<Option<SynergyEvent>, StrategicFeatureError> {
        Candle::from_bar(bar).validate()?;
        let index = bar.index;
        if index != self.taken {
            return Err(StrategicFeatureError::Order { expected: self.taken, found: index });
        }
        if let Some(before) = self.newest.filter(|before| bar.close_time <= *before) {
            return Err(StrategicFeatureError::Time { index, close_time: bar.close_time, before });
        }
        let [late, own] = match &mut self.half_hours {
            Some(half_hours) => half_hours.push(bar),
            None => [None, Some(Candle::from_bar(bar))],
        };
        // What closed before this bar comes before the gaps that this bar fills; what closes with it is of one
        // instant with them, and the detector puts those in order (ST-43).
        let earlier = self.close(late)?;
        self.fill_gaps(bar);
        let event = self.close(own)?.or(earlier);
        self.taken += 1;
        self.newest = Some(bar.close_time);
        Ok(event)
    }

    /// Finishes the features of the newest strategic bar: before a matrix is read, and at leisure.
    pub fn settle(&mut self) {
        self.features.settle();
    }

    /// Closes a strategic bar, if there is one, and hands all signals that have fired to the detector.
    fn close(&mut self, candle: Option<Candle>) -> Result<Option<SynergyEvent>, StrategicFeatureError> {
        if let Some(candle) = candle {
            let snapshot = self.features.take(&candle)?;
            self.fired.extend(self.signals.push(snapshot).into_iter().flatten());
        }
        let event = self.detector.push_bar(&mut self.fired);
        self.fired.clear();
        Ok(event)
    }

    /// ST-41, ST-44: size and strength are measured with the strategic bar before.
    fn fill_gaps(&mut self, bar: &Bar) {
        let before = self.features.next_index().checked_sub(1).and_then(|index| self.features.snapshot(index));
        if let Some(before) = before
            && let (Some(atr), Some(slot)) = (before.readings.atr, self.features.slot_at(bar.close_time))
        {
            let signal = |gap| gap_signal(gap, before.candle.close, atr, slot, &self.synergy);
            self.fired.extend(filled_gaps(self.gaps.open(), bar, self.max_gap_age).filter_map(signal));
        }
        self.gaps.push(bar);
    }
}
