//! Who may write: the elector that keeps the lease, and the fence that every write passes.

use std::future::Future;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::PostParams;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::lease::{LeaseTerms, Sighting, Turn, released, turn};

/// Refused by the fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FenceError {
    /// This process does not hold the lease, or its hold ran out.
    #[error("not the leader: the write was not sent")]
    NotLeader,
    /// The write took longer than allowed, or than the lease lasts.
    #[error("no answer within {0:?}: the outcome of the write is unknown and the next reconcile looks at it")]
    TimedOut(Duration),
}

/// Handle on the right to write. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Leadership {
    held_until: watch::Receiver<Option<Instant>>,
}

impl Leadership {
    /// A leadership that a test, or a one-shot command, hands out itself.
    #[must_use]
    pub fn channel() -> (watch::Sender<Option<Instant>>, Self) {
        let (sender, held_until) = watch::channel(None);
        (sender, Self { held_until })
    }

    /// Whether a write may be sent now.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.remaining().is_some()
    }

    fn remaining(&self) -> Option<Duration> {
        let until = (*self.held_until.borrow())?;
        until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    /// Runs one write if the lease is held, and stops waiting for it at `limit` or when the lease
    /// runs out, whichever is sooner.
    ///
    /// # Errors
    /// [`FenceError`] when the write was not sent or did not answer in time.
    pub async fn fence<T>(&self, limit: Duration, write: impl Future<Output = T>) -> Result<T, FenceError> {
        let left = self.remaining().ok_or(FenceError::NotLeader)?.min(limit);
        tokio::time::timeout(left, write).await.map_err(|_| FenceError::TimedOut(left))
    }

    /// Resolves once the lease is held.
    pub async fn acquired(&mut self) {
        // an error means that the elector is gone: then nobody ever leads, which is the safe answer
        if self.held_until.wait_for(Option::is_some).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Resolves once the lease is lost or given back, or the elector is gone.
    pub async fn lost(&mut self) {
        drop(self.held_until.wait_for(Option::is_none).await);
    }
}

/// Keeps the lease until it is cancelled.
#[derive(Debug)]
pub struct Elector {
    /// Leases of the operator's own namespace.
    pub api: Api<Lease>,
    /// Name of the lease object.
    pub name: String,
    /// Name of this pod.
    pub identity: String,
    /// Periods.
    pub terms: LeaseTerms,
    /// Told how long writes are allowed.
    pub held_until: watch::Sender<Option<Instant>>,
}

impl Elector {
    /// Takes and renews the lease until `stop` is cancelled or it is lost to another pod, then
    /// gives it back if it is still held. Returns after a loss: the caller ends the process, because
    /// caches and half-done reconciles of a former leader are worth nothing.
    pub async fn run(self, stop: CancellationToken) {
        let mut seen: Option<Sighting> = None;
        loop {
            let pause = match self.once(&mut seen).await {
                Ok(pause) => pause,
                Err(error) => {
                    warn!(%error, lease = %self.name, "the lease could not be read or written; trying again");
                    self.terms.retry_every
                }
            };
            if self.expired() {
                warn!(lease = %self.name, "the lease ran out before it could be renewed: writing stops");
                self.held_until.send_replace(None);
                return;
            }
            if pause.is_zero() {
                return; // lost to another pod
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => break,
            }
        }
        self.give_back().await;
    }

    fn expired(&self) -> bool {
        self.held_until.borrow().is_some_and(|until| until <= Instant::now())
    }

    /// One turn; answers how long to pause, zero when the lease went to somebody else.
    async fn once(&self, seen: &mut Option<Sighting>) -> Result<Duration, kube::Error> {
        let started = Instant::now();
        let wall = Timestamp::now();
        let found = self.limited(self.api.get_opt(&self.name)).await?;
        *seen = found.as_ref().map(|lease| Sighting::update(seen.as_ref(), lease, started));
        let written = match turn(found.as_ref(), seen.as_ref(), &self.identity, &self.terms, started, wall) {
            Turn::Create(mut lease) => {
                lease.metadata.name = Some(self.name.clone());
                self.limited(self.api.create(&PostParams::default(), &lease)).await
            }
            Turn::Replace(lease) => self.limited(self.api.replace(&self.name, &PostParams::default(), &lease)).await,
            Turn::Wait { holder } => {
                if self.held_until.borrow().is_some() {
                    warn!(%holder, lease = %self.name, "another pod holds the lease: writing stops");
                    self.held_until.send_replace(None);
                    return Ok(Duration::ZERO);
                }
                return Ok(self.terms.retry_every);
            }
        };
        match written {
            Ok(_) => {
                if self.held_until.send_replace(Some(started + self.terms.hold_for)).is_none() {
                    info!(lease = %self.name, identity = %self.identity, "leading");
                }
                Ok(self.terms.renew_every)
            }
            // a rival was faster; the next look says who
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(self.terms.retry_every),
            Err(error) => Err(error),
        }
    }

    /// A hanging API server must not eat the time in which the lease could be renewed elsewhere.
    async fn limited<T>(&self, call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, kube::Error> {
        let limit = self.terms.hold_for.saturating_sub(self.terms.renew_every) / 3;
        match tokio::time::timeout(limit, call).await {
            Ok(result) => result,
            Err(elapsed) => Err(kube::Error::Service(Box::new(elapsed))),
        }
    }

    async fn give_back(&self) {
        let held = self.held_until.send_replace(None).is_some();
        if !held {
            return;
        }
        let result = async {
            let lease = self.limited(self.api.get(&self.name)).await?;
            let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref());
            if holder == Some(self.identity.as_str()) {
                self.limited(self.api.replace(&self.name, &PostParams::default(), &released(&lease))).await?;
                info!(lease = %self.name, "lease released");
            }
            Ok::<_, kube::Error>(())
        };
        if let Err(error) = result.await {
            warn!(%error, "the lease could not be released; a standby waits for it to expire");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[tokio::test]
    async fn nothing_is_sent_without_the_lease() {
        let (held, leadership) = Leadership::channel();
        let sent = std::cell::Cell::new(false);
        let write = async { sent.set(true) };
        assert_eq!(leadership.fence(Duration::from_secs(1), write).await, Err(FenceError::NotLeader));
        assert!(!sent.get());
        held.send_replace(Some(Instant::now()));
        assert!(!leadership.holds(), "a lease that ends now is no longer held");
        held.send_replace(Some(Instant::now() + Duration::from_secs(3600)));
        assert_eq!(leadership.fence(Duration::from_secs(1), async { 7 }).await, Ok(7));
        held.send_replace(None);
        assert_eq!(leadership.fence(Duration::from_secs(1), async { 7 }).await, Err(FenceError::NotLeader));
    }

    #[tokio::test]
    async fn a_write_is_not_awaited_past_the_end_of_the_lease() {
        let (held, leadership) = Leadership::channel();
        // A lease that has run out before the write begins says nothing; a longer one is tried then.
        for lease in [20, 200, 2_000, 20_000].map(Duration::from_millis) {
            held.send_replace(Some(Instant::now() + lease));
            let result = leadership.fence(Duration::from_secs(3600), std::future::pending::<()>()).await;
            if result != Err(FenceError::NotLeader) {
                assert!(matches!(result, Err(FenceError::TimedOut(limit)) if limit <= lease), "{result:?}");
                return;
            }
        }
        panic!("no write began within 20 s");
    }
}
