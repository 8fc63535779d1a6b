//! What the inputs of each role mean, as text with a digest, so that a checkpoint and a server cannot agree on a name and mean
//! different numbers.

use sha2::{Digest, Sha256};

/// A feature schema: the definition of a stage's inputs.
#[derive(Debug, PartialEq, Eq)]
pub struct Schema {
    /// Name with version: the first line of the text.
    pub name: &'static str,
    /// One line for the name, one for the layout, one for each value. A change of any formula changes this text, and with it the
    /// digest and the name.
    pub text: &'static str,
}

impl Schema {
    /// Hex SHA-256 of the text.
    pub fn digest(&self) -> String {
        hex::encode(Sha256::digest(self.text))
    }
}

/// The strategic matrix and its shared context (ST-6, ST-8, ST-10).
pub static STRATEGIC: Schema = Schema {
    name: "strategic-48x13-v1",
    text: "\
strategic-48x13-v1
layout f32 rows=48 columns=13 row-major row0=oldest row47=newest bars=closed minutes=30 input=mean of each column over the rows, then context
0 mlmi_value (v-50)/50 v=50*(1+sum(labels)/n) n=min(5,store) nearest (wma(rsi20,20),wma(rsi5,20)) store=10000
1 mlmi_signal -1|0|1 v crosses wma(v,20)
2 nwrqk_value clip((y/close-1)/0.05,-1,1) y=rational_quadratic(h=8,alpha=8,lags=27)
3 nwrqk_slope clip((y-y[1])/atr14,-2,2)/2
4 lvn_distance min(1,abs(level-close)/(3*atr14)) none=1
5 lvn_strength 1-volume/volume(poc) bars=20 bins=50 below=0.3*poc none=0
6 time_hour_sin sin(2*pi*hour/24) hour=fractional utc of the close
7 time_hour_cos cos(2*pi*hour/24)
8 momentum_20 clip(ln(close/close[20])/(s30*sqrt(20)),-3,3)/3
9 momentum_50 clip(ln(close/close[50])/(s30*sqrt(50)),-3,3)/3
10 mmd_score clip(sqrt(max(0,mmd2)),0,1) unbiased p=48 q=480 gaussian(median distance of q)
11 volatility_30 clip(ln(s30/median(s30,480)),-2,2)/2
12 volume_profile_skew clip(skew(typical price weighted by volume,20),-3,3)/3
context confidence direction ln(clip(volatility_30,0.01,100)) sin(2*pi*hour/24) cos(2*pi*hour/24) weekday/6 hour=whole utc monday=0
",
};

/// The tactical matrix (TA-5, TA-8).
pub static TACTICAL: Schema = Schema {
    name: "tactical-60x7-v1",
    text: "\
tactical-60x7-v1
layout f32 rows=60 columns=7 row-major row0=oldest row59=newest bars=completed
0 fvg_bullish_active 0|1
1 fvg_bearish_active 0|1
2 fvg_nearest_level clip((level/close-1)*100,-10,10)/10 none=0
3 fvg_age min(age,60)/60
4 fvg_mitigation_signal 0|1
5 price_momentum_5 tanh(clip((close/close[5]-1)*100,-10,10)/5)
6 volume_ratio tanh(ln(1+max(0,volume/ema20(volume)-1)))
",
};

/// The execution context (EX-7, EX-13).
pub static EXECUTION: Schema = Schema {
    name: "execution-15-v1",
    text: "\
execution-15-v1
layout f32 values=15 before the normaliser; the critic's market features are values 4..8
0 decision_direction -1|0|1
1 decision_confidence 0..1
2 synergy_strength 0..1 none=0.5
3 urgency_factor 0..1 none=0.5
4 bid_ask_spread_bps spread/mid*10000
5 order_book_depth normalised none=0.5
6 recent_volume_intensity volume/average volume none=1
7 price_volatility_1min realised fraction
8 current_position signed contracts
9 available_margin margin/equity
10 unrealized_pnl_pct pnl/equity
11 var_utilization var/limit limit<=0:0
12 max_position_pct position/limit
13 time_since_signal seconds
14 market_session_pct clip((now-open)/(close-open),0,1)
",
};

