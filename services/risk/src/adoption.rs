//! Which limits come into force: tighter at once, looser only when their digest was approved.

use crate::limits::Limits;
use tradewind_core::money::Money;
use tradewind_crds::risk_profile::Limits as Written;
use tradewind_crds::validation::loosening_digest;

/// Limits in force after a profile was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Adoption {
    /// In force from now on.
    pub(crate) in_force: Written,
    /// Digest that `spec.approvedLoosening` must name for the rest to come into force.
    pub(crate) pending: Option<String>,
}

/// Adopts wanted limits. The first limits of an account are adopted as they are.
pub(crate) fn adopt(in_force: Option<&Written>, wanted: &Written, approved: &str) -> Adoption {
    let Some(in_force) = in_force else {
        return Adoption { in_force: wanted.clone(), pending: None };
    };
    match loosening_digest(in_force, wanted) {
        Some(digest) if digest != approved => Adoption { in_force: tightest(in_force, wanted), pending: Some(digest) },
        _ => Adoption { in_force: wanted.clone(), pending: None },
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
pub(crate) fn exact(written: &Written) -> Limits {
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
    use tradewind_crds::{Decimal, samples};

    fn base() -> Written {
        samples::profile("main", "paper-1").spec.limits
    }

    #[test]
    fn tighter_acts_at_once() {
        let mut wanted = base();
        wanted.daily_loss_bps -= 1;
        wanted.max_order_notional = Decimal::from_units(1);
        assert_eq!(adopt(Some(&base()), &wanted, ""), Adoption { in_force: wanted, pending: None });
    }

    #[test]
    fn looser_waits_for_its_digest_and_the_tighter_part_does_not() {
        let mut wanted = base();
        wanted.daily_loss_bps -= 1;
        wanted.max_orders_per_minute += 1;
        let first = adopt(Some(&base()), &wanted, "0123456789abcdef");
        let digest = first.pending.clone().unwrap();
        assert_eq!(first.in_force, Written { daily_loss_bps: wanted.daily_loss_bps, ..base() });
        assert_eq!(adopt(Some(&first.in_force), &wanted, ""), first, "reading it again changes nothing");
        assert_eq!(adopt(Some(&first.in_force), &wanted, &digest), Adoption { in_force: wanted, pending: None });
    }

    #[test]
    fn an_approval_is_for_one_change_only() {
        let mut wanted = base();
        wanted.max_orders_per_minute += 1;
        let digest = adopt(Some(&base()), &wanted, "").pending.unwrap();
        wanted.max_orders_per_minute += 1;
        assert_ne!(adopt(Some(&base()), &wanted, &digest).pending, None);
        let withdrawn = adopt(Some(&base()), &base(), &digest);
        assert_eq!(withdrawn, Adoption { in_force: base(), pending: None });
    }
}
