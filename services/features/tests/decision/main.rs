//! From outputs of networks to decisions, plans and the context of the next stage.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_cmp
)]

mod calendars;
mod engine;
mod outcome;
#[path = "../features/recorded.rs"]
mod recorded;
mod vectors;
