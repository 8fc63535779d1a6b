//! The direct call that stops an account, beside what its risk process reads by itself: either way alone is enough.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use tradewind_crds::names;
use tradewind_wire::client::{Expected, channel_to, within};
use tradewind_wire::identity::Process;
use tradewind_wire::tls::Security;
use tradewind_wire::v1::HaltNowRequest;
use tradewind_wire::v1::risk_client::RiskClient;

use crate::build::pod::GRPC_PORT;

/// A risk process that answers takes a few milliseconds, one that does not is called again.
const DEADLINE: Duration = Duration::from_secs(1);

/// `host:port` of the risk process whose workload is called `workload`.
#[must_use]
pub fn risk_endpoint(workload: &str, namespace: &str) -> String {
    format!("{}:{GRPC_PORT}", names::service_host(workload, namespace))
}

/// One call.
#[derive(Clone, Debug, PartialEq)]
pub struct HaltOrder {
    /// `host:port` of the risk process.
    pub endpoint: String,
    /// What is said to it.
    pub request: HaltNowRequest,
}

/// Makes one call and answers with the id of the halt in force; replaced in tests.
pub type Caller = Arc<dyn Fn(HaltOrder) -> BoxFuture<'static, Result<String, String>> + Send + Sync>;

/// Uid and generation that were handed on, by namespace and name of the profile.
type Handed = BTreeMap<(String, String), (String, i64)>;

/// Handle on the calls. Clones share what was handed on.
#[derive(Clone)]
pub struct Halts {
    caller: Caller,
    handed: Arc<Mutex<Handed>>,
}

impl fmt::Debug for Halts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Halts").finish_non_exhaustive()
    }
}

impl Halts {
    /// Calls made through `caller`.
    #[must_use]
    pub fn new(caller: Caller) -> Self {
        Self { caller, handed: Arc::default() }
    }

    /// Hands on `spec.halt` of a generation of the profile `namespace`/`name`, once it was understood; each generation of
    /// each object only once.
    ///
    /// # Errors
    /// Why the risk process did not answer; to be tried again soon.
    pub async fn hand_on(&self, (namespace, name): (&str, &str), uid: &str, order: HaltOrder) -> Result<(), String> {
        let (key, this) = ((namespace.to_owned(), name.to_owned()), (uid.to_owned(), order.request.generation));
        if self.handed.lock().unwrap_or_else(PoisonError::into_inner).get(&key) == Some(&this) {
            return Ok(());
        }
        let id = self.call(order).await?;
        tracing::info!(namespace, name, generation = this.1, id, "the halt was handed to the risk process");
        self.handed.lock().unwrap_or_else(PoisonError::into_inner).insert(key, this);
        Ok(())
    }

    /// Calls at once, and answers with the id of the halt in force.
    ///
    /// # Errors
    /// Why the risk process did not answer.
    pub async fn call(&self, order: HaltOrder) -> Result<String, String> {
        (self.caller)(order).await
    }
}

/// Calls with the operator's own certificate, each time over a connection of its own: one that is kept could be dead.
#[must_use]
pub fn grpc_caller(security: Security) -> Caller {
    Arc::new(move |order| {
        let security = security.clone();
        Box::pin(async move {
            let expected = Expected::Process(Process::Risk);
            let channel = channel_to(&order.endpoint, &security, expected).map_err(|error| error.to_string())?;
            let mut client = RiskClient::new(channel);
            let answer = within(DEADLINE, client.halt(order.request)).await;
            let told = |status: tonic::Status| format!("{}: {:?}: {}", order.endpoint, status.code(), status.message());
            answer.map(|reply| reply.halt_id).map_err(told)
        })
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn order(generation: i64) -> HaltOrder {
        let request = HaltNowRequest { account: "paper-1".into(), generation, ..HaltNowRequest::default() };
        HaltOrder { endpoint: "main-risk.trading.svc:9000".into(), request }
    }

    #[tokio::test]
    async fn a_generation_is_handed_on_until_it_was_understood_and_then_no_more() {
        let calls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&calls);
        let halts = Halts::new(Arc::new(move |_| {
            let number = counted.fetch_add(1, Ordering::SeqCst);
            Box::pin(async move { if number == 0 { Err("refused".to_owned()) } else { Ok("halt-2-0a1b2c3d4e5f".to_owned()) } })
        }));
        let main = ("trading", "main");
        assert!(halts.hand_on(main, "u1", order(2)).await.is_err());
        for (uid, generation, count) in [("u1", 2, 2), ("u1", 2, 2), ("u1", 3, 3), ("u2", 3, 4)] {
            halts.hand_on(main, uid, order(generation)).await.unwrap();
            assert_eq!(calls.load(Ordering::SeqCst), count, "{uid} {generation}");
        }
    }
}
