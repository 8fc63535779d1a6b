//! Market regime of one symbol: a state machine with hysteresis over volatility, momentum and change points.

use serde::{Deserialize, Serialize};

use tradewind_core::instrument::Ticks;

/// Days of returns in the volatility (PO-20).
const VOLATILITY_DAYS: usize = 10;
/// Days of the three momenta (PO-20).
const MOMENTUM_DAYS: [usize; 3] = [5, 20, 50];
/// Returns that a change-point baseline is estimated from (PO-21).
const BASELINE_RETURNS: usize = 50;
/// Slack of the change-point sums, in standard deviations (PO-21).
const SLACK: f64 = 0.5;
/// Height of a change-point sum that raises the alarm, in standard deviations (PO-21).
const ALARM_HEIGHT: f64 = 5.0;
/// Failed stay tests in a row before a regime is left (PO-23).
const PATIENCE: u32 = 3;

/// State of a market (PO-19, PO-G7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Regime {
    /// None of the others.
    #[default]
    Neutral,
    /// Rising.
    Bullish,
    /// Falling.
    Bearish,
    /// Moving widely.
    Volatile,
    /// Falling fast.
    Panic,
}

/// What the orchestrator makes of a regime (PO-26).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RegimeTag {
    /// Bullish or bearish.
    Trending,
    /// Everything else (PO-G26).
    Ranging,
}

/// Volatility class (PO-26).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum VolLevel {
    /// Below 1 % a day.
    Low,
    /// Below 4 %.
    Normal,
    /// Below 8 %.
    High,
    /// 8 % and more, or panic.
    Extreme,
}

/// Figures that a regime is told from; fractions, not percent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RegimeInputs {
    /// Newest daily return.
    pub price_change: f64,
    /// Sample standard deviation of the last ten daily returns.
    pub volatility: f64,
    /// Return over 5 days.
    pub m5: f64,
    /// Return over 20 days.
    pub m20: f64,
}

/// A change-point alarm (PO-21).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Alarm {
    /// No alarm on this bar.
    #[default]
    None,
    /// Returns are higher than before.
    Up,
    /// Returns are lower than before.
    Down,
}

/// What is published of a symbol's market state after a bar (PO-24).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MarketState {
    /// Regime after this bar.
    pub regime: Regime,
    /// Regime before this bar.
    pub previous_regime: Regime,
    /// Newest daily return.
    pub price_change: f64,
    /// Standard deviation of the last ten daily returns.
    pub rolling_volatility: f64,
    /// Returns over 5, 20 and 50 days; the last is absent until it is known.
    pub momentum: (f64, f64, Option<f64>),
    /// Change-point sums after this bar.
    pub cusum: Sums,
    /// Volatility class.
    pub vol_level: VolLevel,
}

impl MarketState {
    /// Tag for the orchestrator (PO-26).
    #[must_use]
    pub const fn tag(&self) -> RegimeTag {
        match self.regime {
            Regime::Bullish | Regime::Bearish => RegimeTag::Trending,
            Regime::Neutral | Regime::Volatile | Regime::Panic => RegimeTag::Ranging,
        }
    }
}

impl Regime {
    /// Regime that these figures ask for, in order of priority (PO-22).
    #[must_use]
    pub fn entry(inputs: &RegimeInputs) -> Self {
        let RegimeInputs { price_change, volatility, m5, m20 } = *inputs;
        if price_change <= -0.08 || (m5 <= -0.10 && volatility >= 0.04) {
            Self::Panic
        } else if volatility >= 0.04 {
            Self::Volatile
        } else if m20 >= 0.05 {
            Self::Bullish
        } else if m20 <= -0.05 {
            Self::Bearish
        } else {
            Self::Neutral
        }
    }

    /// Whether these figures still support this regime (PO-23).
    fn stays(self, inputs: &RegimeInputs) -> bool {
        match self {
            Self::Panic => inputs.volatility >= 0.03 || inputs.m5 <= -0.05,
            Self::Volatile => inputs.volatility >= 0.03,
            Self::Bullish => inputs.m20 >= 0.02,
            Self::Bearish => inputs.m20 <= -0.02,
            Self::Neutral => true,
        }
    }

    const fn priority(self) -> u8 {
        match self {
            Self::Panic => 3,
            Self::Volatile => 2,
            Self::Bullish | Self::Bearish => 1,
            Self::Neutral => 0,
        }
    }
}

impl VolLevel {
    /// Class of a daily volatility (PO-26). A figure that is not a number counts as extreme.
    #[must_use]
    pub fn of(volatility: f64, regime: Regime) -> Self {
        if regime == Regime::Panic {
            return Self::Extreme;
        }
        match volatility {
            v if v < 0.01 => Self::Low,
            v if v < 0.04 => Self::Normal,
            v if v < 0.08 => Self::High,
            _ => Self::Extreme,
        }
    }
}

