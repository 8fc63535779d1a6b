//! gRPC over loopback with real certificates: who is let in, and who is not.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod authority;

use std::net::SocketAddr;
use std::time::Duration;

use authority::Authority;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::service::Routes;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tradewind_wire::client::{Expected, Patience, chain, channel, channel_to, until_answered, within};
use tradewind_wire::identity::Process;
use tradewind_wire::pinning::Pinning;
use tradewind_wire::probes::Readiness;
use tradewind_wire::process::Describe;
use tradewind_wire::server::{BoundServer, ServerError};
use tradewind_wire::tls::{Security, TlsFiles};
use tradewind_wire::v1;
use tradewind_wire::v1::process_client::ProcessClient;

/// Between two looks: a loop without a pause takes the CPU from what it waits for.
const PAUSE: Duration = Duration::from_millis(5);

const INFERENCE: &str = "spiffe://tradewind/trading/inference/indices";
const POLICY: &str = "spiffe://tradewind/trading/policy/indices";

/// What a process of an authority reads from its TLS directory.
fn issue(authority: &Authority, uri: &str) -> Security {
    Security::Mutual(TlsFiles::in_directory(authority.directory("localhost", uri).path()).load().unwrap())
}

async fn serve(security: Security, stop: &CancellationToken) -> SocketAddr {
    let server = BoundServer::bind("127.0.0.1:0".parse().unwrap(), security).await.unwrap();
    let address = server.address();
    let describe = Describe::new("inference", "0123456789ab", Pinning::read().unwrap(), Readiness::new());
    tokio::spawn(server.run(Routes::new(describe.service()), stop.clone()));
    address
}

async fn describe(channel: Channel) -> Result<v1::ProcessInfo, tonic::Status> {
    let mut client = ProcessClient::new(channel);
    within(Duration::from_secs(5), client.describe(v1::DescribeRequest {})).await
}

#[tokio::test]
async fn a_process_of_the_same_authority_is_answered() {
    let (authority, stop) = (Authority::new(), CancellationToken::new());
    let address = serve(issue(&authority, INFERENCE), &stop).await;
    let info = describe(channel(&format!("localhost:{}", address.port()), &issue(&authority, POLICY)).unwrap()).await.unwrap();
    assert_eq!((info.process.as_str(), info.bundle.as_str(), info.ready), ("inference", "0123456789ab", true));
    assert!(info.pinning.unwrap().allowed_cpus >= 1);
    stop.cancel();
}

#[tokio::test]
async fn a_client_of_another_authority_is_refused_and_so_is_such_a_server() {
    let (authority, stranger, stop) = (Authority::new(), Authority::new(), CancellationToken::new());
    let address = serve(issue(&authority, INFERENCE), &stop).await;
    let endpoint = format!("localhost:{}", address.port());
    let refused = describe(channel(&endpoint, &issue(&stranger, POLICY)).unwrap()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");

    // The client trusts the server and shows a certificate that the server does not trust.
    let (certificate, key) = stranger.certificate(POLICY);
    let config = ClientTlsConfig::new().ca_certificate(tonic::transport::Certificate::from_pem(authority.pem()));
    let config = config.identity(tonic::transport::Identity::from_pem(certificate, key));
    let target = Endpoint::from_shared(format!("https://{endpoint}")).unwrap().tls_config(config).unwrap();
    let refused = describe(target.connect_lazy()).await.unwrap_err();
    assert!(matches!(refused.code(), Code::Unavailable | Code::Unknown), "{refused}");
    stop.cancel();
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused() {
    let (authority, stop) = (Authority::new(), CancellationToken::new());
    let address = serve(issue(&authority, INFERENCE), &stop).await;
    let config = ClientTlsConfig::new().ca_certificate(tonic::transport::Certificate::from_pem(authority.pem()));
    let target = Endpoint::from_shared(format!("https://localhost:{}", address.port())).unwrap().tls_config(config).unwrap();
    let refused = describe(target.connect_lazy()).await.unwrap_err();
    assert!(matches!(refused.code(), Code::Unavailable | Code::Unknown), "{refused}");
    stop.cancel();
}

#[tokio::test]
async fn a_server_with_another_name_is_refused() {
    let (authority, stop) = (Authority::new(), CancellationToken::new());
    let elsewhere = authority.directory("main-risk", INFERENCE);
    let security = Security::Mutual(TlsFiles::in_directory(elsewhere.path()).load().unwrap());
    let address = serve(security, &stop).await;
    let refused = describe(channel(&format!("localhost:{}", address.port()), &issue(&authority, POLICY)).unwrap()).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unavailable);
    stop.cancel();
}

#[tokio::test]
async fn a_server_that_is_another_process_is_hung_up_on_before_anything_is_sent() {
    let (authority, stop) = (Authority::new(), CancellationToken::new());
    let address = serve(issue(&authority, INFERENCE), &stop).await;
    let (endpoint, policy) = (format!("localhost:{}", address.port()), issue(&authority, POLICY));
    let metals = issue(&authority, "spiffe://tradewind/trading/policy/metals");
    let ask = |security: &Security, expected| describe(channel_to(&endpoint, security, expected).unwrap());
    ask(&policy, Expected::SameOwner(Process::Inference)).await.unwrap();
    for (security, expected) in [
        (&policy, Expected::SameOwner(Process::Execution)),
        (&policy, Expected::Neighbour(Process::Risk)),
        (&policy, Expected::Process(Process::Market)),
        (&metals, Expected::SameOwner(Process::Inference)),
    ] {
        let refused = ask(security, expected).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable, "{expected:?}: {refused}");
        let text = chain(&refused);
        assert!(text.contains(INFERENCE) && text.contains(&format!("{expected:?}")), "{text}");
    }
    stop.cancel();
}

