//! Which revision drives a symbol in a session.

use sha2::{Digest, Sha256};
use tradewind_core::calendar::SessionId;

/// All of the weight, in basis points.
pub const FULL_WEIGHT_BPS: u32 = 10_000;

/// Slot of a symbol in one session and rollout step: 0 to 9999, from SHA-256 of `policy|symbol|session|step`.
///
/// `session` is the one of the bar in hand by the calendar of its instrument (ruling 21).
#[must_use]
pub fn slot(policy: &str, symbol: &str, session: SessionId, step: u32) -> u32 {
    bucket(&format!("{policy}|{symbol}|{}|{step}", session.0))
}

/// Bucket of a text, 0 to 9999: its SHA-256, first 8 bytes, big-endian, modulo 10000 (SU-95).
fn bucket(text: &str) -> u32 {
    let digest = Sha256::digest(text);
    // The first 16 hexadecimal digits, as anyone can recompute with sha256sum; the bias of the remainder is below 1e-15.
    let first = digest.iter().take(8).fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    u32::try_from(first % u64::from(FULL_WEIGHT_BPS)).unwrap_or(0)
}

/// True when the candidate drives the symbol in this session: its slot lies below the weight.
///
/// Sticky: the answer does not change within a session and step; a larger weight of the same step never takes a
/// session away from the candidate.
#[must_use]
pub fn candidate_drives(policy: &str, symbol: &str, session: SessionId, step: u32, weight_bps: u32) -> bool {
    slot(policy, symbol, session, step) < weight_bps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slot_is_that_of_sha256() {
        // printf 'indices|SPX|10595|1' | sha256sum, first 16 digits modulo 10000, computed with Python
        assert_eq!(slot("indices", "SPX", SessionId(10_595), 1), 5_978);
        assert_eq!(slot("indices", "IXIC", SessionId(10_595), 1), 7_800);
    }

    /// SU-V15: its texts name a rollout and an event where those of a slot name a session.
    #[test]
    fn buckets_of_events() {
        let of = |event: u32| bucket(&format!("r1:evt-{event:05}"));
        let known = [1, 2, 3, 4, 5, 6, 26, 28, 39].map(of);
        assert_eq!(known, [9_006, 1_484, 6_366, 9_489, 6_028, 2_885, 537, 860, 739]);
        let below = |weight| (1..=10_000).filter(|event| of(*event) < weight).count();
        assert_eq!((below(1_000), below(5_000)), (1_000, 4_995));
    }

    #[test]
    fn the_weight_is_the_share_of_sessions() {
        for weight in [0, 1_000, 5_000, 10_000] {
            let driven = (0..20_000).filter(|day| candidate_drives("indices", "SPX", SessionId(*day), 2, weight)).count();
            let expected = 2 * usize::try_from(weight).unwrap_or(0);
            // four standard deviations of a binomial share at most 283
            assert!(driven.abs_diff(expected) <= 283, "weight {weight}: {driven} of 20000 sessions");
        }
        assert!((0..20_000).all(|day| !candidate_drives("indices", "SPX", SessionId(day), 2, 0)));
        assert!((0..20_000).all(|day| candidate_drives("indices", "SPX", SessionId(day), 2, FULL_WEIGHT_BPS)));
    }

    #[test]
    fn symbols_and_steps_are_drawn_independently() {
        let differs = |a: (&str, u32), b: (&str, u32)| {
            (0..1_000)
                .filter(|day| {
                    candidate_drives("p", a.0, SessionId(*day), a.1, 5_000)
                        != candidate_drives("p", b.0, SessionId(*day), b.1, 5_000)
                })
                .count()
        };
        assert!((400..600).contains(&differs(("SPX", 1), ("IXIC", 1))));
        assert!((400..600).contains(&differs(("SPX", 1), ("SPX", 2))));
    }
}
