//! Half hours of a market that rests: warm-up, and networks that learned another market's.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use tradewind_core::calendar::CalendarName;
use tradewind_core::time::Nanos;
use tradewind_features::strategic::BarPlan;
use tradewind_features::tactical::Decision;
use tradewind_features::warm_up::{Stage, WarmUp};
use tradewind_inference::testing::{following, half_hours};
use tradewind_inference::{Core, CoreError, Networks};
use tradewind_wire::config::BundleConfig;

/// A bundle of one symbol with the bars as they are by default: half hours. Synergies have more time, so that there are some.
fn half_hourly(calendar: CalendarName) -> BundleConfig {
    serde_json::from_value(serde_json::json!({
        "bundle": "0123456789ab", "policy": "indices", "feed": "default", "image": "tradewind:1",
        "instruments": [{"symbol": "SPX", "pointValue": "1", "tick": "0.01", "lot": "1", "calendar": calendar}],
        "strategic": {"decision": {"minSynergyConfidence": 0.0}, "features": {"synergy": {"windowBars": 40}}, "contextBars": 64}, "tactical": {"minSynergyConfidence": 0.0},
        "checkpoints": []
    }))
    .unwrap()
}

/// Case D12, ruling 14: half hours of an exchange, which rests at night, over weekends and holidays. Until 594 of its own
/// the reason is the warm-up with seen and needed, never a lack of synergies; from then on there are contexts, and trades.
#[test]
fn d12_an_exchange_is_warm_after_its_own_half_hours() {
    // From 2024-07-01 on: Independence Day, an early close, both changes of the clocks.
    let bars = half_hours("SPX", CalendarName::Xnys, Nanos(1_719_792_000_000_000_000), 2_000);
    assert!(bars.windows(2).any(|two| two[1].open_time_ns - two[0].close_time_ns > 60 * 3_600_000_000_000));
    let mut core = Core::new(half_hourly(CalendarName::Xnys), following()).unwrap();
    let decided: Vec<Decision> = bars.iter().map(|bar| core.decide(bar).unwrap().decision).collect();
    for (decision, seen) in decided.iter().zip(1..) {
        let warming = [(Stage::Tactical, 80), (Stage::Strategic, 594)];
        let warm_up = warming.into_iter().find_map(|(stage, needed)| WarmUp::of(stage, seen, needed));
        assert_eq!(decision.warm_up, warm_up, "bar {}", decision.index);
        assert_eq!(decision.reason == "warming_up", warm_up.is_some(), "bar {}: {}", decision.index, decision.reason);
        assert!(warm_up.is_none() || !decision.execute);
    }
    let warm = &decided[593..];
    let contexts = warm.iter().filter(|decision| decision.synergy.is_some()).count();
    let executed = warm.iter().filter(|decision| decision.execute).count();
    assert!(contexts > 100 && executed > 30, "{contexts} contexts, {executed} executed");
    // As it was found: by the clock on the wall the same bars never become warm.
    let mut core = Core::new(half_hourly(CalendarName::AroundTheClock), following()).unwrap();
    assert!(bars[..1_000].iter().all(|bar| core.decide(bar).unwrap().decision.reason == "warming_up"));
}

/// What learned half hours of one calendar is served no others.
#[test]
fn networks_of_another_calendar_are_refused() {
    let learned = |calendar| Networks { calendar: Some(calendar), ..following() };
    let mut as_fed = half_hourly(CalendarName::Xnys);
    as_fed.strategic.bars = BarPlan::AsFed;
    assert!(Core::new(half_hourly(CalendarName::Xnys), learned(CalendarName::Xnys)).is_ok());
    assert!(Core::new(as_fed.clone(), following()).is_ok());
    for (bundle, learned_by, seen) in [
        (half_hourly(CalendarName::Xnys), CalendarName::AroundTheClock, "half hours of XNYS"),
        (half_hourly(CalendarName::AroundTheClock), CalendarName::Xnys, "half hours of 24x7"),
        (as_fed, CalendarName::Xnys, "as fed"),
    ] {
        let refused = Core::new(bundle, learned(learned_by)).map(drop).unwrap_err();
        let expected =
            CoreError::Calendar { symbol: "SPX".to_owned().try_into().unwrap(), learned: learned_by, seen: seen.to_owned() };
        assert_eq!(refused, expected);
        assert!(refused.to_string().contains(&format!("learned half hours of {learned_by}")), "{refused}");
    }
}
