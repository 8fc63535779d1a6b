//! One definition of each figure of risk and performance. Pure.

pub mod kelly;
pub mod risk_parity;
pub mod value_at_risk;
pub mod var_backtest;
