//! What the stages of a reconcile hand on to those after them.

use tradewind_crds::conditions::PolicyReason;

use super::dereference::World;
use super::observe::Observed;
use crate::plan::rollout::State;

/// What the stages before the plan found out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'a> {
    /// What the policy refers to.
    pub(super) world: &'a World,
    /// What runs.
    pub(super) observed: &'a Observed,
    /// The rollout as status tells it.
    pub(super) state: &'a State,
    /// Why nothing new may begin.
    pub(super) blocked: Option<&'a (PolicyReason, String)>,
}
