//! The newest values of a series, in a slice and in order of size.

use serde::{Deserialize, Serialize};

/// Ring of the newest values whose content is always one chronological slice: each value is written twice.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Window<T = f64> {
    capacity: usize,
    next: usize,
    len: usize,
    values: Vec<T>,
}

impl<T: Copy + Default> Window<T> {
    /// An empty window over `capacity` values, at least 1. All memory is taken here.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        Self { capacity, next: 0, len: 0, values: vec![T::default(); 2 * capacity] }
    }

    /// Adds the newest value; the oldest leaves a full window and is returned.
    pub fn push(&mut self, value: T) -> Option<T> {
        let oldest = self.is_full().then(|| self.values[self.next]);
        self.values[self.next] = value;
        self.values[self.next + self.capacity] = value;
        self.next = (self.next + 1) % self.capacity;
        self.len = (self.len + 1).min(self.capacity);
        oldest
    }

    /// Oldest first.
    #[must_use]
    pub fn slice(&self) -> &[T] {
        if self.is_full() { &self.values[self.next..self.next + self.capacity] } else { &self.values[..self.len] }
    }

    /// As many values as fit.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.len == self.capacity
    }

    /// Number of values held.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// No value yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets all values, keeps the memory.
    pub fn clear(&mut self) {
        self.next = 0;
        self.len = 0;
    }
}

/// A [`Window`] that also knows its values by size: medians and ranks without sorting anew.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SortedWindow {
    window: Window,
    sorted: Vec<f64>,
}

impl SortedWindow {
    /// An empty window over `capacity` values, at least 1.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { window: Window::new(capacity), sorted: Vec::with_capacity(capacity.max(1)) }
    }

    /// Adds the newest value. Cost: two binary searches and one move of at most the window.
    pub fn push(&mut self, value: f64) {
        if let Some(oldest) = self.window.push(value)
            && let Ok(at) = self.sorted.binary_search_by(|other| other.total_cmp(&oldest))
        {
            self.sorted.remove(at);
        }
        let at = self.sorted.binary_search_by(|other| other.total_cmp(&value)).unwrap_or_else(|at| at);
        self.sorted.insert(at, value);
    }

    /// Ascending.
    #[must_use]
    pub fn sorted(&self) -> &[f64] {
        &self.sorted
    }

    /// Middle value, or the mean of the two middle values; `None` while empty.
    #[must_use]
    pub fn median(&self) -> Option<f64> {
        let middle = self.sorted.len() / 2;
        let upper = *self.sorted.get(middle)?;
        let odd = self.sorted.len() % 2 == 1;
        Some(if odd { upper } else { f64::midpoint(self.sorted[middle - 1], upper) })
    }

    /// Forgets all values, keeps the memory.
    pub fn clear(&mut self) {
        self.window.clear();
        self.sorted.clear();
    }
}

/// Median by selection, the order of `values` is lost; `None` when empty.
#[must_use]
pub fn median_by_selection(values: &mut [f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let rank = values.len() / 2;
    let odd = values.len() % 2 == 1;
    let (below, &mut upper, _) = values.select_nth_unstable_by(rank, f64::total_cmp);
    if odd {
        return Some(upper);
    }
    let lower = below.iter().copied().max_by(f64::total_cmp)?;
    Some(f64::midpoint(lower, upper))
}

/// The same median when it is roughly known: only what lies within 3 % of `guess` is selected from. A wrong
/// guess costs time, never the result. `scratch` loses its content.
#[must_use]
pub fn median_near(values: &[f64], guess: f64, scratch: &mut Vec<f64>) -> Option<f64> {
    let (low, high) = (guess * 0.97, guess * 1.03);
    let middle = values.len() / 2;
    let (mut below, mut held) = (0, 0);
    scratch.resize(values.len(), 0.0);
    for &value in values {
        // Without a branch: which values lie inside is as good as chance.
        scratch[held] = value;
        held += usize::from(value >= low && value <= high);
        below += usize::from(value < low);
    }
    scratch.truncate(held);
    // An even count needs the value before the middle, too.
    let inside = below < middle && middle < below + scratch.len();
    if !inside {
        scratch.clear();
        scratch.extend_from_slice(values);
        return median_by_selection(scratch);
    }
    let (before, &mut upper, _) = scratch.select_nth_unstable_by(middle - below, f64::total_cmp);
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = before.iter().copied().max_by(f64::total_cmp)?;
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn the_slice_is_chronological_at_any_length() {
        let mut window = Window::new(3);
        assert!(window.is_empty());
        for (value, wanted) in [(1.0, vec![1.0]), (2.0, vec![1.0, 2.0]), (3.0, vec![1.0, 2.0, 3.0])] {
            assert_eq!(window.push(value), None);
            assert_eq!(window.slice(), wanted);
        }
        assert_eq!(window.push(4.0), Some(1.0));
        assert_eq!(window.push(5.0), Some(2.0));
        assert_eq!(window.slice(), [3.0, 4.0, 5.0]);
        window.clear();
        assert_eq!(window.push(9.0), None);
        assert_eq!(window.slice(), [9.0]);
    }

    proptest::proptest! {
        /// A guess changes nothing, be it good, bad or nonsense.
        #[test]
        fn a_guess_changes_no_median(values in proptest::collection::vec(0.0_f64..100.0, 1..80), guess in 0.0_f64..120.0) {
            let wanted = median_by_selection(&mut values.clone());
            let mut scratch = Vec::new();
            for guess in [guess, wanted.unwrap(), 0.0, f64::NAN] {
                proptest::prop_assert_eq!(median_near(&values, guess, &mut scratch), wanted);
            }
        }

        /// Both medians equal that of a sorted copy, for odd and even counts.
        #[test]
        fn medians_agree(values in proptest::collection::vec(-1e6_f64..1e6, 1..60), capacity in 1_usize..20) {
            let mut window = SortedWindow::new(capacity);
            for end in 1..=values.len() {
                window.push(values[end - 1]);
                let mut newest = values[end.saturating_sub(capacity)..end].to_vec();
                let selected = median_by_selection(&mut newest.clone());
                newest.sort_by(f64::total_cmp);
                let n = newest.len();
                let wanted = if n % 2 == 1 { newest[n / 2] } else { (newest[n / 2 - 1] + newest[n / 2]) / 2.0 };
                proptest::prop_assert_eq!(window.sorted(), &newest[..]);
                proptest::prop_assert_eq!(window.median(), Some(wanted));
                proptest::prop_assert_eq!(selected, Some(wanted));
            }
        }
    }
}
