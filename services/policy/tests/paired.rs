//! The confidence sequence against an independent oracle, and its coverage over time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_precision_loss)]

use serde::Deserialize;
use tradewind_policy::paired::{NonInferiority, PairedEvidence};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fixture {
    bound_bps: f64,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    seed: u64,
    centre: i64,
    spread: i64,
    confidence_bps: u32,
    winsorised: u64,
    at: Vec<Moment>,
}

#[derive(Deserialize)]
struct Moment {
    n: u64,
    mean: f64,
    lower: f64,
    upper: f64,
}

/// The generator of `evidence_oracle.py`.
fn differences(case: &Case) -> impl Iterator<Item = f64> {
    let (mut state, centre, spread) = (case.seed, case.centre, case.spread);
    std::iter::repeat_with(move || {
        state = (state * 1_103_515_245 + 12_345) % (1 << 31);
        let offset = i64::try_from(state >> 8).unwrap() % (2 * spread + 1);
        (centre + offset - spread) as f64
    })
}

#[test]
fn intervals_are_those_of_the_oracle() {
    let fixture: Fixture = serde_json::from_str(include_str!("fixtures/evidence.json")).unwrap();
    for case in &fixture.cases {
        let mut evidence = PairedEvidence::new(fixture.bound_bps, case.confidence_bps).unwrap();
        let mut moments = case.at.iter();
        let mut next = moments.next();
        for difference in differences(case).take(500) {
            evidence.push(difference).unwrap();
            let Some(moment) = next.filter(|moment| moment.n == evidence.n()) else { continue };
            let seen = evidence.interval();
            for (seen, wanted) in [(seen.mean_bps, moment.mean), (seen.lower_bps, moment.lower), (seen.upper_bps, moment.upper)] {
                assert!((seen - wanted).abs() < 1e-9, "seed {} at {}: {seen} instead of {wanted}", case.seed, moment.n);
            }
            next = moments.next();
        }
        assert!(next.is_none(), "every moment of the fixture was compared");
        assert_eq!(evidence.winsorised(), case.winsorised);
    }
}

/// SplitMix64: a fixed stream of numbers for the simulation.
struct Stream(u64);

impl Stream {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A named law of bounded differences with its mean.
type Law = (&'static str, f64, fn(&mut Stream) -> f64);

const LAWS: [Law; 4] = [
    ("uniform", 5.0, |s| 5.0 + 60.0 * (s.unit() - 0.5)),
    ("rare losses", -4.0, |s| if s.unit() < 0.02 { -200.0 } else { 0.0 }),
    ("two points at the bounds", 0.0, |s| if s.unit() < 0.5 { -200.0 } else { 200.0 }),
    ("nearly nothing", 0.01, |s| 0.01 + 0.02 * (s.unit() - 0.5)),
];

/// Number of runs out of `runs` in which the interval at some moment left the true mean out.
fn misses(law: &Law, runs: u64, bars: u32) -> u64 {
    (0..runs)
        .filter(|run| {
            let mut stream = Stream(run * 7_919 + 17);
            let mut evidence = PairedEvidence::new(200.0, 9_000).unwrap();
            (0..bars).any(|_| {
                evidence.push((law.2)(&mut stream)).unwrap();
                let interval = evidence.interval();
                law.1 < interval.lower_bps - 1e-9 || law.1 > interval.upper_bps + 1e-9
            })
        })
        .count() as u64
}

#[test]
fn coverage_holds_at_every_moment_at_once() {
    for law in &LAWS {
        // At 90 % at most 40 of 400 runs may ever leave the mean out.
        let missed = misses(law, 400, 2_000);
        assert!(missed <= 40, "{}: {missed} of 400 runs", law.0);
    }
}

#[test]
fn a_fixed_sample_interval_would_fail_this_very_test() {
    // Peeking after every bar with mean +- 1.645 standard errors misses far more often than 10 %.
    let missed = (0..400u64)
        .filter(|run| {
            let (mut stream, mut sum, mut squares) = (Stream(run * 7_919 + 17), 0.0, 0.0);
            (1..=2_000u32).any(|n| {
                let x = LAWS[0].2(&mut stream) - LAWS[0].1;
                sum += x;
                squares += x * x;
                let mean = sum / f64::from(n);
                let error = ((squares / f64::from(n) - mean * mean) / f64::from(n)).sqrt();
                n >= 10 && mean.abs() > 1.645 * error
            })
        })
        .count();
    assert!(missed > 160, "the simulation is too weak to tell: {missed} of 400");
}

#[test]
fn evidence_decides_both_ways_and_needs_enough_of_it() {
    let judge = |difference: fn(&mut Stream) -> f64, bars: u32| {
        let (mut stream, mut evidence) = (Stream(3), PairedEvidence::new(200.0, 9_500).unwrap());
        (0..bars).for_each(|_| evidence.push(difference(&mut stream)).unwrap());
        evidence.non_inferiority(10.0)
    };
    assert_eq!(judge(|s| 40.0 * (s.unit() - 0.5), 0), NonInferiority::Inconclusive);
    assert_eq!(judge(|s| 40.0 * (s.unit() - 0.5), 20), NonInferiority::Inconclusive);
    assert_eq!(judge(|s| 40.0 * (s.unit() - 0.5), 600), NonInferiority::Pass);
    assert_eq!(judge(|s| -30.0 + 40.0 * (s.unit() - 0.5), 600), NonInferiority::Fail);
}

#[test]
fn what_is_not_finite_is_refused_and_changes_nothing() {
    let mut evidence = PairedEvidence::new(200.0, 9_500).unwrap();
    evidence.push(1.0).unwrap();
    let before = evidence;
    for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(evidence.push(wrong).is_err());
        assert_eq!(evidence, before);
    }
    assert_eq!(evidence.non_inferiority(f64::NAN), NonInferiority::Inconclusive);
    assert!(PairedEvidence::new(f64::NAN, 9_500).is_err());
    assert!(PairedEvidence::new(200.0, 10_000).is_err());
}

#[test]
fn a_snapshot_continues_exactly() {
    let (mut stream, mut evidence) = (Stream(9), PairedEvidence::new(200.0, 9_500).unwrap());
    (0..100).for_each(|_| evidence.push(90.0 * (stream.unit() - 0.5)).unwrap());
    let mut restored: PairedEvidence = serde_json::from_str(&serde_json::to_string(&evidence).unwrap()).unwrap();
    evidence.push(1.5).unwrap();
    restored.push(1.5).unwrap();
    assert_eq!(evidence, restored);
}
