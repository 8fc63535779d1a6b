//! The gate through its messages: orders, owners, bars, profiles, restarts; and what a hostile sender tries.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_truncation)]

mod account;
mod bars;
mod crash_of_2008;
mod desk;
mod fields;
mod market;
mod orders;
mod owners;
mod profiles;
mod restarts;
mod sessions;
mod streams;
