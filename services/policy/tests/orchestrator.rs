//! Reference vectors of the orchestrator: every row of the source scenarios and of the computed table.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use tradewind_core::instrument::Symbol;
use tradewind_policy::active_policy::{ActivePolicy, EntryMode, ExitMode, RiskPosture};
use tradewind_policy::orchestrator::{CostLevel, Inputs, OrchestratorConfig, PerformanceTag, RiskInputs, evaluate};
use tradewind_policy::regime::{RegimeTag, VolLevel};

/// Inputs of one row; everything unspecified is neutral.
#[derive(Clone)]
struct Row {
    tag: RegimeTag,
    vol: VolLevel,
    risk: RiskInputs,
    symbols: Vec<(Symbol, PerformanceTag)>,
    quality: Option<f64>,
    costs: (CostLevel, CostLevel),
    config: OrchestratorConfig,
}

const TRENDING: RegimeTag = RegimeTag::Trending;
const RANGING: RegimeTag = RegimeTag::Ranging;

fn row(tag: RegimeTag, vol: VolLevel) -> Row {
    let (risk, config) = (RiskInputs::default(), OrchestratorConfig::default());
    Row { tag, vol, risk, symbols: vec![], quality: None, costs: (CostLevel::Normal, CostLevel::Normal), config }
}

impl Row {
    fn pnl(mut self, percent: f64) -> Self {
        self.risk.daily_pnl_pct = percent;
        self
    }
    fn streak(mut self, trades: u32) -> Self {
        self.risk.losing_streak = trades;
        self
    }
    fn open(mut self, positions: u32) -> Self {
        self.risk.open_trades_count = positions;
        self
    }
    fn exposure(mut self, percent: f64) -> Self {
        self.risk.total_exposure_pct = percent;
        self
    }
    fn quality(mut self, quality: f64) -> Self {
        self.quality = Some(quality);
        self
    }
    fn costs(mut self, spread: bool, slippage: bool) -> Self {
        let level = |high| if high { CostLevel::High } else { CostLevel::Normal };
        self.costs = (level(spread), level(slippage));
        self
    }
    fn symbols(mut self, symbols: &[(&str, PerformanceTag)]) -> Self {
        self.symbols = symbols.iter().map(|(name, tag)| (symbol(name), *tag)).collect();
        self
    }
    /// The conservative sample of PO-47.
    fn conservative(mut self) -> Self {
        self.config = OrchestratorConfig {
            base_confidence: 0.60,
            base_risk_pct: 0.5,
            daily_dd_limit_pct: 2.0,
            losing_streak_limit: 3,
            max_open_positions: 5,
            total_exposure_limit_pct: 10.0,
            ..OrchestratorConfig::default()
        };
        self
    }
    fn evaluate(&self) -> ActivePolicy {
        evaluate(
            &self.config,
            &Inputs {
                regime_tag: self.tag,
                vol_level: self.vol,
                risk: self.risk,
                symbols: &self.symbols,
                ensemble_quality: self.quality,
                spread_level: self.costs.0,
                slippage_level: self.costs.1,
            },
        )
    }
}

fn symbol(name: &str) -> Symbol {
    name.to_owned().try_into().unwrap()
}

type Wanted = (bool, RiskPosture, f64, f64, EntryMode, ExitMode);

fn check(id: &str, row: &Row, wanted: Wanted) -> ActivePolicy {
    let seen = row.evaluate();
    assert_eq!((seen.allow_new_trades, seen.risk_posture), (wanted.0, wanted.1), "{id}");
    assert!((seen.max_risk_pct - wanted.2).abs() < 1e-9, "{id}: risk {}", seen.max_risk_pct);
    assert!((seen.min_confidence - wanted.3).abs() < 1e-9, "{id}: confidence {}", seen.min_confidence);
    assert_eq!((seen.entry_mode, seen.exit_mode), (wanted.4, wanted.5), "{id}");
    assert_eq!(seen.allow_new_trades, seen.risk_posture != RiskPosture::NoNewTrades, "{id}: PO-52");
    seen
}

use EntryMode::{Aggressive, Defensive, Normal};
use ExitMode::{FastTp, TrendFollow};
use RiskPosture::{NoNewTrades, Normal as Full, Reduced};
use VolLevel::{Extreme, High, Low, Normal as Calm};

