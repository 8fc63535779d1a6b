//! The pre-trade check: from memory, without allocation when the order passes.

use crate::stops::breaker::Latched;
use crate::stops::daily_loss::Hit;
use tradewind_core::account::Account;
use tradewind_core::instrument::{Instrument, Lots, Symbol, Ticks};
use tradewind_core::money::Money;
use tradewind_core::time::Nanos;

use super::reservations::{OrderRate, Reach, Reservations};
use super::{Denial, Limits, TradingState, exceeds_bps};

/// Most working orders of a symbol that may only reduce (RK-125): a stop, a target and what is left of closes is a handful.
const MOST_REDUCING: u64 = 32;

/// An order as the check sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The instrument.
    pub instrument: Instrument,
    /// Signed size.
    pub lots: Lots,
    /// Limit, trigger, or reference price of a market order.
    pub price: Ticks,
    /// The gate's own mark: centre of the price collar, and the least that the order is valued at.
    pub reference: Ticks,
    /// May only reduce the position.
    pub reduce_only: bool,
    /// The gate's clock: of arrival for a live feed, of events for a recorded one.
    pub event_time: Nanos,
    /// Until when the instrument's newest bar is fresh: its close and its interval (ruling of the age of data).
    pub data_time: Nanos,
}

/// Everything a check reads: one immutable picture of the account (RK-107).
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// Limits in force.
    pub limits: &'a Limits,
    /// The book.
    pub account: &'a Account,
    /// Working orders.
    pub reservations: &'a Reservations,
    /// Orders of the last minute.
    pub rate: &'a OrderRate,
    /// A halt by people: what it allows and who halted.
    pub halt: Option<(TradingState, &'a str)>,
    /// The latched breaker.
    pub breaker: Option<&'a Latched>,
    /// The loss of this session, once it went beyond its limit.
    pub daily_loss: Option<&'a Hit>,
}

/// Checks one order. Empty means allowed; otherwise every reason against it, the first being the one to report.
///
/// A reduce-only order of at most the position passes every limit (EX-118, C-36): it is refused only when it is
/// malformed or all trading is halted. Only the mark makes it one, because then the venue cuts it at flat; the same
/// order without it could fill after another one and open a position. Every other order must pass all limits, with
/// working orders counted as filled in the worst sequence.
#[must_use]
pub fn check(standing: &Standing<'_>, proposal: &Proposal) -> Vec<Denial> {
    let (lots, held) = (proposal.lots.0, standing.account.lots(&proposal.instrument.symbol).0);
    if lots == 0 || proposal.price.0 <= 0 || proposal.reference.0 <= 0 {
        return vec![Denial::OrderInvalid { lots, price: proposal.price.0, reference: proposal.reference.0 }];
    }
    if let Some((TradingState::Halted, reason)) = standing.halt {
        return vec![Denial::Halted { reason: reason.to_owned(), allowed: "no order is allowed".to_owned() }];
    }
    if proposal.reduce_only {
        let allowed = if held.signum() == -lots.signum() { held.saturating_abs() } else { 0 };
        let reduces = lots.saturating_abs() <= allowed;
        if !reduces {
            return vec![Denial::NotReducing { lots, held, allowed }];
        }
        let (symbol, seen) = (&proposal.instrument.symbol, standing.reservations.reducing(&proposal.instrument.symbol));
        let full = seen >= MOST_REDUCING;
        let denial = || Denial::ReducingOrders { symbol: symbol.to_string(), seen, allowed: MOST_REDUCING };
        return full.then(denial).into_iter().collect();
    }
    let mut reach = standing.reservations.reach(&proposal.instrument.symbol);
    reach.add(lots, false);
    let mut denials = Vec::new();
    permission(standing, &mut denials);
    figures(standing, proposal, &mut denials);
    sizes(standing, proposal, reach, &mut denials);
    denials
}

