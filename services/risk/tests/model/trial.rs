//! A gate beside the model: the same calls for both, and the first answer in which they differ.

use std::collections::BTreeMap;

use super::calls::{Call, Code, Fill};
use super::gate::Model;
use super::generator::{Generator, Options};

/// Calls that are shown before the one that differs.
const SHOWN: usize = 12;

/// What a gate answered, and what its venue did meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The reasons against an order by their names, whatever their sequence; empty for one that is accepted and for
    /// other calls.
    pub codes: Vec<String>,
    /// Executions in their sequence: those of a bar, or of an order that trades at once.
    pub fills: Vec<Fill>,
    /// Orders that ended without being filled any further: cancelled, expired, refused by the venue.
    pub ended: Vec<String>,
}

/// A gate under trial.
pub trait Gate {
    /// Makes a call; `None` when this gate has nothing of the kind.
    fn call(&mut self, call: &Call) -> Option<Answer>;

    /// Signed lots that it holds.
    fn lots(&self, symbol: &str) -> i128;

    /// Its equity, nanos.
    fn equity(&self) -> i128;
}

/// What a trial has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls made on both sides.
    pub calls: u64,
    /// Orders among them.
    pub orders: u64,
    /// Orders that both accepted.
    pub accepted: u64,
    /// Executions.
    pub fills: u64,
    /// How often each reason was given.
    pub reasons: BTreeMap<Code, u64>,
}

impl Tally {
    /// Adds what another trial has seen.
    pub fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.orders += other.orders;
        self.accepted += other.accepted;
        self.fills += other.fills;
        for (code, count) in &other.reasons {
            *self.reasons.entry(*code).or_default() += count;
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { calls, orders, accepted, fills, reasons } = self;
        write!(f, "{calls} calls, {orders} orders, {accepted} accepted, {fills} fills; refused for")?;
        for (number, (code, count)) in reasons.iter().enumerate() {
            write!(f, "{} {} {count}", if number == 0 { "" } else { "," }, code.name())?;
        }
        Ok(())
    }
}

/// Makes so many calls of one account on a gate and on the model.
///
/// # Errors
/// The first difference: seed, number of the call, what both say, and the calls before it.
pub fn run<G: Gate>(seed: u64, calls: u64, options: Options, make: impl FnOnce(&Generator) -> G) -> Result<Tally, String> {
    let mut generator = Generator::new(seed, options);
    let (mut model, mut gate) = (generator.model(), make(&generator));
    let mut tally = Tally::default();
    let mut before: Vec<Call> = Vec::new();
    for number in 0..calls {
        let call = generator.next(&model);
        let Some(answer) = gate.call(&call) else { continue };
        tally.calls += 1;
        if let Err(difference) = one(&mut model, &gate, &call, &answer, &mut tally) {
            let last: String = before.iter().rev().take(SHOWN).rev().map(|call| format!("  {call:?}\n")).collect();
            return Err(format!("seed {seed}, call {number}: {difference}\n{last}> {call:?}"));
        }
        before.push(call);
        if before.len() > 2 * SHOWN {
            before.drain(..SHOWN);
        }
    }
    Ok(tally)
}

fn one<G: Gate>(model: &mut Model, gate: &G, call: &Call, answer: &Answer, tally: &mut Tally) -> Result<(), String> {
    tally.fills += answer.fills.len() as u64;
    let known = match call {
        Call::Bar(bar) => model.bar(bar, &answer.fills) || answer.fills.is_empty(),
        other => {
            let verdict = model.apply(other);
            if let Some(verdict) = verdict {
                tally.orders += 1;
                tally.accepted += u64::from(verdict.accepted());
                verdict.0.iter().for_each(|code| *tally.reasons.entry(*code).or_default() += 1);
                let mut said: Vec<&str> = answer.codes.iter().map(String::as_str).collect();
                let mut wanted = verdict.names();
                said.sort_unstable();
                wanted.sort_unstable();
                if said != wanted {
                    return Err(format!("the gate says {said:?}, the model {wanted:?}"));
                }
            }
            answer.fills.is_empty() || model.fills(&answer.fills)
        }
    };
    if !known {
        return Err(format!("the gate reports fills of orders that do not work: {:?}", answer.fills));
    }
    answer.ended.iter().for_each(|id| model.ended(id));
    for symbol in model.book().symbols() {
        let (said, wanted) = (gate.lots(symbol), model.book().lots(symbol));
        if said != wanted {
            return Err(format!("the gate holds {said} lots of {symbol}, the model {wanted}"));
        }
    }
    let (said, wanted) = (gate.equity(), model.book().equity());
    if said == wanted { Ok(()) } else { Err(format!("the gate's equity is {said} nanos, the model's {wanted}")) }
}
