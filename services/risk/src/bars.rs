//! Bars at the gate: its own feed moves the venues and the marks, whatever execution says.

use tradewind_core::instrument::{Instrument, Symbol};
use tradewind_core::time::Nanos;
use tradewind_venue::adapter::Phase;
use tradewind_wire::bus::{FeedKind, FeedName, SequencedBar, StreamIdentity};
use tradewind_wire::convert::bar_from_wire;
use tradewind_wire::v1;

use crate::engine::{Engine, Proven};
use crate::error::RiskError;
use crate::record::{MetRecord, Record};

/// How far a bar of a live feed may be ahead of the clock of arrival (ruling 18).
const MOST_AHEAD: i64 = 5_000_000_000;

/// What a bar of a recorded feed waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awaited {
    /// Where the gate reads it.
    pub feed: FeedName,
    /// Other policies of the account that read the same recording: all before the bar comes first.
    pub peers: Vec<String>,
}

impl Engine {
    /// The feed from which the bar of a request is to be read, and who comes before; `None` when it was met already or
    /// comes by itself.
    ///
    /// # Errors
    /// As [`Engine::meet`]: nothing is read for a caller who does not own the policy's orders.
    pub fn awaited(&mut self, request: &v1::MeetRequest) -> Result<Option<Awaited>, RiskError> {
        let proven = self.owner(request.owner.as_ref())?;
        let named = self.state.listings.symbols.iter().find(|(symbol, _)| symbol.as_str() == request.symbol);
        let Some((_, listing)) = named.filter(|(_, listing)| listing.policy == proven.policy) else {
            return Err(RiskError::UnknownSymbol { symbol: request.symbol.clone(), policy: proven.policy });
        };
        let met = listing.met.is_some_and(|met| request.sequence <= met.sequence);
        let feed = self.feed_of(&proven.policy).filter(|(_, kind)| *kind == FeedKind::Replay && !met);
        Ok(feed.map(|(feed, _)| Awaited { feed, peers: self.state.listings.peers(&proven.policy) }))
    }

    /// The policy of a caller that says how far it has come in a recorded feed.
    ///
    /// # Errors
    /// [`RiskError::Fenced`] and its kin.
    pub fn settles(&mut self, request: &v1::SettleOwnerRequest) -> Result<String, RiskError> {
        Ok(self.owner(request.owner.as_ref())?.policy)
    }

    /// Lets the venue of the caller's policy meet a bar of the gate's own feed, in two steps when something trades at its
    /// open, because the position is to be protected within the bar. A bar that was met already changes nothing.
    ///
    /// On a live feed bars meet the venue when they arrive ([`Engine::arrive`]); here the caller only hears what became of it.
    ///
    /// # Errors
    /// [`RiskError::NotSeen`] while the gate's feed has not brought the bar, [`RiskError::Fenced`] and its kin,
    /// [`RiskError::UnknownSymbol`], [`RiskError::Message`] for a bar that no market makes, [`RiskError::Journal`].
    pub fn meet(&mut self, request: &v1::MeetRequest, own: Option<&SequencedBar>) -> Result<v1::MeetReply, RiskError> {
        let proven = self.owner(request.owner.as_ref())?;
        if self.state.account.is_none() {
            return Err(RiskError::NoProfile);
        }
        let named = self.state.listings.symbols.iter().find(|(symbol, _)| symbol.as_str() == request.symbol);
        let Some((symbol, listing)) = named.filter(|(_, listing)| listing.policy == proven.policy) else {
            return Err(RiskError::UnknownSymbol { symbol: request.symbol.clone(), policy: proven.policy });
        };
        let mut done = listing.met.is_some_and(|met| request.sequence <= met.sequence);
        if !done {
            let own = own.filter(|own| own.sequence == request.sequence && own.bar.symbol == request.symbol);
            let own = own.filter(|_| proven.kind == FeedKind::Replay);
            let Some(own) = own else {
                return Err(RiskError::NotSeen { symbol: request.symbol.clone(), sequence: request.sequence });
            };
            let bar = bar_from_wire(&own.bar, &listing.instrument)?;
            if listing.met.is_some_and(|met| bar.index <= met.index || bar.close_time <= met.close_time) {
                done = true;
            } else {
                let opened = listing.open.is_some_and(|open| open.index == bar.index);
                // The answer to the open may have been lost: the range waits until what traded there is known and protected.
                let acknowledged = request.owner.as_ref().map_or(0, |owner| owner.acknowledged);
                if opened && acknowledged < proven.booked {
                    return self.met(request, &proven, false);
                }
                let (policy, symbol, sequence) = (proven.policy.clone(), symbol.clone(), own.sequence);
                let arrived_at = bar.close_time;
                let met = MetRecord { policy, symbol, sequence, bar, phase: Phase::Open, arrived_at, events: Vec::new() };
                done = self.meet_bar(met, opened, true)?;
            }
        }
        self.met(request, &proven, done)
    }

