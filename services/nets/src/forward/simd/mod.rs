//! The kernels of the serving path in the widest instructions of the processor. All unsafe code is here.
//!
//! Each kernel is written once, over [`Lanes`]: sixteen f32 numbers and the few operations on them, each of which IEEE 754
//! defines to the bit. AVX-512 holds them in one register, AVX2 in two, NEON in four, the portable path in an array. The order of
//! every sum is part of the kernel, multiplication and addition are always fused, and no reduction is left to the
//! compiler: hence the same bits on every machine. A test compares all paths of the machine it runs on.
//!
//! Two things are unsafe, and why each is sound:
//! - Instructions of an extension. The types that issue them are instantiated by [`Isa::run`] alone, behind an [`Isa`],
//!   which only detection creates.
//! - One view, [`floats`]: a line is sixteen f32 numbers.
//!
//! There is no software prefetch: the weights are one stream, which the processor's own prefetchers follow, and on the machines
//! measured (tests/bench) fetching by instruction only took load slots from the kernels.
#![allow(unsafe_code)]
// Counted loops over the registers of a tile are what the compiler unrolls; several arrays share one index.
#![allow(clippy::needless_range_loop)]

mod conv;
mod dense;
mod lanes;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
mod probe;
mod stage;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(super) use conv::{HALF, HALF_FLAT, HALVES, Tactical, TacticalScratch};
use lanes::Lanes;
pub use probe::{peak, read};
pub(super) use stage::{Activations, MAX_HEAD, MAX_WIDTH, Mlp, Sample, Shape};

/// Numbers of a [`Line`].
pub(super) const LANES: usize = 16;

/// A cache line of numbers, aligned as one.
#[repr(C, align(64))]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line(pub [f32; LANES]);

impl Line {
    /// Zeros.
    pub const ZERO: Self = Self([0.0; LANES]);
}

const _: () = assert!(size_of::<Line>() == LANES * size_of::<f32>());

/// The numbers of adjacent lines.
pub(super) fn floats(lines: &[Line]) -> &[f32] {
    // SAFETY: a line is LANES numbers without padding (asserted above, `repr(C)`), so the slice covers exactly the memory
    // of `lines`, initialised and borrowed for the same lifetime; its alignment is larger than that of a number.
    unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), lines.len() * LANES) }
}

/// An instruction set that this machine has.
///
/// The field is private: outside this module only [`Isa::detect`] and [`Isa::available`] make one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Isa(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    Portable,
}

impl Isa {
    /// The fastest one.
    pub fn detect() -> Self {
        Self::available().into_iter().next().unwrap_or(Self(Kind::Portable))
    }

    /// Every one that works here, fastest first; the portable path is always the last.
    pub fn available() -> Vec<Self> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if avx2 && is_x86_feature_detected!("avx512f") {
                all.push(Self(Kind::Avx512));
            }
            if avx2 {
                all.push(Self(Kind::Avx2));
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            all.push(Self(Kind::Neon));
        }
        all.push(Self(Kind::Portable));
        all
    }

    /// Name for reports.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "AVX-512",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "AVX2",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => "NEON",
            Kind::Portable => "portable",
        }
    }

    /// Whether sixteen lanes are one register. Narrower sets need smaller tiles to keep their sums in registers; the
    /// tile decides the order in memory, never the order of a sum.
    pub(super) fn is_wide(self) -> bool {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => true,
            _ => false,
        }
    }

    /// One pass of a stage of perceptrons.
    pub(super) fn mlp<const A: usize, const S: usize>(self, job: Mlp<'_, A, S>) {
        self.run(job);
    }

    /// One pass of the tactical actors.
    pub(super) fn tactical(self, job: Tactical<'_>) {
        self.run(job);
    }

    /// Runs a job in these instructions.
    fn run<J: Job>(self, job: J) -> J::Output {
        match self.0 {
            // SAFETY (both): an Isa of this kind exists only where `available` found these features.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => unsafe { x86::run_avx512(job) },
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => unsafe { x86::run_avx2(job) },
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => unsafe { neon::run_neon(job) },
            Kind::Portable => job.run::<portable::Portable>(),
        }
    }
}

/// Work that is compiled once for each instruction set. `run` must be `#[inline(always)]`, as everything it calls: code
/// that is not part of the function with the target feature is correct but many times slower.
trait Job {
    type Output;
    fn run<V: Lanes>(self) -> Self::Output;
}

/// Weights in the order in which they are read.
struct Stream<'a>(&'a [Line]);

impl<'a> Stream<'a> {
    /// The next `count` lines.
    #[inline(always)]
    fn take(&mut self, count: usize) -> &'a [Line] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }
}
