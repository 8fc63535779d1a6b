//! When to create, take, renew or leave the operator's `Lease`: a pure function over what was last seen.
//!
//! Clocks of two machines are never compared. A standby measures how long *it* has seen the lease
//! unchanged; the holder measures how long ago *it* sent its last successful renewal.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;

/// The three periods of leader election. `renew_every < hold_for < duration` keeps a holder from
/// writing after a standby may have taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTerms {
    /// A standby that has seen the lease unchanged for this long takes it.
    pub duration: Duration,
    /// The holder stops writing this long after the start of its last successful renewal.
    pub hold_for: Duration,
    /// Time between renewals: 12 s is five writes a minute.
    pub renew_every: Duration,
    /// Time between two looks of a standby, and between attempts after a failed renewal.
    pub retry_every: Duration,
}

impl Default for LeaseTerms {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(30),
            hold_for: Duration::from_secs(24),
            renew_every: Duration::from_secs(12),
            retry_every: Duration::from_secs(1),
        }
    }
}

/// What this process last saw of the lease, and since when it has looked like that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    version: String,
    since: Instant,
}

impl Sighting {
    /// Carries `since` over while the object's version stays the same.
    #[must_use]
    pub fn update(previous: Option<&Self>, lease: &Lease, now: Instant) -> Self {
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        match previous {
            Some(seen) if seen.version == version => seen.clone(),
            _ => Self { version, since: now },
        }
    }
}

/// What to do in this turn.
#[derive(Clone, Debug, PartialEq)]
pub enum Turn {
    /// There is no lease yet: create this one.
    Create(Box<Lease>),
    /// Replace the lease by this one; its `resourceVersion` makes a rival conflict.
    Replace(Box<Lease>),
    /// Somebody else holds it: look again later.
    Wait {
        /// Identity of the holder.
        holder: String,
    },
}

/// Decides the turn of the candidate `me`.
///
/// A lease that names `me` is taken at once: only this pod carries that name, so its holder was an
/// earlier container of the same pod. A lease without holder was released and is taken at once too.
#[must_use]
pub fn turn(lease: Option<&Lease>, seen: Option<&Sighting>, me: &str, terms: &LeaseTerms, now: Instant, wall: Timestamp) -> Turn {
    let Some(lease) = lease else {
        return Turn::Create(Box::new(claimed(ObjectMeta::default(), None, me, terms, wall)));
    };
    let spec = lease.spec.clone().unwrap_or_default();
    let holder = spec.holder_identity.clone().unwrap_or_default();
    let expired = seen.is_some_and(|seen| now.saturating_duration_since(seen.since) >= terms.duration);
    if holder == me || holder.is_empty() || expired {
        return Turn::Replace(Box::new(claimed(lease.metadata.clone(), Some(&spec), me, terms, wall)));
    }
    Turn::Wait { holder }
}

/// The lease as its holder gives it back.
#[must_use]
pub fn released(lease: &Lease) -> Lease {
    let mut released = lease.clone();
    let spec = released.spec.get_or_insert_with(LeaseSpec::default);
    spec.holder_identity = Some(String::new());
    released.metadata.managed_fields = None;
    released
}

fn claimed(metadata: ObjectMeta, before: Option<&LeaseSpec>, me: &str, terms: &LeaseTerms, wall: Timestamp) -> Lease {
    let same_holder = before.and_then(|spec| spec.holder_identity.as_deref()) == Some(me);
    let transitions = before.and_then(|spec| spec.lease_transitions).unwrap_or(0);
    let acquired = before.and_then(|spec| spec.acquire_time.clone()).filter(|_| same_holder);
    Lease {
        metadata: ObjectMeta { managed_fields: None, ..metadata },
        spec: Some(LeaseSpec {
            holder_identity: Some(me.to_owned()),
            lease_duration_seconds: i32::try_from(terms.duration.as_secs()).ok(),
            acquire_time: Some(acquired.unwrap_or(MicroTime(wall))),
            renew_time: Some(MicroTime(wall)),
            lease_transitions: Some(if same_holder || before.is_none() { transitions } else { transitions.saturating_add(1) }),
            ..LeaseSpec::default()
        }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn lease(holder: &str, version: &str) -> Lease {
        Lease {
            metadata: ObjectMeta { resource_version: Some(version.into()), ..ObjectMeta::default() },
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.into()),
                lease_transitions: Some(3),
                acquire_time: Some(MicroTime(Timestamp::UNIX_EPOCH)),
                ..LeaseSpec::default()
            }),
        }
    }

    fn decide(lease: Option<&Lease>, seen: Option<&Sighting>, now: Instant) -> Turn {
        turn(lease, seen, "pod-a", &LeaseTerms::default(), now, Timestamp::from_second(100).unwrap())
    }

    #[test]
    fn the_periods_leave_no_moment_with_two_writers() {
        let terms = LeaseTerms::default();
        assert!(terms.renew_every < terms.hold_for && terms.hold_for < terms.duration);
        assert!(60 / terms.renew_every.as_secs() <= 6, "design: at most 6 writes a minute");
    }

    #[test]
    fn a_missing_lease_is_created() {
        let Turn::Create(made) = decide(None, None, Instant::now()) else { panic!("expected Create") };
        assert_eq!(made.spec.unwrap().holder_identity.as_deref(), Some("pod-a"));
    }

    #[test]
    fn a_restarted_container_takes_its_own_lease_back_at_once() {
        let now = Instant::now();
        let mine = lease("pod-a", "7");
        let Turn::Replace(next) = decide(Some(&mine), None, now) else { panic!("expected Replace") };
        assert_eq!(next.metadata.resource_version.as_deref(), Some("7"));
        let spec = next.spec.unwrap();
        assert_eq!(spec.lease_transitions, Some(3));
        assert_eq!(spec.acquire_time, Some(MicroTime(Timestamp::UNIX_EPOCH)));
    }

    #[test]
    fn a_released_lease_is_taken_at_once_and_counted() {
        let Turn::Replace(next) = decide(Some(&released(&lease("pod-b", "8"))), None, Instant::now()) else {
            panic!("expected Replace")
        };
        assert_eq!(next.spec.unwrap().lease_transitions, Some(4));
    }

    #[test]
    fn anothers_lease_is_taken_only_after_it_stood_still_for_its_duration() {
        let start = Instant::now();
        let theirs = lease("pod-b", "9");
        let seen = Sighting::update(None, &theirs, start);
        let early = start + Duration::from_secs(29);
        assert_eq!(decide(Some(&theirs), Some(&seen), early), Turn::Wait { holder: "pod-b".into() });
        // a renewal in between starts the wait again
        let renewed = lease("pod-b", "10");
        let seen_again = Sighting::update(Some(&seen), &renewed, early);
        let late = start + Duration::from_secs(31);
        assert!(matches!(decide(Some(&renewed), Some(&seen_again), late), Turn::Wait { .. }));
        let unchanged = Sighting::update(Some(&seen), &theirs, early);
        assert!(matches!(decide(Some(&theirs), Some(&unchanged), late), Turn::Replace(_)));
    }
}
