//! Orders to messages, and what the venue said back.

use tradewind_core::instrument::{Lots, Ticks};
use tradewind_core::money::Money;
use tradewind_core::orders::{Kind, OrderId, TimeInForce};
use tradewind_core::time::Nanos;
use tradewind_venue::paper::{CancelReason, VenueEvent, What};
use tradewind_wire::convert::{ConvertError, money_from_wire, required};
use tradewind_wire::v1;

use crate::record::{AccountFigures, OrderRecord};

/// An order for the gate. `seen` is the newest bar of the symbol.
pub(crate) fn order(record: &OrderRecord, seen: Nanos) -> v1::NewOrder {
    let order = &record.order;
    let (kind, price) = match order.kind {
        Kind::Market => (v1::OrderKind::Market, Ticks(0)),
        Kind::Limit { limit } => (v1::OrderKind::Limit, limit),
        Kind::Stop { trigger } => (v1::OrderKind::Stop, trigger),
    };
    v1::NewOrder {
        order_id: order.id.to_string(),
        symbol: order.symbol.to_string(),
        lots: order.lots.0,
        kind: kind.into(),
        price_ticks: price.0,
        immediate_or_cancel: order.time_in_force == TimeInForce::ImmediateOrCancel,
        reduce_only: order.reduce_only,
        group: order.group.clone().unwrap_or_default(),
        reference_price_ticks: record.reference.0,
        data_time_ns: seen.0,
    }
}

/// Reads what the venue said.
pub(crate) fn events(messages: &[v1::VenueEvent]) -> Result<Vec<VenueEvent>, ConvertError> {
    use v1::venue_event::What as Told;
    let missing = |field| ConvertError::Missing { message: "VenueEvent", field };
    let read = |message: &v1::VenueEvent| {
        let what = match message.what.as_ref().ok_or_else(|| missing("what"))? {
            Told::Accepted(_) => What::Accepted,
            Told::Filled(fill) => What::Filled {
                lots: Lots(fill.lots),
                price: Ticks(fill.price_ticks),
                fee: money_from_wire(required(fill.fee, "Filled", "fee")?)?,
                at: Nanos(fill.at_ns),
                bar: fill.bar_index,
            },
            Told::Reduced(reduced) => What::Reduced { lots: Lots(reduced.lots) },
            Told::Cancelled(end) => {
                What::Cancelled { reason: CancelReason::from_code(&end.reason).ok_or_else(|| missing("cancelled.reason"))? }
            }
        };
        Ok(VenueEvent { number: message.number, order_id: OrderId::from_text(message.order_id.clone()), what })
    };
    messages.iter().map(read).collect()
}

/// Reads the account as the gate has it.
pub(crate) fn figures(state: &v1::RiskState) -> Result<AccountFigures, ConvertError> {
    let money = |amount, field| -> Result<Money, ConvertError> { money_from_wire(required(amount, "RiskState", field)?) };
    Ok(AccountFigures {
        equity: money(state.equity, "equity")?,
        session_start: money(state.session_start_equity, "session_start_equity")?,
        daily_pnl_bps: state.daily_pnl_bps,
        drawdown_bps: state.drawdown_bps,
        gross_exposure_bps: state.gross_exposure_bps,
        losing_streak: state.losing_streak,
        open_positions: state.open_positions,
        price_collar_bps: state.price_collar_bps,
    })
}

/// The limit of an entry: as far from the mark as the collar allows, rounded towards the mark (EX-56).
pub(crate) fn marketable(reference: Ticks, lots: Lots, collar_bps: i64) -> Ticks {
    let distance = i128::from(reference.0.max(0)) * i128::from(collar_bps.max(0)) / 10_000;
    let distance = i64::try_from(distance).unwrap_or(i64::MAX);
    Ticks(reference.0.saturating_add(distance.saturating_mul(lots.0.signum())).max(1))
}
