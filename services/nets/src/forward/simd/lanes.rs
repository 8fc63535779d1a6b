//! What a kernel may do with sixteen numbers.

use super::Line;

/// Sixteen f32 lanes. All operations are lane by lane and rounded once, to nearest even, as IEEE 754 says, except
/// [`Lanes::total`], whose tree is given.
///
/// Implementations issue instructions that the machine must have: only [`super::Isa::run`] chooses one.
pub(super) trait Lanes: Copy {
    /// Whether the sixteen lanes are one register of 32.
    const WIDE: bool;

    /// The same number in all lanes.
    fn splat(value: f32) -> Self;
    /// Lanes 0..16 of a line.
    fn load(line: &Line) -> Self;
    /// Into lanes 0..16 of a line.
    fn store(self, line: &mut Line);
    /// `self + other`.
    fn add(self, other: Self) -> Self;
    /// `self - other`.
    fn sub(self, other: Self) -> Self;
    /// `self * other`.
    fn mul(self, other: Self) -> Self;
    /// `self * factor + sum`, rounded once.
    fn fused(self, factor: Self, sum: Self) -> Self;
    /// 0 where a lane is below 0, else the lane: NaN stays NaN, so that an overflow reaches the check of the outputs.
    fn relu(self) -> Self;
    /// Sum of the lanes: upper half onto lower half, until one is left.
    fn total(self) -> f32;
}
