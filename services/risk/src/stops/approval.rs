//! Which limits are in force: tighter at once; looser after an approval of exactly this change, used once, and a soak.

use crate::limits::Limits;
use tradewind_core::money::Money;
use tradewind_core::time::Nanos;
use tradewind_crds::RiskProfileSpec;
use tradewind_crds::risk_profile::Limits as Written;
use tradewind_crds::validation::loosening_digest;

use super::ids::Ids;
use super::soak::{Soak, SoakLength};

/// Looser limits that wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Digest that `spec.approvedLoosening` must name.
    pub digest: String,
    /// What is wanted.
    pub wanted: Written,
    /// Its soak, once it is approved.
    pub soak: Option<Soak>,
}

/// Limits in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// As they are written in a profile.
    pub written: Written,
    /// As the check reads them.
    pub limits: Limits,
}

impl InForce {
    fn of(written: Written) -> Self {
        Self { limits: exact(&written), written }
    }
}

/// The limits of an account and what waits to become them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adoption {
    in_force: Option<InForce>,
    /// How often limits came into force: an approval is for the next time alone.
    adoptions: u64,
    pending: Option<Pending>,
    length: SoakLength,
}

impl Adoption {
    /// Limits in force; `None` before the first profile.
    #[must_use]
    pub const fn in_force(&self) -> Option<&InForce> {
        self.in_force.as_ref()
    }

    /// What waits.
    #[must_use]
    pub const fn pending(&self) -> Option<&Pending> {
        self.pending.as_ref()
    }

    /// Adopts a profile that was read at `at`. The first limits of an account are adopted as they are; reading the same
    /// profile again changes nothing, a soak under way goes on.
    pub fn adopt(&mut self, spec: &RiskProfileSpec, ids: &Ids, at: Nanos) {
        self.length.want(spec.loosening_soak.millis().saturating_mul(1_000_000));
        let wanted = &spec.limits;
        let Some(in_force) = &self.in_force else { return self.set(wanted.clone()) };
        let tight = tightest(&in_force.written, wanted);
        if tight != in_force.written {
            self.set(tight.clone());
        }
        let before = self.pending.take();
        let Some(digest) = loosening_digest(&ids.scope(self.adoptions), &tight, wanted) else { return };
        let soak = (digest == spec.approved_loosening).then(|| {
            let same = before.filter(|before| before.digest == digest).and_then(|before| before.soak);
            let mut soak = same.unwrap_or_else(|| Soak::begin(self.length.in_force(), at));
            soak.lengthen(self.length.in_force());
            soak
        });
        let is_over = soak.as_ref().is_some_and(Soak::is_over);
        self.pending = Some(Pending { digest, wanted: wanted.clone(), soak });
        if is_over {
            self.finish();
        }
    }

    /// Open market has passed, nanoseconds; true when looser limits came into force.
    pub fn pass_open_market(&mut self, nanos: i64) -> bool {
        self.length.pass(nanos);
        let soak = self.pending.as_mut().and_then(|pending| pending.soak.as_mut());
        let is_over = soak.is_some_and(|soak| soak.pass(nanos));
        if is_over {
            self.finish();
        }
        is_over
    }

    /// The profile was deleted: nobody asks for looser limits any more.
    pub fn withdraw(&mut self) {
        self.pending = None;
    }

    fn finish(&mut self) {
        if let Some(pending) = self.pending.take() {
            self.set(pending.wanted);
        }
    }

    fn set(&mut self, written: Written) {
        self.in_force = Some(InForce::of(written));
        self.adoptions = self.adoptions.saturating_add(1);
    }
}

fn tightest(a: &Written, b: &Written) -> Written {
    Written {
        max_order_notional: a.max_order_notional.min(b.max_order_notional),
        max_position_notional: a.max_position_notional.min(b.max_position_notional),
        max_gross_exposure_bps: a.max_gross_exposure_bps.min(b.max_gross_exposure_bps),
        daily_loss_bps: a.daily_loss_bps.min(b.daily_loss_bps),
        max_drawdown_bps: a.max_drawdown_bps.min(b.max_drawdown_bps),
        max_orders_per_minute: a.max_orders_per_minute.min(b.max_orders_per_minute),
        price_collar_bps: a.price_collar_bps.min(b.price_collar_bps),
        max_data_age: a.max_data_age.min(b.max_data_age),
    }
}

