//! The limits of an account once more, written from the specification and not from the code: the oracle for the gate.
//!
//! Nothing of `services/risk/src` is used here, not even its types: money is nano units in an `i128`, prices are ticks
//! and sizes lots in an `i64`, time is UTC nanoseconds. [`trial::run`] takes calls from [`generator::Generator`], makes
//! each on [`gate::Model`] and, through [`trial::Gate`], on the gate; fills and ends that the gate's venue brings go to
//! the model; verdicts, positions and equity are compared. A call that the gate cannot take is made on neither side: the
//! generator aims by the model's state and needs no call to have happened.
//!
//! What the specification leaves open and how it is read here:
//!
//! * Order of questions: account, epoch, id, listing, form of the order, halt of all trading, reduce-only, mark; each of
//!   these alone answers. Then every other reason is collected (EX-114).
//! * An id is bound once its sender is known, also when the order is refused then; to policy, symbol, lots, kind with
//!   its price, and reduce-only. Clocks are no content. A repeated order hears its first verdict, whatever happened since.
//! * A symbol is valued at the dearest of its mark, the order in question, and every working order that may open (each
//!   at the dearer of its price and the mark at which it was allowed). Reduce-only orders are cut at flat by the venue,
//!   so their price, which no collar bounds, values nothing.
//! * An order that may open and has no limit price is beyond every collar: nothing bounds its fill (EX-56).
//! * Losses are looked at after each bar with its fills, after fills outside of a bar, and after a change of the profile
//!   (EX-122). The high-water mark rises at bars only.
//! * A session begins with the first bar that belongs to it, before that bar's fills.
//! * A halt that stands takes the stricter of its modes; only `halt: false` with its id lifts it (ruling 17).
//! * Looser limits without an approval and a soak are not in force; approvals are not modelled.
//! * What does not fit in an `i128` exceeds every limit.

// Shared by a test and the long proof: each is a crate of its own, reachable from nowhere, and uses another part of it.
#![allow(unreachable_pub, dead_code)]

pub mod book;
pub mod calls;
pub mod gate;
pub mod generator;
pub mod trial;
