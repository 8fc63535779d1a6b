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
//! * Order of questions: account, epoch, form of the order, id, listing, mark, halt of all trading, reduce-only; each of
//!   these alone answers; beside the halt, what the sender says that cannot be is named too. Then every other reason is
//!   collected (EX-114).
//! * The form: a size other than 0 up to 10^12 lots, a price from 1 to 10^15 ticks, an id that begins with the policy and
//!   a slash (`venue_refused`), and a limit price for what may open (`unpriced`: nothing else bounds its fill, EX-56).
//! * An id is bound once its order has a form, a listing and a mark, also when it is refused then; to policy, symbol,
//!   lots, kind with its price, and reduce-only. What is refused before has reserved nothing, so the id stays free.
//!   Clocks are no content. A repeated order hears its first verdict, whatever happened since.
//! * The time that a sender says makes nothing fresher: an older one counts as the bar decided on, a newer one than the
//!   gate's own bar is refused (`data_ahead`). A mark that it says is never used; one below 0 is malformed.
//! * The rate counts every accepted order, those that reduce too; only orders that may open are refused for it.
//! * At most 32 orders of a symbol wait to reduce it; one more is refused (`reducing_orders`). Of the refusals of a policy 600
//!   in a minute bind their id; the others are answered and leave nothing behind.
//! * On a recorded feed the gate's clock is the close of the newest bar of any symbol; else it is that of arrival.
//! * A symbol is valued at the dearest of its mark, the order in question, and every working order that may open (each
//!   at the dearer of its price and the mark at which it was allowed). Reduce-only orders are cut at flat by the venue,
//!   so their price, which no collar bounds, values nothing.
//! * Losses are looked at after each bar with its fills, after fills outside of a bar, and after a change of the profile
//!   (EX-122). The high-water mark rises at bars only.
//! * A session begins with the first bar that belongs to it, before that bar's fills.
//! * A halt that stands takes the stricter of its modes; only `halt: false` with its id lifts it (ruling 17).
//! * Looser limits without an approval and a soak are not in force; approvals are not modelled.
//! * What does not fit in an `i128` exceeds every limit. Orders that no longer may open are taken back by the gate itself
//!   while trading is restricted; they come as ends, like those of the venue.

// Shared by a test and the long proof: each is a crate of its own, reachable from nowhere, and uses another part of it.
#![allow(unreachable_pub, dead_code)]

pub mod book;
pub mod calls;
pub mod gate;
pub mod generator;
pub mod trial;
