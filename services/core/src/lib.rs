//! The vocabulary that every process shares: time, money, instruments, bars, sessions, orders, the account.
//!
//! Everything here is a function of its arguments: no I/O, no clock, no chance.

pub mod account;
pub mod bar;
pub mod calendar;
pub mod instrument;
pub mod money;
pub mod orders;
pub mod side;
pub mod sizing;
pub mod time;
