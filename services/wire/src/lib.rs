//! What every process shares: protobuf, clients and servers, bus subjects, TLS, telemetry, probes.
//!
//! | module | holds |
//! |---|---|
//! | [`v1`] | generated messages, clients and servers |
//! | [`admission`] | which bars of a feed are taken |
//! | [`config`] | the two files that the operator writes and the processes read |
//! | [`convert`] | domain values to messages and back, checked |
//! | [`identity`] | the process that a certificate names, and the methods that it may call |
//! | [`tls`], [`renewal`], [`server`], [`client`] | gRPC with mutual TLS, deadlines and patience |
//! | [`bus`] | the feed of bars on JetStream |
//! | [`download`] | fetching checkpoints and recorded bars |
//! | [`hot`] | one bound thread that owns an engine |
//! | [`telemetry`], [`probes`], [`process`], [`pinning`] | what an operator sees of a process |
//! | [`args`], [`shutdown`] | what all command lines and mains have in common |

pub mod account;
pub mod admission;
pub mod args;
pub mod bus;
pub mod client;
pub mod config;
pub mod convert;
pub mod download;
mod handshake;
pub mod hot;
pub mod identity;
pub mod pinning;
pub mod probes;
pub mod process;
pub mod renewal;
pub mod server;
pub mod shutdown;
pub mod telemetry;
pub mod testing;
pub mod tls;

/// Messages and services of `proto/tradewind/v1`, generated.
#[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)]
pub mod v1 {
    tonic::include_proto!("tradewind.v1");
}