#[tokio::test]
async fn plaintext_serves_loopback_only_and_not_those_who_speak_tls() {
    let (authority, stop) = (Authority::new(), CancellationToken::new());
    let everywhere = BoundServer::bind("0.0.0.0:0".parse().unwrap(), Security::PlaintextLoopback).await;
    assert!(matches!(everywhere, Err(ServerError::Tls(_))));
    let address = serve(Security::PlaintextLoopback, &stop).await;
    let endpoint = format!("localhost:{}", address.port());
    describe(channel(&address.to_string(), &Security::PlaintextLoopback).unwrap()).await.unwrap();
    assert!(describe(channel(&endpoint, &issue(&authority, POLICY)).unwrap()).await.is_err());
    stop.cancel();
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let first = BoundServer::bind("127.0.0.1:0".parse().unwrap(), Security::PlaintextLoopback).await.unwrap();
    let second = BoundServer::bind(first.address(), Security::PlaintextLoopback).await.unwrap_err();
    assert!(second.to_string().contains(&first.address().to_string()), "{second}");
}

/// A client made before its server asks until the server is there, and again after it was replaced.
#[tokio::test]
async fn a_lazy_client_outlives_its_server() {
    let first = BoundServer::bind("127.0.0.1:0".parse().unwrap(), Security::PlaintextLoopback).await.unwrap();
    let address = first.address();
    drop(first);
    let (client, stop) = (channel(&address.to_string(), &Security::PlaintextLoopback).unwrap(), CancellationToken::new());
    for round in 0..2 {
        let serving = CancellationToken::new();
        let mut started = None;
        let ask = || {
            let mut client = ProcessClient::new(client.clone());
            async move { client.describe(v1::DescribeRequest {}).await }
        };
        let answer = until_answered(
            "describe",
            Patience::default(),
            &stop,
            |failures, _| {
                if failures == 2 {
                    started = Some(serving.clone());
                    let (serving, security) = (serving.clone(), Security::PlaintextLoopback);
                    tokio::spawn(async move {
                        let server = BoundServer::bind(address, security).await.unwrap();
                        let describe = Describe::new("risk", "", Pinning::read().unwrap(), Readiness::new());
                        server.run(Routes::new(describe.service()), serving).await.unwrap();
                    });
                }
            },
            ask,
        );
        assert_eq!(answer.await.unwrap().process, "risk", "round {round}");
        assert!(started.is_some());
        serving.cancel();
        // The old server ends its connection; the next round meets nobody at first.
        let gone = async {
            while tokio::net::TcpListener::bind(address).await.is_err() {
                tokio::time::sleep_until(tokio::time::Instant::now() + PAUSE).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), gone).await.unwrap();
    }
}
