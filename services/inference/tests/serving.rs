//! Decide over gRPC with certificates, on a real checkpoint and real bars.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::service::Routes;
use tonic::transport::Channel;
use tradewind_core::time::Nanos;
use tradewind_inference::testing::{following, swift_stage};
use tradewind_inference::{FeedError, Figures, History, HotThread, Networks, Service};
use tradewind_market::{Source, load};
use tradewind_nets::TacticalNetwork;
use tradewind_nets::checkpoint::{sha256, write};
use tradewind_nets::spoil::overtrader;
use tradewind_wire::bus::SequencedBar;
use tradewind_wire::client::channel;
use tradewind_wire::config::BundleConfig;
use tradewind_wire::identity::{Peer, Process};
use tradewind_wire::pinning::Pinning;
use tradewind_wire::server::BoundServer;
use tradewind_wire::telemetry::Metrics;
use tradewind_wire::tls::{Security, TlsFiles};
use tradewind_wire::v1;
use tradewind_wire::v1::inference_client::InferenceClient;

const BUNDLE: &str = "0123456789ab";

fn bundle() -> BundleConfig {
    let instrument = |symbol: &str| serde_json::json!({"symbol": symbol, "pointValue": "1", "tick": "0.01", "lot": "1"});
    serde_json::from_value(serde_json::json!({
        "bundle": BUNDLE, "policy": "indices", "feed": "default", "image": "tradewind:1",
        "instruments": [instrument("SPX"), instrument("IXIC")],
        "strategic": swift_stage(), "tactical": {"minSynergyConfidence": 0.0}, "checkpoints": []
    }))
    .unwrap()
}

/// Strategic networks that agree with every synergy, tactical ones of a checkpoint that trades whenever it may.
fn networks() -> Networks {
    let bytes = write(&overtrader().unwrap()).unwrap();
    let tactical = TacticalNetwork::from_bytes(&bytes, &sha256(&bytes)).unwrap();
    Networks { tactical: Box::new(tactical), ..following() }
}

async fn bars(count: usize) -> Vec<v1::Bar> {
    let fixtures = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/bars"));
    let symbols = ["SPX", "IXIC"].map(|symbol| symbol.to_owned().try_into().unwrap());
    let mut bars = load(&Source::Directory(fixtures), &symbols, None).await.unwrap();
    bars.truncate(count);
    bars
}

/// A feed in memory, which others may extend.
#[derive(Clone, Default)]
struct Feed(Arc<Mutex<Vec<v1::Bar>>>);

impl History for Feed {
    async fn read(&self, after: u64) -> Result<(Vec<SequencedBar>, u64), FeedError> {
        let all = self.0.lock().unwrap();
        let some: Vec<_> = all.iter().zip(1..).skip(after as usize).take(100).collect();
        let last = after + some.len() as u64;
        let sequenced = |(bar, sequence): (&v1::Bar, u64)| {
            (bar.volume >= 0.0).then(|| SequencedBar { sequence, arrived: Nanos(bar.close_time_ns), bar: bar.clone() })
        };
        // A negative volume stands for a message that is no bar.
        Ok((some.into_iter().filter_map(sequenced).collect(), last))
    }
}

fn service(feed: Feed) -> Service<Feed> {
    let hot = HotThread::start(bundle(), networks(), &Pinning::read().unwrap()).unwrap();
    Service::new(BUNDLE, hot, feed, Figures::new(&Metrics::new().unwrap()))
}

async fn started(feed: Feed) -> Service<Feed> {
    let service = service(feed);
    service.load_history().await.unwrap();
    service
}

async fn decisions(service: &Service<Feed>, bars: &[v1::Bar]) -> Vec<v1::Decision> {
    let mut all = Vec::new();
    for bar in bars {
        all.push(service.decide_bar(bar.clone()).await.unwrap());
    }
    all
}

#[tokio::test]
async fn answers_after_a_restart_are_those_of_a_process_that_never_died() {
    let bars = bars(600).await;
    let lived = decisions(&started(Feed::default()).await, &bars).await;
    assert!(lived.iter().filter(|decision| decision.execute).count() > 50);
    assert!(lived[..158].iter().all(|decision| decision.reason == "warming_up"));
    let feed = Feed(Arc::new(Mutex::new(bars.clone())));
    for restart in [1, 157, 158, 401] {
        let answers = decisions(&started(feed.clone()).await, &bars[restart..]).await;
        assert_eq!(answers, lived[restart..], "restart at {restart}");
    }
}

#[tokio::test]
async fn a_gap_is_filled_from_the_feed_and_a_bar_of_long_ago_is_answered() {
    let bars = bars(700).await;
    let lived = decisions(&started(Feed::default()).await, &bars).await;
    let feed = Feed::default();
    let service = started(feed.clone()).await;
    decisions(&service, &bars[..300]).await;
    let missing = service.decide_bar(bars[320].clone()).await.unwrap_err();
    assert_eq!(missing.code(), Code::Unavailable, "{missing}");
    *feed.0.lock().unwrap() = bars.clone();
    assert_eq!(service.decide_bar(bars[321].clone()).await.unwrap(), lived[321]);
    assert_eq!(decisions(&service, &bars[400..]).await, lived[400..]);
    assert_eq!(decisions(&service, &bars[10..12]).await, lived[10..12]);
}

