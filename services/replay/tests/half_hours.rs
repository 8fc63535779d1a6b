//! Case D12 from the recording to the orders: half hours of an exchange, a policy whose stages are as they are by default, and
//! networks that were trained on the half hours of the same calendar.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use tradewind_core::calendar::CalendarName;
use tradewind_core::time::Nanos;
use tradewind_crds::{RiskProfile, TradingPolicy, samples};
use tradewind_features::strategic::BarPlan;
use tradewind_features::warm_up::{Stage, WarmUp};
use tradewind_inference::testing::half_hours;
use tradewind_inference::{CoreError, Networks};
use tradewind_nets::architecture::Role;
use tradewind_nets::checkpoint::{Checkpoint, Manifest, sha256, write};
use tradewind_nets::spoil::overtrader;
use tradewind_nets::{StrategicPolicies, TacticalNetwork, golden};
use tradewind_policy::Entry;
use tradewind_replay::{MemoryJournals, Pipeline, PipelineError, Served, Setup};
use tradewind_train::bars::Series;
use tradewind_train::strategic::outcome::Judgement;
use tradewind_train::strategic::{fit, samples as lessons};
use tradewind_wire::convert::bar_from_wire;
use tradewind_wire::v1;

/// Bars before the first tactical matrix (TA-7).
const TACTICAL: u64 = 80;
/// Half hours before the first strategic one (ST-18).
const NEEDED: u64 = 594;
/// 2024-01-01: over both changes of the clocks, all holidays and early closes of New York.
const FROM: Nanos = Nanos(1_704_067_200_000_000_000);
const BARS: u64 = 2_600;

/// One instrument; what the bars are is left to the default. Synergies may be weaker and are the context for longer, so that
/// a year has some to trade on.
fn manifests(calendar: &str) -> (TradingPolicy, RiskProfile) {
    let (mut policy, mut profile) = (samples::policy("indices", "main", "tactical-a"), samples::profile("main", "paper-1"));
    policy.spec.instruments.truncate(1);
    policy.spec.instruments[0].calendar = serde_json::from_value(calendar.into()).unwrap();
    profile.spec.calendar = policy.spec.instruments[0].calendar;
    (policy.spec.strategic.synergy_window_bars, policy.spec.strategic.context_bars) = (40, 64);
    policy.spec.strategic.min_synergy_confidence_bps = 1_000;
    policy.spec.strategic.confidence_threshold_bps = 5_001;
    (policy, profile)
}

fn setup(calendar: &str) -> Setup {
    let (policy, profile) = manifests(calendar);
    let digest = "0".repeat(64);
    let served = Served { bundle: "0123456789ab", strategic_sha256: &digest, tactical_sha256: &digest };
    Setup::new(&policy, &profile, served).unwrap()
}

/// Networks of a strategic checkpoint and of a tactical one that acts whenever it may.
fn networks(strategic: &Checkpoint) -> Networks {
    let file = write(strategic).unwrap();
    let strategic = StrategicPolicies::from_bytes(&file, &sha256(&file)).unwrap();
    let file = write(&overtrader().unwrap()).unwrap();
    Networks::new(strategic, TacticalNetwork::from_bytes(&file, &sha256(&file)).unwrap())
}

/// The same, the strategic one trained on the bars of a setup.
fn trained(setup: &Setup, calendar: CalendarName, bars: &[v1::Bar]) -> Networks {
    let instrument = setup.execution.instruments[0].clone();
    let bars = bars.iter().map(|bar| bar_from_wire(bar, &instrument).unwrap()).collect();
    let series = [Series { instrument, calendar, bars }];
    // Nothing is earned by standing aside: what is asked is whether decisions are acted on, not what they are worth.
    let judgement = Judgement { hold_reward: 0.0, ..Judgement::default() };
    let samples = lessons::collect(&series, &setup.bundle.strategic, Nanos(i64::MAX), &judgement, 1).unwrap();
    assert_eq!(samples.len() as u64, BARS - (NEEDED - 1) - 10, "every warm half hour whose outcome is known");
    let fitted = fit::fit(&samples, 1, 60, |_, _| {}).unwrap();
    let manifest = Manifest { training_data_digest: "0".repeat(64), calendar: Some(calendar), ..fit::manifest() };
    networks(&fit::checkpoint(manifest, fitted.weights, 8).unwrap())
}

fn replayed(setup: &Setup, networks: Networks, bars: &[v1::Bar]) -> Vec<Entry> {
    let journals = MemoryJournals::default();
    let mut pipeline = Pipeline::open(setup, networks, journals.handles()).unwrap();
    (1..).zip(bars).for_each(|(sequence, bar)| drop(pipeline.take(sequence, bar).unwrap()));
    journals.decisions.records()
}

/// Ruling 14: until 594 half hours of its own the reason is the warm-up, with seen and needed; from then on decisions are
/// acted on, over every night, weekend, holiday and change of the clocks.
#[test]
fn d12_an_exchange_is_traded_after_its_warm_up() {
    let setup = setup("XNYS");
    assert_eq!(setup.bundle.strategic.bars, BarPlan::HalfHours);
    let bars = half_hours("SPX", CalendarName::Xnys, FROM, BARS);
    let entries = replayed(&setup, trained(&setup, CalendarName::Xnys, &bars), &bars);
    assert_eq!(entries.len() as u64, BARS);
    for (entry, seen) in entries.iter().zip(1..) {
        let warming = [(Stage::Tactical, TACTICAL), (Stage::Strategic, NEEDED)];
        let warm_up = warming.into_iter().find_map(|(stage, needed)| WarmUp::of(stage, seen, needed));
        let record = &entry.record;
        assert_eq!(record.decision.warm_up, warm_up, "bar {seen}");
        assert_eq!(record.decision.reason == "warming_up", warm_up.is_some(), "bar {seen}: {}", record.decision.reason);
        if warm_up.is_some() {
            assert!(record.trade.is_none() && record.reason == "warming_up", "bar {seen}: {}", record.reason);
        }
    }
    let warm = &entries[NEEDED as usize - 1..];
    let events = warm.iter().filter(|entry| entry.record.strategic.is_some()).count();
    let proceeding = |entry: &&Entry| entry.record.strategic.as_ref().is_some_and(|one| one.decision.should_proceed);
    let proceeding = warm.iter().filter(proceeding).count();
    let contexts = warm.iter().filter(|entry| entry.record.decision.synergy.is_some()).count();
    let trades = warm.iter().filter(|entry| entry.record.trade.is_some()).count();
    let shown = format!("{events} events, {proceeding} proceed, {contexts} bars with a context, {trades} trades");
    println!("{shown}");
    assert!(events > 10 && proceeding > 5 && contexts > 100 && trades > 5, "{shown}");
    assert!(entries.last().unwrap().record.account.equity != setup.trading.starting_equity, "orders were filled");
}

/// What learned half hours of New York is not served those of a market around the clock.
#[test]
fn networks_of_another_calendar_are_refused() {
    let mut checkpoint = golden::checkpoint(Role::Strategic.stage()).unwrap();
    checkpoint.manifest.calendar = Some(CalendarName::Xnys);
    let open = |calendar| Pipeline::open(&setup(calendar), networks(&checkpoint), MemoryJournals::default().handles()).map(drop);
    open("XNYS").unwrap();
    let refused = open("24x7").unwrap_err();
    assert!(matches!(refused, PipelineError::Inference(CoreError::Calendar { learned: CalendarName::Xnys, .. })), "{refused}");
}
