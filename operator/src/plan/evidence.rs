//! What the decider reports about a rollout. Mirrors `PolicyStatus` of the wire without depending on it.

/// Figures of one bundle since the rollout began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Bars answered, late ones included.
    pub bars: u64,
    /// Bars not answered.
    pub errors: u64,
    /// Bars answered after the deadline.
    pub deadline_misses: u64,
    /// Traded value of its shadow book, in basis points of starting equity.
    pub turnover_bps: f64,
    /// Net profit of its shadow book, in basis points of starting equity.
    pub net_pnl_bps: f64,
    /// Closed trades of its shadow book.
    pub trades: u64,
}

/// Candidate minus stable, bar by bar, net of costs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Paired {
    /// Bars that both answered.
    pub n: u64,
    /// Mean difference per bar in basis points of starting equity.
    pub mean_bps: f64,
    /// Lower end of the interval that is valid at every look.
    pub lower_bps: f64,
    /// Upper end of that interval.
    pub upper_bps: f64,
}

/// One answer of the decider.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// Bundle that it takes for the stable one.
    pub stable_bundle: String,
    /// Bundle that it takes for the candidate; empty: none.
    pub candidate_bundle: String,
    /// Canary step that it routes by; 0 = shadow.
    pub step: u32,
    /// Weight that it routes by, in basis points.
    pub weight_bps: u32,
    /// Bars of this step that both bundles answered.
    pub bars_in_step: u64,
    /// Figures of the stable bundle.
    pub stable: Figures,
    /// Figures of the candidate.
    pub candidate: Figures,
    /// Paired net profit; absent: not measured.
    pub paired: Option<Paired>,
    /// Bars decided since the policy exists.
    pub bars_decided: u64,
    /// Dependency that holds the bar in hand; empty: none.
    pub waiting_for: String,
    /// Why the feed is not followed any more; empty while it is.
    pub feed_fault: String,
    /// Symbols whose bars are due and do not come.
    pub silent: Vec<String>,
    /// Since when the first of them is due, UTC nanoseconds.
    pub silent_since_ns: i64,
}
