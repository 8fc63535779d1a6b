//! The part of the plugin that talks to the API server.

use std::process::ExitCode;

use futures::StreamExt;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::watch_object;
use kube::{Client, Config, ResourceExt};
use tradewind_crds::{RiskProfile, TradingPolicy};

use super::args::{Cli, Command, HaltArgs, StatusArgs, WaitArgs};
use super::edit::{self, Edit, NothingToDo};
use super::judge::{Progress, judge};
use super::now::{self, NowError};
use super::render;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Done,
    /// `wait`: the time is over.
    TimedOut,
    /// `wait`: it ended otherwise.
    EndedOtherwise,
    /// There is nothing to do.
    NothingToDo,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::SUCCESS,
            Outcome::TimedOut => Self::from(3),
            Outcome::EndedOtherwise => Self::from(4),
            Outcome::NothingToDo => Self::from(5),
        }
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// No usable kubeconfig.
    #[error("kubeconfig: {0}")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    /// The configuration of the client is wrong.
    #[error("kubeconfig: {0}")]
    Config(#[from] kube::config::InferConfigError),
    /// The API server refused or could not be reached.
    #[error("API server: {0}")]
    Api(#[from] kube::Error),
    /// `halt --now`.
    #[error(transparent)]
    Now(#[from] NowError),
    /// The object does not exist.
    #[error("{kind} {name} does not exist in namespace {namespace}; `kubectl get {kind} -A` shows those that do")]
    Absent {
        /// Kind of the object.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Where it was looked for.
        namespace: String,
    },
}

struct Session {
    client: Client,
    namespace: String,
}

/// Runs one command.
///
/// # Errors
/// [`PluginError`], with what to do.
pub async fn run(cli: Cli) -> Result<Outcome, PluginError> {
    let options = KubeConfigOptions { context: cli.context.clone(), ..KubeConfigOptions::default() };
    let config = match cli.context {
        Some(_) => Config::from_custom_kubeconfig(Kubeconfig::read()?, &options).await?,
        None => Config::infer().await?,
    };
    let namespace = cli.namespace.unwrap_or_else(|| config.default_namespace.clone());
    if let Command::Halt(args) = &cli.command
        && args.now
    {
        return halt_now(config, &namespace, args).await;
    }
    let session = Session { client: Client::try_from(config)?, namespace };
    match cli.command {
        Command::Status(args) => session.status(&args).await,
        Command::Wait(args) => session.wait(&args).await,
        Command::Pause(args) => session.verb(&args.name, args.dry_run, |policy| edit::pause(policy, true)).await,
        Command::Resume(args) => session.verb(&args.name, args.dry_run, |policy| edit::pause(policy, false)).await,
        Command::Promote(args) => {
            session.verb(&args.name, args.dry_run, |policy| edit::promote(policy, args.bundle.as_deref())).await
        }
        Command::Abort(args) => {
            session.verb(&args.name, args.dry_run, |policy| edit::abort(policy, args.bundle.as_deref())).await
        }
        Command::Halt(args) => session.halt(&args).await,
    }
}

/// Through the operator, in the name of whoever asks.
async fn halt_now(config: Config, namespace: &str, args: &HaltArgs) -> Result<Outcome, PluginError> {
    let shown = match &args.service_account {
        Some(_) => None,
        None => Some(now::authorization(&config).await?.ok_or(NowError::NoToken)?),
    };
    let client = Client::try_from(config)?;
    let authorization = match (&args.service_account, shown) {
        (Some(name), _) => now::service_account(&client, namespace, name).await?,
        (None, shown) => shown.ok_or(NowError::NoToken)?,
    };
    let profile = args.profile.as_deref().unwrap_or_default();
    let obeyed = now::halt(&client, &args.operator_namespace, (namespace, profile), authorization, &args.reason).await?;
    anstream::println!(
        "riskprofile/{profile}: account {} is halted ({}), asked by {}; `kubectl tradewind halt --profile {profile} --off` lifts it",
        obeyed.account,
        obeyed.halt_id,
        obeyed.actor
    );
    Ok(Outcome::Done)
}

impl Session {
    fn policies(&self) -> Api<TradingPolicy> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn profiles(&self) -> Api<RiskProfile> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    async fn policy(&self, name: &str) -> Result<TradingPolicy, PluginError> {
        self.policies().get_opt(name).await?.ok_or_else(|| PluginError::Absent {
            kind: "tradingpolicy",
            name: name.to_owned(),
            namespace: self.namespace.clone(),
        })
    }

    async fn status(&self, args: &StatusArgs) -> Result<Outcome, PluginError> {
        if let Some(name) = &args.name {
            let policy = self.policy(name).await?;
            let profile = self.profiles().get_opt(&policy.spec.risk_profile_ref.name).await?;
            anstream::print!("{}", render::one(&policy, profile.as_ref()));
            return Ok(Outcome::Done);
        }
        let api = if args.all_namespaces { Api::all(self.client.clone()) } else { self.policies() };
        let mut all = api.list(&ListParams::default()).await?.items;
        all.sort_by_key(|policy| (policy.namespace(), policy.name_any()));
        anstream::print!("{}", render::list(&all, args.all_namespaces));
        Ok(Outcome::Done)
    }

    async fn wait(&self, args: &WaitArgs) -> Result<Outcome, PluginError> {
        self.policy(&args.name).await?;
        let mut states = Box::pin(watch_object(self.policies(), &args.name).default_backoff());
        let mut said = String::new();
        let following = async {
            while let Some(state) = states.next().await {
                let Ok(policy) = state else { continue }; // the watch comes back by itself
                let (text, outcome) = match judge(policy.as_ref(), args.phase) {
                    Progress::Reached(text) => (text, Some(Outcome::Done)),
                    Progress::Ended(text) => (text, Some(Outcome::EndedOtherwise)),
                    Progress::Waiting(text) => (text, None),
                };
                if text != said {
                    anstream::println!("{}: {text}", args.name);
                    said = text;
                }
                if let Some(outcome) = outcome {
                    return outcome;
                }
            }
            Outcome::EndedOtherwise
        };
        let outcome = tokio::time::timeout(args.timeout, following).await.unwrap_or(Outcome::TimedOut);
        if outcome == Outcome::TimedOut {
            anstream::eprintln!("{}: not {} after {:?}", args.name, args.phase, args.timeout);
        }
        Ok(outcome)
    }

    async fn verb(
        &self,
        name: &str,
        dry_run: bool,
        edit: impl FnOnce(&TradingPolicy) -> Result<Edit, NothingToDo>,
    ) -> Result<Outcome, PluginError> {
        let policy = self.policy(name).await?;
        self.make(edit(&policy), dry_run).await
    }

    async fn halt(&self, args: &HaltArgs) -> Result<Outcome, PluginError> {
        let halt = !args.off;
        if let Some(name) = &args.profile {
            let profile = self.profiles().get_opt(name).await?.ok_or_else(|| PluginError::Absent {
                kind: "riskprofile",
                name: name.clone(),
                namespace: self.namespace.clone(),
            })?;
            return self.make(edit::halt_profile(&profile, halt), args.dry_run).await;
        }
        let name = args.name.as_deref().unwrap_or_default();
        self.verb(name, args.dry_run, |policy| edit::halt_policy(policy, halt)).await
    }

    async fn make(&self, edit: Result<Edit, NothingToDo>, dry_run: bool) -> Result<Outcome, PluginError> {
        let edit = match edit {
            Ok(edit) => edit,
            Err(nothing) => {
                anstream::eprintln!("{nothing}");
                return Ok(Outcome::NothingToDo);
            }
        };
        if dry_run {
            anstream::println!("{} -n {}", edit.as_command(), self.namespace);
            return Ok(Outcome::Done);
        }
        let params = PatchParams { field_manager: Some("kubectl-tradewind".into()), ..PatchParams::default() };
        let patch = Patch::Merge(&edit.patch);
        match edit.kind {
            "riskprofile" => self.profiles().patch(&edit.name, &params, &patch).await.map(|_| ())?,
            _ => self.policies().patch(&edit.name, &params, &patch).await.map(|_| ())?,
        }
        anstream::println!("{}/{}: {}", edit.kind, edit.name, edit.says);
        Ok(Outcome::Done)
    }
}
