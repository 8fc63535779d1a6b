//! From bars to what a strategic policy learns from: its inputs, and the reward of each of its three actions.

use crate::strategic::learning::{Outcome, PnlScale, Reward, RewardConfig};
use tradewind_core::time::Nanos;
use tradewind_features::strategic::decision::{Action, volatility_adjustment};
use tradewind_features::strategic::{
    COLUMNS, CONTEXT, CheckedMatrix, EventStream, SharedContext, StageConfigError, StrategicFeatureError, StrategicStageConfig,
};

use super::outcome::Judgement;
use crate::bars::Series;
use crate::dice::Dice;

/// Stream of the numbers that contexts are drawn from; the number of the series is added.
const CONTEXT_STREAM: u64 = 200;
/// Deviation of profits, in ATR, until 20 are known (ST-107).
const PRIOR_DEVIATION: f64 = 2.0;

/// Why there are no samples.
#[derive(Debug, thiserror::Error)]
pub enum SamplesError {
    /// The configuration is refused.
    #[error(transparent)]
    Stage(#[from] StageConfigError),
    /// A bar is impossible.
    #[error(transparent)]
    Bar(#[from] StrategicFeatureError),
}

/// One bar to learn from.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Input of the stage: pooled columns, then the shared context (ST-9, ST-10).
    pub input: [f32; COLUMNS + CONTEXT],
    /// Factor on the regime agent's logits (ST-47).
    pub adjustment: f32,
    /// Rewards of bullish, neutral, bearish; all agents share them.
    pub rewards: [f32; 3],
    /// Net profit of a long position over the running deviation of such profits (ST-118).
    pub long_outcome: f64,
}

/// Samples of all bars that complete a row of the stage's plan and have a matrix, and whose outcome is known by `until`.
///
/// The synergy of a sample is the event that its bar completes; on all other bars it is drawn, because networks are asked on the
/// bar of an event only, and a few dozen of those in ten years teach nothing.
///
/// # Errors
/// [`SamplesError`].
pub fn collect(
    series: &[Series],
    stage: &StrategicStageConfig,
    until: Nanos,
    judgement: &Judgement,
    seed: u64,
) -> Result<Vec<Sample>, SamplesError> {
    let mut samples = Vec::new();
    for (stream, one) in (CONTEXT_STREAM..).zip(series) {
        let mut dice = Dice::new(seed, stream);
        let mut events = EventStream::new(stage, one.calendar)?;
        let Some(mut scale) = PnlScale::new(PRIOR_DEVIATION) else { continue };
        for (now, bar) in one.bars.iter().enumerate() {
            let known = events.features().next_index();
            let event = events.push(bar)?;
            let Some(outcome_bar) = one.bars.get(now + judgement.horizon) else { break };
            if outcome_bar.close_time > until {
                break;
            }
            let features = events.features();
            // A bar within a half hour completes no row.
            let Some(newest) = (known..features.next_index()).next_back() else { continue };
            let (Some(matrix), Some(snapshot)) = (features.matrix(newest), features.snapshot(newest)) else { continue };
            let Some(atr) = snapshot.readings.atr.filter(|atr| *atr > 0.0) else { continue };
            let drawn = || ((dice.signed() + 1.0) / 2.0, if dice.below(2) == 0 { 1 } else { -1 });
            let synergy = event.map_or_else(drawn, |event| (event.confidence, event.direction));
            let volatility = snapshot.readings.volatility.map(|volatility| volatility.ratio);
            let context = SharedContext::new(Some(synergy), volatility, bar.close_time);
            let Ok(matrix) = CheckedMatrix::new(matrix.as_flattened(), COLUMNS, stage.decision.matrix) else { continue };
            let in_atr = bar.close.0 as f64 / atr;
            let net = |side: f64| judgement.net_return(&one.bars, now, side).map(|net| net * in_atr);
            let (Some(long), Some(short)) = (net(1.0), net(-1.0)) else { continue };
            let Some(rewards) = rewards(synergy, [long, 0.0, short], &scale, judgement.hold_reward) else { continue };
            samples.push(Sample {
                input: input(&matrix.pooled(), &context.values),
                adjustment: volatility_adjustment(context.volatility) as f32,
                rewards: rewards.map(|reward| reward as f32),
                long_outcome: long / scale.deviation(),
            });
            // Only a scale: that it knows a profit some bars early tells the networks nothing.
            scale.push(long);
        }
    }
    Ok(samples)
}

/// Profit and agreement with the synergy (ST-105); entropy is the objective's business, and one sample has no drawdown.
fn rewards((confidence, direction): (f64, i8), profits: [f64; 3], scale: &PnlScale, hold: f64) -> Option<[f64; 3]> {
    let mut rewards = [0.0; 3];
    for ((reward, action), pnl) in rewards.iter_mut().zip(Action::ALL).zip(profits) {
        let (synergy_confidence, synergy_direction) = (confidence, direction);
        let outcome = Outcome { pnl, drawdown: 0.0, synergy_confidence, synergy_direction, action, mean_entropy: 0.0 };
        let extra = if action == Action::Neutral { hold } else { 0.0 };
        *reward = Reward::new(&outcome, scale, &RewardConfig::default())?.trading() + extra;
    }
    Some(rewards)
}

fn input(pooled: &[f64; COLUMNS], context: &[f64; CONTEXT]) -> [f32; COLUMNS + CONTEXT] {
    let mut input = [0.0; COLUMNS + CONTEXT];
    input.iter_mut().zip(pooled.iter().chain(context)).for_each(|(into, value)| *into = *value as f32);
    input
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use tradewind_core::bar::Bar;
    use tradewind_core::calendar::CalendarName;
    use tradewind_core::instrument::{Instrument, Symbol, Ticks};
    use tradewind_core::money::Money;
    use tradewind_features::strategic::BarPlan;

    use super::*;

    /// Bars whose price swings by a tenth every 120 bars.
    pub(crate) fn swinging(count: usize) -> Series {
        let cent = Money::from_nanos(10_000_000);
        let symbol = Symbol::try_from("SWING".to_owned()).unwrap();
        let instrument = Instrument::new(symbol, cent, Money::from_units(1), Money::from_units(1)).unwrap();
        let price = |i: usize| (100_000.0 * (1.0 + 0.1 * (i as f64 * std::f64::consts::TAU / 120.0).sin())).round() as i64;
        let day = 86_400_000_000_000;
        let bar = |i: usize| Bar {
            index: i as u64,
            open_time: Nanos(i as i64 * day),
            close_time: Nanos((i as i64 + 1) * day),
            open: Ticks(price(i)),
            high: Ticks(price(i).max(price(i + 1)) + 100),
            low: Ticks(price(i).min(price(i + 1)) - 100),
            close: Ticks(price(i + 1)),
            volume: 1000.0 + (i % 7) as f64,
        };
        Series { instrument, calendar: CalendarName::default(), bars: (0..count).map(bar).collect() }
    }

    /// The same prices as bars of so many minutes in the sessions of a calendar, from summer 2024 on: over holidays, early
    /// closes and both changes of the clocks.
    pub(crate) fn intraday(calendar: CalendarName, minutes: i64, count: usize) -> Series {
        let length = minutes * 60_000_000_000;
        let next = |from| calendar.calendar().next_session(from);
        let sessions = std::iter::successors(next(Nanos(1_719_792_000_000_000_000)), |session| next(Nanos(session.close.0 - 1)));
        let opens = sessions.flat_map(|session| (session.open.0..session.close.0).step_by(length as usize));
        let mut series = Series { calendar, ..swinging(count) };
        for (bar, open) in series.bars.iter_mut().zip(opens) {
            (bar.open_time, bar.close_time) = (Nanos(open), Nanos(open + length));
        }
        series
    }

    pub(crate) fn samples(series: &[Series], until: Nanos, seed: u64) -> Vec<Sample> {
        let stage = StrategicStageConfig { bars: BarPlan::AsFed, ..StrategicStageConfig::default() };
        collect(series, &stage, until, &Judgement::default(), seed).unwrap()
    }

    /// ST-18, ST-10, ST-105: one sample for each bar with a matrix and an outcome; the drawn context is one; profits decide.
    #[test]
    fn samples_of_a_swinging_market() {
        let samples = samples(&[swinging(800)], Nanos(i64::MAX), 1);
        assert_eq!(samples.len(), 800 - 593 - 10, "593 bars without a matrix, 10 bars of outcome");
        for sample in &samples {
            let [confidence, direction] = [sample.input[COLUMNS], sample.input[COLUMNS + 1]];
            assert!((0.0..=1.0).contains(&confidence) && direction.abs() == 1.0, "{:?}", sample.input);
            let [bullish, neutral, bearish] = sample.rewards;
            let long = (sample.long_outcome / 2.0).tanh() as f32;
            assert!((bullish - long - 0.2 * confidence * f32::from(direction > 0.0)).abs() < 1e-6, "{sample:?}");
            assert!(bullish + bearish - 0.2 * confidence < 0.0, "both directions pay costs: {sample:?}");
            assert!((neutral - 0.02 - 0.1 * confidence).abs() < 1e-6, "{sample:?}");
        }
        let bullish = samples.iter().filter(|sample| sample.input[COLUMNS + 1] > 0.0).count();
        assert!((70..130).contains(&bullish), "{bullish} of {} contexts are bullish", samples.len());
    }

    /// ST-18, D12: half hours are counted by the calendar of the series. By the clock on the wall there is nothing to learn from
    /// an exchange; faster bars give one sample for each half hour that they complete.
    #[test]
    fn half_hours_are_those_of_the_calendar() {
        let stage = StrategicStageConfig::default();
        let count = |series: &Series| {
            collect(std::slice::from_ref(series), &stage, Nanos(i64::MAX), &Judgement::default(), 1).unwrap().len()
        };
        let exchange = intraday(CalendarName::Xnys, 30, 2_000);
        assert_eq!(count(&exchange), 2_000 - 593 - 10);
        assert_eq!(count(&Series { calendar: CalendarName::AroundTheClock, ..exchange }), 0);
        assert_eq!(count(&intraday(CalendarName::AroundTheClock, 30, 800)), 800 - 593 - 10);
        // The outcome of the last half hours is not known: ten bars of five minutes are less than two of them.
        assert_eq!(count(&intraday(CalendarName::Xnys, 5, 6 * 700)), 700 - 593 - 2);
    }

    /// What happens after `until` cannot be learnt from.
    #[test]
    fn outcomes_end_before_the_report_begins() {
        let whole = swinging(760);
        let until = whole.bars[699].close_time;
        let mut cut = whole.clone();
        cut.bars.truncate(700);
        let seen = samples(&[whole], until, 1);
        assert_eq!(seen.len(), 700 - 593 - 10);
        assert_eq!(seen, samples(&[cut], Nanos(i64::MAX), 1));
    }
}
