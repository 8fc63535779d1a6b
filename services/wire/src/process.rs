//! `Process.Describe`: who answers, what it runs, which CPUs it got.

use tonic::{Request, Response, Status};

use crate::pinning::Pinning;
use crate::probes::Readiness;
use crate::v1;
use crate::v1::process_server::{Process, ProcessServer};

/// Answers `Process.Describe` for one process.
#[derive(Clone, Debug)]
pub struct Describe {
    process: &'static str,
    bundle: String,
    pinning: Pinning,
    readiness: Readiness,
}

impl Describe {
    /// `process` is one of inference, policy, risk, execution, market; `bundle` is empty except
    /// for inference.
    #[must_use]
    pub fn new(process: &'static str, bundle: impl Into<String>, pinning: Pinning, readiness: Readiness) -> Self {
        Self { process, bundle: bundle.into(), pinning, readiness }
    }

    /// The gRPC service, to be added to the process's routes.
    #[must_use]
    pub fn service(self) -> ProcessServer<Self> {
        ProcessServer::new(self)
    }

    /// The answer.
    #[must_use]
    pub fn info(&self) -> v1::ProcessInfo {
        let reason = self.readiness.not_ready_reason();
        v1::ProcessInfo {
            process: self.process.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            bundle: self.bundle.clone(),
            pinning: Some(self.pinning.to_wire()),
            ready: reason.is_none(),
            not_ready_reason: reason.unwrap_or_default(),
        }
    }
}

#[tonic::async_trait]
impl Process for Describe {
    async fn describe(&self, _: Request<v1::DescribeRequest>) -> Result<Response<v1::ProcessInfo>, Status> {
        Ok(Response::new(self.info()))
    }
}
