//! Clients of the inference services, one per bundle.

use std::collections::BTreeMap;
use std::time::Duration;

use tonic::Status;
use tonic::transport::Channel;
use tradewind_core::instrument::Symbol;
use tradewind_crds::names;
use tradewind_wire::client::{Expected, channel_to, within};
use tradewind_wire::identity::Process;
use tradewind_wire::tls::Security;
use tradewind_wire::v1;
use tradewind_wire::v1::inference_client::InferenceClient;
use tradewind_wire::v1::process_client::ProcessClient;

use crate::messages::{Answer, Question, answer_from_wire};

/// gRPC port of every process.
const PORT: u16 = 9000;

/// Where the inference services of a policy are found.
#[derive(Clone, Debug)]
pub struct Revisions {
    policy: String,
    namespace: String,
    security: Security,
    /// Addresses that are not those of the cluster's DNS.
    elsewhere: BTreeMap<String, String>,
}

/// Client of one bundle.
#[derive(Clone, Debug)]
pub struct Revision {
    bundle: String,
    process: ProcessClient<Channel>,
    client: InferenceClient<Channel>,
}

impl Revisions {
    /// Services by their name in the cluster, but for bundles listed in `elsewhere` (`host:port`).
    #[must_use]
    pub const fn new(policy: String, namespace: String, security: Security, elsewhere: BTreeMap<String, String>) -> Self {
        Self { policy, namespace, security, elsewhere }
    }

    /// The client of a bundle; it connects at its first call.
    ///
    /// # Errors
    /// A text for logs when the address cannot be called.
    pub fn client(&self, bundle: &str) -> Result<Revision, String> {
        let by_name = || format!("{}:{PORT}", names::service_host(&names::inference(&self.policy, bundle), &self.namespace));
        let endpoint = self.elsewhere.get(bundle).cloned().unwrap_or_else(by_name);
        let channel =
            channel_to(&endpoint, &self.security, Expected::SameOwner(Process::Inference)).map_err(|error| error.to_string())?;
        Ok(Revision {
            bundle: bundle.to_owned(),
            process: ProcessClient::new(channel.clone()),
            client: InferenceClient::new(channel),
        })
    }
}

impl Revision {
    /// Bundle that is asked.
    #[must_use]
    pub fn bundle(&self) -> &str {
        &self.bundle
    }

    /// Opens the connection ahead of the first question. One that cannot be opened shows at that question.
    pub async fn connect(&mut self, deadline: Duration) {
        if let Err(status) = within(deadline, self.process.describe(v1::DescribeRequest {})).await {
            tracing::debug!(bundle = self.bundle, code = ?status.code(), "no connection yet");
        }
    }

    /// Asks for a decision once. Idempotent.
    ///
    /// # Errors
    /// What the service or the transport says, or `INTERNAL` for an answer that cannot be used.
    pub async fn decide(&mut self, symbol: &Symbol, bar: &v1::Bar, deadline: Duration) -> Result<Answer, Status> {
        let question = Question { bundle: self.bundle.clone(), symbol: symbol.clone(), index: bar.index };
        let request = v1::DecideRequest { bar: Some(bar.clone()), bundle: self.bundle.clone() };
        let answer = within(deadline, self.client.decide(request)).await?;
        answer_from_wire(&answer, &question).map_err(|error| Status::internal(error.to_string()))
    }
}