/// The risk state and the agents' context blocks (RK-6, RK-24..RK-27).
pub static RISK: Schema = Schema {
    name: "risk-10-4x16-v1",
    text: "\
risk-10-4x16-v1
layout f32 values=74 state then p1 p2 p3 p4; state z-scored over 1000 seconds, population deviation + 1e-8, cut at -5..5
0 account_equity_normalized equity/initial
1 open_positions_count
2 volatility_regime mid-rank percentile of 252
3 correlation_risk
4 var_estimate_5pct percent of equity
5 current_drawdown_pct percent
6 margin_usage_pct percent
7 time_of_day_risk 0..1
8 market_stress_level 0..1
9 liquidity_conditions 0=good 1=worst
p1 direction base_quantity/5 confidence stop/atr kelly/5 win_probability min(b,5)/5 vol_adjust/2 position/5 pending/5 loss_budget marginal_var_pct correlation liquidity synergy 0
p2 side quantity/5 min(hours/24,2) profit/atr to_stop/atr to_target/atr mfe/atr mae/atr volatility_regime 100*atr/price spread_ratio volume_ratio hours_to_close/24 move5/atr stop_mult target_mult
p3 var_pct es_pct concentration correlation directional_correlation drawdown_pct/2 margin_pct/100 positions/5 gross/equity net/equity 100*unrealised/equity liquidity vol_ratio var_ratio severity/4 halt
p4 per strategy of 5: clip(sharpe,-3,3)/3 variance_share weight; mean pairwise correlation
",
};

#[cfg(test)]
mod tests {
    use super::*;
    use tradewind_features::risk_state::{self, blocks};
    use tradewind_features::{execution_context, strategic, tactical};

    /// The published texts and digests: an exporter copies them, so they may not move without a new name.
    #[test]
    fn the_page_shows_every_schema() {
        let page = include_str!("../CHECKPOINT.md");
        for schema in [&STRATEGIC, &TACTICAL, &EXECUTION, &RISK] {
            assert_eq!(schema.text.lines().next(), Some(schema.name));
            assert!(page.contains(&schema.digest()), "CHECKPOINT.md lacks digest {} of {}", schema.digest(), schema.name);
            assert!(page.contains(schema.text), "CHECKPOINT.md has another text of {}", schema.name);
        }
    }

    /// Names of the values that a text defines, one in each line.
    fn names(schema: &'static Schema) -> Vec<&'static str> {
        let numbered = |line: &'static str| line.split_once(' ').filter(|(number, _)| number.parse::<usize>().is_ok());
        schema.text.lines().filter_map(numbered).filter_map(|(_, rest)| rest.split(' ').next()).collect()
    }

    /// The domain computes what the texts define, value by value (ST-57, TA-8, EX-7, RK-6).
    #[test]
    fn names_are_those_of_the_domain() {
        let named = [STRATEGIC.name, TACTICAL.name, EXECUTION.name];
        assert_eq!(named, [strategic::SCHEMA.name, tactical::FEATURE_SCHEMA, execution_context::SCHEMA.name]);
        assert_eq!(strategic::SCHEMA.check(&names(&STRATEGIC)), Ok(()));
        assert_eq!(tactical::SCHEMA.check(&names(&TACTICAL)), Ok(()));
        assert_eq!(execution_context::SCHEMA.check(&names(&EXECUTION)), Ok(()));
        assert_eq!(risk_state::SCHEMA.check(&names(&RISK)), Ok(()));
    }

    /// RK-24..RK-27: the domain has the state and its four blocks in schemas of their own, `risk-10-v1` and `risk-*-16-v1`; this
    /// text is about all five side by side.
    #[test]
    fn the_risk_text_has_the_blocks_of_the_domain() {
        let block = |prefix: &str| RISK.text.lines().find_map(|line| line.strip_prefix(prefix)).unwrap_or_default();
        let columns = [blocks::SIZING, blocks::STOPS, blocks::PORTFOLIO].map(|schema| schema.columns.len());
        assert_eq!(["p1 ", "p2 ", "p3 "].map(|prefix| block(prefix).split(' ').count()), columns);
        let last = names(&RISK).len() + 4 * blocks::BLOCK;
        assert_eq!((blocks::CRITIC, RISK.text.contains(&format!("values={last} "))), (last, true));
        assert!(block("p4 ").starts_with("per strategy of 5: ") && blocks::STRATEGY.columns.len() == 3 * 5 + 1);
    }
}
