//! The size of a new trade: every bound first, opinions only lower it.

use serde::{Deserialize, Serialize};

use tradewind_core::money::Money;
use tradewind_measures::kelly::{contracts, risk_amount};

use super::config::{Cut, RiskAgentsConfig, SizeCuts};
use super::opinion::{NoOpinion, Opinion, RiskScores};

/// Absorbs binary rounding before a product is cut to whole contracts (RK-69).
const DUST: f64 = 1e-9;

/// A new trade and what deterministic limits leave of it (RK-70).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SizeRequest {
    /// Contracts asked for, at least 0.
    pub requested: i64,
    /// Contracts that the position limit leaves, pending ones counted.
    pub room: i64,
    /// Equity of the account.
    pub equity: Money,
    /// Kelly fraction in the volatility of now, before the fractional multiplier (RK-60); `None` without evidence.
    pub kelly: Option<f64>,
    /// What one contract loses at its stop, with costs (RK-62).
    pub risk_per_contract: Money,
    /// What the session may still lose (RK-65).
    pub session_budget: Money,
    /// Percentile of the volatility of now, 0 to 1 (RK-11).
    pub volatility_regime: f64,
    /// The account already holds this symbol on the same side.
    pub adds: bool,
}

/// What decided a size (RK-70).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SizeLimit {
    /// What was asked.
    Requested,
    /// The position limit.
    Room,
    /// Kelly and the risk of one trade.
    Kelly,
    /// What the session may still lose.
    SessionBudget,
    /// The sizing agent, or its stand-in.
    Agent,
    /// The scores and the volatility regime.
    RiskAdjusted,
    /// The score of the position that would grow.
    PositionRisk,
}

/// A size and what decided it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SizeVerdict {
    /// Contracts, 0 (refused) to `max_contracts`.
    pub contracts: i64,
    /// The bound that decided, the first of several equal ones.
    pub limit: SizeLimit,
    /// Why the conservative defaults stood in, if they did.
    pub stand_in: Option<NoOpinion>,
}

/// The size that may be traded (RK-36, RK-37, RK-68 to RK-70): the least of all bounds, never more than the
/// deterministic ones. The first missing opinion brings in the conservative defaults.
#[must_use]
pub fn approve(
    request: &SizeRequest,
    sizing: Opinion<i64>,
    scores: Opinion<RiskScores>,
    config: &RiskAgentsConfig,
) -> SizeVerdict {
    let stand_in = sizing.err().or(scores.err());
    let conservative = &config.conservative;
    let (kelly_multiplier, risk_fraction) = match stand_in {
        None => (config.kelly_multiplier, config.max_risk_fraction),
        Some(_) => (conservative.kelly_multiplier, conservative.max_risk_fraction),
    };
    let agent = sizing.unwrap_or(conservative.contracts).min(config.max_contracts);
    let agent = if stand_in.is_some() { agent.min(conservative.contracts) } else { agent };
    let kelly = request.kelly.map_or(0.0, |fraction| fraction * kelly_multiplier);
    let at_stake = |amount| contracts(amount, request.risk_per_contract, config.max_contracts);
    let blocked = request.adds && scores.is_ok_and(|scores| scores.position > config.alerts.position);
    let bounds = [
        (SizeLimit::Requested, request.requested),
        (SizeLimit::Room, request.room),
        (SizeLimit::Kelly, at_stake(risk_amount(request.equity, kelly, risk_fraction))),
        (SizeLimit::SessionBudget, at_stake(request.session_budget)),
        (SizeLimit::Agent, agent),
        (SizeLimit::RiskAdjusted, risk_adjusted(agent, scores.ok(), request.volatility_regime, config)),
        (SizeLimit::PositionRisk, if blocked { 0 } else { i64::MAX }),
    ];
    let (limit, least) = bounds.into_iter().fold(bounds[0], |least, next| if next.1 < least.1 { next } else { least });
    SizeVerdict { contracts: least.clamp(0, config.max_contracts.max(0)), limit, stand_in }
}

