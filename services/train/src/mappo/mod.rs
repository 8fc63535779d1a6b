//! The mathematics of multi-agent proximal policy optimisation (MAPPO) with a critic that all agents share.
//!
//! `fit` does not train this way. It knows the reward of every action on every labelled bar and maximises the expected
//! reward outright ([`crate::objective::loss`]); of what is here it uses [`gradient::clip_factor`] only. The rest is what
//! training from replayed episodes needs, where only the action that was taken has a reward: advantages, the clipped
//! objective, prioritised memory for the critic, the curriculum, running normalisers, and rewards of orders.
//! Pure functions; figures that cannot be are refused by name.

pub mod advantage;
pub mod column;
pub mod curriculum;
pub mod execution_reward;
pub mod gaussian;
pub mod gradient;
pub mod normaliser;
pub mod replay;
pub mod surrogate;
pub mod value;

#[cfg(test)]
pub(crate) fn near(seen: &[f64], wanted: &[f64], tolerance: f64) {
    assert_eq!(seen.len(), wanted.len());
    seen.iter().zip(wanted).for_each(|(s, w)| assert!((s - w).abs() < tolerance, "{seen:?} instead of {wanted:?}"));
}
