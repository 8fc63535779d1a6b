//! What the gate can say of its own feeds: how far each has come, what keeps it from being read, what was left out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tradewind_core::time::Nanos;
use tradewind_wire::bus::{FeedKind, FeedName};
use tradewind_wire::v1;

/// Longest text that a message of a feed can leave behind.
const SHOWN: usize = 300;

/// One feed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FeedSight {
    /// Whether bars come by themselves.
    live: bool,
    newest: u64,
    arrived_at: Nanos,
    fault: String,
    replaced: bool,
    refused: u64,
    last_refused: String,
}

/// All feeds that were opened, or were to be. Clones share.
#[derive(Clone, Debug, Default)]
pub(super) struct Sights(Arc<Mutex<BTreeMap<FeedName, FeedSight>>>);

impl Sights {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<FeedName, FeedSight>> {
        // Each change is one assignment to a field.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, feed: &FeedName, kind: FeedKind, change: impl FnOnce(&mut FeedSight)) {
        let mut sights = self.lock();
        let sight = sights.entry(feed.clone()).or_default();
        sight.live = kind == FeedKind::Live;
        change(sight);
    }

    /// A message came, whatever it is: the feed is read.
    pub(super) fn came(&self, feed: &FeedName, kind: FeedKind, sequence: u64, arrived_at: Nanos) {
        self.change(feed, kind, |sight| {
            (sight.newest, sight.arrived_at) = (sequence.max(sight.newest), arrived_at);
            sight.fault.clear();
            sight.replaced = false;
        });
    }

    /// The feed answers, though it may hold nothing new.
    pub(super) fn answers(&self, feed: &FeedName, kind: FeedKind) {
        self.change(feed, kind, |sight| {
            sight.fault.clear();
            sight.replaced = false;
        });
    }

    /// The feed is not read.
    pub(super) fn fails(&self, feed: &FeedName, kind: FeedKind, fault: &str, replaced: bool) {
        self.change(feed, kind, |sight| (sight.fault, sight.replaced) = (fault.to_owned(), replaced));
    }

    /// A message was left out.
    pub(super) fn refused(&self, feed: &FeedName, kind: FeedKind, why: &str) {
        self.change(feed, kind, |sight| {
            sight.refused = sight.refused.saturating_add(1);
            sight.last_refused = why.chars().take(SHOWN).collect();
        });
    }

    /// Of the feeds named, in their order.
    pub(super) fn told(&self, feeds: &[(FeedName, FeedKind, u64)], overdue: impl Fn(&FeedName) -> String) -> Vec<v1::GateFeed> {
        let sights = self.lock();
        let told = |(name, kind, met): &(FeedName, FeedKind, u64)| {
            let sight = sights.get(name).cloned().unwrap_or_default();
            v1::GateFeed {
                name: name.to_string(),
                live: *kind == FeedKind::Live,
                newest_sequence: sight.newest.max(*met),
                arrived_at_ns: if sight.live { sight.arrived_at.0 } else { 0 },
                fault: sight.fault,
                replaced: sight.replaced,
                overdue: overdue(name),
                refused_total: sight.refused,
                last_refused: sight.last_refused,
            }
        };
        feeds.iter().map(told).collect()
    }
}
