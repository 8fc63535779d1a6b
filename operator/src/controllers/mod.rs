//! One directory per resource; each reconcile reads as dereference, validate, plan, build, apply, status.

pub mod accounts;
pub mod apply;
pub mod context;
pub mod differs;
pub mod drive;
pub mod model_checkpoint;
pub mod outcome;
pub mod pods;
pub mod pool;
pub mod risk_profile;
pub mod trading_policy;

#[cfg(test)]
mod tests;
