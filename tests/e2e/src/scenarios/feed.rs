//! Feeds of recorded bars, beside the one that the chart can start.

use anyhow::Result;

use crate::artifacts::IMAGE;
use crate::environment::{Environment, SYSTEM};

/// Where the file server of the samples serves the bars: all of them.
pub const BARS: &str = "http://checkpoints.trading.svc/bars";
/// The same for June 2007 to the end of 2010 only.
pub const BARS_OF_2008: &str = "http://checkpoints.trading.svc/bars/of-2008";

/// Starts the replay of both indices into `feed`, at most `bars_per_second` bars a second (0: as fast as they are taken).
///
/// # Errors
/// When the API server refuses the objects.
pub fn start(environment: &Environment, feed: &str, bars_per_second: u32) -> Result<()> {
    start_from(environment, BARS, feed, bars_per_second)
}

/// The same from another folder of the file server.
///
/// # Errors
/// When the API server refuses the objects.
pub fn start_from(environment: &Environment, bars: &str, feed: &str, bars_per_second: u32) -> Result<()> {
    environment.kubectl.apply(SYSTEM, &deployment(bars, feed, bars_per_second))?;
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
fn deployment(bars: &str, feed: &str, bars_per_second: u32) -> String {
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
          args: [replay, --bars={bars}, "--symbols=SPX,IXIC", --feed={feed}, --bars-per-second={bars_per_second}, "--nats=tls://tradewind-nats.{SYSTEM}.svc:4222"]
          securityContext: {{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {{drop: [ALL]}}}}
          resources: {{requests: {{cpu: 20m, memory: 32Mi}}, limits: {{memory: 128Mi}}}}
          volumeMounts: [{{name: tls, mountPath: /etc/tradewind/tls, readOnly: true}}]
      volumes: [{{name: tls, secret: {{secretName: tradewind-market-tls, defaultMode: 0440}}}}]
"#
    )
}
