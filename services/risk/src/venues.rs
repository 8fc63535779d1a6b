//! The venues of the account: one for each policy, so that nothing of one can touch the orders of another.

use std::collections::BTreeMap;

use tradewind_core::orders::{Order, OrderId};
use tradewind_venue::adapter::{Phase, Venue, VenueError};
use tradewind_venue::fills::FillModel;
use tradewind_venue::paper::{Command, PaperConfig, PaperVenue, VenueEvent};
use tradewind_wire::account::{AccountConfig, PolicyConfig};
use tradewind_wire::config::VenueConfig;

use crate::record::{MetRecord, Record};

/// Events that are kept for a reader who has not acknowledged them, after a restart.
const KEPT: u64 = 10_000;

/// Figures of the paper venue as the configuration writes them.
#[must_use]
pub const fn paper_config(venue: &VenueConfig) -> PaperConfig {
    PaperConfig {
        fills: FillModel { spread_bps: venue.spread_bps, fee_bps: venue.fee_bps },
        seed: venue.seed,
        partial_fill_bps: venue.partial_fill_bps,
        latency_ms: venue.latency_ms,
    }
}

/// The paper venues by policy. They have no memory of their own: the gate's journal is theirs.
#[derive(Debug, Default)]
pub(crate) struct Venues {
    by_policy: BTreeMap<String, PaperVenue>,
}

impl Venues {
    /// Brings figures and instruments up to date.
    pub(crate) fn configure(&mut self, config: &AccountConfig) {
        for policy in &config.policies {
            let venue = self.by_policy.entry(policy.policy.clone()).or_default();
            for command in listing(policy) {
                if venue.admit(&command) == Ok(true) {
                    venue.apply(&command);
                }
            }
        }
    }

    /// The venue of a policy that has been configured.
    pub(crate) fn of(&mut self, policy: &str) -> Option<&mut dyn Venue> {
        self.by_policy.get_mut(policy).map(|venue| venue as &mut dyn Venue)
    }

    /// Hands over an order; false when the venue had it before.
    pub(crate) fn submit(&mut self, policy: &str, order: &Order) -> Result<bool, VenueError> {
        self.of(policy).map_or(Ok(false), |venue| venue.submit(order))
    }

    /// Takes orders back.
    pub(crate) fn cancel(&mut self, policy: &str, order_ids: &[OrderId]) -> Result<(), VenueError> {
        self.of(policy).map_or(Ok(()), |venue| order_ids.iter().try_for_each(|id| venue.cancel(id)))
    }

    /// Lets a policy's orders meet a part of a bar.
    pub(crate) fn meet(&mut self, policy: &str, met: &MetRecord, phase: Phase) -> Result<(), VenueError> {
        self.of(policy).map_or(Ok(()), |venue| venue.meet(&met.symbol, &met.bar, phase))
    }

    /// Events of a policy after a number.
    pub(crate) fn events_after(&mut self, policy: &str, number: u64) -> Vec<VenueEvent> {
        self.of(policy).map_or_else(Vec::new, |venue| venue.events_after(number))
    }

    /// Repeats what a record made the venues do.
    pub(crate) fn replay(&mut self, record: &Record) -> Result<(), VenueError> {
        let (policy, events) = match record {
            Record::Account { config } => {
                self.configure(config);
                return Ok(());
            }
            Record::Checked(check) if check.denials.is_empty() => {
                self.submit(&check.policy, &check.order)?;
                (&check.policy, &check.events)
            }
            Record::Cancelled(cancel) => {
                self.cancel(&cancel.policy, &cancel.order_ids)?;
                (&cancel.policy, &cancel.events)
            }
            Record::Met(met) => {
                // Meeting an open again changes nothing.
                self.meet(&met.policy, met, Phase::Open)?;
                if met.phase == Phase::Range {
                    self.meet(&met.policy, met, Phase::Range)?;
                }
                (&met.policy, &met.events)
            }
            _ => return Ok(()),
        };
        if let (Some(newest), Some(venue)) = (events.last(), self.by_policy.get_mut(policy)) {
            venue.forget_through(newest.number.saturating_sub(KEPT));
        }
        Ok(())
    }
}

fn listing(policy: &PolicyConfig) -> Vec<Command> {
    let mut commands = vec![Command::Configure { config: paper_config(&policy.venue) }];
    commands.extend(policy.instruments().unwrap_or_default().into_iter().map(|instrument| Command::List { instrument }));
    commands
}
