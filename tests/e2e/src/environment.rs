//! A cluster with Tradewind installed, made by this program or by the user.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::artifacts::{self, Tree};
use crate::command::Run;
use crate::console::Console;
use crate::kubectl::{Kubectl, Poll, SOON};

/// Namespace of the operator and the event bus.
pub const SYSTEM: &str = "tradewind-system";
/// Namespace of the sample resources.
pub const TRADING: &str = "trading";

/// Values of the chart for a cluster on one machine: its storage class, and a small bus.
pub const SMALL_VALUES: &str =
    "operator.storageClass=local,nats.storage.class=local,nats.storage.size=1Gi,nats.jetstream.maxFileStore=512Mi,nats.feeds={*}";

/// How long a cluster stays up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Until somebody ends it.
    UntilDown,
    /// No longer than this process, however it ends.
    ThisProcess,
}

/// Everything that a scenario works with.
pub struct Environment {
    /// Paths of the checkout.
    pub tree: Tree,
    /// Narration and claims.
    pub console: Console,
    /// The cluster as a user sees it.
    pub kubectl: Kubectl,
    bin: PathBuf,
    directory: PathBuf,
}

impl Environment {
    /// Builds everything and brings a cluster of five nodes up in `.demo/<name>`.
    ///
    /// # Errors
    /// When a build or the cluster fails; the message names the step.
    pub fn local(tree: Tree, console: Console, name: &str, lifetime: Lifetime) -> Result<Self> {
        artifacts::cluster_program(&tree, &console)?;
        artifacts::binaries(&tree, &console)?;
        artifacts::checkpoints(&tree, &console)?;
        let images = [artifacts::image(&tree, &console)?, artifacts::files_image(&tree, &console)?];
        let environment = Self::of(tree, console, name);
        environment.up("bring up a Kubernetes of five nodes, four of them dedicated", lifetime, &[], &images)?;
        Ok(environment)
    }

    /// Brings a cluster of one node up in `.demo/<name>`, beside others, for what needs no more; everything is built.
    ///
    /// # Errors
    /// When the image or the cluster fails.
    pub fn one_node(tree: Tree, console: Console, name: &str) -> Result<Self> {
        let image = artifacts::image(&tree, &console)?;
        let environment = Self::of(tree, console, name);
        environment.up("bring up a Kubernetes of one node", Lifetime::ThisProcess, &["--nodes", "general"], &[image])?;
        Ok(environment)
    }

    fn of(tree: Tree, console: Console, name: &str) -> Self {
        let directory = tree.work().join(name);
        let bin = directory.join("bin");
        let kubectl = Kubectl::new(bin.join("kubectl"), directory.join("kubeconfig/admin"));
        Self { tree, console, kubectl, bin, directory }
    }

    fn up(&self, title: &str, lifetime: Lifetime, arguments: &[&str], images: &[PathBuf]) -> Result<()> {
        let process = std::process::id().to_string();
        let with: &[&str] = if lifetime == Lifetime::ThisProcess { &["--with", &process] } else { &[] };
        self.console.step(title, || {
            self.cluster(&["down"])?;
            self.cluster(&[&["up"], arguments, with].concat())
        })?;
        let images: Vec<_> = images.iter().map(|image| image.to_string_lossy()).collect();
        let images: Vec<&str> = images.iter().map(AsRef::as_ref).collect();
        self.console.step("put the images on every node", || self.cluster(&[&["load", "--image"], &images[..]].concat()))?;
        Ok(())
    }

    /// Builds everything and uses the user's own cluster, whose nodes must be able to pull the two images.
    ///
    /// # Errors
    /// When a build fails, `kubectl` or `helm` is missing, or the context does not answer.
    pub fn existing(tree: Tree, console: Console, name: &str, context: &str) -> Result<Self> {
        let environment = Self::of(tree, console, name);
        fs::create_dir_all(environment.directory.join("kubeconfig"))?;
        artifacts::binaries(&environment.tree, &environment.console)?;
        artifacts::checkpoints(&environment.tree, &environment.console)?;
        fs::create_dir_all(&environment.bin)?;
        for program in ["kubectl", "helm"] {
            let found = Run::new("sh", &["-c", &format!("command -v {program}")])
                .output()
                .with_context(|| format!("{program} is not in PATH"))?;
            let link = environment.bin.join(program);
            if link.symlink_metadata().is_err() {
                std::os::unix::fs::symlink(found.trim(), link)?;
            }
        }
        let arguments = ["config", "view", "--minify", "--flatten", "--raw", "--context", context];
        fs::write(environment.kubeconfig(), Run::new("kubectl", &arguments).output()?)?;
        let nodes = environment.kubectl.output(&["get", "nodes"]);
        nodes.with_context(|| format!("the cluster of context '{context}' does not answer"))?;
        Ok(environment)
    }

