//! The event bus with the TLS settings of the chart: certificates on both sides.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod authority;

use std::path::Path;

use authority::Authority;
use tradewind_wire::bus::{Bus, BusAddress, BusError};
use tradewind_wire::testing::NatsServer;
use tradewind_wire::tls::TlsFiles;

const NATS: &str = "spiffe://tradewind/tradewind-system/nats/tradewind-nats";
const POLICY: &str = "spiffe://tradewind/trading/policy/indices";

async fn connect(port: u16, directory: Option<&Path>) -> Result<Bus, BusError> {
    let tls = directory.map(TlsFiles::in_directory);
    Bus::connect(&BusAddress { url: format!("tls://localhost:{port}"), name: "test".into(), tls }).await
}

#[tokio::test]
#[ignore = "needs the NATS server that `make test` builds"]
async fn the_bus_lets_in_who_has_a_certificate_of_the_same_authority() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (server, policy) = (authority.directory("localhost", NATS), authority.directory("localhost", POLICY));
    let server = NatsServer::start_with_tls(&TlsFiles::in_directory(server.path())).unwrap();
    let bus = connect(server.port(), Some(policy.path())).await.unwrap();
    bus.ensure_feed(&"default".parse().unwrap()).await.unwrap();

    let strange = stranger.directory("localhost", POLICY);
    let refused = connect(server.port(), Some(strange.path())).await.unwrap_err();
    assert!(matches!(refused, BusError::Connect { .. }), "{refused}");
    // Trusts the server, but shows the certificate of a stranger.
    std::fs::write(strange.path().join("ca.crt"), authority.pem()).unwrap();
    let refused = connect(server.port(), Some(strange.path())).await.unwrap_err();
    assert!(matches!(refused, BusError::Connect { .. }), "{refused}");
    assert!(server.connect().await.is_err(), "plaintext was answered");
}

#[tokio::test]
#[ignore = "needs the NATS server that `make test` builds"]
async fn a_server_with_another_name_is_refused() {
    let authority = Authority::new();
    let (server, policy) = (authority.directory("tradewind-nats.trading.svc", NATS), authority.directory("localhost", POLICY));
    let server = NatsServer::start_with_tls(&TlsFiles::in_directory(server.path())).unwrap();
    let refused = connect(server.port(), Some(policy.path())).await.unwrap_err();
    assert!(matches!(refused, BusError::Connect { .. }), "{refused}");
}