/// Regime with its hysteresis (PO-23).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegimeMachine {
    regime: Regime,
    failures: u32,
}

impl RegimeMachine {
    /// Takes the figures of one bar; `alarm` when a change point was found on it.
    pub fn step(&mut self, inputs: &RegimeInputs, alarm: bool) -> Regime {
        let wanted = Regime::entry(inputs);
        let swap = wanted != self.regime && wanted.priority() == self.regime.priority();
        if wanted.priority() > self.regime.priority() || swap {
            self.enter(wanted);
        } else if wanted == self.regime || self.regime.stays(inputs) {
            self.failures = 0;
        } else {
            self.failures += 1;
            if alarm || self.failures >= PATIENCE {
                self.enter(wanted);
            }
        }
        self.regime
    }

    fn enter(&mut self, regime: Regime) {
        *self = Self { regime, failures: 0 };
    }
}

/// The two change-point sums, in standard deviations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sums {
    /// Evidence that returns rose.
    pub pos: f64,
    /// Evidence that returns fell.
    pub neg: f64,
    /// Alarm on this bar.
    pub alarm: Alarm,
}

/// Change-point detector over one monitored span (PO-21).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cusum {
    mean: f64,
    deviation: f64,
    pos: f64,
    neg: f64,
}

impl Cusum {
    /// A detector for returns whose mean and standard deviation were these before the span.
    #[must_use]
    pub const fn new(mean: f64, deviation: f64) -> Self {
        Self { mean, deviation, pos: 0.0, neg: 0.0 }
    }

    /// Takes the next return. After an alarm both sums start again from 0; the sums told are those before.
    pub fn push(&mut self, change: f64) -> Sums {
        let z = (change - self.mean) / self.deviation;
        if !z.is_finite() {
            return Sums { pos: self.pos, neg: self.neg, alarm: Alarm::None };
        }
        self.pos = (self.pos + z - SLACK).max(0.0);
        self.neg = (self.neg - z - SLACK).max(0.0);
        let alarm = if self.pos > ALARM_HEIGHT {
            Alarm::Up
        } else if self.neg > ALARM_HEIGHT {
            Alarm::Down
        } else {
            Alarm::None
        };
        let sums = Sums { pos: self.pos, neg: self.neg, alarm };
        if alarm != Alarm::None {
            (self.pos, self.neg) = (0.0, 0.0);
        }
        sums
    }
}

/// Market state of one symbol, one close at a time; bounded work and memory per bar.
///
/// A "day" is a configured number of bars. Returns and momenta are taken over whole days at every bar; the
/// change-point sums move once a day, because overlapping returns are not independent.
#[derive(Clone, Debug)]
pub struct RegimeEngine {
    bars_per_day: usize,
    /// Ring of the closes of the newest 50 days and the bar before.
    closes: Vec<f64>,
    seen: usize,
    /// The newest 50 daily returns, oldest first.
    returns: Vec<f64>,
    cusum: Option<Cusum>,
    sums: Sums,
    machine: RegimeMachine,
}

impl RegimeEngine {
    /// No closes yet; `bars_per_day` at least 1.
    #[must_use]
    pub fn new(bars_per_day: u32) -> Self {
        let bars_per_day = bars_per_day.max(1) as usize;
        Self {
            bars_per_day,
            closes: Vec::with_capacity(MOMENTUM_DAYS[2] * bars_per_day + 1),
            seen: 0,
            returns: Vec::with_capacity(BASELINE_RETURNS),
            cusum: None,
            sums: Sums::default(),
            machine: RegimeMachine::default(),
        }
    }

    /// Takes the next close; `None` until 20 days are known: unknown means no new risk.
    #[allow(clippy::cast_precision_loss)]
    pub fn push(&mut self, close: Ticks) -> Option<MarketState> {
        self.remember(close.0 as f64);
        let change = self.momentum(1);
        let day_ended = self.seen.is_multiple_of(self.bars_per_day);
        self.sums.alarm = Alarm::None;
        if let (Some(change), true) = (change, day_ended) {
            self.watch(change);
        }
        let volatility = self.volatility()?;
        let (price_change, m5, m20) = (change?, self.momentum(MOMENTUM_DAYS[0])?, self.momentum(MOMENTUM_DAYS[1])?);
        let previous_regime = self.machine.regime;
        let inputs = RegimeInputs { price_change, volatility, m5, m20 };
        let regime = self.machine.step(&inputs, self.sums.alarm != Alarm::None);
        Some(MarketState {
            regime,
            previous_regime,
            price_change,
            rolling_volatility: volatility,
            momentum: (m5, m20, self.momentum(MOMENTUM_DAYS[2])),
            cusum: self.sums,
            vol_level: VolLevel::of(volatility, regime),
        })
    }

