//! The manifests that the scenarios apply, written as a user would write them.

/// What varies between the scenarios' policies.
#[derive(Clone, Debug)]
pub struct PolicySpec<'a> {
    /// Name of the TradingPolicy.
    pub name: &'a str,
    /// Name of its RiskProfile.
    pub risk_profile: &'a str,
    /// Name of its strategic checkpoint.
    pub strategic: &'a str,
    /// Name of its tactical checkpoint.
    pub tactical: &'a str,
    /// Feed that it reads.
    pub feed: &'a str,
    /// Its instruments: of the recorded indices SPX and IXIC.
    pub symbols: &'a [&'a str],
    /// `Pinned` or `Shared`.
    pub placement: &'a str,
    /// CPUs of the inference pod.
    pub inference_cpus: u32,
    /// Deadline of a rollout.
    pub deadline: &'a str,
    /// Score from which the tactical stage acts, in basis points: another one makes another bundle.
    pub execution_threshold_bps: u32,
    /// Value of a full-size trade.
    pub base_notional: u32,
    /// How long a rollout looks at its candidate.
    pub pace: Pace,
}

/// Bars that the steps of a rollout take.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// In the shadow, in the first and in the second canary step.
    pub bars: [u32; 3],
    /// Share of late answers that is allowed. One late answer of sixty is 166 bps, so that a short look needs a wide limit.
    pub max_deadline_miss_bps: u32,
}

impl Pace {
    /// That of the samples.
    pub const SAMPLE: Self = Self { bars: [300, 200, 400], max_deadline_miss_bps: 10 };
    /// For scenarios that are about something else than evidence.
    pub const SHORT: Self = Self { bars: [60, 60, 60], max_deadline_miss_bps: 1000 };
}

impl PolicySpec<'static> {
    /// The policy of the samples.
    pub const SAMPLE: Self = Self {
        name: "indices",
        risk_profile: "main",
        strategic: "strategic-a",
        tactical: "tactical-a",
        feed: "default",
        symbols: &["SPX", "IXIC"],
        placement: "Pinned",
        inference_cpus: 1,
        deadline: "15m",
        execution_threshold_bps: 6500,
        base_notional: 100_000,
        pace: Pace::SAMPLE,
    };
}

/// A RiskProfile with the limits of the sample.
#[must_use]
pub fn risk_profile(name: &str) -> String {
    risk_profile_with(name, 2000)
}

/// The same with another limit on the fall from the highest equity, in basis points.
#[must_use]
pub fn risk_profile_with(name: &str, max_drawdown_bps: u32) -> String {
    risk_profile_of(name, max_drawdown_bps, 15_000)
}

/// The same with another limit on gross exposure as well, in basis points of equity.
#[must_use]
pub fn risk_profile_of(name: &str, max_drawdown_bps: u32, max_gross_bps: u32) -> String {
    let account = if name == "main" { "paper-1".to_owned() } else { format!("paper-{name}") };
    format!(
        r#"apiVersion: tradewind.dev/v1alpha1
kind: RiskProfile
metadata: {{name: {name}}}
spec:
  account: {account}
  startingEquity: "1000000"
  limits: {{maxOrderNotional: "250000", maxPositionNotional: "500000", maxGrossExposureBps: {max_gross_bps}, dailyLossBps: 300, maxDrawdownBps: {max_drawdown_bps}, maxOrdersPerMinute: 600, priceCollarBps: 500, maxDataAge: 5s}}
  halt: false
"#
    )
}

/// A ModelCheckpoint served by the static file server of the samples.
#[must_use]
pub fn checkpoint(name: &str, role: &str, uri: &str, sha256: &str) -> String {
    format!(
        r#"apiVersion: tradewind.dev/v1alpha1
kind: ModelCheckpoint
metadata: {{name: {name}}}
spec: {{role: {role}, source: {{uri: "{uri}", sha256: "{sha256}"}}}}
"#
    )
}

/// A TradingPolicy for recorded indices.
#[must_use]
pub fn trading_policy(spec: &PolicySpec<'_>) -> String {
    let PolicySpec { name, risk_profile, strategic, tactical, feed, placement, inference_cpus, deadline, .. } = spec;
    let PolicySpec { execution_threshold_bps, base_notional, pace, symbols, .. } = spec;
    let listed = |symbol: &&str| format!(r#"{{symbol: {symbol}, pointValue: "1", tick: "0.01", lot: "1"}}"#);
    let instruments = symbols.iter().map(listed).collect::<Vec<_>>().join(", ");
    let ([shadow, first, second], misses) = (pace.bars, pace.max_deadline_miss_bps);
    format!(
        r#"apiVersion: tradewind.dev/v1alpha1
kind: TradingPolicy
metadata: {{name: {name}}}
spec:
  riskProfileRef: {{name: {risk_profile}}}
  feed: {{name: {feed}, kind: Replay}}
  startAt: Beginning
  instruments: [{instruments}]
  trading: Paper
  mode: Standard
  models: {{strategic: {{checkpointRef: {{name: {strategic}}}}}, tactical: {{checkpointRef: {{name: {tactical}}}}}}}
  strategic: {{bars: AsFed, synergyWindowBars: 40, minSynergyConfidenceBps: 2500, contextBars: 64}}
  tactical: {{executionThresholdBps: {execution_threshold_bps}, minSynergyConfidenceBps: 2500}}
  sizing: {{baseNotional: "{base_notional}"}}
  rollout:
    shadow: {{minBars: {shadow}}}
    steps: [{{weightBps: 1000, minBars: {first}}}, {{weightBps: 5000, minBars: {second}}}]
    gates: {{maxDeadlineMissBps: {misses}, maxTurnoverRatioBps: 20000, pairedPnl: {{marginBps: 10, confidenceBps: 9500}}}}
    deadline: {deadline}
  placement: {{inference: {{mode: {placement}, cpus: {inference_cpus}}}, risk: {{mode: {placement}, cpus: 1}}, execution: {{mode: {placement}, cpus: 1}}}}
  halt: false
"#
    )
}
