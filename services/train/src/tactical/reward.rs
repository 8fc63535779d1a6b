//! Rewards of the agents (TA-41..TA-43).

/// What became of one position, as far as rewards look at it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// Profit after costs, in currency units of a position of the reference notional.
    pub pnl_usd: f64,
    /// The position had the synergy's direction.
    pub synergy_aligned: bool,
    /// Loss at the stop in percent of equity; unknown counts as excessive (TA-43).
    pub position_risk_pct: Option<f64>,
    /// Slippage in percent; unknown earns no bonus (TA-43).
    pub slippage_pct: Option<f64>,
}

/// Weight of the profit (TA-41).
const BASE_PNL_WEIGHT: f64 = 1.0;
/// Bonus for trading with the synergy.
const SYNERGY_BONUS: f64 = 0.2;
/// Penalty for a position risk above [`MAX_RISK_PCT`].
const RISK_PENALTY: f64 = -0.5;
/// Largest position risk without a penalty.
const MAX_RISK_PCT: f64 = 2.0;
/// Bonus for a slippage below [`GOOD_SLIPPAGE_PCT`].
const EXECUTION_BONUS: f64 = 0.1;
/// Slippage that earns the bonus: less than 5 basis points.
const GOOD_SLIPPAGE_PCT: f64 = 0.05;
/// Distance to a gap, in price points, that counts as near (TA-42).
const NEAR_GAP_POINTS: f64 = 5.0;

/// The reward that all agents share, and the entry agent's own (TA-41).
pub fn base(outcome: &Outcome) -> f64 {
    let aligned = if outcome.synergy_aligned { SYNERGY_BONUS } else { 0.0 };
    let bearable = outcome.position_risk_pct.is_some_and(|risk| risk <= MAX_RISK_PCT);
    let risk = if bearable { 0.0 } else { RISK_PENALTY };
    let execution = if outcome.slippage_pct.is_some_and(|slippage| slippage < GOOD_SLIPPAGE_PCT) { EXECUTION_BONUS } else { 0.0 };
    (BASE_PNL_WEIGHT * (outcome.pnl_usd / 100.0).tanh() + aligned + risk + execution).clamp(-2.0, 2.0)
}

/// Reward of the gap agent (TA-42). `gap_distance` in price points, none when no gap is open.
pub fn fvg(outcome: &Outcome, gap_distance: Option<f64>, mitigation_succeeded: bool) -> f64 {
    let near = if gap_distance.is_some_and(|distance| distance < NEAR_GAP_POINTS) { 0.1 } else { 0.0 };
    let mitigated = if mitigation_succeeded { 0.15 } else { 0.0 };
    base(outcome) + near + mitigated
}

/// Reward of the momentum agent (TA-42). `alignment` is in [-1, 1], `penalty` at most 0.
pub fn momentum(outcome: &Outcome, alignment: f64, penalty: f64) -> f64 {
    base(outcome) + 0.1 * alignment + penalty
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(pnl_usd: f64, synergy_aligned: bool, risk: f64, slippage: f64) -> Outcome {
        Outcome { pnl_usd, synergy_aligned, position_risk_pct: Some(risk), slippage_pct: Some(slippage) }
    }

    /// TA-V13
    #[test]
    fn ta_v13_rewards() {
        let rows = [
            (outcome(100.0, true, 1.0, 0.01), 1.061_594_156),
            (outcome(100.0, false, 1.0, 0.05), 0.761_594_156),
            (outcome(-100.0, false, 2.5, 0.10), -1.261_594_156),
            (outcome(50.0, true, 2.0, 0.049), 0.762_117_157),
            (outcome(-250.0, true, 2.0001, 0.0), -1.186_614_298),
            (outcome(1e9, true, 0.0, 0.0), 1.3),
            (outcome(-1e9, false, 9.0, 9.0), -1.5),
        ];
        for (outcome, expected) in rows {
            assert!((base(&outcome) - expected).abs() < 1e-9, "{outcome:?}: {}", base(&outcome));
        }
        let first = rows[0].0;
        assert!((fvg(&first, Some(4.9), true) - 1.311_594_156).abs() < 1e-9);
        assert!((momentum(&first, 0.5, -0.2) - 0.911_594_156).abs() < 1e-9);
    }

    /// TA-43: what is missing is never to the agent's advantage.
    #[test]
    fn ta_43_missing_figures() {
        let known = outcome(0.0, false, 1.0, 0.01);
        assert_eq!(base(&Outcome { slippage_pct: None, ..known }), 0.0);
        assert_eq!(base(&Outcome { position_risk_pct: None, ..known }), -0.4);
        assert_eq!(fvg(&known, None, false), base(&known));
    }
}
