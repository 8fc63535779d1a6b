//! The direction of a trade.

use serde::{Deserialize, Serialize};

use crate::instrument::Lots;

/// Long or short. Hold is the absence of a trade, so it is no variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Side {
    /// Gains when the price rises; opened by buying.
    Long,
    /// Gains when the price falls; opened by selling.
    Short,
}

impl Side {
    /// +1 for long, -1 for short.
    #[must_use]
    pub const fn sign(self) -> i64 {
        match self {
            Self::Long => 1,
            Self::Short => -1,
        }
    }

    /// From a sign: positive is long, negative is short, zero is no trade.
    #[must_use]
    pub const fn from_sign(sign: i64) -> Option<Self> {
        match sign.signum() {
            1 => Some(Self::Long),
            -1 => Some(Self::Short),
            _ => None,
        }
    }

    /// The side of a position or order of this signed size; `None` when flat.
    #[must_use]
    pub const fn of(lots: Lots) -> Option<Self> {
        Self::from_sign(lots.0)
    }

    /// The opposite side.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Long => Self::Short,
            Self::Short => Self::Long,
        }
    }

    /// A signed size of this side.
    #[must_use]
    pub const fn lots(self, magnitude: i64) -> Lots {
        Lots(self.sign() * magnitude)
    }
}
