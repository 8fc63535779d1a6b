//! The decider of one `TradingPolicy`: routing by revision, orchestrator, paired evidence.
//!
//! Three things bear similar names. A *policy* is the resource that a user writes. The *decider* is this process. The
//! [policy in force](active_policy::ActivePolicy) is what the orchestrator allows at present. The crate, its binary and its
//! image are called after the resource.
//!
//! [`Engine`] is the sequencer of one policy: for each bar, in the order of the stream, it takes what the
//! networks decided and what the account looks like, and writes exactly one [`DecisionRecord`]. [`Pairing`] keeps
//! the evidence of a rollout. Both are synchronous and rebuild themselves from their journals. [`serve`] is the
//! process around them.

mod account;
pub mod active_policy;
mod control;
mod evidence;
mod freshness;
pub mod gates;
mod ledger;
mod messages;
pub mod orchestrator;
pub mod paired;
mod record;
pub mod regime;
pub mod routing;
mod sequencer;
pub mod serve;
mod settings;

pub use account::{AccountFigures, AccountSnapshot};
pub use control::{PolicyObject, Wanted};
pub use evidence::{CandidateAnswer, Figures, PairEntry, PairError, Pairing, Report};
pub use freshness::Freshness;
pub use ledger::{DECISIONS_FILE, EVIDENCE_FILE, LedgerError, read_ledger};
pub use messages::{Answer, AnswerError, Question, answer_from_wire};
pub use record::{DecisionRecord, Driver, Entry, PairKey, Trade, Trading, intent_of};
pub use sequencer::{Control, Engine, Input, Routing, SequencerError, WARM};
pub use settings::{Settings, SettingsError};
