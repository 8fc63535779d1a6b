//! Publishing a recording to a feed: in order, at a pace, and going on where the stream ends.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tradewind_wire::bus::{BusError, Feed, Followed, PendingPublish};
use tradewind_wire::client::Patience;
use tradewind_wire::v1;

/// Answers that may be outstanding when there is no pace.
const WINDOW: usize = 256;

/// Why a recording is not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The stream holds something else than the beginning of this recording.
    #[error(
        "feed {feed}, sequence {sequence}: the stream has bar {found}, the recording has {planned}; \
         choose another feed, or the recording and symbols that this one was begun with"
    )]
    Different {
        /// Feed in question.
        feed: String,
        /// First sequence that differs.
        sequence: u64,
        /// Bar in the stream.
        found: String,
        /// Bar of the recording, if it is long enough.
        planned: String,
    },
    /// The bus refuses for good.
    #[error(transparent)]
    Bus(BusError),
}

/// How fast bars are published, all symbols together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Time between two bars; zero for as fast as possible.
    step: Duration,
    /// Bars from the beginning of the recording that come as fast as possible.
    head_start: u64,
}

impl Pace {
    /// `bars` per second, 0 for as fast as possible; `None` when negative, not finite or above a million.
    #[must_use]
    pub fn per_second(bars: f64) -> Option<Self> {
        match bars {
            0.0 => Some(Self { step: Duration::ZERO, head_start: 0 }),
            bars if bars > 0.0 && bars <= 1e6 => {
                Some(Self { step: Duration::try_from_secs_f64(bars.recip()).ok()?, head_start: 0 })
            }
            _ => None,
        }
    }

    /// The same, but the first `bars` of the recording come as fast as possible: the past on which features warm up.
    #[must_use]
    pub const fn after(self, bars: u64) -> Self {
        Self { head_start: bars, ..self }
    }

    /// Whether the bar behind so many others has to wait for its time.
    const fn holds(self, before: u64) -> bool {
        !self.step.is_zero() && before >= self.head_start
    }

    /// Answers that may be outstanding at that bar.
    const fn window(self, before: u64) -> usize {
        if self.holds(before) && self.step.as_millis() > 0 { 1 } else { WINDOW }
    }
}

/// How far a replay is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bars in the stream, from the beginning of the recording.
    pub in_stream: u64,
    /// Bars of the recording.
    pub planned: u64,
}

/// Publishes what the stream does not hold yet. Returns when all bars are acknowledged or `stop`
/// is cancelled, and waits for a bus that does not answer.
///
/// What the stream holds is compared with the recording first, so a restarted publisher goes on
/// exactly where the one before it was, whatever was lost in between.
///
/// # Errors
/// [`PublishError`].
pub async fn publish(
    feed: &Feed,
    recording: &[v1::Bar],
    pace: Pace,
    stop: &CancellationToken,
    mut progress: impl FnMut(Progress),
) -> Result<Progress, PublishError> {
    let mut run = Run { feed, recording, pace, checked: 0, in_stream: 0 };
    let mut failures = 0;
    loop {
        let outcome = run.session(stop, &mut progress).await;
        let error = match outcome {
            Ok(()) => return Ok(run.progress()),
            Err(PublishError::Bus(error)) if error.may_answer_later() || matches!(error, BusError::Moved { .. }) => error,
            Err(error) => return Err(error),
        };
        failures += 1;
        tracing::warn!(failures, %error, in_stream = run.in_stream, "publishing was interrupted, going on from the stream's head");
        tokio::select! {
            () = tokio::time::sleep(Patience::default().pause(failures)) => {}
            () = stop.cancelled() => return Ok(run.progress()),
        }
    }
}

struct Run<'a> {
    feed: &'a Feed,
    recording: &'a [v1::Bar],
    pace: Pace,
    /// Bars of the stream that were compared with the recording.
    checked: u64,
    /// Bars that the stream has acknowledged.
    in_stream: u64,
}

