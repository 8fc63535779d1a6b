//! Every identity on every method of every server, through real certificates on loopback. The table is printed:
//! `cargo test -p tradewind-wire --test identities -- --nocapture`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod authority;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use authority::{Authority, Wanted};
use tokio_util::sync::CancellationToken;
use tonic::client::Grpc;
use tonic::service::Routes;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;
use tradewind_wire::identity::table::TABLE;
use tradewind_wire::server::BoundServer;
use tradewind_wire::tls::{Security, TlsFiles};
use tradewind_wire::v1::DescribeRequest;

/// The servers, with the processes that they are.
const SERVERS: [(&str, &str); 5] = [
    ("inference", "spiffe://tradewind/trading/inference/indices"),
    ("policy", "spiffe://tradewind/trading/policy/indices"),
    ("execution", "spiffe://tradewind/trading/execution/indices"),
    ("risk", "spiffe://tradewind/trading/risk/main"),
    ("market", "spiffe://tradewind/tradewind-system/market/tradewind-market"),
];

/// Callers with a certificate of the authority; the last ones name no process, or one of another world.
const CALLERS: [(&str, &[&str]); 17] = [
    ("operator", &["spiffe://tradewind/tradewind-system/operator/tradewind-operator"]),
    ("policy indices", &["spiffe://tradewind/trading/policy/indices"]),
    ("policy metals", &["spiffe://tradewind/trading/policy/metals"]),
    ("execution indices", &["spiffe://tradewind/trading/execution/indices"]),
    ("execution metals", &["spiffe://tradewind/trading/execution/metals"]),
    ("inference indices", &["spiffe://tradewind/trading/inference/indices"]),
    ("risk main", &["spiffe://tradewind/trading/risk/main"]),
    ("market", &["spiffe://tradewind/tradewind-system/market/tradewind-market"]),
    ("nats", &["spiffe://tradewind/tradewind-system/nats/tradewind-nats"]),
    ("cli", &["spiffe://tradewind/trading/cli/somebody"]),
    ("policy indices, other namespace", &["spiffe://tradewind/other/policy/indices"]),
    ("execution indices, other namespace", &["spiffe://tradewind/other/execution/indices"]),
    ("risk main, other namespace", &["spiffe://tradewind/other/risk/main"]),
    ("operator of another trust domain", &["spiffe://elsewhere/tradewind-system/operator/tradewind-operator"]),
    ("no URI", &[]),
    ("two URIs", &["spiffe://tradewind/trading/policy/indices", "spiffe://tradewind/tradewind-system/operator/x"]),
    ("a URI with a longer path", &["spiffe://tradewind/tradewind-system/operator/tradewind-operator/x"]),
];

/// Who gets through, written down without looking at the table of the product.
fn admitted(server: &str, method: &str) -> &'static [&'static str] {
    match (server, method) {
        ("inference", "Process/Describe") => &["operator", "policy indices"],
        (_, "Process/Describe") => &["operator"],
        ("inference", "Inference/Decide") => &["policy indices"],
        ("policy", "PolicyEngine/Status") => &["operator"],
        ("execution", "Execution/Advance" | "Execution/Submit" | "Execution/Halt" | "Execution/Settle") => &["policy indices"],
        ("risk", "Risk/Acquire" | "Risk/Place" | "Risk/Cancel" | "Risk/Meet" | "Risk/Settle" | "Risk/Events") => {
            &["execution indices", "execution metals"]
        }
        ("risk", "Risk/Watch") => &["policy indices", "policy metals", "execution indices", "execution metals"],
        ("risk", "Risk/Status" | "Risk/Halt") => &["operator"],
        _ => &[],
    }
}

/// The server answers UNIMPLEMENTED to whatever gets through.
async fn serve(authority: &Authority, uri: &str, stop: &CancellationToken) -> SocketAddr {
    let directory = authority.directory("localhost", uri);
    let security = Security::Mutual(TlsFiles::in_directory(directory.path()).load().unwrap());
    let server = BoundServer::bind("127.0.0.1:0".parse().unwrap(), security).await.unwrap();
    let address = server.address();
    tokio::spawn(server.run(Routes::default(), stop.clone()));
    address
}

