//! A seeded source of numbers; the same seed gives the same run.

/// splitmix64: small, and good enough for shuffling and initial weights.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// A stream of numbers that depends on both arguments.
    pub const fn new(seed: u64, stream: u64) -> Self {
        Self(seed ^ stream.wrapping_mul(0xD605_1C8A_55A9_31B7))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in [-1, 1).
    pub fn signed(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    /// A number in 0..below; `below` is above 0 and far below 2^32.
    pub fn below(&mut self, below: usize) -> usize {
        (((self.next() >> 32) * below as u64) >> 32) as usize
    }

    /// Shuffles in place.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_depend_on_seed_and_stream_and_nothing_else() {
        let five = |seed, stream| {
            let mut dice = Dice::new(seed, stream);
            [0; 5].map(|_: i32| dice.next())
        };
        assert_eq!(five(1, 2), five(1, 2));
        assert_ne!(five(1, 2), five(2, 2));
        assert_ne!(five(1, 2), five(1, 3));
    }

    #[test]
    fn ranges_and_mean() {
        let mut dice = Dice::new(9, 0);
        let mean = (0..10_000).map(|_| dice.signed()).inspect(|v| assert!((-1.0..1.0).contains(v))).sum::<f64>() / 10_000.0;
        assert!(mean.abs() < 0.03, "{mean}");
        let mut counts = [0; 7];
        (0..7_000).for_each(|_| counts[dice.below(7)] += 1);
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
        let mut items: Vec<usize> = (0..50).collect();
        dice.shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }
}
