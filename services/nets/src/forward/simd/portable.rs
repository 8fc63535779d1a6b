//! Sixteen lanes without any extension: the definition of what the others compute.

use super::lanes::Lanes;
use super::{LANES, Line};

/// An array of lanes.
#[derive(Clone, Copy)]
pub(super) struct Portable([f32; LANES]);

impl Portable {
    #[inline(always)]
    fn zip(mut self, other: Self, operation: impl Fn(f32, f32) -> f32) -> Self {
        for (lane, value) in self.0.iter_mut().zip(other.0) {
            *lane = operation(*lane, value);
        }
        self
    }
}

impl Lanes for Portable {
    const WIDE: bool = false;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; LANES])
    }

    #[inline(always)]
    fn load(line: &Line) -> Self {
        Self(line.0)
    }

    #[inline(always)]
    fn store(self, line: &mut Line) {
        line.0 = self.0;
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }

    #[inline(always)]
    fn fused(mut self, factor: Self, sum: Self) -> Self {
        for ((lane, factor), sum) in self.0.iter_mut().zip(factor.0).zip(sum.0) {
            *lane = lane.mul_add(factor, sum);
        }
        self
    }

    #[inline(always)]
    fn relu(self) -> Self {
        self.zip(self, |value, _| if value < 0.0 { 0.0 } else { value })
    }

    #[inline(always)]
    fn total(self) -> f32 {
        let mut lanes = self.0;
        let mut width = LANES / 2;
        while width > 0 {
            for lane in 0..width {
                lanes[lane] += lanes[lane + width];
            }
            width /= 2;
        }
        lanes[0]
    }
}
