//! Live or recorded.

use serde::{Deserialize, Serialize};

/// Whether the bars of a feed are of now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FeedKind {
    /// They come as they close: what is ahead of the clock is quarantined, what is old is not traded (ruling 18).
    #[default]
    Live,
    /// They are recorded: their time has nothing to do with the clock on the wall.
    Replay,
}
