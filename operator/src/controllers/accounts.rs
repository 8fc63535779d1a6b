//! Accounts: which profile of the cluster has one, and what each policy holds in it.
//!
//! A Lease in the operator's namespace says whose an account is. It names the profile by namespace, name and uid, is created
//! once and never renewed: the API server lets only one creation succeed, and a steady state writes nothing. It goes when its
//! profile and the risk process of that profile are gone.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::core::DeserializeGuard;
use kube::{Api, ResourceExt};
use tracing::warn;
use tradewind_crds::names;
use tradewind_crds::process_files::Share;
use tradewind_crds::validation::validate_instrument;
use tradewind_crds::{RiskProfile, TradingPolicy};

use super::context::Context;
use super::outcome::ReconcileError;
use crate::plan::bundle::Content;
use crate::plan::conflict::{Age, Claim, held};

/// Time between two looks for leases whose profile is gone.
const SWEEP: Duration = Duration::from_secs(10);
const COMPONENT: &str = "account";

/// The profile that a lease names.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Holder {
    namespace: String,
    name: String,
    uid: String,
}

impl Holder {
    fn of(profile: &RiskProfile) -> Self {
        Self {
            namespace: profile.namespace().unwrap_or_default(),
            name: profile.name_any(),
            uid: profile.uid().unwrap_or_default(),
        }
    }

    /// As written into a lease: none of the three parts can hold a slash.
    fn identity(&self) -> String {
        format!("{}/{}/{}", self.namespace, self.name, self.uid)
    }

    fn read(identity: &str) -> Option<Self> {
        let mut parts = identity.split('/').map(str::to_owned);
        let (namespace, name, uid) = (parts.next()?, parts.next()?, parts.next()?);
        parts.next().is_none().then_some(Self { namespace, name, uid })
    }
}

/// Takes the account for `profile`, or keeps it; a sentence that names the holder when it belongs to another profile.
///
/// # Errors
/// [`ReconcileError`]; nothing is decided then.
pub async fn take(profile: &RiskProfile, context: &Context) -> Result<Option<String>, ReconcileError> {
    let (account, mine) = (&profile.spec.account, Holder::of(profile));
    let (namespace, name) = (&context.settings.operator_namespace, names::account_lease(account));
    let stored = context.caches.leases.get(namespace, &name);
    let identity = stored.as_ref().map(|lease| identity(lease)).unwrap_or_default();
    if identity == mine.identity() {
        return Ok(None);
    }
    if !identity.is_empty() {
        let Some(holder) = Holder::read(&identity) else {
            return Ok(Some(format!(
                "account {account} is held by '{identity}', which is no namespace/profile/uid: delete Lease {name} in {namespace}"
            )));
        };
        if !gone(&holder, context).await? {
            return Ok(Some(taken(profile, &holder, namespace)));
        }
    }
    if let Some(older) = older(profile, context) {
        return Ok(Some(taken(profile, &older, namespace)));
    }
    if let Some(stale) = stored {
        context.writes.delete(stale.as_ref()).await?;
        context.caches.leases.deleted(namespace, &name);
    }
    let lease = context.writes.create(&lease(account, namespace, &mine)).await?;
    context.caches.leases.wrote(lease);
    Ok(None)
}

/// Who has the account of `profile`, when it is another one; as far as the caches know.
#[must_use]
pub fn held_by_another(profile: &RiskProfile, context: &Context) -> Option<String> {
    let name = names::account_lease(&profile.spec.account);
    let holder = identity(context.caches.leases.get(&context.settings.operator_namespace, &name)?.as_ref());
    (!holder.is_empty() && holder != Holder::of(profile).identity()).then_some(holder)
}

fn identity(lease: &Lease) -> String {
    lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone()).unwrap_or_default()
}

fn lease(account: &str, namespace: &str, holder: &Holder) -> Lease {
    Lease {
        metadata: ObjectMeta {
            name: Some(names::account_lease(account)),
            namespace: Some(namespace.to_owned()),
            labels: Some(names::labels(COMPONENT, account, &[])),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec { holder_identity: Some(holder.identity()), ..LeaseSpec::default() }),
    }
}

fn taken(profile: &RiskProfile, holder: &Holder, namespace: &str) -> String {
    let (account, mine) = (&profile.spec.account, profile.name_any());
    format!(
        "account {account} is held by RiskProfile {} of namespace {}; delete that one, or create one with another account in place \
         of {mine} (Lease {} in {namespace})",
        holder.name,
        holder.namespace,
        names::account_lease(account)
    )
}

/// The oldest other profile that wants the same account: it goes first when nobody has it.
fn older(profile: &RiskProfile, context: &Context) -> Option<Holder> {
    let age = |profile: &RiskProfile| {
        let created = profile.creation_timestamp().map(|time| time.0);
        Age::new(created, &profile.namespace().unwrap_or_default(), &profile.name_any())
    };
    let (mine, uid) = (age(profile), profile.uid());
    let rivals = context.caches.profiles.list(|other| {
        other.0.as_ref().is_ok_and(|other| {
            other.spec.account == profile.spec.account && other.uid() != uid && other.metadata.deletion_timestamp.is_none()
        })
    });
    let rivals = rivals.iter().filter_map(|other| other.0.as_ref().ok()).filter(|other| age(other) < mine);
    rivals.min_by_key(|other| age(other)).map(Holder::of)
}

