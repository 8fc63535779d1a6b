//! Which policies trade the account, with which instruments, and how far each instrument's feed has come.

use std::collections::BTreeMap;

use tradewind_core::bar::Bar;
use tradewind_core::calendar::CalendarName;
use tradewind_core::instrument::{Instrument, Symbol, Ticks};
use tradewind_core::time::Nanos;
use tradewind_wire::account::AccountConfig;
use tradewind_wire::bus::{FeedKind, FeedName};

use crate::record::MetRecord;

/// A policy of the account.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Policy {
    /// Its feed.
    pub(crate) feed: FeedName,
    /// Whether that is recorded.
    pub(crate) kind: FeedKind,
    /// Whether the resources still name it.
    pub(crate) present: bool,
    /// Epoch in force; 0 before the first.
    pub(crate) epoch: u64,
    /// Claim that got it.
    pub(crate) claim: String,
    /// Number of the newest event of its venue that is booked.
    pub(crate) booked: u64,
}

/// An instrument of the account.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Listing {
    /// Policy that trades it.
    pub(crate) policy: String,
    /// As the resources say.
    pub(crate) instrument: Instrument,
    /// When its market is open.
    pub(crate) calendar: CalendarName,
    /// Whether the resources still name it.
    pub(crate) present: bool,
    /// The bar whose open is met and whose range is not.
    pub(crate) open: Option<Bar>,
    /// The newest bar that was met whole.
    pub(crate) met: Option<Met>,
}

/// The newest bar that was met whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Met {
    pub(crate) sequence: u64,
    pub(crate) index: u64,
    pub(crate) close: Ticks,
    pub(crate) close_time: Nanos,
    /// From its open to its close.
    pub(crate) interval: i64,
}

/// What the gate knows of the price of an instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) price: Ticks,
    pub(crate) at: Nanos,
    /// Until when no newer bar is due.
    pub(crate) due: Nanos,
}

impl Listing {
    /// The mark; `None` before the first bar.
    pub(crate) fn mark(&self) -> Option<Mark> {
        if let Some(bar) = &self.open {
            return Some(Mark { price: bar.open, at: bar.open_time, due: bar.close_time });
        }
        self.met.map(|met| Mark {
            price: met.close,
            at: met.close_time,
            due: self.calendar.calendar().due_after(met.close_time, met.interval),
        })
    }

    /// Index of the bar after which a new order meets the market: never one that has been met already.
    pub(crate) fn after_index(&self) -> Option<u64> {
        match &self.open {
            Some(bar) => bar.index.checked_sub(1),
            None => self.met.map(|met| met.index),
        }
    }
}

/// All policies and instruments of the account, those of the past included: positions outlive their policy.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Listings {
    pub(crate) policies: BTreeMap<String, Policy>,
    pub(crate) symbols: BTreeMap<Symbol, Listing>,
}

impl Listings {
    /// What contradicts what is booked already; empty when the configuration can be taken. `is_flat` says whether nothing
    /// is held and nothing works in a symbol.
    pub(crate) fn contradictions(&self, config: &AccountConfig, is_flat: impl Fn(&Symbol) -> bool) -> Vec<String> {
        let mut found = config.violations();
        for policy in &config.policies {
            if let Some(known) = self.policies.get(&policy.policy)
                && (&known.feed, known.kind) != (&policy.feed, policy.feed_kind)
            {
                let (name, feed) = (&policy.policy, &known.feed);
                found.push(format!("policy '{name}' follows feed '{feed}' ({:?}); feed and kind cannot be changed", known.kind));
            }
            for written in &policy.instruments {
                let Ok(instrument) = written.instrument() else { continue };
                let Some(known) = self.symbols.get(&instrument.symbol) else { continue };
                let symbol = &instrument.symbol;
                if known.calendar != CalendarName::default() && known.calendar != written.calendar {
                    found.push(format!("{symbol}: its calendar is {} and may be set once", known.calendar));
                }
                if known.instrument != instrument {
                    found.push(format!(
                        "{symbol}: tick, lot and point value cannot be changed; give the instrument another symbol"
                    ));
                }
                if known.policy != policy.policy && !is_flat(symbol) {
                    let (from, to) = (&known.policy, &policy.policy);
                    found.push(format!("{symbol} cannot go from '{from}' to '{to}' while a position or an order of it is open"));
                }
            }
        }
        found
    }

    /// Takes a configuration without contradictions.
    pub(crate) fn take(&mut self, config: &AccountConfig) {
        self.policies.values_mut().for_each(|policy| policy.present = false);
        self.symbols.values_mut().for_each(|listing| listing.present = false);
        for policy in &config.policies {
            let entry = self.policies.entry(policy.policy.clone()).or_insert_with(|| Policy {
                feed: policy.feed.clone(),
                kind: policy.feed_kind,
                present: true,
                epoch: 0,
                claim: String::new(),
                booked: 0,
            });
            entry.present = true;
            for written in &policy.instruments {
                let (Ok(instrument), calendar, name) = (written.instrument(), written.calendar, policy.policy.clone()) else {
                    continue;
                };
                let listing = self.symbols.entry(instrument.symbol.clone()).or_insert_with(|| Listing {
                    policy: name.clone(),
                    instrument,
                    calendar,
                    present: true,
                    open: None,
                    met: None,
                });
                if listing.policy != name {
                    // The other policy's feed counts otherwise and is another market.
                    (listing.open, listing.met) = (None, None);
                }
                (listing.policy, listing.calendar, listing.present) = (name, calendar, true);
            }
        }
    }

    /// Notes how far a bar was met.
    pub(crate) fn met(&mut self, record: &MetRecord, whole: bool) {
        let Some(listing) = self.symbols.get_mut(&record.symbol) else { return };
        let bar = &record.bar;
        listing.open = (!whole).then_some(*bar);
        if whole {
            listing.met = Some(Met {
                sequence: record.sequence,
                index: bar.index,
                close: bar.close,
                close_time: bar.close_time,
                interval: bar.close_time.since(bar.open_time).max(0),
            });
        }
    }

    /// The other policies with an owner that read the same recorded feed; none for a live one.
    pub(crate) fn peers(&self, policy: &str) -> Vec<String> {
        let Some(own) = self.policies.get(policy).filter(|own| own.kind == FeedKind::Replay) else { return Vec::new() };
        let beside = |name: &str, other: &Policy| {
            name != policy && other.present && other.epoch > 0 && (&other.feed, other.kind) == (&own.feed, own.kind)
        };
        self.policies.iter().filter(|(name, other)| beside(name, other)).map(|(name, _)| name.clone()).collect()
    }

    /// The instruments of a feed.
    pub(crate) fn of_feed(&self, feed: &FeedName) -> impl Iterator<Item = (&Symbol, &Listing)> {
        // Of a policy that is gone too: what it holds is valued, and its stops work, until it is flat.
        self.symbols
            .iter()
            .filter(move |(_, listing)| self.policies.get(&listing.policy).is_some_and(|policy| policy.feed == *feed))
    }
}
