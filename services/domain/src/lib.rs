//! Pure trading mathematics and state machines: no I/O, no clock, no chance.
//!
//! Everything here is a function of its arguments: the same inputs give the same bytes, in the
//! cluster, in a replay and in a test.

pub mod account;
pub mod bar;
pub mod breaker;
pub mod categorical;
pub mod evidence;
pub mod execution_context;
pub mod execution_plan;
pub mod gates;
pub mod instrument;
pub mod kelly;
pub mod limits;
pub mod microstructure;
pub mod money;
pub mod orchestrator;
pub mod orders;
pub mod regime;
pub mod risk_agents;
pub mod risk_parity;
pub mod risk_state;
pub mod routing;
pub mod schema;
pub mod session;
pub mod shadow;
pub mod side;
pub mod sizing;
pub mod strategic;
pub mod tactical;
pub mod time;
pub mod value_at_risk;
pub mod var_backtest;
pub mod venue;
