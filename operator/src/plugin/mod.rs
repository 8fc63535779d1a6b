//! `kubectl tradewind`: reads status and edits spec, nothing else.
//!
//! Every verb is an edit of a spec that could as well be made in Git; `--dry-run` prints the edit instead of making it. One way
//! is no edit: `halt --now` asks the operator to call the risk process at once.
//! Rendering, edits and the judgement of `wait` are pure functions of objects; [`run`] is the only part with a client.

pub mod args;
mod client;
pub mod edit;
pub mod judge;
mod now;
pub mod render;
mod style;

pub use args::Cli;
pub use client::{Outcome, PluginError, run};
pub use now::NowError;