    /// Uses a cluster that an earlier run left up in `.demo/<name>`, with what is built and installed there.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn attach(tree: Tree, console: Console, name: &str) -> Result<Self> {
        let environment = Self::of(tree, console, name);
        let nodes = environment.kubectl.output(&["get", "nodes"]);
        nodes.with_context(|| format!("no cluster is up in {}", environment.directory.display()))?;
        Ok(environment)
    }

    /// Directory of the cluster.
    #[must_use]
    pub fn directory(&self) -> &PathBuf {
        &self.directory
    }

    /// A folder for what is made beside the cluster, one of [`artifacts::SCRATCH`].
    #[must_use]
    pub fn scratch(&self, kind: &str) -> PathBuf {
        self.tree.scratch(&self.directory, kind)
    }

    /// Its kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.directory.join("kubeconfig/admin")
    }

    /// Calls the cluster program for this cluster.
    ///
    /// # Errors
    /// When it fails.
    pub fn cluster(&self, arguments: &[&str]) -> Result<String> {
        let directory = self.directory.to_string_lossy().into_owned();
        let (verb, rest) = arguments.split_first().context("a command of the cluster program")?;
        let mut all = vec![*verb, "--dir", &directory];
        all.extend_from_slice(rest);
        Run::new(self.tree.cluster_program(), &all).directory(&self.tree.root().join("tests/cluster")).output()
    }

    /// Helm against this cluster.
    #[must_use]
    pub fn helm(&self, arguments: &[&str]) -> Run {
        Run::new(self.bin.join("helm"), arguments)
            .env("KUBECONFIG", self.kubeconfig())
            .env("HELM_CACHE_HOME", self.scratch("helm"))
            .env("HELM_CONFIG_HOME", self.scratch("helm"))
            .env("HELM_DATA_HOME", self.scratch("helm"))
            .directory(self.tree.root())
            .deadline(SOON)
    }

    /// The plugin, as `kubectl tradewind`.
    #[must_use]
    pub fn plugin(&self, arguments: &[&str]) -> Run {
        Run::new(self.tree.program("kubectl-tradewind"), arguments).env("KUBECONFIG", self.kubeconfig())
    }

    /// Installs both charts and the sample namespace with its file server, and waits until the operator leads.
    ///
    /// # Errors
    /// When Helm or a rollout fails.
    pub fn install(&self) -> Result<()> {
        self.console.typed("helm install tradewind-crds charts/tradewind-crds -n tradewind-system --create-namespace");
        self.console.step("install the custom resources", || {
            self.helm(&["upgrade", "--install", "tradewind-crds", "charts/tradewind-crds", "-n", SYSTEM, "--create-namespace"])
                .output()
        })?;
        self.kubectl.output(&["label", "--overwrite", "namespace", SYSTEM, "pod-security.kubernetes.io/enforce=restricted"])?;
        self.console.typed("helm install tradewind charts/tradewind -n tradewind-system --set operator.storageClass=local");
        self.console.step("install operator and event bus", || {
            let arguments = ["upgrade", "--install", "tradewind", "charts/tradewind", "-n", SYSTEM];
            self.helm(&[arguments.as_slice(), &["--set", SMALL_VALUES]].concat()).output()?;
            self.kubectl.output(&["rollout", "status", "-n", SYSTEM, "statefulset/tradewind-nats", "--timeout=180s"])?;
            self.until_operator_controls()
        })?;
        self.samples()
    }

    /// Waits until the operator itself says that it controls. A Deployment goes on calling a process Ready that was killed a
    /// moment ago.
    ///
    /// # Errors
    /// When the deadline passes, with the last answer.
    pub fn until_operator_controls(&self) -> Result<()> {
        let named = ["get", "pods", "-n", SYSTEM, "-l", "app.kubernetes.io/component=operator"];
        let running = ["--field-selector=status.phase=Running", "-o", "jsonpath={.items[*].metadata.name}"];
        self.kubectl.until("the operator to answer /readyz", SOON, || {
            let pods = self.kubectl.output(&[named.as_slice(), &running].concat())?;
            let Some(pod) = pods.split_whitespace().next() else { return Ok(Poll::NotYet("no pod of it runs".to_owned())) };
            let answer =
                self.kubectl.call(&["get", "--raw", &format!("/api/v1/namespaces/{SYSTEM}/pods/{pod}:9100/proxy/readyz")])?;
            Ok(if answer.status.success() { Poll::Ready(()) } else { Poll::NotYet(format!("{pod}: {}", answer.stderr.trim())) })
        })
    }

    fn samples(&self) -> Result<()> {
        let folder = self.tree.root().join("manifests/samples");
        self.console.step("namespace trading (pod security: restricted) and a plain file server", || {
            for name in ["namespace.yaml", "checkpoint-server.yaml"] {
                self.kubectl.output(&["apply", "-f", &folder.join(name).to_string_lossy()])?;
            }
            self.kubectl.output(&["rollout", "status", "-n", TRADING, "deployment/checkpoints", "--timeout=180s"])
        })?;
        Ok(())
    }

    /// Waits until an object has a condition with the status.
    ///
    /// # Errors
    /// When the deadline passes; the message holds the condition last seen.
    pub fn until_condition(
        &self,
        namespace: &str,
        object: &str,
        kind: &str,
        status: &str,
        deadline: Duration,
    ) -> Result<serde_json::Value> {
        self.kubectl.until(&format!("{object} {kind}={status}"), deadline, || {
            let Some(value) = self.kubectl.get(namespace, &[object])? else {
                return Ok(Poll::NotYet("the object does not exist".to_owned()));
            };
            Ok(match crate::kubectl::condition(&value, kind) {
                Some((seen, _, _)) if seen == status => Poll::Ready(value),
                Some((seen, reason, message)) => Poll::NotYet(format!("{seen} {reason}: {message}")),
                None => Poll::NotYet(format!("no condition {kind}")),
            })
        })
    }
}
