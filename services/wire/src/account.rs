//! `account.json`: what the resources say about one account. The operator writes it, the gate of the account reads it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tradewind_core::calendar::CalendarName;
use tradewind_core::instrument::{Instrument, InstrumentError, Symbol};

use crate::bus::{FeedKind, FeedName};
use crate::config::{InstrumentConfig, VenueConfig};

/// The policies that trade an account, with instruments of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccountConfig {
    /// The account.
    pub account: String,
    /// Calendar of its sessions.
    #[serde(default)]
    pub calendar: CalendarName,
    /// Ascending by name.
    pub policies: Vec<PolicyConfig>,
}

/// What one policy brings to the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyConfig {
    /// Name of the TradingPolicy.
    pub policy: String,
    /// Feed of its bars.
    pub feed: FeedName,
    /// Whether the feed is recorded.
    #[serde(default)]
    pub feed_kind: FeedKind,
    /// Where its orders trade.
    pub venue: VenueConfig,
    /// Its instruments.
    pub instruments: Vec<InstrumentConfig>,
}

impl AccountConfig {
    /// What is wrong with the values, nothing when usable.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        let (mut found, mut names, mut owners) = (Vec::new(), BTreeSet::new(), BTreeMap::<&Symbol, &str>::new());
        // One account has one clock: that of the wall, or that of one recording.
        let clock =
            |policy: &PolicyConfig| (policy.feed_kind, (policy.feed_kind == FeedKind::Replay).then(|| policy.feed.clone()));
        let clocks: Vec<_> = self.policies.iter().map(clock).collect();
        if clocks.windows(2).any(|pair| pair[0] != pair[1]) {
            found.push("policies of one account follow live feeds, or all of them one and the same recorded feed".to_owned());
        }
        for policy in &self.policies {
            let name = policy.policy.as_str();
            if name.is_empty() || name.contains('/') || !names.insert(name) {
                found.push(format!("policy '{name}' is empty, holds a '/' or is there twice"));
            }
            for instrument in &policy.instruments {
                if let Err(error) = instrument.instrument() {
                    found.push(format!("policy '{name}': {error}"));
                }
                if let Some(other) = owners.insert(&instrument.symbol, name) {
                    let symbol = &instrument.symbol;
                    found.push(format!("{symbol} is traded by '{other}' and by '{name}', an instrument belongs to one policy"));
                }
            }
        }
        found
    }
}

impl PolicyConfig {
    /// The checked instruments.
    ///
    /// # Errors
    /// [`InstrumentError`] of the first that is wrong.
    pub fn instruments(&self) -> Result<Vec<Instrument>, InstrumentError> {
        self.instruments.iter().map(InstrumentConfig::instrument).collect()
    }
}
