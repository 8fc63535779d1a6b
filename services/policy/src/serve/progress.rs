//! How far the decider has come in its feed, for those who share its account: on a recorded feed they meet a bar only when
//! everything before it is dealt with (ruling 18), and a decider without a bar of its own in hand has to say so.

use std::time::Duration;

use tonic::transport::Channel;
use tradewind_wire::client::within;
use tradewind_wire::v1;
use tradewind_wire::v1::execution_client::ExecutionClient;

/// A word that takes longer is given up: whoever waits for it goes on by itself.
const DEADLINE: Duration = Duration::from_millis(250);

/// Places in the stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The newest that was dealt with.
    dealt_with: u64,
    /// The newest that others were told of.
    told: u64,
    /// Whether anybody waits.
    shared: bool,
}

impl Progress {
    /// Everything up to this place is dealt with.
    pub(super) const fn dealt_with(&mut self, sequence: u64) {
        self.dealt_with = sequence;
    }

    /// What the gate says of the account. A bar that was met told the gate of all places before it.
    pub(super) const fn met(&mut self, sequence: u64, shared: bool) {
        self.shared = shared;
        self.told = sequence.saturating_sub(1);
    }

    /// The place that somebody waits for and nobody was told of.
    const fn to_tell(self) -> Option<u64> {
        if self.shared && self.dealt_with > self.told { Some(self.dealt_with) } else { None }
    }

    /// Tells it, once. What is not answered is told with the next place.
    pub(super) async fn tell(&mut self, execution: &ExecutionClient<Channel>) {
        let Some(sequence) = self.to_tell() else { return };
        let mut client = execution.clone();
        match within(DEADLINE, client.settle(v1::SettleRequest { sequence })).await {
            Ok(_) => self.told = sequence,
            Err(status) => tracing::debug!(sequence, message = status.message(), "the place was not told"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_place_that_somebody_waits_for_is_told_and_only_once() {
        let mut progress = Progress::default();
        progress.dealt_with(4);
        assert_eq!(progress.to_tell(), None, "alone in its account");
        progress.met(5, true);
        assert_eq!(progress.to_tell(), None, "the bar in hand told of 4");
        progress.dealt_with(5);
        assert_eq!(progress.to_tell(), Some(5));
        progress.told = 5;
        assert_eq!(progress.to_tell(), None);
        // Bars of other symbols pass by.
        progress.dealt_with(7);
        assert_eq!(progress.to_tell(), Some(7));
        progress.met(8, false);
        progress.dealt_with(8);
        assert_eq!(progress.to_tell(), None, "the others are gone");
    }
}
