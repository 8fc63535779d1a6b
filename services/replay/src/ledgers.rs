//! The three ledgers of a run and their digests.

use std::io::{BufWriter, Write};
use std::path::Path;

use serde::Serialize;
use tradewind_execution::{Record, ledger};
use tradewind_journal::{LedgerDigest, line_of};
use tradewind_policy::Entry;

/// Lines of the three ledgers, without line feeds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledgers {
    /// One line per bar.
    pub decisions: Vec<String>,
    /// One line per order event.
    pub orders: Vec<String>,
    /// One line per fill.
    pub fills: Vec<String>,
}

/// SHA-256 of each ledger, every line ended by a line feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Digests {
    /// Of the decisions.
    pub decisions: String,
    /// Of the orders.
    pub orders: String,
    /// Of the fills.
    pub fills: String,
}

impl Ledgers {
    /// The ledgers that two journals hold.
    ///
    /// # Errors
    /// When a record cannot be written as JSON.
    pub fn of(entries: &[Entry], records: &[Record]) -> Result<Self, serde_json::Error> {
        Ok(Self {
            decisions: entries.iter().map(|entry| line_of(&entry.record)).collect::<Result<_, _>>()?,
            orders: ledger::orders(records).iter().map(line_of).collect::<Result<_, _>>()?,
            fills: ledger::fills(records).iter().map(line_of).collect::<Result<_, _>>()?,
        })
    }

    /// Their digests.
    #[must_use]
    pub fn digests(&self) -> Digests {
        Digests { decisions: hex(&self.decisions), orders: hex(&self.orders), fills: hex(&self.fills) }
    }

    /// Writes `decisions.jsonl`, `orders.jsonl` and `fills.jsonl` below a directory.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, directory: &Path) -> std::io::Result<()> {
        for (name, lines) in [("decisions", &self.decisions), ("orders", &self.orders), ("fills", &self.fills)] {
            let mut file = BufWriter::new(std::fs::File::create(directory.join(format!("{name}.jsonl")))?);
            lines.iter().try_for_each(|line| writeln!(file, "{line}"))?;
            file.flush()?;
        }
        Ok(())
    }
}

fn hex(lines: &[String]) -> String {
    let mut digest = LedgerDigest::new();
    lines.iter().for_each(|line| digest.push_line(line));
    digest.hex()
}