/// Whether a holder and its risk process have left. The caches are asked first; the live object has the last word. A holder in
/// a namespace that is not watched counts as there: nobody can tell.
async fn gone(holder: &Holder, context: &Context) -> Result<bool, ReconcileError> {
    let Holder { namespace, name, uid } = holder;
    let unseen = context.settings.namespace_scope.as_ref().is_some_and(|scope| scope != namespace);
    let known = context.caches.profiles.get(namespace, name).is_some_and(|known| known.uid().as_ref() == Some(uid));
    if unseen || known || serves(holder, context) {
        return Ok(false);
    }
    let api: Api<RiskProfile> = Api::namespaced(context.writes.client().clone(), namespace);
    let live = api
        .get_metadata_opt(name)
        .await
        .map_err(|source| ReconcileError::Read { what: "the RiskProfile that holds the account", source: Box::new(source) })?;
    Ok(live.is_none_or(|live| live.uid().as_ref() != Some(uid)))
}

/// Whether the risk process of a holder, whose profile may be gone, is still there.
fn serves(holder: &Holder, context: &Context) -> bool {
    let set_name = names::risk(&holder.name);
    let set = context.caches.stateful_sets.get(&holder.namespace, &set_name);
    let owned = |references: &[OwnerReference], uid: &str| references.iter().any(|reference| reference.uid == uid);
    if set.as_ref().is_some_and(|set| owned(set.owner_references(), &holder.uid)) {
        return true;
    }
    let pod = context.caches.pods.get(&holder.namespace, &format!("{set_name}-0"));
    // the pod of another set, of a newer profile of that name, is not his
    let of_newer = |pod: &Pod| set.as_ref().and_then(|set| set.uid()).is_some_and(|uid| owned(pod.owner_references(), &uid));
    pod.is_some_and(|pod| !of_newer(&pod))
}

/// Deletes the leases whose profile is gone.
///
/// # Errors
/// [`ReconcileError`]; the others are looked at next time.
pub async fn release(context: &Context) -> Result<(), ReconcileError> {
    for lease in context.caches.leases.list(|_| true) {
        let Some(holder) = Holder::read(&identity(&lease)) else { continue };
        if gone(&holder, context).await? {
            context.writes.delete(lease.as_ref()).await?;
            context.caches.leases.deleted(&context.settings.operator_namespace, &lease.name_any());
        }
    }
    Ok(())
}

/// The same, again and again.
pub async fn release_for_ever(context: Arc<Context>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        if let Err(error) = release(&context).await {
            warn!(%error, "leases of accounts whose profile is gone; they are looked at again");
        }
    }
}

/// The policies that trade the account of a profile, as last seen.
#[must_use]
pub fn members(context: &Context, namespace: &str, profile: &str) -> Vec<Arc<DeserializeGuard<TradingPolicy>>> {
    context.caches.policies.list(|policy| {
        policy.namespace().as_deref() == Some(namespace)
            && policy.0.as_ref().is_ok_and(|policy| policy.spec.risk_profile_ref.name == profile)
    })
}

/// What a policy claims: all that its spec names, and above all what the bundle that serves it trades already.
#[must_use]
pub fn claim(policy: &TradingPolicy) -> Claim {
    let symbols: Vec<String> = policy.spec.instruments.iter().map(|one| one.symbol.clone()).collect();
    let serving = policy.status.as_ref().and_then(|status| status.stable.as_ref());
    let traded = match serving.and_then(|stable| Content::of_revision(stable).ok()) {
        Some(content) if content.instruments.is_empty() => symbols.clone(), // written before bundles knew their instruments
        Some(content) => content.instruments.into_iter().map(|one| one.symbol).collect(),
        None => Vec::new(),
    };
    let created = policy.creation_timestamp().map(|time| time.0);
    Claim { age: Age::new(created, &policy.namespace().unwrap_or_default(), &policy.name_any()), symbols, traded }
}

/// What each policy has in the account, ascending by name. An instrument that cannot be booked exactly is left out: one wrong
/// policy must not make the file unreadable for the others.
#[must_use]
pub fn shares(members: &[Arc<DeserializeGuard<TradingPolicy>>]) -> Vec<Share<'_>> {
    let policies: Vec<&TradingPolicy> = members.iter().filter_map(|policy| policy.0.as_ref().ok()).collect();
    let claims: Vec<Claim> = policies.iter().map(|policy| claim(policy)).collect();
    let holdings = held(&claims);
    let mut all = Vec::new();
    for policy in policies {
        let name = policy.metadata.name.as_deref().unwrap_or_default();
        let Some((_, symbols)) = holdings.iter().find(|(holder, _)| holder == name) else { continue };
        let instruments = policy.spec.instruments.iter();
        let instruments: Vec<_> = instruments
            .filter(|one| symbols.contains(&one.symbol) && validate_instrument("spec.instruments", one).is_empty())
            .collect();
        if !instruments.is_empty() {
            all.push(Share { policy: name, spec: &policy.spec, instruments });
        }
    }
    all.sort_by_key(|share| share.policy);
    all
}
