//! Certificates that change under running processes, as the kubelet changes them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod authority;

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use authority::Authority;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Channel;
use tradewind_wire::client::{channel, within};
use tradewind_wire::pinning::Pinning;
use tradewind_wire::probes::Readiness;
use tradewind_wire::process::Describe;
use tradewind_wire::renewal::Renewal;
use tradewind_wire::server::BoundServer;
use tradewind_wire::telemetry::Metrics;
use tradewind_wire::tls::{Security, TlsFiles, TlsMaterial};
use tradewind_wire::v1;
use tradewind_wire::v1::process_client::ProcessClient;

/// Between two looks: a loop without a pause takes the CPU from what it waits for.
const PAUSE: Duration = Duration::from_millis(5);

const RISK: &str = "spiffe://tradewind/trading/risk/main";
const OPERATOR: &str = "spiffe://tradewind/tradewind-system/operator/tradewind-operator";
const LIMIT: Duration = Duration::from_secs(60);

/// A mounted Secret: the three names are links through `..data`, which is swapped in one step.
struct Mounted {
    directory: TempDir,
    generation: u32,
}

impl Mounted {
    fn new(ca: &str, leaf: &(String, String)) -> Self {
        let mut mounted = Self { directory: tempfile::tempdir().unwrap(), generation: 0 };
        mounted.swap(ca, leaf);
        for name in ["ca.crt", "tls.crt", "tls.key"] {
            std::os::unix::fs::symlink(Path::new("..data").join(name), mounted.path().join(name)).unwrap();
        }
        mounted
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn swap(&mut self, ca: &str, leaf: &(String, String)) {
        self.generation += 1;
        let name = format!("..{}", self.generation);
        let folder = self.path().join(&name);
        std::fs::create_dir(&folder).unwrap();
        for (file, pem) in [("ca.crt", ca), ("tls.crt", leaf.0.as_str()), ("tls.key", leaf.1.as_str())] {
            std::fs::write(folder.join(file), pem).unwrap();
        }
        std::os::unix::fs::symlink(&name, self.path().join("..data_tmp")).unwrap();
        std::fs::rename(self.path().join("..data_tmp"), self.path().join("..data")).unwrap();
    }

    fn load(&self) -> TlsMaterial {
        TlsFiles::in_directory(self.path()).load().unwrap()
    }
}

fn quick() -> Renewal {
    Renewal::default().every(Duration::from_millis(5))
}

async fn serve(material: &TlsMaterial, renewal: Renewal, stop: &CancellationToken) -> SocketAddr {
    let server = BoundServer::bind("127.0.0.1:0".parse().unwrap(), Security::Mutual(material.clone())).await.unwrap();
    let address = server.address();
    let describe = Describe::new("risk", "", Pinning::read().unwrap(), Readiness::new());
    tokio::spawn(server.renewing(renewal).run(Routes::new(describe.service()), stop.clone()));
    address
}

fn connect(address: SocketAddr, material: &TlsMaterial) -> Channel {
    channel(&format!("localhost:{}", address.port()), &Security::Mutual(material.clone())).unwrap()
}

async fn answers(channel: &Channel) -> Result<(), tonic::Status> {
    let mut client = ProcessClient::new(channel.clone());
    within(LIMIT, client.describe(v1::DescribeRequest {})).await.map(drop)
}

/// Asks over new connections until the outcome is the one that is wanted.
async fn until(address: SocketAddr, material: &TlsMaterial, answered: bool, what: &str) {
    let asking = async {
        while answers(&connect(address, material)).await.is_ok() != answered {
            tokio::time::sleep_until(tokio::time::Instant::now() + PAUSE).await;
        }
    };
    tokio::time::timeout(LIMIT, asking).await.unwrap_or_else(|_| panic!("{what}: not within {LIMIT:?}"));
}

#[tokio::test]
async fn a_change_of_authority_reaches_both_sides_while_open_connections_live_on() {
    let (old, new, stop) = (Authority::new(), Authority::new(), CancellationToken::new());
    let (mut risk, mut operator) =
        (Mounted::new(&old.pem(), &old.certificate(RISK)), Mounted::new(&old.pem(), &old.certificate(OPERATOR)));
    let (served, dialled) = (risk.load(), operator.load());
    let address = serve(&served, quick(), &stop).await;
    // the operator is a server too: that is what looks after the certificates that its clients share
    serve(&dialled, quick(), &stop).await;
    let open = connect(address, &dialled);
    answers(&open).await.unwrap();
    let left_behind = Mounted::new(&old.pem(), &old.certificate(OPERATOR)).load();
    let (both, new_risk, new_operator) = (new.pem() + &old.pem(), new.certificate(RISK), new.certificate(OPERATOR));

    // both authorities are trusted, and the former one has signed: as the operator begins a change
    risk.swap(&both, &old.certificate(RISK));
    operator.swap(&both, &old.certificate(OPERATOR));
    let newest = Mounted::new(&both, &new_operator).load();
    until(address, &newest, true, "the server trusts the new authority").await;
    answers(&open).await.unwrap();
    answers(&connect(address, &left_behind)).await.unwrap();

    // the new authority has signed, and the former one is forgotten
    risk.swap(&new.pem(), &new_risk);
    operator.swap(&new.pem(), &new_operator);
    until(address, &left_behind, false, "the former authority opens nothing any more").await;
    until(address, &dialled, true, "the running client shows its new certificate").await;
    answers(&open).await.unwrap();
    stop.cancel();
}

#[tokio::test]
async fn a_bad_file_changes_nothing_and_is_counted() {
    let (authority, stop) = (Authority::new(), CancellationToken::new());
    let mut risk = Mounted::new(&authority.pem(), &authority.certificate(RISK));
    let operator = Mounted::new(&authority.pem(), &authority.certificate(OPERATOR)).load();
    let (readiness, metrics) = (Readiness::new(), Metrics::new().unwrap());
    let renewal = Renewal::told(&readiness, &metrics).every(Duration::from_millis(5));
    let address = serve(&risk.load(), renewal, &stop).await;
    // the value grows with every look, so any above zero will do
    let counted = async |name: &str| {
        let waiting = async {
            let above_zero = |line: &str| line.strip_prefix(name).is_some_and(|value| value.trim() != "0");
            while !metrics.render().unwrap().lines().any(above_zero) {
                tokio::time::sleep_until(tokio::time::Instant::now() + PAUSE).await;
            }
        };
        tokio::time::timeout(LIMIT, waiting).await.unwrap_or_else(|_| panic!("'{name}' in\n{}", metrics.render().unwrap()));
    };
    answers(&connect(address, &operator)).await.unwrap();

    let (certificate, key) = (authority.certificate(RISK).0, authority.certificate(RISK).1);
    risk.swap(&authority.pem(), &(certificate, key));
    counted("tradewind_risk_certificate_failures_total").await;
    answers(&connect(address, &operator)).await.unwrap();
    assert_eq!(readiness.not_ready_reason(), None);

    risk.swap(&authority.pem(), &authority.certificate(RISK));
    counted("tradewind_risk_certificate_renewals_total").await;
    answers(&connect(address, &operator)).await.unwrap();
    stop.cancel();
}

#[test]
fn a_process_does_not_start_with_a_certificate_that_has_ended() {
    let authority = Authority::new();
    let leaf = authority.issue(&authority::Wanted { host: "localhost", uris: &[RISK], ended: true });
    let error = TlsFiles::in_directory(Mounted::new(&authority.pem(), &leaf).path()).load().unwrap_err();
    assert!(error.to_string().contains("ended"), "{error}");
    let material = Mounted::new(&authority.pem(), &authority.certificate(RISK)).load();
    assert!(material.remaining(SystemTime::now()).is_some());
}
