//! Messages to orders and events, and back.

use tradewind_core::instrument::{Lots, Symbol, Ticks};
use tradewind_core::orders::{Kind, Order, OrderId, TimeInForce};
use tradewind_core::time::Nanos;
use tradewind_venue::paper::{VenueEvent, What};
use tradewind_wire::convert::{ConvertError, money_to_wire};
use tradewind_wire::v1;

use crate::limits::Denial;

/// Largest size and price of an order: far beyond every limit, and small enough that no product of them overflows.
const MOST_LOTS: i64 = 1_000_000_000_000;
const MOST_TICKS: i64 = 1_000_000_000_000_000;
/// Longest id and group.
const MOST_BYTES: usize = 200;

/// Reads an order of a policy; when it meets the market is not said yet.
pub(crate) fn order(message: &v1::NewOrder, policy: &str) -> Result<Order, Denial> {
    let (lots, price) = (message.lots, message.price_ticks);
    let invalid = || Denial::OrderInvalid { lots, price, reference: message.reference_price_ticks };
    let kind = match message.kind() {
        v1::OrderKind::Market if price == 0 => Kind::Market,
        v1::OrderKind::Limit => Kind::Limit { limit: Ticks(price) },
        v1::OrderKind::Stop => Kind::Stop { trigger: Ticks(price) },
        v1::OrderKind::Market | v1::OrderKind::Unspecified => return Err(invalid()),
    };
    if lots == 0 || !(-MOST_LOTS..=MOST_LOTS).contains(&lots) || (kind != Kind::Market && !(1..=MOST_TICKS).contains(&price)) {
        return Err(invalid());
    }
    let ours = message.order_id.strip_prefix(policy).is_some_and(|rest| rest.starts_with('/') && rest.len() > 1);
    if !ours || message.order_id.len() > MOST_BYTES || message.group.len() > MOST_BYTES {
        let reason = format!("order id and group have at most {MOST_BYTES} bytes, and the id begins with '{policy}/'");
        return Err(Denial::VenueRefused { reason });
    }
    if !message.reduce_only && !matches!(kind, Kind::Limit { .. }) {
        let kind = if kind == Kind::Market { "market" } else { "stop" }.to_owned();
        return Err(Denial::Unpriced { kind });
    }
    let symbol = Symbol::try_from(message.symbol.clone());
    let symbol = symbol.map_err(|error| Denial::UnknownInstrument { reason: error.to_string() })?;
    let time_in_force = if message.immediate_or_cancel { TimeInForce::ImmediateOrCancel } else { TimeInForce::GoodTillCancel };
    Ok(Order {
        id: OrderId::from_text(message.order_id.clone()),
        symbol,
        lots: Lots(lots),
        kind,
        time_in_force,
        reduce_only: message.reduce_only,
        group: (!message.group.is_empty()).then(|| message.group.clone()),
        after_index: None,
        sent_at: Nanos(0),
    })
}

/// An event as its policy hears of it.
pub(crate) fn event(event: &VenueEvent) -> Result<v1::VenueEvent, ConvertError> {
    use v1::venue_event::What as Told;
    let what = match &event.what {
        What::Accepted => Told::Accepted(v1::Accepted {}),
        What::Filled { lots, price, fee, at, bar } => Told::Filled(v1::Filled {
            lots: lots.0,
            price_ticks: price.0,
            fee: Some(money_to_wire(*fee)?),
            at_ns: at.0,
            bar_index: *bar,
        }),
        What::Reduced { lots } => Told::Reduced(v1::Reduced { lots: lots.0 }),
        What::Cancelled { reason } => Told::Cancelled(v1::Cancelled { reason: reason.code().to_owned() }),
    };
    Ok(v1::VenueEvent { number: event.number, order_id: event.order_id.to_string(), what: Some(what) })
}
