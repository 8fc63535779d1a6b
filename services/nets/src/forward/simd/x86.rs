//! Sixteen lanes in one AVX-512 register or two AVX2 registers.
//!
//! SAFETY of every block of this file: the intrinsics need their target feature, which the machine has, because the methods are
//! called from [`run_avx512`] and [`run_avx2`] alone (through `Job::run`), and those only behind an `Isa` that detection
//! made. Loads and stores stay inside the `Line` that a reference guarantees, aligned to 64 bytes.

use std::arch::x86_64::{
    __m256, __m512, _CMP_LT_OQ, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_movehl_ps, _mm_shuffle_ps, _mm256_add_ps,
    _mm256_andnot_ps, _mm256_castpd_ps, _mm256_castps256_ps128, _mm256_cmp_ps, _mm256_extractf128_ps, _mm256_fmadd_ps,
    _mm256_load_ps, _mm256_mul_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_store_ps, _mm256_sub_ps, _mm512_add_ps,
    _mm512_castps_pd, _mm512_castps512_ps256, _mm512_extractf64x4_pd, _mm512_fmadd_ps, _mm512_load_ps, _mm512_max_ps,
    _mm512_mul_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_store_ps, _mm512_sub_ps,
};

use super::lanes::Lanes;
use super::{Job, LANES, Line};

/// Compiles a job for AVX-512.
#[target_feature(enable = "avx512f,avx2,fma")]
pub(super) fn run_avx512<J: Job>(job: J) -> J::Output {
    job.run::<Avx512>()
}

/// Compiles a job for AVX2 with FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) fn run_avx2<J: Job>(job: J) -> J::Output {
    job.run::<Avx2>()
}

/// One register.
#[derive(Clone, Copy)]
pub(super) struct Avx512(__m512);

/// Lanes 0..8 and 8..16.
#[derive(Clone, Copy)]
pub(super) struct Avx2(__m256, __m256);

/// Sum of eight lanes, halves onto halves.
#[inline(always)]
fn total_256(lanes: __m256) -> f32 {
    // SAFETY: see the head of this file.
    unsafe {
        let four = _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps::<1>(lanes));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
    }
}

impl Lanes for Avx512 {
    const WIDE: bool = true;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: see the head of this file.
        Self(unsafe { _mm512_set1_ps(value) })
    }

    #[inline(always)]
    fn load(line: &Line) -> Self {
        // SAFETY: see the head of this file.
        Self(unsafe { _mm512_load_ps(line.0.as_ptr()) })
    }

    #[inline(always)]
    fn store(self, line: &mut Line) {
        // SAFETY: see the head of this file.
        unsafe { _mm512_store_ps(line.0.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: see the head of this file.
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: see the head of this file.
        Self(unsafe { _mm512_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: see the head of this file.
        Self(unsafe { _mm512_mul_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn fused(self, factor: Self, sum: Self) -> Self {
        // SAFETY: see the head of this file.
        Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, sum.0) })
    }

    /// `maxps` gives its second operand when one is NaN and when both are zero.
    #[inline(always)]
    fn relu(self) -> Self {
        // SAFETY: see the head of this file.
        Self(unsafe { _mm512_max_ps(_mm512_setzero_ps(), self.0) })
    }

    #[inline(always)]
    fn total(self) -> f32 {
        // SAFETY: see the head of this file.
        total_256(unsafe {
            let upper = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(self.0)));
            _mm256_add_ps(_mm512_castps512_ps256(self.0), upper)
        })
    }
}

impl Lanes for Avx2 {
    const WIDE: bool = false;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: see the head of this file.
        let lanes = unsafe { _mm256_set1_ps(value) };
        Self(lanes, lanes)
    }

    #[inline(always)]
    fn load(line: &Line) -> Self {
        // SAFETY: see the head of this file; the second half begins inside the line.
        unsafe { Self(_mm256_load_ps(line.0.as_ptr()), _mm256_load_ps(line.0.as_ptr().add(LANES / 2))) }
    }

    #[inline(always)]
    fn store(self, line: &mut Line) {
        // SAFETY: see the head of this file; the second half begins inside the line.
        unsafe {
            _mm256_store_ps(line.0.as_mut_ptr(), self.0);
            _mm256_store_ps(line.0.as_mut_ptr().add(LANES / 2), self.1);
        }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: see the head of this file.
        unsafe { Self(_mm256_add_ps(self.0, other.0), _mm256_add_ps(self.1, other.1)) }
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: see the head of this file.
        unsafe { Self(_mm256_sub_ps(self.0, other.0), _mm256_sub_ps(self.1, other.1)) }
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: see the head of this file.
        unsafe { Self(_mm256_mul_ps(self.0, other.0), _mm256_mul_ps(self.1, other.1)) }
    }

    #[inline(always)]
    fn fused(self, factor: Self, sum: Self) -> Self {
        // SAFETY: see the head of this file.
        unsafe { Self(_mm256_fmadd_ps(self.0, factor.0, sum.0), _mm256_fmadd_ps(self.1, factor.1, sum.1)) }
    }

    #[inline(always)]
    fn relu(self) -> Self {
        // SAFETY: see the head of this file.
        unsafe {
            let zero = _mm256_setzero_ps();
            Self(
                _mm256_andnot_ps(_mm256_cmp_ps::<_CMP_LT_OQ>(self.0, zero), self.0),
                _mm256_andnot_ps(_mm256_cmp_ps::<_CMP_LT_OQ>(self.1, zero), self.1),
            )
        }
    }

    #[inline(always)]
    fn total(self) -> f32 {
        // SAFETY: see the head of this file.
        total_256(unsafe { _mm256_add_ps(self.0, self.1) })
    }
}
