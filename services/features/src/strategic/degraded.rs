//! What was wrong with the inputs of a decision.

use serde::{Deserialize, Serialize};

/// Faults that were mended so that a decision could be made; any of them forbids acting on it (ST-16).
///
/// Part 2 exempts a short window (SU-59); the table of contradictions does not, and it wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Degraded {
    /// The matrix has 24 to 47 rows (ST-15, SU-56).
    pub short_window: bool,
    /// Cells that were not finite and were replaced (ST-15, SU-57).
    pub bad_cells: u32,
    /// The volatility was not finite or not above 0 and was replaced by 1 (ST-12, SU-58).
    pub bad_volatility: bool,
}

impl Degraded {
    /// The inputs were not as they should be: `should_proceed` is false (ST-16).
    #[must_use]
    pub const fn any(&self) -> bool {
        self.short_window || self.bad_cells > 0 || self.bad_volatility
    }

    /// Names of the faults, as in records.
    pub fn reasons(&self) -> impl Iterator<Item = &'static str> {
        let faults = [
            (self.short_window, "short_window"),
            (self.bad_cells > 0, "non_finite_input"),
            (self.bad_volatility, "bad_volatility"),
        ];
        faults.into_iter().filter_map(|(is, name)| is.then_some(name))
    }

    /// The faults of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            short_window: self.short_window || other.short_window,
            bad_cells: self.bad_cells + other.bad_cells,
            bad_volatility: self.bad_volatility || other.bad_volatility,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ST-16
    #[test]
    fn each_fault_degrades() {
        assert!(!Degraded::default().any());
        let short = Degraded { short_window: true, ..Degraded::default() };
        let cells = Degraded { bad_cells: 3, ..Degraded::default() };
        let volatility = Degraded { bad_volatility: true, ..Degraded::default() };
        assert!([short, cells, volatility].iter().all(Degraded::any));
        let all = short.and(cells).and(volatility);
        assert_eq!(all.reasons().collect::<Vec<_>>(), ["short_window", "non_finite_input", "bad_volatility"]);
    }
}