    fn remember(&mut self, close: f64) {
        let length = MOMENTUM_DAYS[2] * self.bars_per_day + 1;
        let slot = self.seen % length;
        match self.closes.get_mut(slot) {
            Some(old) => *old = close,
            None => self.closes.push(close),
        }
        self.seen += 1;
    }

    /// Close of `days` before the newest bar and `bars` more.
    fn close(&self, days: usize, bars: usize) -> Option<f64> {
        let back = days * self.bars_per_day + bars;
        let length = MOMENTUM_DAYS[2] * self.bars_per_day + 1;
        (back < self.seen && back < length).then(|| self.closes[(self.seen - 1 - back) % length])
    }

    /// Return over whole days.
    fn momentum(&self, days: usize) -> Option<f64> {
        Some(self.close(0, 0)? / self.close(days, 0)? - 1.0)
    }

    /// Sample standard deviation of the last ten daily returns (PO-20).
    fn volatility(&self) -> Option<f64> {
        self.close(VOLATILITY_DAYS, 0)?;
        let mut changes = [0.0; VOLATILITY_DAYS];
        for (day, change) in changes.iter_mut().enumerate() {
            *change = self.close(day, 0)? / self.close(day + 1, 0)? - 1.0;
        }
        Some(mean_and_deviation(&changes).1)
    }

    /// PO-21: the first 50 returns are the baseline; after an alarm the newest 50 are the next one.
    fn watch(&mut self, change: f64) {
        if let Some(cusum) = &mut self.cusum {
            self.sums = cusum.push(change);
        }
        if self.returns.len() == BASELINE_RETURNS {
            self.returns.remove(0);
        }
        self.returns.push(change);
        let stale = self.cusum.is_none() || self.sums.alarm != Alarm::None;
        if stale && self.returns.len() == BASELINE_RETURNS {
            let (mean, deviation) = mean_and_deviation(&self.returns);
            self.cusum = Some(Cusum::new(mean, deviation));
        }
    }
}

