//! What every process shares: protobuf, clients and servers, bus subjects, TLS, telemetry, probes.

/// Messages and services of `proto/tradewind/v1`, generated.
#[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)]
pub mod v1 {
    tonic::include_proto!("tradewind.v1");
}
