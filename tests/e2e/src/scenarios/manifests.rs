//! The manifests that the scenarios apply, written as a user would write them.

/// What varies between the scenarios' policies.
#[derive(Clone, Debug)]
pub struct PolicySpec<'a> {
    /// Name of the TradingPolicy.
    pub name: &'a str,
    /// Name of its RiskProfile.
    pub risk_profile: &'a str,
    /// Name of its tactical checkpoint.
    pub checkpoint: &'a str,
    /// Feed that it reads.
    pub feed: &'a str,
    /// `Pinned` or `Shared`.
    pub placement: &'a str,
    /// CPUs of the inference pod.
    pub inference_cpus: u32,
    /// Deadline of a rollout.
    pub deadline: &'a str,
}

impl Default for PolicySpec<'_> {
    fn default() -> Self {
        Self {
            name: "indices",
            risk_profile: "main",
            checkpoint: "tactical-a",
            feed: "default",
            placement: "Pinned",
            inference_cpus: 1,
            deadline: "15m",
        }
    }
}

/// A RiskProfile with the limits of the sample.
#[must_use]
pub fn risk_profile(name: &str) -> String {
    let account = if name == "main" { "paper-1".to_owned() } else { format!("paper-{name}") };
    format!(
        r#"apiVersion: tradewind.dev/v1alpha1
kind: RiskProfile
metadata: {{name: {name}}}
spec:
  account: {account}
  startingEquity: "1000000"
  limits: {{maxOrderNotional: "250000", maxPositionNotional: "500000", maxGrossExposureBps: 15000, dailyLossBps: 300, maxDrawdownBps: 2000, maxOrdersPerMinute: 600, priceCollarBps: 500, maxDataAge: 5s}}
  halt: false
"#
    )
}

/// A ModelCheckpoint served by the static file server of the samples.
#[must_use]
pub fn checkpoint(name: &str, uri: &str, sha256: &str) -> String {
    format!(
        r#"apiVersion: tradewind.dev/v1alpha1
kind: ModelCheckpoint
metadata: {{name: {name}}}
spec: {{role: Tactical, source: {{uri: "{uri}", sha256: "{sha256}"}}}}
"#
    )
}

/// A TradingPolicy for the two recorded indices.
#[must_use]
pub fn trading_policy(spec: &PolicySpec<'_>) -> String {
    let PolicySpec { name, risk_profile, checkpoint, feed, placement, inference_cpus, deadline } = spec;
    format!(
        r#"apiVersion: tradewind.dev/v1alpha1
kind: TradingPolicy
metadata: {{name: {name}}}
spec:
  riskProfileRef: {{name: {risk_profile}}}
  feed: {feed}
  instruments: [{{symbol: SPX, pointValue: "1", tick: "0.01", lot: "1"}}, {{symbol: IXIC, pointValue: "1", tick: "0.01", lot: "1"}}]
  trading: Paper
  mode: Standard
  models: {{tactical: {{checkpointRef: {{name: {checkpoint}}}}}}}
  rollout:
    shadow: {{minBars: 300}}
    steps: [{{weightBps: 1000, minBars: 200}}, {{weightBps: 5000, minBars: 400}}]
    gates: {{maxDeadlineMissBps: 10, maxTurnoverRatioBps: 20000, pairedPnl: {{marginBps: 10, confidenceBps: 9500}}}}
    deadline: {deadline}
  placement: {{inference: {{mode: {placement}, cpus: {inference_cpus}}}, risk: {{mode: {placement}, cpus: 1}}, execution: {{mode: {placement}, cpus: 1}}}}
  halt: false
"#
    )
}
