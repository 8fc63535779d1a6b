//! What the gate of an account asks of a venue.

use tradewind_core::bar::Bar;
use tradewind_core::instrument::{Lots, Symbol};
use tradewind_core::orders::{Order, OrderId};

use crate::paper::{Command, PaperError, PaperVenue, VenueEvent};

/// Why a venue refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VenueError {
    /// The paper venue refuses; nothing changed.
    #[error(transparent)]
    Paper(#[from] PaperError),
}

/// Which part of a bar is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Its open.
    Open,
    /// Its range and close.
    Range,
}

/// A place where the orders of one policy trade. Every call can be repeated, a repetition changes nothing (EX-75, EX-79).
/// What became of an order is told by numbered events alone.
pub trait Venue: Send + std::fmt::Debug {
    /// Hands over an order; false when the venue had it before, working or done.
    ///
    /// # Errors
    /// [`VenueError`]; nothing changed then.
    fn submit(&mut self, order: &Order) -> Result<bool, VenueError>;
    /// Takes back what is left of an order; one that is not working stays as it is.
    ///
    /// # Errors
    /// [`VenueError`].
    fn cancel(&mut self, order_id: &OrderId) -> Result<(), VenueError>;
    /// A part of a bar came: a venue that trades on recorded prices lets orders meet it.
    ///
    /// # Errors
    /// [`VenueError`].
    fn meet(&mut self, symbol: &Symbol, bar: &Bar, phase: Phase) -> Result<(), VenueError>;
    /// Events after a number, oldest first.
    fn events_after(&self, number: u64) -> Vec<VenueEvent>;
    /// Events up to this number are known to whoever placed the orders.
    fn forget_through(&mut self, number: u64);
    /// Working orders and what is left of them, ascending by id.
    fn working(&self) -> Vec<(OrderId, Lots)>;
    /// Positions that are not flat, ascending by symbol.
    fn positions(&self) -> Vec<(Symbol, Lots)>;
}

impl PaperVenue {
    /// Whether the command was new.
    fn run(&mut self, command: &Command) -> Result<bool, VenueError> {
        let new = self.admit(command)?;
        if new {
            self.apply(command);
        }
        Ok(new)
    }
}

impl Venue for PaperVenue {
    fn submit(&mut self, order: &Order) -> Result<bool, VenueError> {
        self.run(&Command::Place { order: order.clone() })
    }

    fn cancel(&mut self, order_id: &OrderId) -> Result<(), VenueError> {
        self.run(&Command::Cancel { order_id: order_id.clone() }).map(drop)
    }

    fn meet(&mut self, symbol: &Symbol, bar: &Bar, phase: Phase) -> Result<(), VenueError> {
        let (symbol, bar) = (symbol.clone(), *bar);
        self.run(&match phase {
            Phase::Open => Command::Open { symbol, bar },
            Phase::Range => Command::Range { symbol, bar },
        })
        .map(drop)
    }

    fn events_after(&self, number: u64) -> Vec<VenueEvent> {
        Self::events_after(self, number).cloned().collect()
    }

    fn forget_through(&mut self, number: u64) {
        Self::forget_through(self, number);
    }

    fn working(&self) -> Vec<(OrderId, Lots)> {
        let mut working: Vec<_> = Self::working(self).map(|working| (working.order.id.clone(), working.left)).collect();
        working.sort();
        working
    }

    fn positions(&self) -> Vec<(Symbol, Lots)> {
        Self::positions(self).map(|(symbol, lots)| (symbol.clone(), lots)).collect()
    }
}
