//! One reconcile of one policy.

use k8s_openapi::jiff::Timestamp;
use tradewind_crds::TradingPolicy;

use crate::build::owner::Owner;
use crate::controllers::context::Context;

/// One reconcile of one policy: whose, with what, and when it began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reconcile<'a> {
    pub(super) policy: &'a TradingPolicy,
    pub(super) owner: &'a Owner,
    pub(super) context: &'a Context,
    pub(super) now: Timestamp,
}
