//! One feed: publishing bars and reading them back.

use std::fmt;
use std::future::IntoFuture;

use async_nats::jetstream::context::{PublishAckFuture, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{self, stream};
use prost::Message;
use serde::{Deserialize, Serialize};

use tradewind_core::time::Nanos;

use super::{BusError, Follower};
use crate::admission::{Quarantined, Reason};
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

    pub(super) fn expect(&self, expected: StreamIdentity, found: StreamIdentity) -> Result<(), BusError> {
        let replaced = || BusError::Replaced { stream: self.stream(), expected, found };
        if expected == found { Ok(()) } else { Err(replaced()) }
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

/// A bar with its place in the total order.
#[derive(Clone, Debug, PartialEq)]
pub struct SequencedBar {
    /// Sequence in the stream, from 1.
    pub sequence: u64,
    /// When the stream received it; kept with the message, so every reader sees the same.
    pub arrived: Nanos,
    /// The bar.
    pub bar: v1::Bar,
}

/// What a follower meets, in the order of the stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Followed {
    /// A bar.
    Bar(SequencedBar),
    /// A message that is no bar of its subject.
    Quarantined(Quarantined),
    /// Messages that the stream does not hold any more, both ends included.
    Gap {
        /// First sequence that is gone.
        from: u64,
        /// Last sequence that is gone.
        to: u64,
    },
    /// The stream holds again what it had lost: [`BusError::RolledBack`] is over.
    Whole {
        /// Last sequence that was read.
        read: u64,
    },
}

impl Followed {
    /// Last sequence that this is about.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        match self {
            Self::Bar(bar) => bar.sequence,
            Self::Quarantined(quarantined) => quarantined.sequence,
            Self::Gap { to, .. } => *to,
            Self::Whole { read } => *read,
        }
    }

    /// The bar, if it is one.
    #[must_use]
    pub fn bar(self) -> Option<SequencedBar> {
        if let Self::Bar(bar) = self { Some(bar) } else { None }
    }
}

/// Which stream it is: one that was removed and made again under its name is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamIdentity(
    /// When the server made the stream, UTC nanoseconds.
    pub i64,
);

impl StreamIdentity {
    pub(super) fn of(info: &stream::Info) -> Self {
        // Beyond the year 2262 all are one.
        Self(i64::try_from(info.created.unix_timestamp_nanos()).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for StreamIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "created at {} ns", self.0)
    }
}

/// What the stream holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Sequence of the oldest message; above 1 when the beginning was removed (0 or 1 when empty).
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
    /// [`BusError::Request`]; [`BusError::Replaced`] when the stream was removed and made again since it was opened.
    pub async fn head(&self) -> Result<Head, BusError> {
        let info = self.stream.get_info().await;
        let info = info.map_err(|error| BusError::Request { action: "reading the feed's head", detail: chain(&error) })?;
        self.name.expect(self.identity(), StreamIdentity::of(&info))?;
        Ok(Head { first: info.state.first_sequence, last: info.state.last_sequence })
    }

    /// Which stream was opened.
    #[must_use]
    pub fn identity(&self) -> StreamIdentity {
        StreamIdentity::of(self.stream.cached_info())
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
        Follower::new(self.name.clone(), self.stream.clone(), self.identity(), from.max(1))
    }

    /// Follows the stream behind a bar that was read before, by a process that kept it: `is_it` knows it again.
    #[must_use]
    pub fn follow_after(&self, sequence: u64, is_it: impl Fn(&v1::Bar) -> bool + Send + 'static) -> Follower {
        self.follow(sequence.saturating_add(1)).knowing(is_it)
    }

    /// Reads a range, both ends included, which the stream must have reached: its bars, and what is no bar or gone.
    ///
    /// # Errors
    /// [`BusError`] of the follower; the range is read whole or not at all.
    pub async fn read(&self, from: u64, to: u64) -> Result<Vec<Followed>, BusError> {
        let mut found = Vec::new();
        let mut follower = self.follow(from);
        while follower.next_sequence() <= to {
            match follower.next().await? {
                Followed::Whole { .. } => {}
                other => found.push(other),
            }
        }
        Ok(found)
    }
}

/// Reads the payload of a message on a subject of the feed.
pub(super) fn read_bar(name: &FeedName, sequence: u64, subject: &str, payload: &[u8]) -> Result<v1::Bar, Quarantined> {
    let wrong = |reason, symbol: &str, index, value: String, limit: String| {
        let symbol = symbol.chars().take(32).collect();
        Quarantined { sequence, symbol, index, reason, value, limit }
    };
    let of_subject = subject.rsplit('.').next().unwrap_or_default();
    let bar = v1::Bar::decode(payload).map_err(|error| {
        let value = format!("{} bytes that are none ({error})", payload.len());
        wrong(Reason::NotABar, of_subject, 0, value, "a bar as tradewind.v1.Bar".to_owned())
    })?;
    let due = name.subject(&bar.symbol);
    if due == subject {
        return Ok(bar);
    }
    let shown = subject.chars().take(128).collect();
    Err(wrong(Reason::Subject, &bar.symbol, bar.index, shown, due.chars().take(128).collect()))
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

    #[test]
    fn what_is_no_bar_of_its_subject_is_named() {
        let name: FeedName = "us-daily".parse().unwrap();
        let bar = v1::Bar { symbol: "SPX".into(), index: 4, ..v1::Bar::default() };
        let read = |subject: &str, payload: &[u8]| read_bar(&name, 9, subject, payload);
        assert_eq!(read("bars.us-daily.SPX", &bar.encode_to_vec()), Ok(bar.clone()));
        let found = read("bars.us-daily.IXIC", &bar.encode_to_vec()).unwrap_err();
        assert_eq!((found.reason, found.symbol.as_str(), found.index, found.sequence), (Reason::Subject, "SPX", 4, 9));
        let found = read("bars.us-daily.SPX", b"\xff\xff\xff").unwrap_err();
        assert_eq!((found.reason, found.symbol.as_str()), (Reason::NotABar, "SPX"));
        let nameless = read("bars.us-daily.SPX", b"").unwrap_err();
        assert_eq!(nameless.reason, Reason::Subject, "an empty payload is a bar of no symbol");
    }

    #[test]
    fn a_stream_made_again_is_another() {
        let name: FeedName = "us-daily".parse().unwrap();
        name.expect(StreamIdentity(7), StreamIdentity(7)).unwrap();
        let error = name.expect(StreamIdentity(7), StreamIdentity(8)).unwrap_err();
        assert!(error.to_string().contains("BARS_US_DAILY") && !error.may_answer_later(), "{error}");
    }
}
