//! Every field of every call, with zero, a negative, the largest, a stale, a repeated value, another owner's and another
//! account's: what the gate answers. Whatever comes, nothing is booked that the limits do not allow.

use std::fmt::Write;

use crate::desk::{DAY, Desk, OTHER, OWNER, claim, limit, owner};
use tradewind_risk::{Arrival, Engine, RiskError};
use tradewind_wire::v1;

fn word<T>(outcome: Result<T, RiskError>, say: impl FnOnce(T) -> String) -> String {
    match outcome {
        Ok(answer) => say(answer),
        Err(RiskError::Fenced { .. }) => "fenced".into(),
        Err(RiskError::OtherAccount { .. }) => "other account".into(),
        Err(RiskError::UnknownPolicy(_)) => "unknown policy".into(),
        Err(RiskError::UnknownSymbol { .. }) => "unknown symbol".into(),
        Err(RiskError::NotSeen { .. }) => "not seen".into(),
        Err(RiskError::TooMany { .. }) => "too many".into(),
        Err(RiskError::Message(_)) => "message".into(),
        Err(error) => format!("FATAL {error}"),
    }
}

/// One row: the method and field, and for each column a change of a call that would be answered "ok".
type Row<M> = (&'static str, [fn(&mut M); 7]);

const COLUMNS: [&str; 7] = ["zero", "negative", "largest", "stale", "repeated", "other owner", "other account"];

fn table<M: Clone>(text: &mut String, good: &M, rows: &[Row<M>], call: impl Fn(&mut Desk, &M) -> String) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for (name, changes) in rows {
        let _ = write!(text, "{name:<24}");
        let mut answers = Vec::new();
        for change in changes {
            let mut desk = Desk::new();
            desk.buys("indices/held", "SPX", 10, 1_000);
            let mut message = good.clone();
            change(&mut message);
            let answer = call(&mut desk, &message);
            assert!(!answer.starts_with("FATAL"), "{name}: {answer}");
            assert!(desk.lots("SPX").abs() <= 10 && desk.engine.open_reservations() <= 1, "{name}: {answer}");
            let _ = write!(text, "{answer:<20}");
            answers.push(answer);
        }
        text.push('\n');
        all.push(answers);
    }
    all
}

fn order(desk: &mut Desk, message: &v1::NewOrder) -> String {
    let outcome = desk.place_as(owner(OWNER, 1), message.clone());
    word(outcome, |verdict| if verdict.allowed { "ok".into() } else { verdict.denial })
}

fn head(text: &mut String) {
    let _ = write!(text, "{:<24}", "");
    for column in COLUMNS {
        let _ = write!(text, "{column:<20}");
    }
    text.push('\n');
}

