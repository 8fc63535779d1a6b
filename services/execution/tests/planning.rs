//! Execution plans: the actors propose, every bound lowers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;
use tradewind_core::instrument::{Instrument, Lots, Ticks};
use tradewind_core::money::Money;
use tradewind_core::side::Side;
use tradewind_execution::planning::{
    ActorOutputs, ExecutionPlan, NoPlan, PlanConfig, PlanRequest, SIZES, SizeBound, Strategy as Algorithm, plan,
};

fn usd(text: &str) -> Money {
    text.parse().unwrap()
}

/// A future with ticks of 0.25 and this many USD per point.
fn future(point_value: &str) -> Instrument {
    Instrument::new("ES".to_owned().try_into().unwrap(), usd("0.25"), usd("1"), usd(point_value)).unwrap()
}

/// The trade of EX-V12: long at 4150.25, a range of 2.5 points.
fn request(instrument: &Instrument) -> PlanRequest<'_> {
    PlanRequest {
        instrument,
        side: Some(Side::Long),
        confidence: 0.8,
        price: Ticks(16_601),
        atr_ticks: Some(10.0),
        equity: Some(usd("100000")),
        payoff_ratio: 2.0,
        volatility: 0.015,
        daily_volume: 50_000.0,
        room: 10,
        urgency: 1.0,
        risk_tolerance: 1.0,
    }
}

fn outputs(size: usize, strategy: usize) -> ActorOutputs {
    let (mut sizing, mut timing) = ([0.1; 5], [0.1; 4]);
    (sizing[size], timing[strategy]) = (0.6, 0.7);
    ActorOutputs { sizing, timing, stop_multiplier: 1.8, target_multiplier: 3.2 }
}

fn made(request: &PlanRequest<'_>, outputs: &ActorOutputs) -> Result<ExecutionPlan, NoPlan> {
    plan(request, outputs, &PlanConfig::default())
}

/// EX-V12: levels at neutral tolerance; EX-32: everything that a plan says.
#[test]
fn the_plan_of_the_sample_trade() {
    let micro = future("5");
    let plan = made(&request(&micro), &outputs(3, 1)).unwrap();
    assert_eq!((plan.levels.stop, plan.levels.target), (Ticks(4 * 4145 + 3), Ticks(4 * 4158 + 1)), "4145.75 and 4158.25");
    assert_eq!((plan.lots, plan.bound, plan.strategy), (Lots(3), SizeBound::Policy, Algorithm::Twap5Min));
    assert_eq!((plan.stop_multiplier, plan.target_multiplier, plan.urgency), (1.8, 3.2, 1.0));
    assert!((plan.expected_impact_bps - 0.914_340_121).abs() < 1e-8, "EX-V5: three contracts over 300 s");
    // 2 % of 100000 over 18 ticks of 1.25 USD.
    assert_eq!(plan.kelly_contracts, 88);
    let short = made(&PlanRequest { side: Some(Side::Short), ..request(&micro) }, &outputs(3, 0)).unwrap();
    assert_eq!((short.lots, short.levels.stop, short.levels.target), (Lots(-3), Ticks(16_619), Ticks(16_569)), "C-13");
    let json = serde_json::to_value(&plan).unwrap();
    assert_eq!(
        (json["bound"].as_str(), json["strategy"].as_str(), json["stop"].as_i64()),
        (Some("policy"), Some("TWAP_5MIN"), Some(16_583))
    );
    assert_eq!(serde_json::from_value::<ExecutionPlan>(json).unwrap(), plan);
}

/// EX-31, C-11: tolerance moves both distances within the actor's box.
#[test]
fn tolerance_moves_stop_and_target() {
    let micro = future("5");
    let distances = |tolerance, stop_multiplier, target_multiplier| {
        let outputs = ActorOutputs { stop_multiplier, target_multiplier, ..outputs(1, 0) };
        let plan = made(&PlanRequest { risk_tolerance: tolerance, ..request(&micro) }, &outputs).unwrap();
        (plan.stop_multiplier, plan.target_multiplier)
    };
    assert_eq!(distances(0.5, 1.8, 3.2), (0.9, 3.2 * 1.5));
    assert_eq!(distances(2.0, 1.0, 3.2), (2.0, 1.6), "the factor is at least a half");
    assert_eq!(distances(2.0, 3.0, 1.5), (3.0, 1.0), "both held at the border");
    assert_eq!(distances(0.5, 0.6, 5.0), (0.5, 5.0));
}