/// PO-V1
#[test]
fn source_scenarios() {
    let tags = [
        ("BTCUSDT", PerformanceTag::of(0.60, 1.5)),
        ("ETHUSDT", PerformanceTag::of(0.55, 1.2)),
        ("SOLUSDT", PerformanceTag::of(0.25, -0.5)),
    ];
    let first = row(TRENDING, Calm).pnl(1.5).streak(1).open(3).exposure(6.0).symbols(&tags).quality(0.65);
    let s1 = check("S1", &first, (true, Full, 1.0, 0.47, Aggressive, TrendFollow));
    assert_eq!(s1.note, "TRENDING + NORMAL_VOL - aggressive trend following");
    assert_eq!(s1.allowed_symbols, [symbol("BTCUSDT"), symbol("ETHUSDT")]);
    assert_eq!(s1.disallowed_symbols, [symbol("SOLUSDT")]);
    assert!(s1.permits(&symbol("ETHUSDT")) && !s1.permits(&symbol("SOLUSDT")) && !s1.permits(&symbol("XRPUSDT")), "PO-55");

    let s2 = check("S2", &row(TRENDING, High), (true, Reduced, 0.5, 0.53, Normal, TrendFollow));
    assert_eq!((s2.note.as_str(), s2.risk_scale_bps), ("HIGH volatility - risk reduced 50%", 5_000));

    let s3 = check("S3", &row(TRENDING, Calm).pnl(-3.5), (false, NoNewTrades, 1.0, 0.50, Normal, TrendFollow));
    assert_eq!(s3.note, "Daily DD limit hit (-3.50%)");

    let fourth = row(RANGING, High).streak(6).costs(true, true);
    let s4 = check("S4", &fourth, (true, Reduced, 0.105, 0.61, Defensive, FastTp));
    assert_eq!(
        s4.note,
        "HIGH volatility - risk reduced 50%; RANGING market - defensive scalping; \
         Losing streak 6 - reduced to 30% risk; High costs - tighter entry filter"
    );
    assert_eq!(s4.risk_scale_bps, 1_050);
}

/// PO-V2/C1 to PO-V2/C21
#[test]
fn computed_table() {
    let tf = TrendFollow;
    let calm = || row(TRENDING, Calm);
    let rows: [(&str, Row, Wanted); 21] = [
        ("C1", row(RANGING, Calm), (true, Reduced, 0.7, 0.55, Defensive, FastTp)),
        ("C2", row(RANGING, High), (true, Reduced, 0.35, 0.58, Defensive, FastTp)),
        ("C3", row(TRENDING, Extreme), (false, NoNewTrades, 1.0, 0.50, Normal, tf)),
        ("C4", row(TRENDING, Low), (true, Full, 1.0, 0.50, Normal, tf)),
        ("C5", row(RANGING, Low), (true, Reduced, 0.7, 0.55, Defensive, FastTp)),
        ("C6", calm().streak(5), (true, Reduced, 0.3, 0.55, Defensive, tf)),
        ("C7", calm().costs(true, false), (true, Full, 1.0, 0.50, Defensive, tf)),
        ("C8", calm().quality(0.39), (true, Full, 1.0, 0.52, Aggressive, tf)),
        ("C9", calm().quality(0.40), (true, Full, 1.0, 0.47, Aggressive, tf)),
        ("C10", calm().pnl(-3.0), (false, NoNewTrades, 1.0, 0.50, Normal, tf)),
        ("C11", calm().pnl(-2.99), (true, Full, 1.0, 0.47, Aggressive, tf)),
        ("C12", calm().open(8), (false, NoNewTrades, 1.0, 0.47, Aggressive, tf)),
        ("C13", row(RANGING, High).exposure(15.0), (false, NoNewTrades, 0.35, 0.58, Defensive, FastTp)),
        ("C14", row(TRENDING, High).streak(7).costs(true, true).quality(0.2), (true, Reduced, 0.15, 0.63, Defensive, tf)),
        ("C15", row(RANGING, High).streak(5).costs(true, true).quality(0.1), (true, Reduced, 0.105, 0.66, Defensive, FastTp)),
        ("C16", row(RANGING, Extreme).pnl(-4.25).open(9), (false, NoNewTrades, 1.0, 0.50, Normal, tf)),
        (
            "C17",
            calm().symbols(&[("A", PerformanceTag::Bad), ("B", PerformanceTag::Bad)]),
            (true, Full, 1.0, 0.47, Aggressive, tf),
        ),
        ("C18", row(RANGING, Calm).conservative().streak(3), (true, Reduced, 0.105, 0.65, Defensive, FastTp)),
        ("C19", calm().conservative().pnl(-2.0), (false, NoNewTrades, 0.5, 0.60, Normal, tf)),
        ("C20", row(TRENDING, High).conservative().open(4), (true, Reduced, 0.25, 0.63, Normal, tf)),
        ("C21", row(RANGING, Calm).streak(5).costs(false, true), (true, Reduced, 0.21, 0.58, Defensive, FastTp)),
    ];
    let seen = rows.map(|(id, row, wanted)| check(id, &row, wanted));
    assert_eq!(seen[3].note, "Baseline", "C4");
    assert_eq!(seen[11].note, "Open positions 8 at limit 8; TRENDING + NORMAL_VOL - aggressive trend following", "C12");
    assert_eq!(seen[12].note.split("; ").next(), Some("Total exposure 15.00% at limit 15.00%"), "C13");
    assert_eq!(seen[15].note, "EXTREME volatility - no new trades; Daily DD limit hit (-4.25%)", "C16");
    assert!(seen[16].allowed_symbols.is_empty() && seen[16].disallowed_symbols == [symbol("A"), symbol("B")], "C17");
    assert!(!seen[16].permits(&symbol("A")) && !seen[16].permits(&symbol("C")), "C17: nothing tradable");
}

