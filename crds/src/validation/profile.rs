//! Rules of a `RiskProfile`, and which change of limits is a loosening.

use super::{Violation, positive, range};
use crate::risk_profile::{Limits, RiskProfileSpec};

/// Checks a profile; the risk service keeps the limits before it when this is not empty.
#[must_use]
pub fn validate_risk_profile(spec: &RiskProfileSpec) -> Vec<Violation> {
    let mut found = Vec::new();
    if spec.account.is_empty() {
        found.push(Violation::new("spec.account", "\"\"", "a name of 1 to 40 characters", ""));
    }
    positive(&mut found, "spec.startingEquity", spec.starting_equity);
    limits(&mut found, &spec.limits);
    if spec.loosening_soak.millis() > 604_800_000 {
        found.push(Violation::new("spec.looseningSoak", spec.loosening_soak, "0s to 168h", ""));
    }
    found
}

fn limits(found: &mut Vec<Violation>, l: &Limits) {
    positive(found, "spec.limits.maxOrderNotional", l.max_order_notional);
    positive(found, "spec.limits.maxPositionNotional", l.max_position_notional);
    if l.max_position_notional < l.max_order_notional {
        found.push(Violation::new(
            "spec.limits.maxPositionNotional",
            l.max_position_notional,
            format!("at least maxOrderNotional ({})", l.max_order_notional),
            "the order limit could never bind",
        ));
    }
    range(found, "spec.limits.maxGrossExposureBps", l.max_gross_exposure_bps, 1, 100_000);
    range(found, "spec.limits.dailyLossBps", l.daily_loss_bps, 1, 10_000);
    range(found, "spec.limits.maxDrawdownBps", l.max_drawdown_bps, 1, 10_000);
    if l.max_drawdown_bps < l.daily_loss_bps {
        found.push(Violation::new(
            "spec.limits.maxDrawdownBps",
            l.max_drawdown_bps,
            format!("at least dailyLossBps ({})", l.daily_loss_bps),
            "the daily limit could never bind",
        ));
    }
    range(found, "spec.limits.maxOrdersPerMinute", l.max_orders_per_minute, 1, 100_000);
    range(found, "spec.limits.priceCollarBps", l.price_collar_bps, 1, 5_000);
    if !(100..=604_800_000).contains(&l.max_data_age.millis()) {
        found.push(Violation::new("spec.limits.maxDataAge", l.max_data_age, "100ms to 168h", ""));
    }
}

/// One limit that would become looser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loosening {
    /// Name of the limit.
    pub limit: &'static str,
    /// Value in force.
    pub from: String,
    /// Value wanted.
    pub to: String,
}

/// The limits of `wanted` that are looser than those in force. Every limit is a maximum, so looser is larger.
#[must_use]
pub fn loosened(in_force: &Limits, wanted: &Limits) -> Vec<Loosening> {
    let Limits {
        max_order_notional,
        max_position_notional,
        max_gross_exposure_bps,
        daily_loss_bps,
        max_drawdown_bps,
        max_orders_per_minute,
        price_collar_bps,
        max_data_age,
    } = wanted;
    let money = |nanos: crate::Decimal| (nanos.nanos(), nanos.to_string());
    let count = |value: i64| (i128::from(value), value.to_string());
    let span = |value: crate::DurationText| (i128::from(value.millis()), value.to_string());
    let all = [
        ("maxOrderNotional", money(in_force.max_order_notional), money(*max_order_notional)),
        ("maxPositionNotional", money(in_force.max_position_notional), money(*max_position_notional)),
        ("maxGrossExposureBps", count(in_force.max_gross_exposure_bps), count(*max_gross_exposure_bps)),
        ("dailyLossBps", count(in_force.daily_loss_bps), count(*daily_loss_bps)),
        ("maxDrawdownBps", count(in_force.max_drawdown_bps), count(*max_drawdown_bps)),
        ("maxOrdersPerMinute", count(in_force.max_orders_per_minute), count(*max_orders_per_minute)),
        ("priceCollarBps", count(in_force.price_collar_bps), count(*price_collar_bps)),
        ("maxDataAge", span(in_force.max_data_age), span(*max_data_age)),
    ];
    all.into_iter()
        .filter(|(_, old, new)| new.0 > old.0)
        .map(|(limit, old, new)| Loosening { limit, from: old.1, to: new.1 })
        .collect()
}

/// Digest that `spec.approvedLoosening` must name. It binds all limits in force and all limits wanted, and `scope`: what
/// the risk service tells one change from every other by (account, journal, count of changes before it), so that an approval
/// is good for one change, once. Hex, 16 characters of SHA-256; `None` when nothing is loosened.
#[must_use]
pub fn loosening_digest(scope: &str, in_force: &Limits, wanted: &Limits) -> Option<String> {
    use sha2::{Digest, Sha256};
    if loosened(in_force, wanted).is_empty() {
        return None;
    }
    let mut hash = Sha256::new();
    hash.update(scope);
    for limits in [in_force, wanted] {
        hash.update("\n");
        hash.update(limits.max_order_notional.to_string());
        hash.update(" ");
        hash.update(limits.max_position_notional.to_string());
        let counts = [
            limits.max_gross_exposure_bps,
            limits.daily_loss_bps,
            limits.max_drawdown_bps,
            limits.max_orders_per_minute,
            limits.price_collar_bps,
            limits.max_data_age.millis(),
        ];
        for count in counts {
            hash.update(format!(" {count}"));
        }
    }
    Some(hex::encode(hash.finalize()).chars().take(16).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::{Decimal, DurationText, samples};

    #[test]
    fn the_sample_is_valid() {
        assert_eq!(validate_risk_profile(&samples::profile("main", "paper-1").spec), vec![]);
    }

    #[test]
    fn all_violations_are_collected() {
        let mut spec = samples::profile("main", "paper-1").spec;
        spec.limits.daily_loss_bps = 3_000;
        spec.limits.max_data_age = DurationText::from_millis(1);
        spec.limits.max_position_notional = Decimal::from_units(1);
        let found = validate_risk_profile(&spec);
        let text = super::super::join(&found);
        assert_eq!(found.len(), 3, "{text}");
        assert!(text.contains("spec.limits.maxDrawdownBps is 2000, allowed is at least dailyLossBps (3000)"), "{text}");
        assert!(text.contains("spec.limits.maxDataAge is 1ms, allowed is 100ms to 168h"), "{text}");
    }

    #[test]
    fn tighter_needs_no_approval_and_looser_does() {
        let base = samples::profile("main", "paper-1").spec.limits;
        let mut wanted = base.clone();
        wanted.daily_loss_bps = 200;
        assert_eq!(loosening_digest("1", &base, &wanted), None);
        wanted.max_orders_per_minute += 1;
        let digest = loosening_digest("1", &base, &wanted).unwrap();
        assert_eq!(digest.len(), 16);
        // An approval binds exactly one change, from exactly these limits.
        assert_ne!(loosening_digest("2", &base, &wanted).unwrap(), digest, "the same change another time");
        let other = Limits { price_collar_bps: base.price_collar_bps + 1, ..base.clone() };
        assert_ne!(loosening_digest("1", &other, &wanted).unwrap(), digest, "from other limits");
        wanted.max_orders_per_minute += 1;
        assert_ne!(loosening_digest("1", &base, &wanted).unwrap(), digest, "to other limits");
    }
}
