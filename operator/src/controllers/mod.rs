//! One directory per resource; each pass reads as dereference, validate, plan, build, apply, status.

pub mod accounts;
pub mod apply;
pub mod context;
pub mod differs;
pub mod drive;
pub mod model_checkpoint;
pub mod pods;
pub mod pool;
pub mod risk_profile;
pub mod trading_policy;

#[cfg(test)]
mod tests;
