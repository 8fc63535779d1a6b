//! Complete and valid objects for tests, in the form of the sample manifests.

use crate::calendar::Calendar;
use crate::model_checkpoint::{CheckpointSource, ModelCheckpoint, ModelCheckpointSpec, ModelRole};
use crate::placement::{CpuMode, Placement, RolePlacement, Storage};
use crate::risk_profile::{HaltMode, Limits, RiskProfile, RiskProfileSpec};
use crate::trading_policy::{
    CanaryStep, FeedKind, FeedSpec, InstrumentSpec, ModelSource, Models, ObjectRef, PaperVenue, PolicyMode, RolloutSpec, Sizing,
    StartAt, StrategicSpec, TacticalSpec, TradingMode, TradingPolicy, TradingPolicySpec,
};
use crate::units::{Decimal, DurationText};

/// An instrument with tick 0.01, lot 1 and point value 1.
#[must_use]
pub fn instrument(symbol: &str) -> InstrumentSpec {
    InstrumentSpec {
        symbol: symbol.into(),
        point_value: Decimal::from_units(1),
        tick: Decimal::from_nanos(10_000_000),
        lot: Decimal::from_units(1),
        calendar: Calendar::default(),
    }
}

/// A policy over SPX and IXIC with everything pinned to one CPU. `checkpoint` is the tactical one; the strategic one is
/// `strategic-a`.
#[must_use]
pub fn policy(name: &str, profile: &str, checkpoint: &str) -> TradingPolicy {
    let pinned = RolePlacement { mode: CpuMode::Pinned, cpus: 1 };
    let model = |name: &str| ModelSource { checkpoint_ref: ObjectRef { name: name.into() } };
    TradingPolicy::new(
        name,
        TradingPolicySpec {
            risk_profile_ref: ObjectRef { name: profile.into() },
            feed: FeedSpec { kind: FeedKind::Replay, ..FeedSpec::default() },
            start_at: StartAt::Beginning,
            instruments: vec![instrument("SPX"), instrument("IXIC")],
            trading: TradingMode::Paper,
            mode: PolicyMode::Standard,
            models: Models { strategic: model("strategic-a"), tactical: model(checkpoint) },
            strategic: StrategicSpec::default(),
            tactical: TacticalSpec::default(),
            sizing: Sizing::default(),
            venue: PaperVenue::default(),
            rollout: RolloutSpec {
                steps: vec![CanaryStep { weight_bps: 1_000, min_bars: 200 }, CanaryStep { weight_bps: 5_000, min_bars: 400 }],
                deadline: DurationText::from_secs(900),
                ..RolloutSpec::default()
            },
            placement: Placement { inference: pinned.clone(), risk: pinned.clone(), execution: pinned },
            storage: Storage::default(),
            halt: false,
        },
    )
}

/// A profile with one million and the limits of the sample.
#[must_use]
pub fn profile(name: &str, account: &str) -> RiskProfile {
    RiskProfile::new(
        name,
        RiskProfileSpec {
            account: account.into(),
            calendar: Calendar::default(),
            starting_equity: Decimal::from_units(1_000_000),
            limits: Limits {
                max_order_notional: Decimal::from_units(250_000),
                max_position_notional: Decimal::from_units(500_000),
                max_gross_exposure_bps: 15_000,
                daily_loss_bps: 300,
                max_drawdown_bps: 2_000,
                max_orders_per_minute: 600,
                price_collar_bps: 500,
                max_data_age: DurationText::from_secs(5),
            },
            halt: false,
            acknowledge_halt: String::new(),
            halt_mode: HaltMode::ReduceOnly,
            approved_loosening: String::new(),
            loosening_soak: DurationText::from_secs(600),
            acknowledge_breaker: String::new(),
            placement: None,
            storage: Storage::default(),
        },
    )
}

/// A tactical checkpoint whose digest repeats one hex digit.
#[must_use]
pub fn checkpoint(name: &str, digit: char) -> ModelCheckpoint {
    checkpoint_of(ModelRole::Tactical, name, digit)
}

/// A strategic checkpoint whose digest repeats one hex digit.
#[must_use]
pub fn strategic_checkpoint(name: &str, digit: char) -> ModelCheckpoint {
    checkpoint_of(ModelRole::Strategic, name, digit)
}

fn checkpoint_of(role: ModelRole, name: &str, digit: char) -> ModelCheckpoint {
    ModelCheckpoint::new(
        name,
        ModelCheckpointSpec {
            role,
            source: CheckpointSource {
                uri: format!("http://checkpoints.trading.svc/{name}.safetensors"),
                sha256: digit.to_string().repeat(64),
            },
        },
    )
}
