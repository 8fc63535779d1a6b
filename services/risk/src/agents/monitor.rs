//! What the monitor's proposal changes: less risk, never more.

use serde::{Deserialize, Serialize};

use crate::limits::TradingState;
use tradewind_core::instrument::Lots;

use super::config::RiskAgentsConfig;
use super::opinion::{MonitorAction, NoOpinion, Opinion};

/// Absorbs binary rounding before a share is rounded up to whole contracts (RK-94).
const DUST: f64 = 1e-9;

/// How things stand before the monitor speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MonitorRequest {
    /// What the deterministic rules allow.
    pub trading: TradingState,
    /// A deterministic alert is high or worse.
    pub high_alert: bool,
    /// Decisions in a row before this one that proposed to close everything.
    pub closes_before: u32,
    /// A hedge instrument and ratio are configured (RK-98).
    pub can_hedge: bool,
}

/// How soon a verdict is carried out (RK-105).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Priority {
    /// With everything else.
    Normal,
    /// Before everything else.
    High,
}

/// What the monitor's proposal amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MonitorVerdict {
    /// What is carried out: a hedge that cannot be becomes a reduction (RK-98).
    pub action: MonitorAction,
    /// Which orders are allowed: the stricter of the deterministic state and the agent's (RK-106).
    pub trading: TradingState,
    /// Share of each position to close, 0 to 1; see [`reduction`].
    pub close_share: f64,
    /// How soon.
    pub priority: Priority,
    /// Why the agent did not count, if it did not.
    pub stand_in: Option<NoOpinion>,
}

/// Composes the monitor's proposal with the deterministic state (RK-36, RK-98, RK-105, RK-106).
///
/// Every action forbids new risk at once. Closing everything happens only when a deterministic alert agrees or enough
/// decisions in a row propose it, so that one answer of a network cannot empty the book (C-10).
#[must_use]
pub fn monitor(request: &MonitorRequest, proposal: Opinion<MonitorAction>, config: &RiskAgentsConfig) -> MonitorVerdict {
    let action = match proposal.unwrap_or(MonitorAction::NoAction) {
        MonitorAction::Hedge if !request.can_hedge => MonitorAction::ReducePosition,
        action => action,
    };
    let confirmed = request.high_alert || request.closes_before.saturating_add(1) >= config.close_confirmations;
    let close_share = match action {
        MonitorAction::NoAction | MonitorAction::Hedge => 0.0,
        MonitorAction::ReducePosition => config.reduce_share,
        MonitorAction::CloseAll if confirmed => 1.0,
        MonitorAction::CloseAll => 0.0,
    };
    let (asked, priority) = match action {
        MonitorAction::NoAction => (TradingState::Normal, Priority::Normal),
        _ => (TradingState::ReduceOnly, Priority::High),
    };
    MonitorVerdict { action, trading: request.trading.max(asked), close_share, priority, stand_in: proposal.err() }
}

/// Order that closes a share of a position: rounded up, at least one contract, never through flat (RK-94). A share
/// that is not above 0 closes nothing.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
pub fn reduction(held: Lots, share: f64) -> Lots {
    let size = held.0.saturating_abs();
    let some = share > 0.0 && size > 0;
    let closed = if some { ((share * size as f64 - DUST).ceil() as i64).clamp(1, size) } else { 0 };
    Lots(-held.0.signum() * closed)
}

