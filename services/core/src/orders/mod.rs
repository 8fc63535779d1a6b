//! Orders: what they ask for and the states they pass through.

mod order;
mod state;

pub use order::{Kind, Order, OrderId, Role, TimeInForce};
pub use state::{IllegalTransition, OrderEvent, OrderState, Progress};
