//! From bars to what an agent learns from: a matrix, and the reward of each of its three actions.

use tradewind_core::bar::Bar;
use tradewind_core::time::Nanos;
use tradewind_features::tactical::{FeatureError, FeatureState, Matrix, RawRow, TacticalConfig, momentum_rule};
use tradewind_venue::fills::FillModel;

use super::reward::{self, Outcome};
use crate::bars::Series;
use crate::holding::{COSTS, net_return};

/// How outcomes are judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgement {
    /// Bars that a position is held.
    pub horizon: usize,
    /// Bars that an aggressive entry is judged over: it claims that the move comes at once.
    pub aggressive_horizon: usize,
    /// Notional of the position behind `pnl_usd`.
    pub notional: f64,
    /// Equity behind the position risk.
    pub equity: f64,
    /// Spread and fees of a position.
    pub costs: FillModel,
    /// What doing nothing earns. Every trade earns a bonus of 0.1 for its small slippage and an aligned one 0.2
    /// more, so at 0 the networks would always trade; 0.22 makes them act on a fifth of the bars or less.
    pub hold_reward: f64,
}

impl Default for Judgement {
    fn default() -> Self {
        Self { horizon: 5, aggressive_horizon: 2, notional: 10_000.0, equity: 100_000.0, costs: COSTS, hold_reward: 0.22 }
    }
}

/// One bar to learn from.
#[derive(Debug, Clone)]
pub struct Sample {
    /// What the networks see.
    pub matrix: Matrix,
    /// Reward of each action of fvg, momentum, entry.
    pub rewards: [[f32; 3]; 3],
}

/// Samples of all bars that close after `from` and whose outcome is known before `until`.
///
/// # Errors
/// When a bar is impossible.
pub fn collect(series: &[Series], from: Nanos, until: Nanos, judgement: &Judgement) -> Result<Vec<Sample>, FeatureError> {
    let config = TacticalConfig::default();
    let mut samples = Vec::new();
    for one in series {
        let mut features = FeatureState::new(&config);
        for (now, bar) in one.bars.iter().enumerate() {
            features.push(bar)?;
            let Some(outcome_bar) = one.bars.get(now + judgement.horizon) else { break };
            if bar.close_time < from || outcome_bar.close_time > until {
                continue;
            }
            let (Some(matrix), Some(snapshot)) = (features.matrix(bar.index), features.snapshot(bar.index)) else { continue };
            let scene = Scene {
                bars: &one.bars[now..],
                raw: &snapshot.raw,
                atr_ticks: snapshot.atr_ticks,
                tick: one.instrument.tick.to_f64(),
                config: &config,
                judgement,
            };
            let Some(rewards) = scene.rewards() else { break };
            samples.push(Sample { matrix: *matrix, rewards });
        }
    }
    Ok(samples)
}

/// A bar, what came after it, and how it is judged.
struct Scene<'a> {
    /// The deciding bar first.
    bars: &'a [Bar],
    raw: &'a RawRow,
    atr_ticks: Option<f64>,
    /// Price units per tick.
    tick: f64,
    config: &'a TacticalConfig,
    judgement: &'a Judgement,
}

