//! Messages to records and back.

use crate::limits::Proposal;
use tradewind_core::instrument::{Instrument, Lots, Symbol, Ticks};
use tradewind_core::time::Nanos;
use tradewind_wire::convert::{money_from_wire, required};
use tradewind_wire::v1;

use crate::error::RiskError;
use crate::record::{FillRecord, MarkRecord, ReportRecord};

fn instrument(message: &'static str, symbol: &str, parts: [Option<v1::Money>; 3]) -> Result<Instrument, RiskError> {
    let [tick, lot, point_value] = parts;
    let [tick, lot, point_value] = [("tick", tick), ("lot", lot), ("point_value", point_value)]
        .map(|(field, part)| required(part, message, field).and_then(money_from_wire));
    Ok(Instrument::new(Symbol::try_from(symbol.to_owned())?, tick?, lot?, point_value?)?)
}

pub(crate) fn proposal(order: &v1::OrderProposal) -> Result<Proposal, RiskError> {
    let parts = [order.tick, order.lot, order.point_value];
    Ok(Proposal {
        instrument: instrument("OrderProposal", &order.symbol, parts)?,
        lots: Lots(order.lots),
        price: Ticks(order.price_ticks),
        reference: Ticks(order.reference_price_ticks),
        reduce_only: order.reduce_only,
        event_time: Nanos(order.event_time_ns),
        data_time: Nanos(order.data_time_ns),
    })
}

pub(crate) fn report(report: &v1::AccountReport) -> Result<ReportRecord, RiskError> {
    let fill = |fill: &v1::FillEvent| -> Result<FillRecord, RiskError> {
        Ok(FillRecord {
            number: fill.fill_number,
            order_id: fill.order_id.clone(),
            symbol: Symbol::try_from(fill.symbol.clone())?,
            lots: Lots(fill.lots),
            price: Ticks(fill.price_ticks),
            fee: money_from_wire(required(fill.fee, "FillEvent", "fee")?)?,
            event_time: Nanos(fill.event_time_ns),
        })
    };
    let mark = |mark: &v1::MarkEvent| -> Result<MarkRecord, RiskError> {
        let instrument = instrument("MarkEvent", &mark.symbol, [mark.tick, mark.lot, mark.point_value])?;
        Ok(MarkRecord { instrument, price: Ticks(mark.price_ticks), event_time: Nanos(mark.event_time_ns) })
    };
    Ok(ReportRecord {
        sequence: report.sequence,
        session: (report.session_time_ns != 0).then_some(Nanos(report.session_time_ns)),
        fills: report.fills.iter().map(fill).collect::<Result<_, _>>()?,
        mark: report.mark.as_ref().map(mark).transpose()?,
        closed: report.closed_order_ids.clone(),
    })
}
