//! All caches of the operator, what fills them, and which resource a change wakes.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::core::{DeserializeGuard, NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher;
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tradewind_crds::{ModelCheckpoint, RiskProfile, TradingPolicy, names};

use super::brake::Brake;
use super::cache::{Cache, Cacheable, feed};

/// A watched resource that may not parse.
pub type Guarded<K> = DeserializeGuard<K>;

/// Everything that reconciles read; nothing here talks to the API server.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // one cache per kind, named after it
pub struct Caches {
    pub policies: Cache<Guarded<TradingPolicy>>,
    pub profiles: Cache<Guarded<RiskProfile>>,
    pub checkpoints: Cache<Guarded<ModelCheckpoint>>,
    pub stateful_sets: Cache<StatefulSet>,
    pub jobs: Cache<Job>,
    pub pods: Cache<Pod>,
    pub services: Cache<Service>,
    pub config_maps: Cache<ConfigMap>,
    pub service_accounts: Cache<ServiceAccount>,
    pub secrets: Cache<PartialObjectMeta<Secret>>,
    pub roles: Cache<Role>,
    pub role_bindings: Cache<RoleBinding>,
    pub network_policies: Cache<NetworkPolicy>,
    pub disruption_budgets: Cache<PodDisruptionBudget>,
    /// Of accounts; in the operator's own namespace.
    pub leases: Cache<Lease>,
}

/// The writers of [`Caches`].
#[derive(Debug)]
#[allow(missing_docs)] // one writer per cache, named after it
pub struct Writers {
    pub policies: Writer<Guarded<TradingPolicy>>,
    pub profiles: Writer<Guarded<RiskProfile>>,
    pub checkpoints: Writer<Guarded<ModelCheckpoint>>,
    pub stateful_sets: Writer<StatefulSet>,
    pub jobs: Writer<Job>,
    pub pods: Writer<Pod>,
    pub services: Writer<Service>,
    pub config_maps: Writer<ConfigMap>,
    pub service_accounts: Writer<ServiceAccount>,
    pub secrets: Writer<PartialObjectMeta<Secret>>,
    pub roles: Writer<Role>,
    pub role_bindings: Writer<RoleBinding>,
    pub network_policies: Writer<NetworkPolicy>,
    pub disruption_budgets: Writer<PodDisruptionBudget>,
    pub leases: Writer<Lease>,
}

macro_rules! build_caches {
    ($($field:ident),+ $(,)?) => {
        impl Caches {
            /// Empty caches and what fills them.
            #[must_use]
            pub fn new() -> (Self, Writers) {
                $(let $field = Cache::new();)+
                (Self { $($field: $field.0),+ }, Writers { $($field: $field.1),+ })
            }

            /// Resolves once every kind was listed once.
            pub async fn ready(&self) {
                $(drop(self.$field.store().wait_until_ready().await);)+
            }
        }
    };
}

build_caches!(
    policies,
    profiles,
    checkpoints,
    stateful_sets,
    jobs,
    pods,
    services,
    config_maps,
    service_accounts,
    secrets,
    roles,
    role_bindings,
    network_policies,
    disruption_budgets,
    leases,
);

/// The cache of a kind of child.
pub trait Kept: Cacheable {
    /// Where objects of this kind are kept.
    fn cache(caches: &Caches) -> &Cache<Self>;
}

macro_rules! kept {
    ($($kind:ty => $field:ident),+ $(,)?) => {
        $(impl Kept for $kind {
            fn cache(caches: &Caches) -> &Cache<Self> {
                &caches.$field
            }
        })+
    };
}

kept!(
    StatefulSet => stateful_sets, Job => jobs, Pod => pods, Service => services, ConfigMap => config_maps,
    ServiceAccount => service_accounts, PartialObjectMeta<Secret> => secrets, Role => roles, RoleBinding => role_bindings,
    NetworkPolicy => network_policies, PodDisruptionBudget => disruption_budgets,
);

/// Names of resources that have to be looked at, one queue per controller.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // one queue per controller
pub struct Triggers {
    pub policies: mpsc::UnboundedSender<ObjectRef<Guarded<TradingPolicy>>>,
    pub profiles: mpsc::UnboundedSender<ObjectRef<Guarded<RiskProfile>>>,
    pub checkpoints: mpsc::UnboundedSender<ObjectRef<Guarded<ModelCheckpoint>>>,
    /// Namespace and name of sets to scale to zero at once.
    pub tripped: mpsc::UnboundedSender<(String, String)>,
}

/// The other ends of [`Triggers`].
#[derive(Debug)]
#[allow(missing_docs)] // one queue per controller
pub struct Queues {
    pub policies: mpsc::UnboundedReceiver<ObjectRef<Guarded<TradingPolicy>>>,
    pub profiles: mpsc::UnboundedReceiver<ObjectRef<Guarded<RiskProfile>>>,
    pub checkpoints: mpsc::UnboundedReceiver<ObjectRef<Guarded<ModelCheckpoint>>>,
    /// Namespace and name of sets to scale to zero at once.
    pub tripped: mpsc::UnboundedReceiver<(String, String)>,
}

