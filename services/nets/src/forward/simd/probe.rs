//! What the processor can do at best: the floor that a stage is compared with.

use super::{Isa, Job, Lanes, Line};

/// Registers of sums, enough to hide the latency of an addition.
const SUMS: usize = 12;

/// Reads all lines once and returns their sum, as fast as loads go: for the bandwidth of a cache.
pub fn read(isa: Isa, lines: &[Line]) -> f32 {
    isa.run(Read { lines })
}

/// Does `rounds` x 12 x 16 multiplications with addition on registers and returns their sum: for the peak of operations.
pub fn peak(isa: Isa, rounds: usize) -> f32 {
    isa.run(Peak { rounds })
}

struct Read<'a> {
    lines: &'a [Line],
}

impl Job for Read<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<V: Lanes>(self) -> f32 {
        const UNROLL: usize = 8;
        let mut sums = [V::splat(0.0); UNROLL];
        for lines in self.lines.as_chunks::<UNROLL>().0 {
            for i in 0..UNROLL {
                sums[i] = sums[i].add(V::load(&lines[i]));
            }
        }
        let mut sum = V::splat(0.0);
        for part in sums {
            sum = sum.add(part);
        }
        sum.total()
    }
}

struct Peak {
    rounds: usize,
}

impl Job for Peak {
    type Output = f32;

    #[inline(always)]
    fn run<V: Lanes>(self) -> f32 {
        // Hidden from the compiler and all different: equal chains would become one.
        let factor = V::splat(std::hint::black_box(0.5));
        let mut sums = [factor; SUMS];
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = V::splat(std::hint::black_box(i as f32));
        }
        for _ in 0..self.rounds {
            for sum in &mut sums {
                *sum = sum.fused(factor, factor);
            }
        }
        let mut sum = V::splat(0.0);
        for part in sums {
            sum = sum.add(part);
        }
        sum.total()
    }
}
