//! Feeds of recorded bars, beside the one that the chart can start.

use anyhow::Result;

use crate::artifacts::IMAGE;
use crate::environment::{Environment, SYSTEM};

/// Where the file server of the samples serves the bars.
const BARS: &str = "http://checkpoints.trading.svc/bars";

/// Bars that each feed begins with: the strategic features of both indices warm up on 594 each.
pub const HEAD_START: usize = 1300;

/// Starts the replay of both indices into `feed`, behind the head start at most `bars_per_second` bars a second (0: as fast
/// as they are taken).
///
/// # Errors
/// When the API server refuses the objects.
pub fn start(environment: &Environment, feed: &str, bars_per_second: u32) -> Result<()> {
    start_after(environment, feed, HEAD_START, bars_per_second)
}

/// The same with another head start.
///
/// # Errors
/// When the API server refuses the objects.
pub fn start_after(environment: &Environment, feed: &str, head_start: usize, bars_per_second: u32) -> Result<()> {
    environment.kubectl.apply(SYSTEM, &deployment(feed, head_start, bars_per_second))?;
    Ok(())
}

/// Ends the replay; the stream and its bars stay.
///
/// # Errors
/// When the API server refuses.
pub fn stop(environment: &Environment, feed: &str) -> Result<()> {
    environment.kubectl.output(&["delete", "deployment", "-n", SYSTEM, "--ignore-not-found", &format!("market-{feed}")])?;
    Ok(())
}

/// The pod is what the chart makes for `market.enabled`, so that it passes the same admission and network policies.
fn deployment(feed: &str, head_start: usize, bars_per_second: u32) -> String {
    format!(
        r#"apiVersion: apps/v1
kind: Deployment
metadata: {{name: market-{feed}, labels: {{app.kubernetes.io/name: tradewind, app.kubernetes.io/component: market, tradewind.dev/feed: {feed}}}}}
spec:
  replicas: 1
  strategy: {{type: Recreate}}
  selector: {{matchLabels: {{tradewind.dev/feed: {feed}}}}}
  template:
    metadata: {{labels: {{app.kubernetes.io/name: tradewind, app.kubernetes.io/instance: tradewind, app.kubernetes.io/component: market, tradewind.dev/feed: {feed}}}}}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: 1
      securityContext: {{runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532, fsGroup: 65532, seccompProfile: {{type: RuntimeDefault}}}}
      containers:
        - name: market
          image: {IMAGE}
          imagePullPolicy: IfNotPresent
          command: [tradewind-market]
          args: [replay, --bars={BARS}, "--symbols=SPX,IXIC", --feed={feed}, --bars-per-second={bars_per_second}, --head-start={head_start}, "--nats=tls://tradewind-nats.{SYSTEM}.svc:4222"]
          securityContext: {{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {{drop: [ALL]}}}}
          resources: {{requests: {{cpu: 20m, memory: 32Mi}}, limits: {{memory: 128Mi}}}}
          volumeMounts: [{{name: tls, mountPath: /etc/tradewind/tls, readOnly: true}}]
      volumes: [{{name: tls, secret: {{secretName: tradewind-market-tls, defaultMode: 0440}}}}]
"#
    )
}
