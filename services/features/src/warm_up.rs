//! How far a stage is from its first matrix.

use serde::{Deserialize, Serialize};

/// Who is warming up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Half hours, or the bars of the feed where the bundle says so (ST-18).
    Strategic,
    /// Bars of the feed (TA-7).
    Tactical,
}

impl Stage {
    /// Name in records and on the wire.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Strategic => "strategic",
            Self::Tactical => "tactical",
        }
    }

    /// The stage of a name.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        [Self::Strategic, Self::Tactical].into_iter().find(|stage| stage.text() == text)
    }
}

/// A stage that has seen too few of its bars since the first, or since the gap that started it anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WarmUp {
    /// Which stage.
    pub stage: Stage,
    /// Bars of the stage that were seen.
    pub seen: u64,
    /// Bars that are needed; above `seen`.
    pub needed: u64,
}

impl WarmUp {
    /// `None` when enough bars were seen.
    #[must_use]
    pub fn of(stage: Stage, seen: u64, needed: u64) -> Option<Self> {
        (seen < needed).then_some(Self { stage, seen, needed })
    }
}