#[test]
#[allow(clippy::too_many_lines)] // one table
fn every_field_of_an_order() {
    let mut text = String::new();
    head(&mut text);
    let good = v1::NewOrder { data_time_ns: 2 * DAY, ..limit("indices/new", "SPX", 1, 1_000) };
    let rows: [Row<v1::NewOrder>; 8] = [
        (
            "Place.order_id",
            [
                |o| o.order_id.clear(),
                |o| o.order_id = "-1".into(),
                |o| o.order_id = format!("indices/{}", "x".repeat(10_000)),
                |o| o.order_id = "indices/".into(),
                |o| o.order_id = "indices/held".into(),
                |o| o.order_id = "others/new".into(),
                |o| o.order_id = "paper-2/new".into(),
            ],
        ),
        (
            "Place.symbol",
            [
                |o| o.symbol.clear(),
                |o| o.symbol = "-SPX".into(),
                |o| o.symbol = "X".repeat(10_000),
                |o| o.symbol = "NDX".into(),
                |_| {},
                |o| o.symbol = "DAX".into(),
                |o| o.symbol = "XAU".into(),
            ],
        ),
        (
            "Place.lots",
            [
                |o| o.lots = 0,
                |o| o.lots = -100_000,
                |o| o.lots = i64::MAX,
                |o| o.lots = i64::MIN,
                |o| o.lots = 1,
                |o| o.lots = 1_000_000_000_000,
                |o| o.lots = -1_000_000_000_001,
            ],
        ),
        (
            "Place.price_ticks",
            [
                |o| o.price_ticks = 0,
                |o| o.price_ticks = -1_000,
                |o| o.price_ticks = i64::MAX,
                |o| o.price_ticks = i64::MIN,
                |o| o.price_ticks = 1_000,
                |o| o.price_ticks = 1,
                |o| o.price_ticks = 1_000_000_000_000_000,
            ],
        ),
        (
            "Place.kind",
            [
                |o| o.kind = 0,
                |o| o.kind = -1,
                |o| o.kind = i32::MAX,
                |o| o.kind = v1::OrderKind::Market.into(),
                |_| {},
                |o| o.kind = v1::OrderKind::Stop.into(),
                |o| o.kind = 9,
            ],
        ),
        (
            "Place.reduce_only",
            [
                |o| o.reduce_only = true,
                |o| (o.reduce_only, o.lots) = (true, -11),
                |o| (o.reduce_only, o.lots) = (true, i64::MIN),
                |o| (o.reduce_only, o.lots) = (true, 10),
                |o| (o.reduce_only, o.lots) = (true, -10),
                |o| (o.reduce_only, o.symbol) = (true, "DAX".into()),
                |o| (o.reduce_only, o.symbol) = (true, "XAU".into()),
            ],
        ),
        (
            "Place.reference_price",
            [
                |o| o.reference_price_ticks = 0,
                |o| o.reference_price_ticks = -1,
                |o| o.reference_price_ticks = i64::MAX,
                |o| o.reference_price_ticks = i64::MIN,
                |o| o.reference_price_ticks = 1_000,
                |o| o.reference_price_ticks = 1,
                |o| o.reference_price_ticks = 2_000,
            ],
        ),
        (
            "Place.data_time",
            [
                |o| o.data_time_ns = 0,
                |o| o.data_time_ns = -1,
                |o| o.data_time_ns = i64::MAX,
                |o| o.data_time_ns = 1,
                |o| o.data_time_ns = 2 * DAY,
                |o| o.data_time_ns = 2 * DAY + 1,
                |o| o.data_time_ns = i64::MIN,
            ],
        ),
    ];
    let seen = table(&mut text, &good, &rows, order);
    println!("{text}");
    let expected: [[&str; 7]; 8] = [
        ["venue_refused", "venue_refused", "venue_refused", "venue_refused", "id_reused", "venue_refused", "venue_refused"],
        ["unknown_instrument", "ok-less", "unknown_instrument", "no_mark", "ok", "unknown_instrument", "unknown_instrument"],
        ["order_invalid", "order_notional", "order_invalid", "order_invalid", "ok", "order_notional", "order_invalid"],
        ["order_invalid", "order_invalid", "order_invalid", "order_invalid", "ok", "price_collar", "price_collar"],
        ["order_invalid", "order_invalid", "order_invalid", "order_invalid", "ok", "unpriced", "order_invalid"],
        ["not_reducing", "not_reducing", "order_invalid", "not_reducing", "ok", "unknown_instrument", "unknown_instrument"],
        ["ok", "order_invalid", "ok", "order_invalid", "ok", "ok", "ok"],
        ["ok", "ok", "data_ahead", "data_age", "ok", "data_ahead", "ok"],
    ];
    for ((row, seen), expected) in rows.iter().zip(&seen).zip(expected) {
        for ((column, seen), expected) in COLUMNS.iter().zip(seen).zip(expected) {
            // A symbol that is none is as unknown as one that is not listed.
            let expected = if expected == "ok-less" { "unknown_instrument" } else { expected };
            assert_eq!(seen, expected, "{} {column}\n{text}", row.0);
        }
    }
}

