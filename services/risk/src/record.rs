//! What the gate writes to its journal.

use serde::{Deserialize, Serialize};
use tradewind_core::bar::Bar;
use tradewind_core::instrument::{Symbol, Ticks};
use tradewind_core::orders::{Order, OrderId};
use tradewind_core::time::Nanos;
use tradewind_crds::RiskProfileSpec;
use tradewind_venue::adapter::Phase;
use tradewind_venue::paper::VenueEvent;
use tradewind_wire::account::AccountConfig;
use tradewind_wire::bus::{FeedName, StreamIdentity};

use crate::limits::Denial;
use crate::stops::halt::HaltRecord;

/// One change of the gate. Replaying all of them gives the same gate and the same venues.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    /// The journal begins.
    Opened {
        /// Account it is for.
        account: String,
        /// What tells it from every other journal of the account; empty where ids need not differ between journals.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        journal: String,
    },
    /// A valid profile was read.
    Profile {
        /// `metadata.generation`.
        generation: i64,
        /// Its spec.
        spec: Box<RiskProfileSpec>,
    },
    /// The profile was deleted.
    ProfileGone,
    /// A halt was asked for.
    Halted(HaltRecord),
    /// The resources say which policies trade the account, and what.
    Account {
        /// As read.
        config: Box<AccountConfig>,
    },
    /// A feed was opened for the first time.
    Follows {
        /// The feed.
        feed: FeedName,
        /// Its stream: bars of another one under the same name are never taken.
        stream: StreamIdentity,
    },
    /// A process took the orders of a policy.
    Acquired {
        /// The policy.
        policy: String,
        /// Its new epoch.
        epoch: u64,
        /// What the process drew before it asked.
        claim: String,
    },
    /// An order was checked, and handed to the venue when nothing was against it.
    Checked(CheckRecord),
    /// Orders were taken back.
    Cancelled(CancelRecord),
    /// The venue of a policy met a bar.
    Met(MetRecord),
}

/// A checked order and its verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckRecord {
    /// Policy that sent it.
    pub policy: String,
    /// The order, with time and place as the gate saw them.
    pub order: Order,
    /// The worse of its own price and the mark.
    pub price: Ticks,
    /// The gate's clock.
    pub at: Nanos,
    /// Reasons against it; empty when allowed.
    pub denials: Vec<Denial>,
    /// What the venue said at once.
    pub events: Vec<VenueEvent>,
}

/// Orders taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelRecord {
    /// Policy whose orders they are.
    pub policy: String,
    /// The orders that worked.
    pub order_ids: Vec<OrderId>,
    /// Ids that the gate had not seen: an order that comes late under one of them is refused.
    pub void: Vec<OrderId>,
    /// Why, when the gate did it by itself; empty when the policy asked.
    pub reason: String,
    /// What the venue said.
    pub events: Vec<VenueEvent>,
}

/// A bar, or its first part, that a venue met.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetRecord {
    /// Policy whose venue it is.
    pub policy: String,
    /// Instrument.
    pub symbol: Symbol,
    /// Position in the feed.
    pub sequence: u64,
    /// The bar of the gate's own feed.
    pub bar: Bar,
    /// How far it was met. A range without an open before it means both.
    pub phase: Phase,
    /// Clock of arrival; the bar's own close when the feed is recorded.
    pub arrived_at: Nanos,
    /// What the venue said.
    pub events: Vec<VenueEvent>,
}
