//! Orders at the gate: checked, journaled and handed to the venue in one step.

use tradewind_core::instrument::{Instrument, Ticks};
use tradewind_core::orders::Order;
use tradewind_core::time::Nanos;
use tradewind_wire::bus::FeedKind;
use tradewind_wire::v1;

use crate::engine::{Engine, Proven};
use crate::error::RiskError;
use crate::limits::{Denial, Proposal};
use crate::listing::Mark;
use crate::messages;
use crate::record::{CheckRecord, Record};

/// Most orders of one message.
const MOST_ORDERS: usize = 16;
/// Longest wait between an order's arrival and its check (RK-121).
pub const CHECK_DEADLINE_NS: i64 = 10_000_000;

/// When a call came and when it is carried out, on the clock of arrival.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrival {
    /// When the message came.
    pub came_at: Nanos,
    /// Now.
    pub now: Nanos,
}

impl Arrival {
    /// A call that did not wait.
    #[must_use]
    pub const fn at(now: Nanos) -> Self {
        Self { came_at: now, now }
    }
}

impl Engine {
    /// Checks orders one after the other, those before counted, and hands over what is allowed. The same id with the same
    /// content gets the same verdict again; with other content it is refused. A refusal beyond what is written down of a policy
    /// in a minute binds no id.
    ///
    /// # Errors
    /// [`RiskError::Fenced`] and its kin from a process that does not own the policy's orders, [`RiskError::TooMany`],
    /// [`RiskError::Journal`]. An unusable order is answered with a denial.
    pub fn place(&mut self, request: &v1::PlaceRequest, arrival: Arrival) -> Result<v1::PlaceReply, RiskError> {
        let proven = self.owner(request.owner.as_ref())?;
        if request.orders.len() > MOST_ORDERS {
            return Err(RiskError::TooMany { what: "orders", seen: request.orders.len(), allowed: MOST_ORDERS });
        }
        let mut verdicts = Vec::new();
        for message in &request.orders {
            let denials = self.place_one(message, &proven, arrival)?;
            verdicts.push(self.verdict(&message.order_id, &denials));
        }
        self.flush()?;
        Ok(v1::PlaceReply { verdicts, events: self.unread(request.owner.as_ref(), &proven.policy)? })
    }

    fn place_one(&mut self, message: &v1::NewOrder, proven: &Proven, arrival: Arrival) -> Result<Vec<Denial>, RiskError> {
        let order = match messages::order(message, &proven.policy) {
            Ok(order) => order,
            Err(denial) => return Ok(self.refuse(&message.order_id, denial)),
        };
        if let Some(known) = self.state.verdict(order.id.as_str()) {
            if known.order.same_content(&order) {
                return Ok(known.denials.clone());
            }
            let order_id = order.id.to_string();
            return Ok(self.refuse(&message.order_id, Denial::IdReused { order_id }));
        }
        if self.state.is_void(order.id.as_str()) {
            let order_id = order.id.to_string();
            return Ok(self.refuse(&message.order_id, Denial::TakenBack { order_id }));
        }
        let (instrument, mark, after_index) = match self.listed(&order, proven) {
            Ok(listed) => listed,
            Err(denial) => return Ok(self.refuse(&message.order_id, denial)),
        };
        let live = proven.kind == FeedKind::Live;
        let at = if live { arrival.now } else { self.state.event_time };
        let sent_at = if live { arrival.now } else { mark.at };
        let order = Order { after_index, sent_at, ..order };
        let price = order.kind.price().unwrap_or(mark.price);
        let mut denials = self.state.check(&Proposal {
            instrument,
            lots: order.lots,
            price,
            reference: mark.price,
            reduce_only: order.reduce_only,
            event_time: at,
            data_time: fresh_until(message, mark),
        });
        denials.extend(claims(message, mark, order.reduce_only));
        let waited = arrival.now.since(arrival.came_at);
        if live && waited > CHECK_DEADLINE_NS && !order.reduce_only {
            let (seen_ms, allowed_ms) = (waited / 1_000_000, CHECK_DEADLINE_NS / 1_000_000);
            denials.push(Denial::Deadline { seen_ms, allowed_ms });
        }
        if denials.is_empty() {
            match self.venues.submit(&proven.policy, &order) {
                Ok(true) => {}
                // So old that its verdict is forgotten: what the venue has seen once it never takes again.
                Ok(false) => return Ok(self.refuse(&message.order_id, Denial::IdReused { order_id: order.id.to_string() })),
                Err(error) => denials.push(Denial::VenueRefused { reason: error.to_string() }),
            }
        }
        if let Some(first) = denials.first()
            && self.state.is_refused_often(&proven.policy, at)
        {
            self.state.denied(order.id.as_str(), first);
            return Ok(denials);
        }
        let (policy, events) = (proven.policy.clone(), self.fresh(&proven.policy));
        let price = price.max(mark.price);
        self.stage(Record::Checked(CheckRecord { policy, order, price, at, denials: denials.clone(), events }))?;
        Ok(denials)
    }