#[test]
#[allow(clippy::too_many_lines)] // one table
fn every_field_of_an_owner_and_of_the_other_calls() {
    let mut text = String::new();
    head(&mut text);
    let rows: [Row<v1::Owner>; 4] = [
        (
            "owner.account",
            [
                |o| o.account.clear(),
                |o| o.account = "-".into(),
                |o| o.account = "x".repeat(10_000),
                |o| o.account = "PAPER-1".into(),
                |_| {},
                |o| o.account = "paper-1 ".into(),
                |o| o.account = "paper-2".into(),
            ],
        ),
        (
            "owner.policy",
            [
                |o| o.policy.clear(),
                |o| o.policy = "-".into(),
                |o| o.policy = "x".repeat(10_000),
                |o| o.policy = "indice".into(),
                |_| {},
                |o| o.policy = OTHER.into(),
                |o| o.policy = "indices/".into(),
            ],
        ),
        (
            "owner.epoch",
            [
                |o| o.epoch = 0,
                |o| o.epoch = u64::MAX - 1,
                |o| o.epoch = u64::MAX,
                |o| o.epoch = 2,
                |_| {},
                |o| (o.policy, o.epoch) = (OTHER.into(), 2),
                |o| o.epoch = 1 << 63,
            ],
        ),
        (
            "owner.acknowledged",
            [
                |o| o.acknowledged = 0,
                |o| o.acknowledged = 1,
                |o| o.acknowledged = u64::MAX,
                |o| o.acknowledged = 9,
                |_| {},
                |o| o.acknowledged = 2,
                |o| o.acknowledged = 3,
            ],
        ),
    ];
    let good = owner(OWNER, 1).unwrap();
    let place = |desk: &mut Desk, owner: &v1::Owner| {
        let orders = vec![limit("indices/new", "SPX", 1, 1_000)];
        let request = v1::PlaceRequest { owner: Some(owner.clone()), orders };
        let outcome = desk.engine.place(&request, Arrival::default());
        word(outcome, |reply| if reply.verdicts[0].allowed { "ok".into() } else { reply.verdicts[0].denial.clone() })
    };
    let expected: [[&str; 7]; 4] = [
        ["other account", "other account", "other account", "other account", "ok", "other account", "other account"],
        ["unknown policy", "unknown policy", "unknown policy", "unknown policy", "ok", "venue_refused", "unknown policy"],
        ["fenced", "fenced", "fenced", "fenced", "ok", "fenced", "fenced"],
        ["ok", "ok", "ok", "ok", "ok", "ok", "ok"],
    ];
    let seen = table(&mut text, &good, &rows, place);
    assert_eq!(seen, expected.map(|row| row.map(str::to_owned).to_vec()).to_vec(), "\n{text}");
    type Call = fn(&mut Engine, v1::Owner) -> String;
    let others: [(&str, Call); 4] = [
        ("Cancel", |engine, owner| {
            let order_ids = vec!["others/a".into(), String::new()];
            word(engine.cancel(&v1::CancelRequest { owner: Some(owner), order_ids }), |_| "ok".into())
        }),
        ("Meet", |engine, owner| {
            let request = v1::MeetRequest { owner: Some(owner), symbol: "SPX".into(), sequence: u64::MAX };
            word(engine.meet(&request, None), |_| "ok".into())
        }),
        ("Settle", |engine, owner| {
            word(engine.settles(&v1::SettleOwnerRequest { owner: Some(owner), sequence: u64::MAX }), |_| "ok".into())
        }),
        ("Events", |engine, owner| word(engine.events(&v1::EventsRequest { owner: Some(owner) }), |_| "ok".into())),
    ];
    for (name, call) in others {
        let called = |desk: &mut Desk, owner: &v1::Owner| call(&mut desk.engine, owner.clone());
        let seen = table(&mut text, &good, &rows, called);
        for (seen, expected) in seen.iter().flatten().zip(expected.iter().flatten()) {
            // Who may not place may do nothing else; who may is answered.
            let allowed = matches!(*expected, "ok" | "venue_refused");
            assert_eq!(allowed, matches!(seen.as_str(), "ok" | "not seen" | "unknown symbol"), "{name}: {seen}\n{text}");
        }
    }
    println!("{text}");
    let mut desk = Desk::new();
    for last in [0, 2, u64::MAX] {
        let asked = desk.engine.acquire(&claim(OWNER, last, "other"));
        assert_eq!(word(asked, |_| "ok".into()), "fenced", "{last}");
    }
}
