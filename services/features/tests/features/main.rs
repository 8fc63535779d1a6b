//! Features on generated, random and recorded bars.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_cmp
)]

mod allocation;
mod contexts;
mod recorded;
mod recordings;
mod series;
mod strategic;
mod tactical;