impl Run<'_> {
    const fn progress(&self) -> Progress {
        Progress { in_stream: self.in_stream, planned: self.recording.len() as u64 }
    }

    /// From the stream's head to the end of the recording, or to the first failure.
    async fn session(&mut self, stop: &CancellationToken, progress: &mut impl FnMut(Progress)) -> Result<(), PublishError> {
        self.compare(self.feed.head().await.map_err(PublishError::Bus)?.last).await?;
        progress(self.progress());
        let mut pending: VecDeque<PendingPublish> = VecDeque::new();
        let mut due = Instant::now();
        for (after, bar) in (0..).zip(self.recording).skip(usize::try_from(self.in_stream).unwrap_or(usize::MAX)) {
            if self.pace.holds(after) {
                tokio::select! {
                    () = tokio::time::sleep_until(due) => {}
                    () = stop.cancelled() => {}
                }
                // A pause of the machine is not made up for by a burst.
                due = (due + self.pace.step).max(Instant::now());
            }
            if stop.is_cancelled() {
                break;
            }
            pending.push_back(self.feed.send(bar, after).await.map_err(PublishError::Bus)?);
            while pending.len() >= self.pace.window(after) {
                self.acknowledge(&mut pending, progress).await?;
            }
        }
        while !pending.is_empty() {
            self.acknowledge(&mut pending, progress).await?;
        }
        Ok(())
    }

    async fn acknowledge(
        &mut self,
        pending: &mut VecDeque<PendingPublish>,
        progress: &mut impl FnMut(Progress),
    ) -> Result<(), PublishError> {
        if let Some(oldest) = pending.pop_front() {
            self.in_stream = oldest.acknowledged().await.map_err(PublishError::Bus)?.sequence;
            progress(self.progress());
        }
        Ok(())
    }

    /// Compares what the stream holds with the recording; each bar once.
    async fn compare(&mut self, head: u64) -> Result<(), PublishError> {
        let name = |bar: &v1::Bar| format!("{}/{}", bar.symbol, bar.index);
        for found in self.feed.read(self.checked + 1, head).await.map_err(PublishError::Bus)? {
            let sequence = found.sequence();
            let planned = usize::try_from(sequence - 1).ok().and_then(|at| self.recording.get(at));
            let seen = match found {
                Followed::Bar(found) if planned == Some(&found.bar) => None,
                Followed::Bar(found) => Some(name(&found.bar)),
                Followed::Quarantined(quarantined) => Some(quarantined.to_string()),
                // What was removed was published once.
                Followed::Gap { from, to } => {
                    tracing::warn!(feed = %self.feed.name(), from, to, "bars of the stream were removed");
                    None
                }
                Followed::Whole { .. } => None,
            };
            if let Some(found) = seen {
                return Err(PublishError::Different {
                    feed: self.feed.name().to_string(),
                    sequence,
                    found,
                    planned: planned.map_or_else(|| "ended".to_owned(), |bar| format!("{} (or other figures)", name(bar))),
                });
            }
            self.checked = sequence;
        }
        self.in_stream = head;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_a_number_of_bars_per_second() {
        let step = |bars| Pace::per_second(bars).map(|pace| pace.step.as_micros());
        assert_eq!([step(0.0), step(10.0), step(0.5), step(1e6)], [Some(0), Some(100_000), Some(2_000_000), Some(1)]);
        for wrong in [-1.0, f64::NAN, f64::INFINITY, 1e7, 1e-300] {
            assert_eq!(Pace::per_second(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_head_start_does_not_wait() {
        let pace = Pace::per_second(10.0).unwrap_or(Pace { step: Duration::ZERO, head_start: 0 }).after(3);
        assert_eq!(
            [0, 2, 3, 4].map(|before| (pace.holds(before), pace.window(before))),
            [(false, WINDOW), (false, WINDOW), (true, 1), (true, 1)]
        );
    }
}
