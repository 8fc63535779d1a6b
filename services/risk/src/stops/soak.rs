//! The soak of looser limits: open market that has to pass after their approval before they are in force.

use tradewind_core::time::Nanos;

/// The most that one step of the market's time proves. Bars come at least this often in an open market; whoever sends one
/// dated far ahead waits no less than with an honest one.
pub const LONGEST_STEP_NS: i64 = 300_000_000_000;

/// What one step counts.
fn counted(nanos: i64) -> i64 {
    nanos.clamp(0, LONGEST_STEP_NS)
}

/// One soak under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Soak {
    needed: i64,
    passed: i64,
    since: Nanos,
}

impl Soak {
    /// Begins at `since` and lasts `needed` nanoseconds of open market.
    #[must_use]
    pub const fn begin(needed: i64, since: Nanos) -> Self {
        Self { needed, passed: 0, since }
    }

    /// Open market has passed, nanoseconds; true when the soak is over.
    pub fn pass(&mut self, nanos: i64) -> bool {
        self.passed = self.passed.saturating_add(counted(nanos));
        self.is_over()
    }

    /// A longer soak is asked for meanwhile; a shorter one changes nothing.
    pub fn lengthen(&mut self, needed: i64) {
        self.needed = self.needed.max(needed);
    }

    /// Whether it is over.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.passed >= self.needed
    }

    /// Length, nanoseconds of open market.
    #[must_use]
    pub const fn needed(&self) -> i64 {
        self.needed
    }

    /// When it would be over if the market did not close: the earliest time, and one that does not move.
    #[must_use]
    pub const fn not_before(&self) -> Nanos {
        Nanos(self.since.0.saturating_add(self.needed))
    }
}

/// The length of soaks. A longer one holds at once; a shorter one only after the present one has passed, so that one edit
/// cannot take the wait away together with the limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SoakLength {
    in_force: Option<i64>,
    shorter: Option<(i64, i64)>,
}

impl SoakLength {
    /// The spec asks for `nanos`; the first is taken as it is.
    pub fn want(&mut self, nanos: i64) {
        match self.in_force {
            Some(in_force) if nanos < in_force => {
                if self.shorter.is_none_or(|(wanted, _)| wanted != nanos) {
                    self.shorter = Some((nanos, 0));
                }
            }
            _ => {
                self.in_force = Some(nanos);
                self.shorter = None;
            }
        }
    }

    /// Open market has passed, nanoseconds.
    pub fn pass(&mut self, nanos: i64) {
        let (Some(in_force), Some((wanted, passed))) = (self.in_force, &mut self.shorter) else { return };
        *passed = passed.saturating_add(counted(nanos));
        if *passed >= in_force {
            self.in_force = Some(*wanted);
            self.shorter = None;
        }
    }

    /// Length in force, nanoseconds.
    #[must_use]
    pub fn in_force(&self) -> i64 {
        self.in_force.unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    const MINUTE: i64 = 60_000_000_000;

    #[test]
    fn it_lasts_its_open_market_and_no_bar_proves_more_than_a_step() {
        let mut soak = Soak::begin(10 * MINUTE, Nanos(7));
        assert_eq!(soak.not_before(), Nanos(7 + 10 * MINUTE));
        assert!(!soak.pass(400 * 24 * 60 * MINUTE), "a bar dated 400 days ahead");
        assert!(!soak.pass(-MINUTE));
        assert!(!soak.pass(5 * MINUTE - 1));
        assert!(soak.pass(1));
        assert!(Soak::begin(0, Nanos(7)).is_over());
        soak.lengthen(11 * MINUTE);
        soak.lengthen(1);
        assert!(!soak.is_over());
    }

    #[test]
    fn a_shorter_length_waits_for_the_present_one() {
        let mut length = SoakLength::default();
        length.want(10 * MINUTE);
        length.want(0);
        assert_eq!(length.in_force(), 10 * MINUTE);
        length.pass(5 * MINUTE);
        length.want(0);
        length.pass(4 * MINUTE);
        assert_eq!(length.in_force(), 10 * MINUTE, "reading it again does not begin it again");
        length.pass(MINUTE);
        assert_eq!(length.in_force(), 0);
        length.want(20 * MINUTE);
        assert_eq!(length.in_force(), 20 * MINUTE);
    }
}
