//! Venues: what the engine asks of them, and the paper venue with its own journal.

use tradewind_core::bar::Bar;
use tradewind_core::instrument::{Instrument, Lots, Symbol};
use tradewind_core::orders::{Order, OrderId};
use tradewind_journal::{JournalError, Log};
use tradewind_venue::paper::{Command, PaperConfig, PaperError, PaperVenue, VenueEvent};

/// Why a venue refuses or does not answer.
#[derive(Debug, thiserror::Error)]
pub enum VenueError {
    /// The venue's journal cannot be written.
    #[error("paper venue: {0}")]
    Journal(#[from] JournalError),
    /// Another process owns the account.
    #[error("{0}")]
    Fenced(PaperError),
    /// The venue refuses.
    #[error("{0}")]
    Refused(PaperError),
}

impl From<PaperError> for VenueError {
    fn from(error: PaperError) -> Self {
        match error {
            PaperError::Fenced { .. } => Self::Fenced(error),
            other => Self::Refused(other),
        }
    }
}

/// A place where orders trade. It has a memory of its own and every call is idempotent (EX-75, EX-79).
pub trait Venue {
    /// Refuses every token below this one from now on.
    ///
    /// # Errors
    /// [`VenueError`].
    fn acquire(&mut self, token: u64) -> Result<(), VenueError>;
    /// Places an order.
    ///
    /// # Errors
    /// [`VenueError`].
    fn place(&mut self, token: u64, order: &Order) -> Result<(), VenueError>;
    /// Takes back what is left of an order; one that is not working stays as it is.
    ///
    /// # Errors
    /// [`VenueError`].
    fn cancel(&mut self, token: u64, order_id: &OrderId) -> Result<(), VenueError>;
    /// Market orders meet the open of a bar.
    ///
    /// # Errors
    /// [`VenueError`].
    fn open(&mut self, symbol: &Symbol, bar: &Bar) -> Result<(), VenueError>;
    /// Stops and limits meet the range of a bar.
    ///
    /// # Errors
    /// [`VenueError`].
    fn range(&mut self, symbol: &Symbol, bar: &Bar) -> Result<(), VenueError>;
    /// Events after a number, oldest first.
    fn events_after(&self, number: u64) -> Vec<VenueEvent>;
    /// The reader has journaled events up to this number.
    fn forget_through(&mut self, number: u64);
    /// Working orders and what is left of them, by order id.
    fn working(&self) -> Vec<(OrderId, Lots)>;
    /// Positions that are not flat, ascending by symbol.
    fn positions(&self) -> Vec<(Symbol, Lots)>;
}

/// The paper venue behind its own journal of commands: a crash between this journal and that of the engine is
/// what reconciliation is for.
pub struct PaperAdapter {
    log: Box<dyn Log<Command>>,
    venue: PaperVenue,
}

impl std::fmt::Debug for PaperAdapter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PaperAdapter").field("venue", &self.venue).finish_non_exhaustive()
    }
}

impl PaperAdapter {
    /// Replays the venue's journal and brings figures and instruments up to date.
    ///
    /// # Errors
    /// [`VenueError`] when the journal cannot be read or an instrument has changed.
    pub fn open(config: PaperConfig, instruments: &[Instrument], mut log: Box<dyn Log<Command>>) -> Result<Self, VenueError> {
        let mut venue = PaperVenue::new();
        for command in log.replay()? {
            venue.apply(&command);
        }
        let mut adapter = Self { log, venue };
        adapter.run(Command::Configure { config })?;
        for instrument in instruments {
            adapter.run(Command::List { instrument: instrument.clone() })?;
        }
        Ok(adapter)
    }

    fn run(&mut self, command: Command) -> Result<(), VenueError> {
        if self.venue.admit(&command)? {
            self.log.append(&command)?;
            self.venue.apply(&command);
        }
        Ok(())
    }
}

impl Venue for PaperAdapter {
    fn acquire(&mut self, token: u64) -> Result<(), VenueError> {
        self.run(Command::Acquire { token })
    }

    fn place(&mut self, token: u64, order: &Order) -> Result<(), VenueError> {
        self.run(Command::Place { token, order: order.clone() })
    }

    fn cancel(&mut self, token: u64, order_id: &OrderId) -> Result<(), VenueError> {
        self.run(Command::Cancel { token, order_id: order_id.clone() })
    }

    fn open(&mut self, symbol: &Symbol, bar: &Bar) -> Result<(), VenueError> {
        self.run(Command::Open { symbol: symbol.clone(), bar: *bar })
    }

    fn range(&mut self, symbol: &Symbol, bar: &Bar) -> Result<(), VenueError> {
        self.run(Command::Range { symbol: symbol.clone(), bar: *bar })
    }

    fn events_after(&self, number: u64) -> Vec<VenueEvent> {
        self.venue.events_after(number).cloned().collect()
    }

    fn forget_through(&mut self, number: u64) {
        self.venue.forget_through(number);
    }

    fn working(&self) -> Vec<(OrderId, Lots)> {
        let mut working: Vec<_> = self.venue.working().map(|working| (working.order.id.clone(), working.left)).collect();
        working.sort();
        working
    }

    fn positions(&self) -> Vec<(Symbol, Lots)> {
        self.venue.positions().map(|(symbol, lots)| (symbol.clone(), lots)).collect()
    }
}