/// PO-V5
#[test]
fn tags_and_levels() {
    use PerformanceTag::{Bad, Good, Neutral};
    let rows = [
        (0.60, 1.5, Good),
        (0.55, 1.2, Neutral),
        (0.25, -0.5, Bad),
        (0.35, 0.5, Neutral),
        (0.349, 2.0, Bad),
        (0.56, 1.21, Good),
        (0.70, 0.49, Bad),
        (0.56, 1.2, Neutral),
        (f64::NAN, 2.0, Bad),
    ];
    for (winrate, average_r, wanted) in rows {
        assert_eq!(PerformanceTag::of(winrate, average_r), wanted, "{winrate} {average_r}");
    }
    assert_eq!((CostLevel::of_spread(10.0), CostLevel::of_spread(10.01)), (CostLevel::Normal, CostLevel::High));
    assert_eq!((CostLevel::of_slippage(8.0), CostLevel::of_slippage(8.01)), (CostLevel::Normal, CostLevel::High));
}

/// Unknown figures never open a trade.
#[test]
fn what_is_not_a_number_blocks() {
    for unknown in [row(TRENDING, Calm).pnl(f64::NAN), row(TRENDING, Calm).exposure(f64::NAN)] {
        assert!(!unknown.evaluate().allow_new_trades);
    }
    let unsure = row(TRENDING, Calm).quality(f64::NAN).evaluate();
    assert!((unsure.min_confidence - 0.52).abs() < 1e-9, "as a low quality");
}

/// PO-17: after a panic the policy is at least as strict as SAFE.
#[test]
fn safe_mode_only_tightens() {
    let base = row(TRENDING, Calm).evaluate();
    let safe = base.clone().made_safe();
    assert_eq!((safe.entry_mode, safe.risk_posture, safe.risk_scale_bps), (Defensive, Reduced, 5_000));
    assert!((safe.min_confidence - 0.65).abs() < 1e-9 && (safe.max_risk_pct - 0.5).abs() < 1e-9);
    let blocked = row(TRENDING, Extreme).evaluate().made_safe();
    assert_eq!((blocked.allow_new_trades, blocked.risk_posture), (false, NoNewTrades));
}

/// PO-47: an empty object is the default, unknown keys are refused, wrong values are all named.
#[test]
fn configuration() {
    let read: OrchestratorConfig = serde_json::from_str("{}").unwrap();
    assert_eq!(read, OrchestratorConfig::default());
    assert!(read.violations().is_empty());
    assert!(serde_json::from_str::<OrchestratorConfig>(r#"{"baseRisk": 1}"#).is_err());
    let wrong =
        OrchestratorConfig { base_confidence: 1.5, base_risk_pct: f64::NAN, max_open_positions: 0, bars_per_day: 0, ..read };
    assert_eq!(wrong.violations().len(), 4, "{:?}", wrong.violations());
}
