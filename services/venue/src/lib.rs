//! Where orders trade: the paper venue and its fill model, and the shadow book that follows the same model.

pub mod adapter;
pub mod fills;
pub mod paper;
pub mod shadow;
