//! The comparison of a gate with the model: it finds no difference where there is none, and each small fault where there
//! is one.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod model;

use model::calls::{Ack, Call, Epoch, Kind, Limits, Order, Profile};
use model::gate::Model;
use model::generator::Options;
use model::trial::{self, Answer, Gate, Tally};

/// What a faulty gate hears in place of a call.
type Fault = fn(&mut Call);

/// A gate with one fault: the model itself, which hears each call a little wrong.
struct Faulty {
    gate: Model,
    fault: Fault,
}

impl Gate for Faulty {
    fn call(&mut self, call: &Call) -> Option<Answer> {
        let mut heard = call.clone();
        (self.fault)(&mut heard);
        let verdict = self.gate.apply(&heard).unwrap_or_default();
        Some(Answer { codes: verdict.names().into_iter().map(String::from).collect(), ..Answer::default() })
    }

    fn lots(&self, symbol: &str) -> i128 {
        self.gate.book().lots(symbol)
    }

    fn equity(&self) -> i128 {
        self.gate.book().equity()
    }
}

/// Accounts until a difference is found, with so many calls each.
fn tried(fault: Fault, accounts: u64, calls: u64) -> Result<Tally, String> {
    let options = Options { fills: true, naked: true, recorded: false };
    let mut all = Tally::default();
    for seed in 0..accounts {
        all.add(&trial::run(seed, calls, options, |generator| Faulty { gate: generator.model(), fault })?);
    }
    Ok(all)
}

fn profile(call: &mut Call, change: fn(&mut Profile)) {
    if let Call::Profile(profile) = call {
        change(profile);
    }
}

fn limits(call: &mut Call, change: fn(&mut Limits)) {
    if let Call::Profile(profile) = call {
        change(&mut profile.limits);
    }
}

fn order(call: &mut Call, change: fn(&mut Order)) {
    if let Call::Order(order) = call {
        change(order);
    }
}

#[test]
fn a_gate_without_a_fault_never_differs() {
    let tally = tried(|_| {}, 20, 1_000).unwrap();
    assert_eq!(tally.calls, 20_000);
    assert!(tally.accepted > 1_000 && tally.fills == 0, "{tally}");
    assert!(tally.to_string().contains("20000 calls") && tally.to_string().contains("price_collar"), "{tally}");
}

/// Each is a fault that a gate may have; the comparison must meet the input that shows it.
const FAULTS: [(&str, Fault); 17] = [
    ("an order a little too large", |call| limits(call, |limits| limits.order += limits.order / 1_000)),
    ("a position a little too large", |call| limits(call, |limits| limits.position += limits.position / 1_000)),
    ("a basis point of exposure", |call| limits(call, |limits| limits.gross_bps += 1)),
    ("a basis point of the daily loss", |call| limits(call, |limits| limits.daily_loss_bps += 1)),
    ("a basis point of drawdown", |call| limits(call, |limits| limits.drawdown_bps += 1)),
    ("one more order a minute", |call| limits(call, |limits| limits.per_minute += 1)),
    ("a basis point of the collar", |call| limits(call, |limits| limits.collar_bps += 1)),
    ("a nanosecond of age", |call| limits(call, |limits| limits.data_age += 1)),
    ("a halt that any manifest lifts", |call| profile(call, |profile| profile.halt_ack = Ack::Standing)),
    ("a breaker that any manifest lifts", |call| profile(call, |profile| profile.breaker_ack = Ack::Standing)),
    ("an unreadable profile that acts", |call| profile(call, |profile| profile.broken = false)),
    ("an epoch that was lost", |call| order(call, |order| order.epoch = Epoch::Standing)),
    ("ids that are not bound to their size", |call| order(call, |order| order.id = format!("{} {}", order.id, order.lots))),
    ("a mark that the sender names", |call| {
        order(call, |order| {
            if order.said_mark == 1 && !order.reduce_only && matches!(order.kind, Kind::Limit(_)) {
                order.kind = Kind::Limit(1);
            }
        });
    }),
    ("a clock that the sender names", |call| order(call, |order| order.at = order.at.max(order.said_time))),
    ("reservations that outlive a cancellation", |call| {
        if let Call::Cancel(id) = call {
            id.clear();
        }
    }),
    ("the day of a bar", |call| {
        if let Call::Bar(bar) = call {
            bar.session = 0;
        }
    }),
];

#[test]
fn each_small_fault_is_found() {
    for (name, fault) in FAULTS {
        let found = tried(fault, 200, 1_000);
        let difference = found.expect_err(name);
        assert!(difference.starts_with("seed ") && difference.contains("\n> "), "{name}: {difference}");
        println!("{name}: {}", difference.lines().next().unwrap_or_default());
    }
}