/// A client that checks nothing but the authority, as an attacker would write it.
fn dial(address: SocketAddr, ca: &str, identity: Option<(String, String)>) -> Channel {
    let config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca));
    let config = match identity {
        Some((certificate, key)) => config.identity(Identity::from_pem(certificate, key)),
        None => config,
    };
    let target = Endpoint::from_shared(format!("https://localhost:{}", address.port())).unwrap();
    target.tls_config(config).unwrap().connect_lazy()
}

async fn call(channel: &Channel, method: &str) -> Status {
    let mut client = Grpc::new(channel.clone());
    let (path, codec) = (format!("/tradewind.v1.{method}"), ProstCodec::<DescribeRequest, DescribeRequest>::default());
    if let Err(error) = client.ready().await {
        return Status::unavailable(error.to_string());
    }
    match client.unary(Request::new(DescribeRequest {}), path.parse().unwrap(), codec).await {
        Ok(_) => Status::ok(""),
        Err(status) => status,
    }
}

/// Methods of the product's table, and some that no table knows.
fn methods() -> BTreeSet<String> {
    let known = TABLE.iter().map(|rule| rule.method.trim_start_matches("/tradewind.v1.").to_owned());
    known.chain(["Risk/Steal", "Process/Describe/", "Nobody/Describe"].map(str::to_owned)).collect()
}

#[tokio::test]
async fn every_identity_on_every_method_of_every_server() {
    let (authority, stop) = (Authority::new(), CancellationToken::new());
    let (mut tried, mut refused_to_all) = (0, 0);
    println!("\n{:<32} {}", "", (1..=CALLERS.len()).map(|n| format!("{n:>4}")).collect::<String>());
    for (server, uri) in SERVERS {
        let address = serve(&authority, uri, &stop).await;
        let identity = |uris| authority.issue(&Wanted { host: "localhost", uris, ended: false });
        let channels = CALLERS.map(|(name, uris)| (name, dial(address, &authority.pem(), Some(identity(uris)))));
        for method in methods() {
            let (wanted, mut row) = (admitted(server, &method), String::new());
            for (name, channel) in &channels {
                let status = call(channel, &method).await;
                tried += 1;
                let context = format!("{name} on {method} of {server}: {status}");
                if wanted.contains(name) {
                    assert_eq!(status.code(), Code::Unimplemented, "must get through: {context}");
                } else {
                    assert_eq!(status.code(), Code::PermissionDenied, "must be refused: {context}");
                    assert!(status.message().contains(uri), "says who refuses: {context}");
                }
                row.push_str(if status.code() == Code::Unimplemented { " yes" } else { "   ." });
            }
            if wanted.is_empty() {
                refused_to_all += 1;
            } else {
                println!("{:<32} {row}", format!("{server}: {method}"));
            }
        }
    }
    println!("and {refused_to_all} pairs of a server and a method that it does not serve: refused to all; {tried} calls");
    for (number, (name, uris)) in CALLERS.iter().enumerate() {
        println!("{:>3} {name}: {}", number + 1, uris.join(", "));
    }
    stop.cancel();
}

#[tokio::test]
async fn who_shows_no_usable_certificate_gets_no_connection() {
    let (authority, stranger, stop) = (Authority::new(), Authority::new(), CancellationToken::new());
    let operator = CALLERS[0].1;
    let address = serve(&authority, SERVERS[3].1, &stop).await;
    let current = Wanted { host: "localhost", uris: operator, ended: false };
    let ended = Wanted { host: "localhost", uris: operator, ended: true };
    let reached = call(&dial(address, &authority.pem(), Some(authority.issue(&current))), "Risk/Status").await;
    assert_eq!(reached.code(), Code::Unimplemented, "{reached}");
    for (what, identity) in [
        ("no certificate", None),
        ("a certificate of another authority", Some(stranger.issue(&current))),
        ("a certificate that has ended", Some(authority.issue(&ended))),
    ] {
        for method in methods() {
            let status = call(&dial(address, &authority.pem(), identity.clone()), &method).await;
            assert!(matches!(status.code(), Code::Unavailable | Code::Unknown), "{what} on {method}: {status}");
        }
        println!("{what}: no connection, {} methods tried", methods().len());
    }
    stop.cancel();
}
