//! Every service in one process over recorded bars.
//!
//! [`Pipeline`] wires the same engines that the processes of the cluster wrap, in the same order of calls, so that
//! the same bars, manifests and checkpoint give the same ledgers, byte for byte.

mod account;
mod gate;
mod ledgers;
mod pipeline;
mod setup;
mod summary;

pub use account::{Account, AccountError, Member};
pub use gate::LocalRisk;
pub use ledgers::{Digests, Ledgers};
pub use pipeline::{Journals, MemoryJournals, Pipeline, PipelineError, PolicyJournals, RISK_FILE};
pub use setup::{Served, Setup, SetupError, account_of, read_manifest};
pub use summary::{Comparison, Summary};
