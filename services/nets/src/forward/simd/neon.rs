//! Sixteen lanes in four NEON registers.
//!
//! SAFETY of every block of this file: the intrinsics need NEON, which the machine has, because the methods are called from
//! [`run_neon`] alone (through `Job::run`), and that only behind an `Isa` that detection made. Loads and stores stay inside
//! the `Line` that a reference guarantees.

use std::arch::aarch64::{
    float32x4_t, vadd_f32, vaddq_f32, vbslq_f32, vcltzq_f32, vdupq_n_f32, vfmaq_f32, vget_high_f32, vget_lane_f32, vget_low_f32,
    vld1q_f32, vmulq_f32, vst1q_f32, vsubq_f32,
};

use super::lanes::Lanes;
use super::{Job, Line};

/// Registers of a line, and lanes of each.
const QUARTER: usize = 4;

/// Compiles a job for NEON.
#[target_feature(enable = "neon")]
pub(super) fn run_neon<J: Job>(job: J) -> J::Output {
    job.run::<Neon>()
}

/// Lanes 0..4, 4..8, 8..12 and 12..16.
#[derive(Clone, Copy)]
pub(super) struct Neon([float32x4_t; QUARTER]);

impl Neon {
    #[inline(always)]
    fn zip(mut self, other: Self, operation: impl Fn(float32x4_t, float32x4_t) -> float32x4_t) -> Self {
        for quarter in 0..QUARTER {
            self.0[quarter] = operation(self.0[quarter], other.0[quarter]);
        }
        self
    }
}

impl Lanes for Neon {
    const WIDE: bool = false;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: see the head of this file.
        Self([unsafe { vdupq_n_f32(value) }; QUARTER])
    }

    #[inline(always)]
    fn load(line: &Line) -> Self {
        let mut lanes = Self::splat(0.0);
        for (register, values) in lanes.0.iter_mut().zip(line.0.as_chunks::<QUARTER>().0) {
            // SAFETY: see the head of this file; a chunk is one register long.
            *register = unsafe { vld1q_f32(values.as_ptr()) };
        }
        lanes
    }

    #[inline(always)]
    fn store(self, line: &mut Line) {
        for (register, values) in self.0.into_iter().zip(line.0.as_chunks_mut::<QUARTER>().0) {
            // SAFETY: see the head of this file; a chunk is one register long.
            unsafe { vst1q_f32(values.as_mut_ptr(), register) };
        }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: see the head of this file.
        self.zip(other, |a, b| unsafe { vaddq_f32(a, b) })
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: see the head of this file.
        self.zip(other, |a, b| unsafe { vsubq_f32(a, b) })
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: see the head of this file.
        self.zip(other, |a, b| unsafe { vmulq_f32(a, b) })
    }

    #[inline(always)]
    fn fused(self, factor: Self, mut sum: Self) -> Self {
        for quarter in 0..QUARTER {
            // SAFETY: see the head of this file.
            sum.0[quarter] = unsafe { vfmaq_f32(sum.0[quarter], self.0[quarter], factor.0[quarter]) };
        }
        sum
    }

    /// A comparison, not `fmax`: that one turns -0 into +0.
    #[inline(always)]
    fn relu(self) -> Self {
        // SAFETY: see the head of this file.
        self.zip(Self::splat(0.0), |value, zero| unsafe { vbslq_f32(vcltzq_f32(value), zero, value) })
    }

    #[inline(always)]
    fn total(self) -> f32 {
        let [a, b, c, d] = self.0;
        // SAFETY: see the head of this file.
        unsafe {
            let four = vaddq_f32(vaddq_f32(a, c), vaddq_f32(b, d));
            let two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
            vget_lane_f32::<0>(two) + vget_lane_f32::<1>(two)
        }
    }
}
