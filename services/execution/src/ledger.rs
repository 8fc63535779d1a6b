//! The ledgers of orders and fills: one JSON line each, in the order of the journal, without any wall clock and
//! without fencing tokens, so that a run with restarts gives the bytes of a run without.

use std::collections::BTreeMap;

use serde::Serialize;
use tradewind_core::instrument::{Lots, Symbol, Ticks};
use tradewind_core::money::Money;
use tradewind_core::orders::{Kind, OrderId, Role};
use tradewind_core::time::Nanos;
use tradewind_venue::paper::What;

use crate::record::{OrderRecord, Record};

/// One line of `orders.jsonl`: an order was sent or denied, or it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderLine {
    /// Order.
    pub order_id: OrderId,
    /// Trade.
    pub trade_id: String,
    /// Symbol.
    pub symbol: Symbol,
    /// Why the order exists.
    pub role: Role,
    /// Signed size asked for.
    pub lots: Lots,
    /// Market, stop or limit.
    pub kind: Kind,
    /// Mark of the pre-trade check.
    pub reference: Ticks,
    /// May only reduce.
    pub reduce_only: bool,
    /// Event time at which it was sent.
    pub sent_at: Nanos,
    /// `submitted`, `denied`, `filled`, `cancelled` or `dropped`.
    pub event: &'static str,
    /// Code of the denial or reason of the end; empty otherwise.
    pub reason: String,
    /// Signed size filled so far.
    pub filled: Lots,
}

/// One line of `fills.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FillLine {
    /// Number within the account, from 1.
    pub number: u64,
    /// Order.
    pub order_id: OrderId,
    /// Trade.
    pub trade_id: String,
    /// Bundle that drove.
    pub bundle: String,
    /// Symbol.
    pub symbol: Symbol,
    /// Index of the bar.
    pub index: u64,
    /// Signed size.
    pub lots: Lots,
    /// Price.
    pub price: Ticks,
    /// Fee.
    pub fee: Money,
    /// Event time.
    pub at: Nanos,
}

/// One line of either ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Of `orders.jsonl`.
    Order(OrderLine),
    /// Of `fills.jsonl`.
    Fill(FillLine),
}

/// Turns records into ledger lines, one record at a time.
#[derive(Debug, Default)]
pub struct Ledger {
    orders: BTreeMap<OrderId, (OrderRecord, i64, i64)>,
    bundles: BTreeMap<String, String>,
    fills: u64,
    venue_number: u64,
}

impl Ledger {
    /// An empty ledger.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The lines that a record adds: none, one, or a fill and the end of its order.
    pub fn push(&mut self, record: &Record) -> Vec<Line> {
        match record {
            Record::Trade(trade) => {
                self.bundles.insert(trade.trade_id.clone(), trade.bundle.clone());
                Vec::new()
            }
            Record::Order(order) => {
                self.orders.insert(order.order.id.clone(), (order.clone(), 0, order.order.lots.0));
                Vec::new()
            }
            Record::Denied { order_id, denial, .. } => self.end(order_id, "denied", denial.clone()),
            Record::Dropped { order_id, reason } => self.end(order_id, "dropped", reason.clone()),
            Record::Venue(event) if event.number > self.venue_number => {
                self.venue_number = event.number;
                self.venue(&event.order_id, &event.what)
            }
            _ => Vec::new(),
        }
    }

    fn venue(&mut self, id: &OrderId, what: &What) -> Vec<Line> {
        match what {
            What::Accepted => {
                self.orders.get(id).map(|(order, ..)| line(order, "submitted", String::new(), 0)).into_iter().collect()
            }
            What::Cancelled { reason } => self.end(id, "cancelled", reason.code().to_owned()),
            What::Reduced { lots } => {
                if let Some((_, _, asked)) = self.orders.get_mut(id) {
                    *asked -= lots.0;
                }
                Vec::new()
            }
            What::Filled { lots, price, fee, at, bar } => {
                let Some((order, filled, asked)) = self.orders.get_mut(id) else { return Vec::new() };
                *filled += lots.0;
                self.fills += 1;
                let whole = filled == asked;
                let fill = FillLine {
                    number: self.fills,
                    order_id: id.clone(),
                    trade_id: order.trade_id.clone(),
                    bundle: self.bundles.get(&order.trade_id).cloned().unwrap_or_default(),
                    symbol: order.order.symbol.clone(),
                    index: *bar,
                    lots: *lots,
                    price: *price,
                    fee: *fee,
                    at: *at,
                };
                let mut lines = vec![Line::Fill(fill)];
                if whole {
                    lines.extend(self.end(id, "filled", String::new()));
                }
                lines
            }
        }
    }

    fn end(&mut self, id: &OrderId, event: &'static str, reason: String) -> Vec<Line> {
        self.orders.remove(id).map(|(order, filled, _)| line(&order, event, reason, filled)).into_iter().collect()
    }
}

fn line(record: &OrderRecord, event: &'static str, reason: String, filled: i64) -> Line {
    let order = &record.order;
    Line::Order(OrderLine {
        order_id: order.id.clone(),
        trade_id: record.trade_id.clone(),
        symbol: order.symbol.clone(),
        role: record.role,
        lots: order.lots,
        kind: order.kind,
        reference: record.reference,
        reduce_only: order.reduce_only,
        sent_at: order.sent_at,
        event,
        reason,
        filled: Lots(filled),
    })
}

/// Lines of the orders ledger.
pub fn orders<'a>(records: impl IntoIterator<Item = &'a Record>) -> Vec<OrderLine> {
    let mut ledger = Ledger::new();
    let lines = records.into_iter().flat_map(|record| ledger.push(record));
    lines.filter_map(|line| if let Line::Order(line) = line { Some(line) } else { None }).collect()
}

/// Lines of the fills ledger.
pub fn fills<'a>(records: impl IntoIterator<Item = &'a Record>) -> Vec<FillLine> {
    let mut ledger = Ledger::new();
    let lines = records.into_iter().flat_map(|record| ledger.push(record));
    lines.filter_map(|line| if let Line::Fill(line) = line { Some(line) } else { None }).collect()
}
