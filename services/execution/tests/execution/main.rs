//! The execution engine and its process, with the risk engine and the paper venue beside it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod crashes;
mod harness;
mod processes;
mod trading;