    /// Instrument, mark and place in the feed of an order's symbol, when it is one of the policy's.
    fn listed(&self, order: &Order, proven: &Proven) -> Result<(Instrument, Mark, Option<u64>), Denial> {
        let listing = self.state.listings.symbols.get(&order.symbol);
        // What is not traded any more may still be reduced.
        let ours = |listing: &&crate::listing::Listing| {
            listing.policy == proven.policy && (listing.present && proven.present || order.reduce_only)
        };
        let Some(listing) = listing.filter(ours) else {
            let reason = format!("{} is not an instrument of policy '{}' by its resource", order.symbol, proven.policy);
            return Err(Denial::UnknownInstrument { reason });
        };
        let mark = listing.mark().ok_or_else(|| Denial::NoMark { symbol: order.symbol.to_string() })?;
        Ok((listing.instrument.clone(), mark, listing.after_index()))
    }

    /// Counts a refusal that needs no record: it neither reserves nor binds the id.
    fn refuse(&mut self, order_id: &str, denial: Denial) -> Vec<Denial> {
        let shown: String = order_id.chars().take(80).collect();
        self.state.denied(&shown, &denial);
        vec![denial]
    }

    fn verdict(&self, order_id: &str, denials: &[Denial]) -> v1::OrderVerdict {
        let texts: Vec<String> = denials.iter().map(ToString::to_string).collect();
        v1::OrderVerdict {
            order_id: order_id.to_owned(),
            allowed: denials.is_empty(),
            denial: denials.first().map_or_else(String::new, |denial| denial.code().to_owned()),
            message: texts.join("; "),
            state: self.state.trading().0.to_string(),
            denials: denials.iter().map(|denial| denial.code().to_owned()).collect(),
        }
    }
}

/// Until when the data of an order is fresh: the gate's own bar or the older one that the sender decided on. A time that is
/// not older than the gate's makes nothing fresher.
fn fresh_until(message: &v1::NewOrder, mark: Mark) -> Nanos {
    let seen = Nanos(message.data_time_ns.saturating_add(mark.due.since(mark.at)));
    if message.data_time_ns > 0 { mark.due.min(seen) } else { mark.due }
}

/// What the sender says it saw is compared, never used: whoever saw a bar that the gate has not seen is ahead of it or lies.
fn claims(message: &v1::NewOrder, mark: Mark, reduce_only: bool) -> Option<Denial> {
    let ahead = Nanos(message.data_time_ns).since(mark.at);
    let elsewhere = message.reference_price_ticks != 0 && Ticks(message.reference_price_ticks).0 <= 0;
    if reduce_only {
        return None;
    }
    if elsewhere {
        let (lots, price, reference) = (message.lots, message.price_ticks, message.reference_price_ticks);
        return Some(Denial::OrderInvalid { lots, price, reference });
    }
    (ahead > 0).then_some(Denial::DataAhead { seen_ms: (ahead / 1_000_000).max(1) })
}