impl Triggers {
    /// Queues and their senders. They are not bounded: the scheduler behind each empties it at once and keeps every name
    /// only once.
    #[must_use]
    pub fn new() -> (Self, Queues) {
        let (policies, policy_queue) = mpsc::unbounded_channel();
        let (profiles, profile_queue) = mpsc::unbounded_channel();
        let (checkpoints, checkpoint_queue) = mpsc::unbounded_channel();
        let (tripped, tripped_queue) = mpsc::unbounded_channel();
        let queues =
            Queues { policies: policy_queue, profiles: profile_queue, checkpoints: checkpoint_queue, tripped: tripped_queue };
        (Self { policies, profiles, checkpoints, tripped }, queues)
    }

    /// A policy has to be looked at. Sending fails only while the process ends.
    pub fn policy(&self, namespace: &str, name: &str) {
        drop(self.policies.send(ObjectRef::new(name).within(namespace)));
    }

    /// A profile has to be looked at.
    pub fn profile(&self, namespace: &str, name: &str) {
        drop(self.profiles.send(ObjectRef::new(name).within(namespace)));
    }

    /// A checkpoint has to be looked at.
    pub fn checkpoint(&self, namespace: &str, name: &str) {
        drop(self.checkpoints.send(ObjectRef::new(name).within(namespace)));
    }

    /// Wakes the owner of a child.
    pub fn owner_of<K: Resource>(&self, child: &K) {
        let namespace = child.meta().namespace.as_deref().unwrap_or_default();
        for owner in
            child.meta().owner_references.iter().flatten().filter(|owner| owner.api_version.starts_with("tradewind.dev/"))
        {
            match owner.kind.as_str() {
                "TradingPolicy" => self.policy(namespace, &owner.name),
                "RiskProfile" => self.profile(namespace, &owner.name),
                "ModelCheckpoint" => self.checkpoint(namespace, &owner.name),
                _ => {}
            }
        }
    }

    /// Wakes the resource that a pod works for, by its labels: its owner is a set or a job.
    pub fn owner_of_pod(&self, pod: &Pod) {
        use tradewind_crds::names::{LABEL_CHECKPOINT, LABEL_POLICY, LABEL_PROFILE};
        let namespace = pod.namespace().unwrap_or_default();
        let labels = pod.labels();
        if let Some(name) = labels.get(LABEL_POLICY) {
            self.policy(&namespace, name);
        }
        if let Some(name) = labels.get(LABEL_PROFILE) {
            self.profile(&namespace, name);
        }
        if let Some(name) = labels.get(LABEL_CHECKPOINT) {
            self.checkpoint(&namespace, name);
        }
    }
}

/// Where the operator looks.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The one namespace whose resources are watched; `None`: all.
    pub watched: Option<&'a str>,
    /// The operator's own, with the leases of accounts.
    pub own: &'a str,
}

/// Starts every watch in `tasks`.
pub fn watch_all(
    client: &Client,
    scope: Scope<'_>,
    caches: &Caches,
    writers: Writers,
    triggers: &Triggers,
    brake: &Brake,
    tasks: &mut JoinSet<()>,
) {
    let Writers {
        policies,
        profiles,
        checkpoints,
        stateful_sets,
        jobs,
        pods,
        services,
        config_maps,
        service_accounts,
        secrets,
        roles,
        role_bindings,
        network_policies,
        disruption_budgets,
        leases,
    } = writers;
    let Scope { watched: scope, own } = scope;
    watch_resources(client, scope, caches, (policies, profiles, checkpoints), triggers, tasks);
    let ours = || watcher::Config::default().labels(&format!("app.kubernetes.io/managed-by={}", tradewind_crds::FIELD_MANAGER));
    let wake = triggers.clone();
    let (pressed, tripped) = (brake.clone(), triggers.tripped.clone());
    tasks.spawn(feed(api::<Pod>(client, scope), ours(), pods, trim_pod, move |pod| {
        if let Some(set) = pressed.look_at(pod) {
            drop(tripped.send(set));
        }
        wake.owner_of_pod(pod);
    }));
    macro_rules! child {
        ($kind:ty, $writer:ident, $trim:expr) => {{
            let wake = triggers.clone();
            tasks.spawn(feed(api::<$kind>(client, scope), ours(), $writer, $trim, move |child| wake.owner_of(child)));
        }};
    }
    child!(StatefulSet, stateful_sets, keep);
    child!(Job, jobs, keep);
    child!(Service, services, keep);
    child!(ConfigMap, config_maps, keep);
    child!(ServiceAccount, service_accounts, keep);
    child!(PartialObjectMeta<Secret>, secrets, keep);
    child!(Role, roles, keep);
    child!(RoleBinding, role_bindings, keep);
    child!(NetworkPolicy, network_policies, keep);
    child!(PodDisruptionBudget, disruption_budgets, keep);
    // a lease that goes, or changes its holder, is news for everybody who wants the account
    let (wake, known) = (triggers.clone(), caches.clone());
    tasks.spawn(feed(api::<Lease>(client, Some(own)), ours(), leases, keep, move |lease: &Lease| {
        let name = lease.name_any();
        let claims = |profile: &Guarded<RiskProfile>| {
            profile.0.as_ref().is_ok_and(|profile| names::account_lease(&profile.spec.account) == name)
        };
        for profile in known.profiles.list(claims) {
            wake.profile(&profile.namespace().unwrap_or_default(), &profile.name_any());
        }
    }));
}