/// Mean and sample standard deviation of at least two figures.
#[allow(clippy::cast_precision_loss)]
fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    (mean, (squares / (n - 1.0)).sqrt())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    const fn inputs((price_change, volatility, m5, m20): (f64, f64, f64, f64)) -> RegimeInputs {
        RegimeInputs { price_change, volatility, m5, m20 }
    }

    /// PO-V9, first part
    #[test]
    fn volatility_is_the_sample_deviation() {
        let changes = [0.01, -0.005, 0.003, -0.012, 0.008, 0.002, -0.004, 0.015, -0.009, 0.006];
        let (mean, deviation) = mean_and_deviation(&changes);
        assert!((mean - 0.0014).abs() < 1e-12);
        assert!((deviation - 0.008_720_347).abs() < 1e-9);
    }

    /// PO-V10
    #[test]
    fn change_point_alarm_and_reset() {
        let mut cusum = Cusum::new(0.0, 0.01);
        let changes = [0.002, -0.004, 0.001, -0.015, -0.022, -0.018, -0.012, -0.010, 0.005];
        let wanted = [0.0, 0.0, 0.0, 1.0, 2.7, 4.0, 4.7, 5.2, 0.0];
        for (step, (change, neg)) in changes.into_iter().zip(wanted).enumerate() {
            let sums = cusum.push(change);
            assert!((sums.neg - neg).abs() < 1e-9 && sums.pos == 0.0, "step {step}: {sums:?}");
            assert_eq!(sums.alarm, if step == 7 { Alarm::Down } else { Alarm::None }, "step {step}");
        }
    }

    /// PO-V11, regimes
    #[test]
    fn entry_conditions_by_priority() {
        let rows = [
            ((0.01, 0.02, 0.01, 0.06), Regime::Bullish),
            ((0.01, 0.02, 0.03, 0.049), Regime::Neutral),
            ((-0.01, 0.02, -0.02, -0.05), Regime::Bearish),
            ((-0.02, 0.045, -0.04, -0.08), Regime::Volatile),
            ((-0.03, 0.05, -0.11, -0.15), Regime::Panic),
            ((-0.085, 0.03, -0.09, -0.02), Regime::Panic),
            ((0.0, 0.039, -0.12, 0.0), Regime::Neutral),
        ];
        for (figures, wanted) in rows {
            assert_eq!(Regime::entry(&inputs(figures)), wanted, "{figures:?}");
        }
    }

    /// PO-V11, volatility classes; panic and what is not a number are extreme.
    #[test]
    fn volatility_classes() {
        let rows = [
            (0.0099, VolLevel::Low),
            (0.01, VolLevel::Normal),
            (0.0399, VolLevel::Normal),
            (0.04, VolLevel::High),
            (0.0799, VolLevel::High),
            (0.08, VolLevel::Extreme),
            (f64::NAN, VolLevel::Extreme),
        ];
        for (volatility, wanted) in rows {
            assert_eq!(VolLevel::of(volatility, Regime::Neutral), wanted, "{volatility}");
        }
        assert_eq!(VolLevel::of(0.001, Regime::Panic), VolLevel::Extreme);
    }

    /// PO-V12
    #[test]
    fn hysteresis() {
        use Regime::{Bearish, Bullish, Neutral, Panic};
        let mut machine = RegimeMachine::default();
        let rows = [
            ((0.01, 0.02, 0.02, 0.06), Bullish),
            ((0.0, 0.02, 0.01, 0.03), Bullish),
            ((-0.01, 0.02, -0.01, 0.01), Bullish),
            ((-0.005, 0.02, 0.0, 0.01), Bullish),
            ((-0.004, 0.02, 0.0, 0.012), Neutral),
            ((-0.09, 0.05, -0.12, -0.04), Panic),
            ((0.03, 0.05, -0.06, -0.03), Panic),
            ((0.01, 0.029, -0.03, -0.03), Panic),
            ((0.0, 0.028, -0.02, -0.03), Panic),
            ((0.0, 0.027, -0.01, -0.03), Neutral),
            ((-0.02, 0.02, -0.03, -0.06), Bearish),
        ];
        for (row, (figures, wanted)) in rows.into_iter().enumerate() {
            assert_eq!(machine.step(&inputs(figures), false), wanted, "row {row}: {figures:?}");
        }
    }

    /// PO-23: an alarm on the bar of the first failure ends the regime at once; opposite trends swap at once.
    #[test]
    fn an_alarm_shortens_the_patience_and_trends_swap() {
        let mut machine = RegimeMachine::default();
        machine.step(&inputs((0.01, 0.02, 0.02, 0.06)), false);
        assert_eq!(machine.step(&inputs((0.0, 0.02, 0.0, 0.01)), true), Regime::Neutral);
        machine.step(&inputs((0.01, 0.02, 0.02, 0.06)), false);
        assert_eq!(machine.step(&inputs((0.0, 0.02, -0.03, -0.06)), false), Regime::Bearish);
    }

    /// The same closes, each repeated as a whole day of bars, give the same daily figures.
    #[test]
    fn days_of_several_bars() {
        let closes: Vec<i64> = (0..120).map(|day: i64| 100_000 + day * 150 + (day * day * 37) % 900).collect();
        let (mut daily, mut split) = (RegimeEngine::new(1), RegimeEngine::new(3));
        for (day, close) in closes.iter().enumerate() {
            let wanted = daily.push(Ticks(*close));
            assert_eq!(wanted.is_some(), day >= 20, "day {day}");
            let seen = (0..3).map(|_| split.push(Ticks(*close))).collect::<Vec<_>>()[0];
            assert_eq!(seen.map(|s| (s.momentum, s.rolling_volatility)), wanted.map(|s| (s.momentum, s.rolling_volatility)));
        }
    }

    /// PO-19 on a crash of 2008's kind: a rise, a fall of 35 % within weeks, a recovery of calm.
    #[test]
    fn a_crash_passes_through_panic_and_clears() {
        let mut engine = RegimeEngine::new(1);
        let mut price = 100_000.0_f64;
        let mut seen = Vec::new();
        for day in 0..160 {
            let wobble = if day % 2 == 0 { 0.004 } else { -0.003 };
            price *= 1.0
                + match day {
                    60..=75 => {
                        if day % 3 == 0 {
                            0.04
                        } else {
                            -0.06
                        }
                    }
                    _ => 0.002 + wobble,
                };
            seen.extend(engine.push(Ticks(price as i64)).map(|state| (day, state)));
        }
        let at = |wanted: i32| seen.iter().find(|(day, _)| *day == wanted).unwrap().1;
        assert_eq!(at(59).regime, Regime::Bullish);
        assert!(
            seen.iter().any(|(day, state)| (60..90).contains(day)
                && state.regime == Regime::Panic
                && state.vol_level == VolLevel::Extreme)
        );
        assert_eq!(at(159).regime, Regime::Bullish);
        assert_eq!(at(159).tag(), RegimeTag::Trending);
    }
}