/// EX-37, C-16: the least of policy, Kelly, cap and room, and its name.
#[test]
fn the_least_bound_decides() {
    let (micro, mini) = (future("5"), future("50"));
    let of = |request: PlanRequest<'_>| made(&request, &outputs(4, 0)).map(|plan| (plan.lots.0, plan.bound));
    assert_eq!(of(request(&micro)), Ok((5, SizeBound::Policy)));
    assert_eq!(of(PlanRequest { room: 2, ..request(&micro) }), Ok((2, SizeBound::Limits)));
    // 2000 USD over 18 ticks of 12.50; 300 USD over the same.
    assert_eq!(of(PlanRequest { equity: Some(usd("40000")), ..request(&mini) }), Ok((3, SizeBound::Kelly)));
    let config = PlanConfig { max_contracts: 1, ..PlanConfig::default() };
    let capped = plan(&request(&micro), &outputs(4, 0), &config).unwrap();
    assert_eq!((capped.lots.0, capped.bound), (1, SizeBound::PerTrade));
    // C-17: a stop nearer than two points counts as two points.
    let near = made(&PlanRequest { atr_ticks: Some(1.0), equity: Some(usd("5000")), ..request(&mini) }, &outputs(1, 0)).unwrap();
    assert_eq!(near.kelly_contracts, 1);
}

/// EX-9, EX-10, EX-33, EX-35, C-14: what gives no order, by name.
#[test]
fn trades_without_a_plan() {
    let micro = future("5");
    let code = |request: PlanRequest<'_>, size| made(&request, &outputs(size, 0)).unwrap_err().code();
    let good = request(&micro);
    assert_eq!(code(PlanRequest { side: None, ..good }, 3), "hold");
    assert_eq!(made(&good, &outputs(0, 0)), Err(NoPlan::ZeroPositionSize(SizeBound::Policy)));
    assert_eq!(made(&PlanRequest { confidence: 0.2, ..good }, &outputs(3, 0)), Err(NoPlan::ZeroPositionSize(SizeBound::Kelly)));
    assert_eq!(made(&PlanRequest { room: 0, ..good }, &outputs(3, 0)), Err(NoPlan::ZeroPositionSize(SizeBound::Limits)));
    assert_eq!(NoPlan::ZeroPositionSize(SizeBound::Kelly).code(), "zero_position_size");
    assert_eq!(code(PlanRequest { atr_ticks: None, ..good }, 3), "missing_atr");
    for equity in [None, Some(Money::ZERO), Some(usd("-1"))] {
        assert_eq!(code(PlanRequest { equity, ..good }, 3), "missing_equity");
    }
    assert_eq!(code(PlanRequest { atr_ticks: Some(1e5), ..good }, 3), "no_range");
    for bad in [f64::NAN, f64::INFINITY, -0.1] {
        for request in [
            PlanRequest { confidence: bad, ..good },
            PlanRequest { payoff_ratio: bad, ..good },
            PlanRequest { volatility: bad, ..good },
            PlanRequest { daily_volume: bad, ..good },
            PlanRequest { urgency: bad, ..good },
            PlanRequest { risk_tolerance: bad, ..good },
            PlanRequest { atr_ticks: Some(bad), ..good },
        ] {
            assert_eq!(code(request, 3), "invalid_input");
        }
    }
    let error = made(&PlanRequest { urgency: 2.5, ..good }, &outputs(3, 0)).unwrap_err();
    assert_eq!(error.to_string(), "urgency is 2.5, it must be 0.5 to 2");
}

proptest! {
    /// EX-37: no plan exceeds any of its bounds, its levels enclose the price, and less room never gives more.
    #[test]
    fn plans_stay_within_every_bound(
        size in 0_usize..5, strategy in 0_usize..4, long: bool, confidence in 0.0_f64..=1.0, atr in 0.1_f64..500.0,
        equity in 0_i64..1_000_000, payoff in 0.0_f64..4.0, volatility in 0.0_f64..0.2, room in -2_i64..12, tolerance in 0.5_f64..=2.0
    ) {
        let micro = future("5");
        let asked = PlanRequest {
            side: Some(if long { Side::Long } else { Side::Short }),
            confidence, payoff_ratio: payoff, volatility, room, risk_tolerance: tolerance,
            atr_ticks: Some(atr), equity: Some(Money::from_units(equity)), ..request(&micro)
        };
        let answer = made(&asked, &outputs(size, strategy));
        prop_assert_eq!(&answer, &made(&asked, &outputs(size, strategy)));
        if let Ok(plan) = answer {
            let count = plan.lots.0.abs();
            prop_assert!(count > 0 && count <= SIZES[size].min(room).min(5).min(plan.kelly_contracts));
            prop_assert_eq!(plan.lots.0 > 0, long);
            prop_assert_eq!(plan.levels.stop < asked.price, long);
            prop_assert_eq!(plan.levels.target > asked.price, long);
            prop_assert!(plan.expected_impact_bps.is_finite() && plan.expected_impact_bps >= 0.0);
            // 2 % of the equity pays for every contract's stop.
            prop_assert!(count as f64 * plan.stop_multiplier * atr * 1.25 <= equity as f64 * 0.02 + 1e-6);
            let tighter = made(&PlanRequest { room: room - 1, ..asked }, &outputs(size, strategy));
            prop_assert!(tighter.is_ok_and(|tighter| tighter.lots.0.abs() <= count) || room <= 1);
        }
    }
}
