//! What a network sees, and what its answer means: indicators, matrices, synergies, feature schemas, votes.
//!
//! Pure: the same bars give the same bytes, in the cluster, in a replay and in a test.
//!
//! Two kinds of rules live here side by side. *What a network sees* is used by inference, by the trainer and by the
//! verification of checkpoints:
//!
//! - [`strategic`] but for the parts below: half hours, indicators, the 48x13 matrix, synergies, the shared context;
//! - [`tactical`] but for the parts below: the 60x7 matrix, gaps, momentum and volume;
//! - [`risk_state`], [`execution_context`], [`microstructure`]: what the networks of risk and execution see;
//! - [`schema`]: the list of all of these by name, [`categorical`]: softmax and its kin.
//!
//! *What an answer means* is what inference does with logits, and what the decider, the wire and the trainer read of it:
//!
//! - [`strategic::decision`]: three distributions become one gated decision; [`strategic::StrategicEngine`] wires bars to it;
//! - [`tactical::aggregate`], [`tactical::levels`]: votes become one decision with its stop and target;
//!   [`tactical::Engine`] wires bars to it.
//!
//! The second half is here, and not in the crate of inference, because two processes run it: inference for each bar, and the
//! trainer when it collects samples and judges what it trained, which must be the very same code. This is the lowest library
//! that both need, below the networks, whose traits these engines ask.

pub mod categorical;
pub mod execution_context;
pub mod microstructure;
pub mod risk_state;
pub mod schema;
pub mod strategic;
pub mod tactical;
pub mod warm_up;
