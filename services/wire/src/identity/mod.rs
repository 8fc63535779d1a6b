//! Who is at the other end of a connection, and what it may ask.
//!
//! | module | holds |
//! |---|---|
//! | [`peer`] | the process that a certificate names |
//! | [`table`] | each gRPC method and the processes that may call it |
//! | [`gate`] | the layer that holds every call against the table |

pub mod gate;
pub mod peer;
pub mod table;

pub use gate::{Caller, Gate, caller_of};
pub use peer::{IdentityError, Peer, Process};