    /// The gate's own feed was opened: the first time its stream is kept, and from then on only that one is followed, for as
    /// long as a policy of the account has met bars of it. A new policy may begin on a new stream once those of the old one
    /// are gone and flat.
    ///
    /// # Errors
    /// [`RiskError::Replaced`] for another stream, [`RiskError::Journal`].
    pub fn follows(&mut self, feed: &FeedName, stream: StreamIdentity) -> Result<(), RiskError> {
        match self.state.streams.get(feed) {
            Some(known) if *known == stream => Ok(()),
            Some(known) if self.has_met(feed) => Err(RiskError::Replaced { feed: feed.clone(), expected: *known, found: stream }),
            _ => self.record(Record::Follows { feed: feed.clone(), stream }),
        }
    }

    /// Whether a policy that still counts has met a bar of the feed.
    fn has_met(&self, feed: &FeedName) -> bool {
        let counts =
            |policy: &str| self.state.listings.policies.get(policy).is_some_and(|known| known.present) || self.is_engaged(policy);
        let mut listed = self.state.listings.of_feed(feed);
        listed.any(|(_, listing)| (listing.met.is_some() || listing.open.is_some()) && counts(&listing.policy))
    }

    /// Instruments of a feed, whose bars the gate takes.
    #[must_use]
    pub fn instruments_of(&self, feed: &FeedName) -> Vec<Instrument> {
        self.state.listings.of_feed(feed).map(|(_, listing)| listing.instrument.clone()).collect()
    }

    /// Instruments of a live feed whose next bar is overdue by more than the limits allow data to be old: their orders are
    /// refused. By the calendar of each; a closed market owes no bar. Empty when none is.
    #[must_use]
    pub fn overdue(&self, feed: &FeedName, now: Nanos) -> Vec<(Symbol, Nanos)> {
        let allowed = self.state.stops.limits().map_or(0, |limits| limits.max_data_age_ns);
        let live =
            |policy: &str| self.state.listings.policies.get(policy).is_some_and(|one| one.kind == FeedKind::Live && one.present);
        let listed = self.state.listings.of_feed(feed).filter(|(_, listing)| listing.present && live(&listing.policy));
        let due = listed.filter_map(|(symbol, listing)| Some((symbol.clone(), listing.mark()?.due)));
        due.filter(|(_, due)| now.since(*due) > allowed).collect()
    }

    fn met(&mut self, request: &v1::MeetRequest, proven: &Proven, done: bool) -> Result<v1::MeetReply, RiskError> {
        Ok(v1::MeetReply {
            done,
            events: self.unread(request.owner.as_ref(), &proven.policy)?,
            positions: self.held(&proven.policy)?,
            state: Some(self.state()),
            shared: !self.state.listings.peers(&proven.policy).is_empty(),
        })
    }

    /// A bar of a live feed has come: it meets the venue at once and moves the mark, with or without an owner.
    ///
    /// # Errors
    /// [`RiskError::Message`] for a bar that no market makes: it is refused, nothing changes. [`RiskError::Journal`].
    pub fn arrive(&mut self, feed: &FeedName, own: &SequencedBar, arrived_at: Nanos) -> Result<(), RiskError> {
        if self.state.account.is_none() {
            return Ok(());
        }
        let listed = self.state.listings.of_feed(feed).find(|(symbol, _)| symbol.as_str() == own.bar.symbol);
        let Some((symbol, listing)) = listed else { return Ok(()) };
        let bar = bar_from_wire(&own.bar, &listing.instrument)?;
        let ahead = bar.close_time.since(arrived_at);
        if ahead > MOST_AHEAD {
            return Err(RiskError::Ahead { symbol: symbol.to_string(), sequence: own.sequence, seen_ms: ahead / 1_000_000 });
        }
        let known = listing
            .met
            .is_some_and(|met| own.sequence <= met.sequence || bar.index <= met.index || bar.close_time <= met.close_time);
        if known {
            return Ok(());
        }
        let (policy, symbol, sequence) = (listing.policy.clone(), symbol.clone(), own.sequence);
        let met = MetRecord { policy, symbol, sequence, bar, phase: Phase::Open, arrived_at, events: Vec::new() };
        self.meet_bar(met, false, false).map(drop)
    }

    /// Meets what is left of a bar. False when its open traded and its range waits for protection.
    fn meet_bar(&mut self, mut met: MetRecord, opened: bool, may_wait: bool) -> Result<bool, RiskError> {
        let policy = met.policy.clone();
        if !opened {
            self.venues.meet(&policy, &met, Phase::Open)?;
            let events = self.fresh(&policy);
            if may_wait && !events.is_empty() {
                self.stage(Record::Met(MetRecord { events, ..met }))?;
                self.flush()?;
                return Ok(false);
            }
        }
        self.venues.meet(&policy, &met, Phase::Range)?;
        (met.phase, met.events) = (Phase::Range, self.fresh(&policy));
        self.stage(Record::Met(met))?;
        self.flush()?;
        Ok(true)
    }
}
