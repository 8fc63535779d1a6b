//! The planner: what should happen next, as pure functions. No client, no clock, no chance.
//!
//! One reconcile of the controller looks like this:
//!
//! 1. [`bundle::revision`] names what the spec asks for (digests, thresholds, placement, image).
//! 2. [`rollout::step`] takes the state held in status, what was observed and the evidence, and answers with the
//!    next state, the bundles whose children must exist, the events of the transition and what to look at next.
//! 3. The controller applies `keep`, writes `next` with [`rollout::State::write_into`], and deletes the children of
//!    other bundles only when `sweep` is set: by then the decider has acknowledged the new routing.
//!
//! At most one transition happens per call, and each is written before anything that depends on it is removed, so
//! that the operator may die between any two writes.

pub mod bundle;
pub mod conditions;
pub mod conflict;
pub mod evidence;
pub mod gates;
pub mod placement;
pub mod rollout;