type ResourceWriters = (Writer<Guarded<TradingPolicy>>, Writer<Guarded<RiskProfile>>, Writer<Guarded<ModelCheckpoint>>);

/// A change of one resource wakes those that read it.
fn watch_resources(
    client: &Client,
    scope: Option<&str>,
    caches: &Caches,
    writers: ResourceWriters,
    triggers: &Triggers,
    tasks: &mut JoinSet<()>,
) {
    let (policies, profiles, checkpoints) = writers;
    let all = watcher::Config::default;
    let (wake, known) = (triggers.clone(), caches.clone());
    tasks.spawn(feed(api(client, scope), all(), policies, keep, move |policy: &Guarded<TradingPolicy>| {
        let namespace = policy.namespace().unwrap_or_default();
        wake.policy(&namespace, &policy.name_any());
        if let Ok(policy) = &policy.0 {
            let profile = policy.spec.risk_profile_ref.name.as_str();
            wake.profile(&namespace, profile);
            // a policy that goes, or comes, decides who else may trade the account
            policies_where(&known, &wake, &namespace, |other| other.spec.risk_profile_ref.name == profile);
        }
    }));
    let (wake, known) = (triggers.clone(), caches.clone());
    tasks.spawn(feed(api(client, scope), all(), profiles, keep, move |profile: &Guarded<RiskProfile>| {
        let (namespace, name) = (profile.namespace().unwrap_or_default(), profile.name_any());
        wake.profile(&namespace, &name);
        policies_where(&known, &wake, &namespace, |policy| policy.spec.risk_profile_ref.name == name);
    }));
    let (wake, known) = (triggers.clone(), caches.clone());
    tasks.spawn(feed(api(client, scope), all(), checkpoints, keep, move |checkpoint: &Guarded<ModelCheckpoint>| {
        let (namespace, name) = (checkpoint.namespace().unwrap_or_default(), checkpoint.name_any());
        wake.checkpoint(&namespace, &name);
        policies_of(&known, &wake, &namespace, &name);
    }));
}

/// Wakes the policies that name a checkpoint, for whichever role.
fn policies_of(caches: &Caches, triggers: &Triggers, namespace: &str, checkpoint: &str) {
    policies_where(caches, triggers, namespace, |policy| {
        policy.spec.models.by_role().iter().any(|(_, name)| *name == checkpoint)
    });
}

fn policies_where(caches: &Caches, triggers: &Triggers, namespace: &str, wanted: impl Fn(&TradingPolicy) -> bool) {
    let readers =
        caches.policies.list(|policy| policy.namespace().as_deref() == Some(namespace) && policy.0.as_ref().is_ok_and(&wanted));
    for policy in readers {
        triggers.policy(namespace, &policy.name_any());
    }
}

fn api<K>(client: &Client, scope: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned,
{
    match scope {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

fn keep<K>(_: &mut K) {}

/// Of a pod only its state is read: the rest is in its template.
fn trim_pod(pod: &mut Pod) {
    if let Some(spec) = &mut pod.spec {
        let node_name = spec.node_name.take();
        *spec = k8s_openapi::api::core::v1::PodSpec { node_name, ..Default::default() };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use kube::runtime::watcher::Event;
    use tradewind_crds::samples;

    use super::*;

    #[test]
    fn a_checkpoint_wakes_the_policies_that_name_it_for_either_role() {
        let (caches, mut writers) = Caches::new();
        let mut policy = samples::policy("indices", "main", "tactical-a");
        policy.metadata.namespace = Some("trading".into());
        writers.policies.apply_watcher_event(&Event::Init);
        writers.policies.apply_watcher_event(&Event::InitApply(DeserializeGuard(Ok(policy))));
        writers.policies.apply_watcher_event(&Event::InitDone);
        let (triggers, mut queues) = Triggers::new();
        for (namespace, checkpoint, woken) in [
            ("trading", "strategic-a", true),
            ("trading", "tactical-a", true),
            ("trading", "tactical-b", false),
            ("elsewhere", "strategic-a", false),
        ] {
            policies_of(&caches, &triggers, namespace, checkpoint);
            let name = queues.policies.try_recv().ok().map(|object| object.name);
            assert_eq!(name.as_deref() == Some("indices"), woken, "{namespace}/{checkpoint}");
        }
    }
}
