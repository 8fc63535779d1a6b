//! Synergy: three indicators that agree within a few bars, in one of four orders.

mod detector;
mod intake;
mod signals;

pub use detector::{Detector, DetectorState, SynergyEvent, SynergyType};
pub use intake::{AcceptedEvent, EventClaim, Intake, Rejection};
pub use signals::{Signal, SignalError, SignalKind, SignalSource, filled_gaps, gap_signal};
