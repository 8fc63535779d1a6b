//! Sum of many Gaussian kernel terms.

/// `sum exp(-gamma d)` over squared distances `d`.
///
/// Blocks of plain arithmetic without branches, which compilers turn into vector code. The order of the sum is
/// fixed by the block, not by the width of a machine's registers: the same bits everywhere.
#[must_use]
pub fn gaussian_sum(squared_distances: &[f64], gamma: f64) -> f64 {
    let (blocks, rest) = squared_distances.as_chunks::<BLOCK>();
    let (mut sums, mut terms) = ([0.0; BLOCK], [0.0; BLOCK]);
    for block in blocks {
        for (term, distance) in terms.iter_mut().zip(block) {
            *term = exp_negative(-gamma * distance);
        }
        for (sum, term) in sums.iter_mut().zip(terms) {
            *sum += term;
        }
    }
    let tail: f64 = rest.iter().map(|distance| exp_negative(-gamma * distance)).sum();
    sums.iter().sum::<f64>() + tail
}

const BLOCK: usize = 16;
/// Adding and subtracting this rounds a small number to an integer.
const ROUNDER: f64 = 6_755_399_441_055_744.0;
/// `ln 2` in two parts, the first with zeros at its end, so that multiples of it are exact.
const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
/// Below, the result is less than 1e-300 and counts as nothing.
const LEAST_EXPONENT: f64 = -690.0;
/// `1 / n!` from n = 13 down to 2; the remainder beyond is below one unit in the last place.
const COEFFICIENTS: [f64; 12] = [
    1.0 / 6_227_020_800.0,
    1.0 / 479_001_600.0,
    1.0 / 39_916_800.0,
    1.0 / 3_628_800.0,
    1.0 / 362_880.0,
    1.0 / 40_320.0,
    1.0 / 5_040.0,
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    1.0 / 2.0,
];

/// `exp(x)` for `x <= 0`, relative error below 4e-16; 0 below [`LEAST_EXPONENT`].
#[inline]
fn exp_negative(x: f64) -> f64 {
    let held = if x < LEAST_EXPONENT { LEAST_EXPONENT } else { x };
    let shifted = held * std::f64::consts::LOG2_E + ROUNDER;
    let twos = shifted - ROUNDER;
    let r = (held - twos * LN_2_HIGH) - twos * LN_2_LOW;
    let series = COEFFICIENTS.iter().fold(0.0, |sum, c| sum * r + c);
    let fraction = 1.0 + (r + r * r * series);
    // The low bits of `shifted` hold the integer; moved to the exponent they are the power of two.
    let power = f64::from_bits((shifted.to_bits() << 52).wrapping_add(1.0_f64.to_bits()));
    let whole = if x < LEAST_EXPONENT { 0.0 } else { power };
    fraction * whole
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp)]
    use super::*;

    #[test]
    fn known_values() {
        assert_eq!(exp_negative(0.0), 1.0);
        assert_eq!(exp_negative(-0.0), 1.0);
        assert_eq!(exp_negative(-1e9), 0.0);
        assert_eq!(exp_negative(f64::NEG_INFINITY), 0.0);
        assert_eq!(gaussian_sum(&[], 1.0), 0.0);
        assert_eq!(gaussian_sum(&[0.0; 7], 3.0), 7.0);
    }

    proptest::proptest! {
        /// Against the general exponential, in units of the result's precision.
        #[test]
        fn equals_the_exponential(x in -680.0_f64..0.0, small in -1.0_f64..0.0) {
            for x in [x, small, small * 1e-6] {
                let (seen, wanted) = (exp_negative(x), libm::exp(x));
                proptest::prop_assert!((seen - wanted).abs() <= 4e-16 * wanted, "exp({x}) = {seen}, {wanted}");
            }
        }

        /// The blocks change the order of the sum, not its value.
        #[test]
        fn sums_like_one_loop(distances in proptest::collection::vec(0.0_f64..20.0, 0..50), gamma in 0.01_f64..5.0) {
            let plain: f64 = distances.iter().map(|d| libm::exp(-gamma * d)).sum();
            proptest::prop_assert!((gaussian_sum(&distances, gamma) - plain).abs() < 1e-13 * (1.0 + plain));
        }
    }
}
