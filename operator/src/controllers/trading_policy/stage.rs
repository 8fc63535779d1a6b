//! What the stages of one reconcile hand on, each a value of one type.

use k8s_openapi::jiff::Timestamp;
use tradewind_crds::TradingPolicy;
use tradewind_crds::conditions::PolicyReason;

use super::dereference::World;
use super::observe::Observed;
use crate::build::owner::Owner;
use crate::controllers::context::Context;
use crate::plan::rollout::State;

/// One reconcile of one policy: whose, with what, and when it began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reconcile<'a> {
    pub(super) policy: &'a TradingPolicy,
    pub(super) owner: &'a Owner,
    pub(super) context: &'a Context,
    pub(super) now: Timestamp,
}

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