impl Scene<'_> {
    /// `None` when the last bar of the horizon is not there yet.
    fn rewards(&self) -> Option<[[f32; 3]; 3]> {
        let hold = self.judgement.hold_reward;
        let horizon = self.judgement.horizon;
        let [long, short] = [self.outcome(1.0, horizon)?, self.outcome(-1.0, horizon)?];
        let followed = momentum_rule(self.raw, self.config).map(|synergy| f64::from(synergy.direction));
        // The entry agent times the direction that the others are expected to take.
        let [execute, aggressive] = match followed {
            Some(side) => {
                let soon = self.outcome(side, self.judgement.aggressive_horizon)?;
                [reward::base(if side > 0.0 { &long } else { &short }), reward::base(&soon)]
            }
            None => [0.0; 2],
        };
        let rewards = [
            [self.fvg(&long), hold, self.fvg(&short)],
            [self.momentum(&long, 1.0), hold, self.momentum(&short, -1.0)],
            [hold, execute, aggressive],
        ];
        Some(rewards.map(|agent| agent.map(|value| value as f32)))
    }

    fn fvg(&self, outcome: &Outcome) -> f64 {
        let open_gap = self.raw.fvg_bullish_active || self.raw.fvg_bearish_active;
        let distance = open_gap.then(|| (self.raw.fvg_nearest_level - self.bars[0].close.0).abs() as f64 * self.tick);
        reward::fvg(outcome, distance, self.raw.fvg_mitigation_signal && outcome.pnl_usd > 0.0)
    }

    fn momentum(&self, outcome: &Outcome, side: f64) -> f64 {
        let alignment = side * (self.raw.price_momentum_5 / 5.0).tanh();
        reward::momentum(outcome, alignment, 0.0)
    }

    /// A position held for so many bars; `None` when the last of them is not there yet.
    fn outcome(&self, side: f64, bars: usize) -> Option<Outcome> {
        let judgement = self.judgement;
        let synergy = momentum_rule(self.raw, self.config);
        let stop = self.atr_ticks.map(|atr| self.config.stop_atr_multiple * atr / self.bars[0].close.0 as f64);
        Some(Outcome {
            pnl_usd: judgement.notional * net_return(self.bars, 0, bars, side, &judgement.costs)?,
            synergy_aligned: synergy.is_some_and(|synergy| {
                synergy.confidence >= self.config.min_synergy_confidence && f64::from(synergy.direction) == side
            }),
            position_risk_pct: stop.map(|fraction| 100.0 * fraction * judgement.notional / judgement.equity),
            slippage_pct: Some(f64::from(judgement.costs.spread_bps) / 2.0 / 100.0),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use tradewind_core::calendar::CalendarName;
    use tradewind_core::instrument::{Instrument, Symbol, Ticks};
    use tradewind_core::money::Money;

    /// Bars that rise by one percent a day.
    fn rising(count: usize) -> Series {
        let instrument = Instrument::new(
            Symbol::try_from("UP".to_owned()).unwrap(),
            Money::from_nanos(10_000_000),
            Money::from_units(1),
            Money::from_units(1),
        );
        let price = |i: usize| Ticks((100_000.0 * 1.01f64.powi(i as i32)) as i64);
        let day = 86_400_000_000_000;
        let bars = (0..count).map(|i| Bar {
            index: i as u64,
            open_time: Nanos(i as i64 * day),
            close_time: Nanos((i as i64 + 1) * day),
            open: price(i),
            high: price(i + 1),
            low: price(i),
            close: price(i + 1),
            volume: 1000.0,
        });
        Series { instrument: instrument.unwrap(), calendar: CalendarName::default(), bars: bars.collect() }
    }

    #[test]
    fn in_a_rising_market_long_earns_and_short_loses() {
        let samples = collect(&[rising(120)], Nanos(0), Nanos(i64::MAX), &Judgement::default()).unwrap();
        assert_eq!(samples.len(), 120 - 79 - 5, "80 bars of warm-up, 5 bars of outcome");
        for sample in samples {
            let [fvg, momentum, entry] = sample.rewards;
            assert!(fvg[0] > fvg[1] && fvg[1] > fvg[2], "{fvg:?}");
            assert!(momentum[0] > momentum[1] && momentum[1] > momentum[2], "{momentum:?}");
            assert!(entry[1] > entry[0], "{entry:?}");
        }
    }

    /// What happens after `until` cannot be learnt from.
    #[test]
    fn outcomes_end_before_the_report_begins() {
        let series = [rising(200)];
        let until = series[0].bars[149].close_time;
        let samples = collect(&series, Nanos(0), until, &Judgement::default()).unwrap();
        assert_eq!(samples.len(), 150 - 79 - 5);
        let mut changed = series.clone();
        changed[0].bars.truncate(150);
        let without = collect(&changed, Nanos(0), Nanos(i64::MAX), &Judgement::default()).unwrap();
        assert_eq!(without.iter().map(|s| s.rewards).collect::<Vec<_>>(), samples.iter().map(|s| s.rewards).collect::<Vec<_>>());
    }
}