/// The limits as the check reads them.
#[must_use]
pub fn exact(written: &Written) -> Limits {
    Limits {
        max_order_notional: Money::from_nanos(written.max_order_notional.nanos()),
        max_position_notional: Money::from_nanos(written.max_position_notional.nanos()),
        max_gross_exposure_bps: written.max_gross_exposure_bps,
        daily_loss_bps: written.daily_loss_bps,
        max_drawdown_bps: written.max_drawdown_bps,
        // Validation allows 1 to 100000; anything else is as tight as it can be.
        max_orders_per_minute: u32::try_from(written.max_orders_per_minute).unwrap_or(0),
        price_collar_bps: written.price_collar_bps,
        max_data_age_ns: written.max_data_age.millis().saturating_mul(1_000_000),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use tradewind_crds::{Decimal, DurationText, samples};

    const MINUTE: i64 = 60_000_000_000;
    const NOON: Nanos = Nanos(43_200_000_000_000);

    fn ids() -> Ids {
        Ids::new("paper-1", "j")
    }

    fn spec() -> RiskProfileSpec {
        samples::profile("main", "paper-1").spec
    }

    /// The sample with another rate of orders.
    fn rate(orders: i64) -> RiskProfileSpec {
        let mut spec = spec();
        spec.limits.max_orders_per_minute = orders;
        spec
    }

    fn approved(spec: RiskProfileSpec, digest: &str) -> RiskProfileSpec {
        RiskProfileSpec { approved_loosening: digest.to_owned(), ..spec }
    }

    fn started() -> Adoption {
        let mut adoption = Adoption::default();
        adoption.adopt(&spec(), &ids(), NOON);
        adoption
    }

    fn in_force(adoption: &Adoption) -> &Written {
        &adoption.in_force().unwrap().written
    }

    /// Asks for `wanted`, approves it as the status says and lets its soak pass.
    fn loosen(adoption: &mut Adoption, wanted: &RiskProfileSpec) -> String {
        adoption.adopt(wanted, &ids(), NOON);
        let digest = adoption.pending().unwrap().digest.clone();
        adoption.adopt(&approved(wanted.clone(), &digest), &ids(), NOON);
        adoption.pass_open_market(5 * MINUTE);
        assert!(adoption.pass_open_market(5 * MINUTE), "ten minutes of open market");
        assert_eq!((in_force(adoption), adoption.pending()), (&wanted.limits, None));
        digest
    }

    #[test]
    fn tighter_acts_at_once() {
        let mut adoption = started();
        let mut wanted = spec();
        wanted.limits.daily_loss_bps -= 1;
        wanted.limits.max_order_notional = Decimal::from_units(1);
        adoption.adopt(&wanted, &ids(), NOON);
        assert_eq!((in_force(&adoption), adoption.pending()), (&wanted.limits, None));
    }

    #[test]
    fn looser_waits_for_its_digest_and_its_soak_and_the_tighter_part_does_not() {
        let mut adoption = started();
        let mut wanted = rate(601);
        wanted.limits.daily_loss_bps -= 1;
        adoption.adopt(&approved(wanted.clone(), "0123456789abcdef"), &ids(), NOON);
        let tight = Written { daily_loss_bps: 299, ..spec().limits };
        let pending = adoption.pending().unwrap().clone();
        assert_eq!((in_force(&adoption), &pending.soak), (&tight, &None));
        let before = adoption.clone();
        adoption.adopt(&wanted, &ids(), NOON);
        assert_eq!(adoption, before, "reading it again changes nothing");
        assert!(!adoption.pass_open_market(5 * MINUTE), "an open market without an approval is no soak");
        adoption.adopt(&approved(wanted.clone(), &pending.digest), &ids(), NOON);
        let soak = adoption.pending().unwrap().soak.clone().unwrap();
        assert_eq!((soak.needed(), soak.not_before()), (10 * MINUTE, Nanos(NOON.0 + 10 * MINUTE)));
        adoption.pass_open_market(5 * MINUTE);
        adoption.adopt(&approved(wanted.clone(), &pending.digest), &ids(), Nanos(NOON.0 + 5 * MINUTE));
        assert_eq!(in_force(&adoption), &tight);
        assert!(adoption.pass_open_market(5 * MINUTE), "the soak went on");
        assert_eq!(in_force(&adoption), &wanted.limits);
    }

    #[test]
    fn a_soak_ends_when_its_approval_is_taken_back() {
        let mut adoption = started();
        adoption.adopt(&rate(700), &ids(), NOON);
        let digest = adoption.pending().unwrap().digest.clone();
        adoption.adopt(&approved(rate(700), &digest), &ids(), NOON);
        adoption.pass_open_market(5 * MINUTE);
        adoption.adopt(&rate(700), &ids(), NOON);
        assert_eq!(adoption.pending().unwrap().soak, None);
        adoption.adopt(&approved(rate(700), &digest), &ids(), NOON);
        assert!(!adoption.pass_open_market(5 * MINUTE), "from the beginning");
        assert!(adoption.pass_open_market(5 * MINUTE));
    }

    #[test]
    fn r7_an_approval_is_used_once_and_from_exactly_these_limits_to_exactly_those() {
        let mut adoption = started();
        let digest = loosen(&mut adoption, &rate(700));
        adoption.adopt(&approved(rate(600), &digest), &ids(), NOON);
        assert_eq!(in_force(&adoption).max_orders_per_minute, 600, "tightened back");
        adoption.adopt(&approved(rate(700), &digest), &ids(), NOON);
        let pending = adoption.pending().unwrap();
        assert_ne!(pending.digest, digest);
        assert_eq!((in_force(&adoption).max_orders_per_minute, &pending.soak), (600, &None), "waits for a new approval");
    }

    #[test]
    fn an_approval_fits_no_other_change() {
        let digest_of = |adoption: &mut Adoption, wanted: &RiskProfileSpec| {
            adoption.adopt(wanted, &ids(), NOON);
            adoption.pending().unwrap().digest.clone()
        };
        let digest = digest_of(&mut started(), &rate(700));
        assert_ne!(digest_of(&mut started(), &rate(701)), digest, "other limits wanted");
        // The same step from limits that differ elsewhere.
        let mut other = spec();
        other.limits.max_drawdown_bps -= 1;
        let (mut adoption, mut wanted) = (Adoption::default(), other.clone());
        adoption.adopt(&other, &ids(), NOON);
        wanted.limits.max_orders_per_minute = 700;
        assert_ne!(digest_of(&mut adoption, &wanted), digest, "other limits in force");
        let mut foreign = Adoption::default();
        foreign.adopt(&spec(), &Ids::new("paper-1", "another"), NOON);
        foreign.adopt(&rate(700), &Ids::new("paper-1", "another"), NOON);
        assert_ne!(foreign.pending().unwrap().digest, digest, "another journal");
    }

    #[test]
    fn one_edit_cannot_take_the_soak_away_with_the_limit() {
        let mut adoption = started();
        let hasty = RiskProfileSpec { loosening_soak: DurationText::from_millis(0), ..rate(700) };
        adoption.adopt(&hasty, &ids(), NOON);
        let digest = adoption.pending().unwrap().digest.clone();
        adoption.adopt(&approved(hasty.clone(), &digest), &ids(), NOON);
        assert!(!adoption.pass_open_market(5 * MINUTE));
        assert!(adoption.pass_open_market(5 * MINUTE));
        // From now on the shorter one holds.
        let more = RiskProfileSpec { limits: rate(800).limits, ..hasty };
        adoption.adopt(&more, &ids(), NOON);
        let digest = adoption.pending().unwrap().digest.clone();
        adoption.adopt(&approved(more, &digest), &ids(), NOON);
        assert_eq!(in_force(&adoption).max_orders_per_minute, 800);
    }

    #[test]
    fn tightening_anything_asks_for_a_new_approval() {
        let mut adoption = started();
        adoption.adopt(&rate(700), &ids(), NOON);
        let digest = adoption.pending().unwrap().digest.clone();
        adoption.adopt(&approved(rate(700), &digest), &ids(), NOON);
        let mut tighter = rate(700);
        tighter.limits.daily_loss_bps -= 1;
        adoption.adopt(&approved(tighter, &digest), &ids(), NOON);
        assert_eq!(adoption.pending().unwrap().soak, None);
    }
}