/// Halt, breaker and daily loss: no new risk at all.
fn permission(standing: &Standing<'_>, denials: &mut Vec<Denial>) {
    if let Some((TradingState::ReduceOnly, reason)) = standing.halt {
        let allowed = "only reduce-only orders are allowed".to_owned();
        denials.push(Denial::Halted { reason: reason.to_owned(), allowed });
    }
    if let Some(latched) = standing.breaker {
        denials.push(Denial::DrawdownBreaker { id: latched.id.clone(), reason: latched.reason.clone() });
    }
    let (limits, account) = (standing.limits, standing.account);
    if limits.daily_loss_exceeded(account) {
        let allowed = account.session_start().bps(limits.daily_loss_bps);
        denials.push(Denial::DailyLoss { seen: -account.daily_pnl(), allowed });
    } else if let Some(hit) = standing.daily_loss {
        denials.push(Denial::DailyLoss { seen: hit.seen, allowed: hit.allowed });
    }
}

/// Age, price and rate.
fn figures(standing: &Standing<'_>, proposal: &Proposal, denials: &mut Vec<Denial>) {
    let limits = standing.limits;
    let age = proposal.event_time.since(proposal.data_time);
    if age > limits.max_data_age_ns {
        denials.push(Denial::DataAge { seen_ms: age / 1_000_000, allowed_ms: limits.max_data_age_ns / 1_000_000 });
    }
    let (price, reference) = (proposal.price.0, proposal.reference.0);
    let distance = (i128::from(price) - i128::from(reference)).abs() * 10_000;
    if distance > i128::from(reference) * i128::from(limits.price_collar_bps) {
        let exact = (distance + i128::from(reference) - 1) / i128::from(reference);
        let seen_bps = i64::try_from(exact).unwrap_or(i64::MAX);
        denials.push(Denial::PriceCollar { price, reference, seen_bps, allowed_bps: limits.price_collar_bps });
    }
    let seen = standing.rate.within_minute(proposal.event_time) + 1;
    if seen > u64::from(limits.max_orders_per_minute) {
        denials.push(Denial::OrderRate { seen, allowed: limits.max_orders_per_minute });
    }
}

/// Order, position and gross exposure.
fn sizes(standing: &Standing<'_>, proposal: &Proposal, reach: Reach, denials: &mut Vec<Denial>) {
    let (limits, account, instrument) = (standing.limits, standing.account, &proposal.instrument);
    let order = instrument.notional(proposal.lots, proposal.price.max(proposal.reference)).abs();
    if order > limits.max_order_notional {
        denials.push(Denial::OrderNotional { seen: order, allowed: limits.max_order_notional });
    }
    let worst = Lots(reach.worst(account.lots(&instrument.symbol).0));
    let own = proposal.price.max(proposal.reference);
    let position = instrument.notional(worst, dearest(standing, &instrument.symbol, own)).abs();
    if position > limits.max_position_notional {
        denials.push(Denial::PositionNotional { seen: position, allowed: limits.max_position_notional });
    }
    let gross = position + others(standing, &instrument.symbol);
    if exceeds_bps(gross, account.equity(), limits.max_gross_exposure_bps) {
        let (allowed_bps, equity) = (limits.max_gross_exposure_bps, account.equity().max(Money::ZERO));
        denials.push(Denial::GrossExposure { seen: gross, allowed: equity.bps(allowed_bps), allowed_bps });
    }
}

/// Worst exposure in all other symbols, at their marks.
fn others(standing: &Standing<'_>, symbol: &Symbol) -> Money {
    let others = standing.account.positions().filter(|position| position.instrument.symbol != *symbol);
    others
        .map(|position| {
            let other = &position.instrument;
            let worst = Lots(standing.reservations.reach(&other.symbol).worst(position.lots.0));
            other.notional(worst, dearest(standing, &other.symbol, position.mark)).abs()
        })
        .sum()
}

/// The highest price at which a symbol may come to be held: `known`, or that of a working order which may open.
fn dearest(standing: &Standing<'_>, symbol: &Symbol, known: Ticks) -> Ticks {
    let opening = standing.reservations.iter().filter(|(_, open)| open.symbol == *symbol && !open.reduce_only);
    opening.map(|(_, open)| open.price).fold(known, Ord::max)
}
