//! Tests of the decider through its public interface.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod evidence;
mod fixture;
mod sequencer;
mod serve;