/// D14: a batch of the past in which nothing is a bar does not end the reading, and what the feed left out is refused for
/// good instead of being waited for.
#[tokio::test]
async fn a_past_with_garbage_is_read_to_its_end() {
    let mut bars = bars(600).await;
    bars.retain(|bar| bar.symbol == "SPX");
    let lived = decisions(&started(Feed::default()).await, &bars).await;
    let garbage = v1::Bar { volume: -1.0, ..bars[0].clone() };
    let mut feed: Vec<_> = bars.clone();
    feed.splice(150..150, std::iter::repeat_n(garbage, 250));
    let service = started(Feed(Arc::new(Mutex::new(feed.clone())))).await;
    assert_eq!(decisions(&service, &bars[200..]).await, lived[200..]);
    feed.retain(|bar| bar.index != 210);
    let holed = started(Feed(Arc::new(Mutex::new(feed)))).await;
    assert_eq!(decisions(&holed, &bars[200..210]).await, lived[200..210]);
    assert_eq!(holed.decide_bar(bars[210].clone()).await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(holed.decide_bar(bars[211].clone()).await.unwrap().index, 211);
}

#[tokio::test]
async fn nothing_is_decided_before_the_past_is_read() {
    let service = service(Feed::default());
    assert_eq!(service.decide_bar(bars(1).await.remove(0)).await.unwrap_err().code(), Code::Unavailable);
}

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A process of policy `indices`.
    fn issue(&self, process: Process) -> Security {
        let (directory, key) = (tempfile::tempdir().unwrap(), KeyPair::generate().unwrap());
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let uri = Peer::new(process, "trading", "indices").unwrap().to_string();
        params.subject_alt_names.push(SanType::URI(uri.try_into().unwrap()));
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let files = [("ca.crt", self.0.pem()), ("tls.crt", certificate.pem()), ("tls.key", key.serialize_pem())];
        files.iter().for_each(|(file, pem)| std::fs::write(directory.path().join(file), pem).unwrap());
        Security::Mutual(TlsFiles::in_directory(directory.path()).load().unwrap())
    }
}

async fn ask(channel: Channel, bundle: &str, bar: Option<v1::Bar>) -> Result<v1::Decision, tonic::Status> {
    let request = v1::DecideRequest { bar, bundle: bundle.into() };
    InferenceClient::new(channel).decide(request).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn grpc_answers_its_own_authority_and_its_own_bundle_only() {
    let (authority, stop, bars) = (Authority::new(), CancellationToken::new(), bars(200).await);
    let server = BoundServer::bind("127.0.0.1:0".parse().unwrap(), authority.issue(Process::Inference)).await.unwrap();
    let endpoint = format!("localhost:{}", server.address().port());
    let service = started(Feed(Arc::new(Mutex::new(bars.clone())))).await;
    tokio::spawn(server.run(Routes::new(service.clone().server()), stop.clone()));
    let policy = channel(&endpoint, &authority.issue(Process::Policy)).unwrap();

    let bar = bars[190].clone();
    let first = ask(policy.clone(), BUNDLE, Some(bar.clone())).await.unwrap();
    assert_eq!((first.bundle.as_str(), first.symbol.as_str(), first.index, first.agents.len()), (BUNDLE, "IXIC", 95, 3));
    assert_eq!(ask(policy.clone(), BUNDLE, Some(bar.clone())).await.unwrap(), first);
    assert_eq!(first, service.decide_bar(bar.clone()).await.unwrap(), "nothing is lost on the wire");

    let code = async |bundle: &str, bar| ask(policy.clone(), bundle, bar).await.unwrap_err().code();
    assert_eq!(code("ba9876543210", Some(bar.clone())).await, Code::FailedPrecondition);
    assert_eq!(code(BUNDLE, None).await, Code::InvalidArgument);
    assert_eq!(code(BUNDLE, Some(v1::Bar { symbol: "DAX".into(), ..bar.clone() })).await, Code::InvalidArgument);
    assert_eq!(code(BUNDLE, Some(v1::Bar { volume: f64::NAN, ..bars[192].clone() })).await, Code::InvalidArgument);
    assert_eq!(code(BUNDLE, Some(v1::Bar { volume: 1.0, ..bar.clone() })).await, Code::InvalidArgument);

    let stranger = channel(&endpoint, &Authority::new().issue(Process::Policy)).unwrap();
    assert_eq!(ask(stranger, BUNDLE, Some(bar)).await.unwrap_err().code(), Code::Unavailable);
    stop.cancel();
}

/// TA-57: names and labels as specified; a remembered answer is no new decision.
#[tokio::test]
async fn figures_count_decisions_once() {
    let (bars, metrics) = (bars(170).await, Metrics::new().unwrap());
    let hot = HotThread::start(bundle(), networks(), &Pinning::read().unwrap()).unwrap();
    let service = Service::new(BUNDLE, hot, Feed::default(), Figures::new(&metrics));
    service.load_history().await.unwrap();
    decisions(&service, &bars).await;
    decisions(&service, &bars[160..]).await;
    let text = metrics.render().unwrap();
    let value = |name: &str| -> f64 {
        let lines = text.lines().filter(|line| line.starts_with(name));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    };
    assert_eq!(value("tactical_inference_latency_seconds_count"), 180.0);
    assert_eq!(value("tactical_decisions_total"), 36.0, "three votes for each of the 12 bars behind the warm-up\n{text}");
    assert_eq!(value("tactical_model_confidence_count"), 12.0);
    assert!(text.contains(r#"tactical_health{measure="age"} 0"#), "{text}");
    assert!(text.contains("tactical_inference_latency_seconds_bucket{le=\"0.075\"}"), "{text}");
    assert!(text.contains("tactical_stage_latency_summary_seconds{stage=\"agent_inference\",statistic=\"p99\"}"), "{text}");
}
