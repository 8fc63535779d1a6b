//! One feed: publishing bars and reading them back.

use std::fmt;
use std::future::IntoFuture;

use async_nats::jetstream::context::{PublishAckFuture, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{self, stream};
use prost::Message;
use serde::{Deserialize, Serialize};

use super::{BusError, Follower};
use crate::client::chain;
use crate::v1;

/// Name of a feed: `[a-z][a-z0-9-]{0,31}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FeedName(String);

impl FeedName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Name of the JetStream stream.
    #[must_use]
    pub fn stream(&self) -> String {
        format!("BARS_{}", self.0.to_ascii_uppercase().replace('-', "_"))
    }

    /// Subject of a symbol's bars. A symbol may hold dots, a token of a subject may not.
    #[must_use]
    pub fn subject(&self, symbol: &str) -> String {
        format!("bars.{}.{}", self.0, symbol.replace('.', "_"))
    }
}

impl TryFrom<String> for FeedName {
    type Error = BusError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        if begins && text.len() <= 32 && text.bytes().all(fine) { Ok(Self(text)) } else { Err(BusError::FeedName(text)) }
    }
}

impl std::str::FromStr for FeedName {
    type Err = BusError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.to_owned().try_into()
    }
}

impl From<FeedName> for String {
    fn from(name: FeedName) -> Self {
        name.0
    }
}

impl fmt::Display for FeedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether the bars of a feed happen now or are brought again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum FeedKind {
    /// As the market makes them.
    #[default]
    Live,
    /// Recorded.
    Replay,
}

/// A bar with its place in the total order.
#[derive(Clone, Debug, PartialEq)]
pub struct SequencedBar {
    /// Sequence in the stream, from 1.
    pub sequence: u64,
    /// The bar.
    pub bar: v1::Bar,
}

/// What the stream holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Sequence of the oldest message; 1 unless something was removed (0 or 1 when empty).
    pub first: u64,
    /// Sequence of the newest message; 0 when empty.
    pub last: u64,
}

/// The server's answer to a published bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Sequence of the bar in the stream.
    pub sequence: u64,
    /// It was there already.
    pub duplicate: bool,
}

/// A bar that was sent; wait for it to know that the stream has it.
pub struct PendingPublish {
    ack: PublishAckFuture,
    moved: Box<dyn FnOnce() -> BusError + Send>,
}

impl PendingPublish {
    /// Waits for the acknowledgement.
    ///
    /// # Errors
    /// [`BusError::Moved`] when the bar does not follow the sequence it was to follow.
    pub async fn acknowledged(self) -> Result<Published, BusError> {
        match self.ack.into_future().await {
            Ok(ack) => Ok(Published { sequence: ack.sequence, duplicate: ack.duplicate }),
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => Err((self.moved)()),
            Err(error) => Err(BusError::Request { action: "publishing a bar", detail: chain(&error) }),
        }
    }
}

/// A feed of bars. Clones share the connection.
#[derive(Clone, Debug)]
pub struct Feed {
    name: FeedName,
    context: jetstream::Context,
    stream: stream::Stream,
}

impl Feed {
    pub(super) const fn new(name: FeedName, context: jetstream::Context, stream: stream::Stream) -> Self {
        Self { name, context, stream }
    }

    /// Name of the feed.
    #[must_use]
    pub const fn name(&self) -> &FeedName {
        &self.name
    }

    /// What the stream holds now.
    ///
    /// # Errors
    /// [`BusError::Request`]; [`BusError::Trimmed`] when its beginning is gone.
    pub async fn head(&self) -> Result<Head, BusError> {
        let info = self.stream.get_info().await;
        let info = info.map_err(|error| BusError::Request { action: "reading the feed's head", detail: chain(&error) })?;
        let head = Head { first: info.state.first_sequence, last: info.state.last_sequence };
        if head.first > 1 { Err(BusError::Trimmed { stream: self.name.stream(), first: head.first }) } else { Ok(head) }
    }

    /// Sends a bar that is to follow sequence `after`, without waiting for the answer: keep a window of
    /// some hundreds and wait for the oldest.
    ///
    /// The expected sequence stops everything behind a bar that was lost on the way and every second
    /// publisher; the message id makes a repeated bar harmless.
    ///
    /// # Errors
    /// [`BusError::Request`] when the bar could not be sent or 65,536 answers are outstanding.
    pub async fn send(&self, bar: &v1::Bar, after: u64) -> Result<PendingPublish, BusError> {
        let message = PublishMessage::build()
            .payload(bar.encode_to_vec().into())
            .message_id(format!("{}/{}/{}", self.name, bar.symbol, bar.index))
            .expected_last_sequence(after);
        let sent = self.context.send_publish(self.name.subject(&bar.symbol), message).await;
        let ack = sent.map_err(|error| BusError::Request { action: "publishing a bar", detail: chain(&error) })?;
        let (feed, symbol, index) = (self.name.clone(), bar.symbol.clone(), bar.index);
        Ok(PendingPublish { ack, moved: Box::new(move || BusError::Moved { feed, symbol, index, expected: after }) })
    }

    /// Follows the stream from a sequence (at least 1) for as long as wanted.
    #[must_use]
    pub fn follow(&self, from: u64) -> Follower {
        Follower::new(self.name.clone(), self.stream.clone(), from.max(1))
    }

    /// Reads the bars of a range, both ends included, which must be in the stream.
    ///
    /// # Errors
    /// [`BusError`] of the follower; the range is read whole or not at all.
    pub async fn read(&self, from: u64, to: u64) -> Result<Vec<SequencedBar>, BusError> {
        let mut bars = Vec::new();
        let mut follower = self.follow(from);
        while follower.next_sequence() <= to {
            bars.push(follower.next().await?);
        }
        Ok(bars)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn names_become_streams_and_subjects() {
        let name: FeedName = "us-daily".parse().unwrap();
        assert_eq!((name.stream().as_str(), name.subject("BRK.B").as_str()), ("BARS_US_DAILY", "bars.us-daily.BRK_B"));
        for wrong in ["", "Default", "a.b", "a*", "-a", "1a", "a b", &"a".repeat(33)] {
            assert!(wrong.parse::<FeedName>().is_err(), "{wrong}");
        }
    }
}
