//! From a trade to the orders that carry it out.

use tradewind_core::instrument::{Lots, Symbol, Ticks};
use tradewind_core::orders::{Kind, Order, OrderId, Role, TimeInForce};
use tradewind_core::time::Nanos;

use crate::messages::marketable;
use crate::record::TradeRecord;

/// Child index of the order that closes an earlier position.
const CLOSE: u32 = 0;
/// Child index of the entry.
const ENTRY: u32 = 1;
/// First child index of protective orders.
pub(crate) const FIRST_GUARD: u32 = 2;

/// Orders of a trade: first a reduce-only close at the market when the other side is held, then the entry, a limit within
/// the collar so that it holds at the fill too (EX-56). Both meet the bars after the deciding one.
pub(crate) fn entry_orders(trade: &TradeRecord, held: Lots, size: Lots, collar_bps: i64) -> Vec<(Role, Order)> {
    let order = |child, lots, reduce_only, time_in_force| Order {
        id: OrderId::child(&trade.trade_id, child),
        symbol: trade.symbol.clone(),
        lots,
        kind: if reduce_only { Kind::Market } else { Kind::Limit { limit: marketable(trade.reference, lots, collar_bps) } },
        time_in_force,
        reduce_only,
        group: None,
        after_index: Some(trade.index),
        sent_at: trade.decided_at,
    };
    let entry = (Role::Entry, order(ENTRY, trade.side.lots(size.0), false, TimeInForce::ImmediateOrCancel));
    if held.0 == 0 {
        return vec![entry];
    }
    vec![(Role::Close, order(CLOSE, Lots(-held.0), true, TimeInForce::GoodTillCancel)), entry]
}

/// Where and when protective orders are placed.
#[derive(Clone, Debug)]
pub(crate) struct GuardPlace<'a> {
    pub(crate) trade_id: &'a str,
    pub(crate) symbol: &'a Symbol,
    /// Position to protect.
    pub(crate) held: Lots,
    /// Child index of the stop; the target takes the next one.
    pub(crate) child: u32,
    /// Bar that is being met: the orders work in its range and after it.
    pub(crate) bar_index: u64,
    pub(crate) sent_at: Nanos,
}

/// Stop and target of a position: one group, reduce-only, so that what one fills the other loses (C-15).
pub(crate) fn guard_orders(place: &GuardPlace<'_>, stop: Ticks, target: Ticks) -> [(Role, Order); 2] {
    let order = |child, kind| Order {
        id: OrderId::child(place.trade_id, child),
        symbol: place.symbol.clone(),
        lots: Lots(-place.held.0),
        kind,
        time_in_force: TimeInForce::GoodTillCancel,
        reduce_only: true,
        group: Some(format!("{}#{}", place.trade_id, place.child)),
        after_index: place.bar_index.checked_sub(1),
        sent_at: place.sent_at,
    };
    [
        (Role::Stop, order(place.child, Kind::Stop { trigger: stop })),
        (Role::Target, order(place.child + 1, Kind::Limit { limit: target })),
    ]
}
