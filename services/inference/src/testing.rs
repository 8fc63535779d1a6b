//! Networks and constants with which the whole path acts within two hundred bars: for tests.

use tradewind_core::calendar::CalendarName;
use tradewind_core::time::Nanos;
use tradewind_features::strategic::decision::{self, DecisionConfig, ModelParameters, StrategicNetwork};
use tradewind_features::strategic::{
    BarPlan, COLUMNS, CONTEXT, KernelConfig, MlmiConfig, MmdConfig, ProfileConfig, StrategicConfig, StrategicStageConfig,
    SynergyConfig,
};
use tradewind_features::tactical::{Logits, Matrix, Network, NetworkError};
use tradewind_wire::v1;

use crate::networks::Networks;

const NANOS_PER_DAY: i64 = 86_400_000_000_000;
const HALF_HOUR: i64 = 1_800_000_000_000;

/// The strategic stage with short windows and low thresholds: ready after 98 bars as fed, with an event every thirty or so
/// of [`daily_bars`].
#[must_use]
pub fn swift_stage() -> StrategicStageConfig {
    let features = StrategicConfig {
        mlmi: MlmiConfig {
            fast_rsi: 3,
            slow_rsi: 5,
            smoothing: 3,
            fast_average: 3,
            slow_average: 10,
            signal_average: 3,
            neighbours: 3,
            examples: 100,
        },
        kernel: KernelConfig { window: 5, ..KernelConfig::default() },
        profile: ProfileConfig { bars: 10, ..ProfileConfig::default() },
        mmd: MmdConfig { recent: 4, reference: 8, volume_bars: 2 },
        synergy: SynergyConfig {
            window_bars: 40,
            cooldown_bars: 0,
            mlmi_distance: 0.0,
            slope: 0.0,
            slope_wait_bars: 5,
            gap_share: 0.0,
            ..SynergyConfig::default()
        },
        ..StrategicConfig::default()
    };
    let decision = DecisionConfig { min_synergy_confidence: 0.0, ..DecisionConfig::default() };
    StrategicStageConfig { bars: BarPlan::AsFed, features, decision, context_bars: 64, ..StrategicStageConfig::default() }
}

/// Agrees with every synergy.
struct Agree;

impl StrategicNetwork for Agree {
    fn logits(&mut self, _: &[[f32; COLUMNS]], context: &[f64; CONTEXT]) -> Result<decision::Logits, NetworkError> {
        let bullish = if context[1] > 0.0 { 8.0 } else { -8.0 };
        Ok([[bullish, 0.0, -bullish]; 3])
    }
}

/// Follows the five-bar momentum.
struct Follow;

impl Network for Follow {
    fn logits(&mut self, matrix: &Matrix) -> Result<Logits, NetworkError> {
        let up = 8.0 * matrix[59][5].signum();
        Ok([[up, 0.0, -up], [up, 0.0, -up], [0.0, 8.0, 0.0]])
    }
}

/// Strategic networks that agree with every synergy, tactical ones that follow the momentum of five bars.
#[must_use]
pub fn following() -> Networks {
    Networks { strategic: Box::new(Agree), parameters: ModelParameters::default(), calendar: None, tactical: Box::new(Follow) }
}

/// Made-up daily bars of a symbol: swings with steps and jumps, so that gaps open and are filled. Symbols differ.
#[must_use]
#[allow(clippy::cast_possible_wrap, clippy::cast_precision_loss, clippy::cast_possible_truncation)]
pub fn daily_bars(symbol: &str, count: u64) -> Vec<v1::Bar> {
    let mut seed: u64 = symbol.bytes().fold(11, |seed, byte| seed * 31 + u64::from(byte));
    let (mut price, mut bars) = (100_000_i64, Vec::new());
    for index in 0..count {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let chance = |shift: u32, range: u64| ((seed >> shift) % range) as i64;
        let (open, wave) = (price, (400.0 * (index as f64 / 6.0).sin()) as i64);
        let jump = if chance(45, 3) == 0 { chance(33, 2_401) - 1_200 } else { 0 };
        price = (price + chance(20, 901) - 450 + wave + jump).max(10_000);
        let nanos = |cents: i64| cents * 10_000_000;
        let (high, low) = (open.max(price) + chance(50, 20), open.min(price) - chance(55, 20));
        bars.push(v1::Bar {
            symbol: symbol.to_owned(),
            index,
            open_time_ns: index as i64 * NANOS_PER_DAY,
            close_time_ns: (index as i64 + 1) * NANOS_PER_DAY,
            open_nanos: nanos(open),
            high_nanos: nanos(high),
            low_nanos: nanos(low),
            close_nanos: nanos(price),
            volume: 1000.0 + chance(25, 50) as f64 * 20.0,
        });
    }
    bars
}

/// The prices of [`daily_bars`] as half hours of the sessions of a calendar, from the first that opens after `from` on.
#[must_use]
#[allow(clippy::cast_sign_loss, clippy::cast_possible_truncation)]
pub fn half_hours(symbol: &str, calendar: CalendarName, from: Nanos, count: u64) -> Vec<v1::Bar> {
    let sessions = std::iter::successors(calendar.calendar().next_session(from), |session| {
        calendar.calendar().next_session(Nanos(session.close.0.saturating_sub(1)))
    });
    let opens = sessions.flat_map(|session| (session.open.0..session.close.0).step_by(HALF_HOUR as usize));
    let at = |(bar, open): (v1::Bar, i64)| v1::Bar { open_time_ns: open, close_time_ns: open + HALF_HOUR, ..bar };
    daily_bars(symbol, count).into_iter().zip(opens).map(at).collect()
}