/// Share of every position to close so that the margin in use falls to a target (RK-99), 0 to 1; both in percent. 0 at
/// or below the target, and for what is no figure.
#[must_use]
pub fn margin_reduction_share(current_pct: f64, target_pct: f64) -> f64 {
    if current_pct > target_pct { (1.0 - target_pct / current_pct).clamp(0.0, 1.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp)]
    use proptest::prelude::*;

    use super::*;

    const CALM: MonitorRequest =
        MonitorRequest { trading: TradingState::Normal, high_alert: false, closes_before: 0, can_hedge: false };

    /// RK-V18
    #[test]
    fn reductions_round_up() {
        assert!((margin_reduction_share(95.0, 60.0) - 0.368_421_052_6).abs() < 1e-9);
        assert!((margin_reduction_share(85.0, 60.0) - 0.294_117_647_1).abs() < 1e-9);
        assert_eq!([margin_reduction_share(50.0, 60.0), margin_reduction_share(f64::NAN, 60.0)], [0.0, 0.0]);
        for (held, share, wanted) in [
            (5, margin_reduction_share(95.0, 60.0), 2),
            (3, margin_reduction_share(85.0, 60.0), 1),
            (1, 0.30, 1),
            (3, 0.50, 2),
            (5, 0.75, 4),
            (5, 1.0, 5),
            (10, 0.3, 3),
            (0, 0.5, 0),
            (5, 0.0, 0),
            (5, f64::NAN, 0),
        ] {
            assert_eq!(
                (reduction(Lots(held), share), reduction(Lots(-held), share)),
                (Lots(-wanted), Lots(wanted)),
                "{held} {share}"
            );
        }
    }

    /// RK-98, RK-105, RK-106
    #[test]
    fn proposals_take_risk_away() {
        let config = RiskAgentsConfig::default();
        let of = |request: MonitorRequest, action| {
            let verdict = monitor(&request, Ok(action), &config);
            (verdict.action, verdict.trading, verdict.close_share, verdict.priority)
        };
        use MonitorAction::{CloseAll, Hedge, NoAction, ReducePosition};
        use TradingState::{Halted, Normal, ReduceOnly};
        assert_eq!(of(CALM, NoAction), (NoAction, Normal, 0.0, Priority::Normal));
        assert_eq!(of(CALM, ReducePosition), (ReducePosition, ReduceOnly, 0.25, Priority::High));
        assert_eq!(of(CALM, Hedge), (ReducePosition, ReduceOnly, 0.25, Priority::High), "no hedge is configured");
        assert_eq!(of(MonitorRequest { can_hedge: true, ..CALM }, Hedge), (Hedge, ReduceOnly, 0.0, Priority::High));
        assert_eq!(of(CALM, CloseAll), (CloseAll, ReduceOnly, 0.0, Priority::High), "not confirmed");
        assert_eq!(of(MonitorRequest { closes_before: 1, ..CALM }, CloseAll).2, 1.0);
        assert_eq!(of(MonitorRequest { high_alert: true, ..CALM }, CloseAll).2, 1.0);
        assert_eq!(of(MonitorRequest { trading: Halted, ..CALM }, NoAction).1, Halted);
    }

    /// RK-36: without an opinion the deterministic state stands, and the reason is named.
    #[test]
    fn a_silent_monitor_changes_nothing() {
        for trading in [TradingState::Normal, TradingState::ReduceOnly, TradingState::Halted] {
            let verdict = monitor(&MonitorRequest { trading, ..CALM }, Err(NoOpinion::Late), &RiskAgentsConfig::default());
            assert_eq!((verdict.trading, verdict.close_share, verdict.stand_in), (trading, 0.0, Some(NoOpinion::Late)));
        }
    }

    proptest! {
        /// RK-36: no proposal allows what the deterministic state forbids; no reduction passes through flat.
        #[test]
        fn no_proposal_loosens(
            action in prop::sample::select(&MonitorAction::ALL[..]), state in 0_usize..3, high_alert: bool,
            closes_before in 0_u32..5, can_hedge: bool, held in -1000_i64..1000
        ) {
            let trading = [TradingState::Normal, TradingState::ReduceOnly, TradingState::Halted][state];
            let request = MonitorRequest { trading, high_alert, closes_before, can_hedge };
            let verdict = monitor(&request, Ok(action), &RiskAgentsConfig::default());
            prop_assert!(verdict.trading >= trading);
            let after = held + reduction(Lots(held), verdict.close_share).0;
            prop_assert!(after.abs() <= held.abs() && after.signum() * held.signum() >= 0);
        }
    }
}