/// RK-68, RK-69: all factors first, then whole contracts. Without scores only the volatility cuts.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)] // at most 1000 contracts
fn risk_adjusted(size: i64, scores: Option<RiskScores>, volatility_regime: f64, config: &RiskAgentsConfig) -> i64 {
    let cuts = &config.cuts;
    let by_scores = scores.map_or(1.0, |scores| {
        kept(scores.portfolio, cuts.portfolio)
            * kept(scores.correlation, cuts.correlation)
            * kept(scores.liquidity, cuts.liquidity)
    });
    let product = size as f64 * by_scores * kept_when_wild(volatility_regime, cuts);
    ((product + DUST).floor() as i64).clamp(0, config.max_contracts.max(0))
}

/// Share of a size that a score leaves. Scores are finite by construction.
fn kept(score: f64, cut: Cut) -> f64 {
    if score > cut.above { 1.0 - cut.depth * ((score - cut.above) / (1.0 - cut.above)).min(1.0) } else { 1.0 }
}

/// Written so that NaN counts as wild.
fn kept_when_wild(volatility_regime: f64, cuts: &SizeCuts) -> f64 {
    if volatility_regime <= cuts.wild_above { 1.0 } else { cuts.wild_share }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    /// RK-V13, recommended column.
    #[test]
    fn scores_cut_sizes() {
        let config = RiskAgentsConfig::default();
        for (row, (size, portfolio, correlation, liquidity, regime, wanted)) in (1..).zip([
            (5, 0.85, 0.3, 0.2, 0.5, 3),
            (5, 0.8, 0.7, 0.6, 0.9, 2),
            (5, 1.0, 1.0, 1.0, 1.0, 0),
            (3, 0.75, 0.5, 0.5, 0.5, 2),
            (4, 0.7, 0.6, 0.5, 0.8, 4),
            (1, 0.71, 0.3, 0.3, 0.3, 0),
            (4, 0.9, 0.8, 0.75, 0.81, 1),
            (5, 0.7, 0.65, 0.5, 0.5, 4),
        ]) {
            let scores = RiskScores { portfolio, position: 0.0, correlation, liquidity };
            assert_eq!(risk_adjusted(size, Some(scores), regime, &config), wanted, "row {row}");
        }
        assert_eq!(risk_adjusted(5, None, f64::NAN, &config), 3, "unknown volatility counts as wild");
    }

    const CALM: RiskScores = RiskScores { portfolio: 0.1, position: 0.1, correlation: 0.1, liquidity: 0.1 };

    fn request() -> SizeRequest {
        SizeRequest {
            requested: 4,
            room: 5,
            equity: Money::from_units(100_000),
            kelly: Some(0.4),
            risk_per_contract: Money::from_units(100),
            session_budget: Money::from_units(2_000),
            volatility_regime: 0.5,
            adds: false,
        }
    }

    /// RK-70: each bound binds in turn, and is named.
    #[test]
    fn the_least_bound_decides() {
        let config = RiskAgentsConfig::default();
        let of = |request: SizeRequest, size: i64, scores: RiskScores| {
            let verdict = approve(&request, Ok(size), Ok(scores), &config);
            assert_eq!(verdict.stand_in, None);
            (verdict.contracts, verdict.limit)
        };
        assert_eq!(of(request(), 5, CALM), (4, SizeLimit::Requested));
        assert_eq!(of(SizeRequest { room: 3, ..request() }, 5, CALM), (3, SizeLimit::Room));
        assert_eq!(of(SizeRequest { room: -2, ..request() }, 5, CALM), (0, SizeLimit::Room));
        let dear = SizeRequest { risk_per_contract: Money::from_units(700), ..request() };
        assert_eq!(of(dear, 5, CALM), (2, SizeLimit::Kelly));
        assert_eq!(of(SizeRequest { kelly: None, ..request() }, 5, CALM), (0, SizeLimit::Kelly));
        assert_eq!(of(SizeRequest { kelly: Some(f64::NAN), ..request() }, 5, CALM), (0, SizeLimit::Kelly));
        let spent = SizeRequest { session_budget: Money::from_units(150), ..request() };
        assert_eq!(of(spent, 5, CALM), (1, SizeLimit::SessionBudget));
        assert_eq!(of(request(), 2, CALM), (2, SizeLimit::Agent));
        assert_eq!(of(request(), 5, RiskScores { portfolio: 0.9, ..CALM }), (3, SizeLimit::RiskAdjusted));
        let crowded = RiskScores { position: 0.81, ..CALM };
        assert_eq!(of(SizeRequest { adds: true, ..request() }, 5, crowded), (0, SizeLimit::PositionRisk));
        assert_eq!(of(request(), 5, crowded), (4, SizeLimit::Requested), "another symbol");
    }

    /// RK-36, RK-37: one contract, a tenth of Kelly, half a percent, and the reason is named.
    #[test]
    fn without_opinions_the_conservative_defaults_stand_in() {
        let config = RiskAgentsConfig::default();
        for reason in [NoOpinion::Missing, NoOpinion::Stale, NoOpinion::Late, NoOpinion::NotFinite] {
            let wanted = SizeVerdict { contracts: 1, limit: SizeLimit::Agent, stand_in: Some(reason) };
            assert_eq!(approve(&request(), Err(reason), Ok(CALM), &config), wanted);
            assert_eq!(approve(&request(), Ok(5), Err(reason), &config), wanted);
        }
        let dear = SizeRequest { risk_per_contract: Money::from_units(501), ..request() };
        let verdict = approve(&dear, Err(NoOpinion::Missing), Err(NoOpinion::Late), &config);
        assert_eq!((verdict.contracts, verdict.limit), (0, SizeLimit::Kelly), "more than half a percent of the equity");
        assert_eq!(verdict.stand_in, Some(NoOpinion::Missing));
    }

    fn opinions() -> impl Strategy<Value = (Opinion<i64>, Opinion<RiskScores>)> {
        let scores = prop::array::uniform4(0.0_f64..=1.0).prop_map(|[portfolio, position, correlation, liquidity]| RiskScores {
            portfolio,
            position,
            correlation,
            liquidity,
        });
        let size = prop_oneof![4 => (1_i64..=5).prop_map(Ok), 1 => Just(Err(NoOpinion::Stale))];
        let scores = prop_oneof![4 => scores.prop_map(Ok), 1 => Just(Err(NoOpinion::NotFinite))];
        (size, scores)
    }

    proptest! {
        /// RK-36: no opinion raises a size above what the deterministic bounds allow, worse scores never raise it,
        /// and the same question has the same answer.
        #[test]
        fn opinions_only_tighten(
            (sizing, scores) in opinions(), requested in 0_i64..10, room in -3_i64..10, risk in 0_i64..3_000,
            kelly in prop::option::of(-0.5_f64..1.0), budget in -500_i64..5_000, regime in 0.0_f64..=1.0, adds: bool, worse in 0.0_f64..=1.0
        ) {
            let config = RiskAgentsConfig::default();
            let request = SizeRequest {
                requested, room, kelly, adds,
                equity: Money::from_units(100_000),
                risk_per_contract: Money::from_units(risk),
                session_budget: Money::from_units(budget),
                volatility_regime: regime,
            };
            let verdict = approve(&request, sizing, scores, &config);
            prop_assert_eq!(verdict, approve(&request, sizing, scores, &config));
            let most_at_risk = Money::from_units(2_000).min(request.session_budget);
            prop_assert!(verdict.contracts >= 0 && verdict.contracts <= requested.min(room.max(0)).min(config.max_contracts));
            prop_assert!(verdict.contracts == 0 || Money::from_units(risk * verdict.contracts) <= most_at_risk);
            prop_assert!(verdict.stand_in.is_none() || verdict.contracts <= config.conservative.contracts);
            if let Ok(scores) = scores {
                let worse = RiskScores {
                    portfolio: scores.portfolio.max(worse), position: scores.position.max(worse),
                    correlation: scores.correlation.max(worse), liquidity: scores.liquidity.max(worse),
                };
                prop_assert!(approve(&request, sizing, Ok(worse), &config).contracts <= verdict.contracts);
            }
        }
    }
}
