//! The order of the policies of one account on one recorded feed: that of the feed.
//!
//! A limit of the account counts what all its policies hold, so who comes first decides. On a recorded feed a policy meets a
//! bar only when every other one has dealt with all places of the feed before it; then the same recording gives the same
//! orders however fast each process is. A policy that says nothing for [`SILENCE`] is passed over until it is heard again:
//! one that died, hangs or starts must not stop the others, and what follows then depends on when it is back. Policies of
//! different feeds, and of live ones, have no common order and do not wait.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// For how long a policy is waited for that says nothing.
pub(super) const SILENCE: Duration = Duration::from_secs(2);

/// How far a policy has come.
#[derive(Clone, Copy, Debug)]
struct Come {
    /// All places up to here are dealt with; `None` when it has not said since this process began.
    through: Option<u64>,
    /// When it was heard last.
    heard: Instant,
}

/// Who is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Awaited {
    policy: String,
    through: Option<u64>,
    /// Then it is passed over.
    until: Instant,
}

/// How far the policies have come, without a clock of its own.
#[derive(Debug, Default)]
struct Places(BTreeMap<String, Come>);

impl Places {
    /// `policy` has dealt with everything up to `through`. A smaller place than before is that of a process that began anew.
    fn come(&mut self, policy: &str, through: u64, now: Instant) {
        self.0.insert(policy.to_owned(), Come { through: Some(through), heard: now });
    }

    /// `policy` is at work.
    fn heard(&mut self, policy: &str, now: Instant) {
        if let Some(come) = self.0.get_mut(policy) {
            come.heard = now;
        }
    }

    /// The first of `peers` that may still have something to say about a place before `sequence`.
    fn before(&mut self, sequence: u64, peers: &[String], now: Instant) -> Option<Awaited> {
        peers.iter().find_map(|peer| {
            let come = self.0.entry(peer.clone()).or_insert(Come { through: None, heard: now });
            let until = come.heard + SILENCE;
            let behind = come.through.is_none_or(|through| through.saturating_add(1) < sequence);
            (behind && now < until).then(|| Awaited { policy: peer.clone(), through: come.through, until })
        })
    }
}

/// The places, and who waits for them. Clones share.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns {
    places: Arc<Mutex<Places>>,
    moved: Arc<Notify>,
}

impl Turns {
    fn places(&self) -> MutexGuard<'_, Places> {
        // Each change is one insertion.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `policy` has dealt with everything up to `through`.
    pub(super) fn come(&self, policy: &str, through: u64) {
        self.places().come(policy, through, Instant::now());
        self.moved.notify_waiters();
    }

    /// `policy` has got an answer and is at work with it.
    pub(super) fn heard(&self, policy: &str) {
        self.places().heard(policy, Instant::now());
    }

    /// Waits until `policy` may meet the bar at `sequence`: it has dealt with everything before, and `peers` have as well.
    ///
    /// # Errors
    /// Who is waited for, when that takes longer than until `deadline`. Ask again.
    pub(super) async fn turn(&self, policy: &str, sequence: u64, peers: &[String], deadline: Instant) -> Result<(), String> {
        if peers.is_empty() {
            return Ok(());
        }
        self.come(policy, sequence.saturating_sub(1));
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            let now = Instant::now();
            self.places().heard(policy, now);
            let Some(awaited) = self.places().before(sequence, peers, now) else { return Ok(()) };
            if now >= deadline {
                let place =
                    awaited.through.map_or_else(|| "has not said where".to_owned(), |through| format!("is at bar {through}"));
                return Err(format!(
                    "bar {sequence} waits for policy '{}' of the same account, which {place} of the feed; it is passed over when it says nothing for {SILENCE:?}",
                    awaited.policy
                ));
            }
            let next = awaited.until.min(deadline);
            tokio::select! {
                () = moved => {}
                () = tokio::time::sleep_until(next.into()) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn named(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_place_is_free_when_all_others_have_dealt_with_everything_before_it() {
        let (mut places, now) = (Places::default(), Instant::now());
        places.come("one", 9, now);
        places.come("other", 7, now);
        let waits =
            |places: &mut Places, sequence, peer: &str| places.before(sequence, &named(&[peer]), now).map(|one| one.policy);
        assert_eq!(waits(&mut places, 10, "other"), Some("other".into()), "8 and 9 may still be its bars");
        assert_eq!(waits(&mut places, 9, "other"), Some("other".into()));
        assert_eq!(waits(&mut places, 8, "other"), None);
        assert_eq!(waits(&mut places, 8, "one"), None, "the last in the feed waits for nobody who is before it");
        places.come("other", 9, now);
        assert_eq!(waits(&mut places, 10, "other"), None);
    }

    #[test]
    fn one_of_all_that_wait_can_always_go() {
        let (mut places, now) = (Places::default(), Instant::now());
        let wants = [("a", 12), ("b", 11), ("c", 15)];
        for (policy, sequence) in wants {
            places.come(policy, sequence - 1, now);
        }
        let free: Vec<&str> = wants
            .iter()
            .filter(|(policy, sequence)| {
                let peers: Vec<String> = wants.iter().map(|(peer, _)| (*peer).to_owned()).filter(|peer| peer != policy).collect();
                places.before(*sequence, &peers, now).is_none()
            })
            .map(|(policy, _)| *policy)
            .collect();
        assert_eq!(free, ["b"]);
    }

    #[test]
    fn silence_is_passed_over_and_a_word_ends_it() {
        let (mut places, now) = (Places::default(), Instant::now());
        let peers = named(&["other"]);
        // Never heard: its patience begins when it is first waited for.
        assert_eq!(places.before(5, &peers, now).map(|one| one.until), Some(now + SILENCE));
        assert!(places.before(5, &peers, now + SILENCE - MS).is_some());
        assert!(places.before(5, &peers, now + SILENCE).is_none());
        // Back, and behind: waited for again, from its word on.
        places.come("other", 2, now + SILENCE + MS);
        assert!(places.before(5, &peers, now + SILENCE + 2 * MS).is_some());
        places.heard("other", now + 2 * SILENCE);
        assert!(places.before(5, &peers, now + 3 * SILENCE - MS).is_some());
        assert!(places.before(5, &peers, now + 3 * SILENCE).is_none());
    }

    #[tokio::test]
    async fn a_turn_comes_with_the_word_of_the_other_and_says_for_whom_it_waits_until_then() {
        let turns = Turns::default();
        let refused = turns.turn("one", 3, &named(&["other"]), Instant::now()).await.unwrap_err();
        assert!(refused.contains("'other'") && refused.contains("bar 3"), "{refused}");
        let (waiting, far) = (turns.clone(), Instant::now() + Duration::from_secs(60));
        let turn = tokio::spawn(async move { waiting.turn("one", 3, &named(&["other"]), far).await });
        turns.come("other", 2);
        assert_eq!(tokio::time::timeout(Duration::from_secs(30), turn).await.unwrap().unwrap(), Ok(()));
        assert_eq!(turns.turn("one", 4, &[], Instant::now()).await, Ok(()), "alone it waits for nobody");
    }
}
