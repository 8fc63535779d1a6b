//! Every identity on every subject of a real NATS server that runs with the configuration of the chart. The table is
//! printed: `cargo test -p tradewind-wire --test nats_identities -- --ignored --nocapture`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod authority;

use std::path::Path;
use std::time::Duration;

use async_nats::{Client, Event};
use authority::Authority;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tradewind_wire::bus::{Bus, BusAddress, FeedName};
use tradewind_wire::testing::NatsServer;
use tradewind_wire::tls::TlsFiles;
use tradewind_wire::v1;

const MARKET: &str = "spiffe://tradewind/tradewind-system/market/tradewind-market";
/// Added to the chart's users by this test: makes the streams that the others try to harm.
const ADMIN: &str = "spiffe://tradewind/tradewind-system/admin/test";
const LIMIT: Duration = Duration::from_secs(20);

const IDENTITIES: [(&str, &str); 12] = [
    ("market", MARKET),
    ("policy", "spiffe://tradewind/trading/policy/indices"),
    ("inference", "spiffe://tradewind/trading/inference/indices"),
    ("risk", "spiffe://tradewind/trading/risk/main"),
    ("policy, other namespace", "spiffe://tradewind/other/policy/metals"),
    ("market, other namespace", "spiffe://tradewind/other/market/tradewind-market"),
    ("market, other name", "spiffe://tradewind/tradewind-system/market/another"),
    ("execution", "spiffe://tradewind/trading/execution/indices"),
    ("operator", "spiffe://tradewind/tradewind-system/operator/tradewind-operator"),
    ("nats", "spiffe://tradewind/tradewind-system/nats/tradewind-nats"),
    ("cli", "spiffe://tradewind/trading/cli/somebody"),
    ("another trust domain", "spiffe://elsewhere/tradewind-system/market/tradewind-market"),
];

/// What is tried: a subject to publish to, or to subscribe to.
#[derive(Clone, Copy)]
enum Try {
    Ask(&'static str, &'static str),
    Listen(&'static str),
}

const READING: &str = r#"{"stream_name":"BARS_DEFAULT","config":{"name":"reader","deliver_policy":"all","ack_policy":"none","replay_policy":"instant","mem_storage":true,"inactive_threshold":60000000000}}"#;
const STREAM: &str = r#"{"name":"BARS_DEFAULT","subjects":["bars.default.*"],"retention":"limits","storage":"file","max_msgs":1,"num_replicas":1,"discard":"old","max_age":0}"#;
const OTHER: &str = r#"{"name":"BARS_FRESH","subjects":["bars.fresh.*"],"retention":"limits","storage":"file","num_replicas":1}"#;

/// What is tried, whether the market may, whether a reader may. Order matters: each finds what the former left.
const TRIES: [(&str, Try, bool, bool); 19] = [
    ("publish a bar of its feed", Try::Ask("bars.default.SPX", "bar"), true, false),
    ("publish a bar of another feed", Try::Ask("bars.other.SPX", "bar"), false, false),
    ("publish below a bar", Try::Ask("bars.default.SPX.x", "bar"), false, false),
    ("create the stream of another feed", Try::Ask("$JS.API.STREAM.CREATE.BARS_FRESH", OTHER), false, false),
    ("read about its stream", Try::Ask("$JS.API.STREAM.INFO.BARS_DEFAULT", ""), true, true),
    ("read about another stream", Try::Ask("$JS.API.STREAM.INFO.BARS_OTHER", ""), false, true),
    ("create a consumer", Try::Ask("$JS.API.CONSUMER.CREATE.BARS_DEFAULT.reader", READING), true, true),
    ("read a bar", Try::Ask("$JS.API.CONSUMER.MSG.NEXT.BARS_DEFAULT.reader", ""), true, true),
    ("list consumers", Try::Ask("$JS.API.CONSUMER.NAMES.BARS_DEFAULT", ""), false, false),
    ("list streams", Try::Ask("$JS.API.STREAM.NAMES", ""), false, false),
    ("change the stream", Try::Ask("$JS.API.STREAM.UPDATE.BARS_DEFAULT", STREAM), false, false),
    ("delete a bar", Try::Ask("$JS.API.STREAM.MSG.DELETE.BARS_DEFAULT", r#"{"seq":1}"#), false, false),
    ("purge the stream", Try::Ask("$JS.API.STREAM.PURGE.BARS_DEFAULT", ""), false, false),
    ("delete the stream", Try::Ask("$JS.API.STREAM.DELETE.BARS_DEFAULT", ""), false, false),
    ("restore a stream", Try::Ask("$JS.API.STREAM.RESTORE.BARS_FRESH", OTHER), false, false),
    ("take a snapshot", Try::Ask("$JS.API.STREAM.SNAPSHOT.BARS_DEFAULT", r#"{"deliver_subject":"_INBOX.x"}"#), false, false),
    ("write into somebody's inbox", Try::Ask("_INBOX.somebody", "x"), false, false),
    ("listen to bars past the stream", Try::Listen("bars.>"), false, false),
    ("listen to the API", Try::Listen("$JS.API.>"), false, false),
];

/// The chart's `nats.conf`, as the golden file has it, moved to this machine.
fn configuration(tls: &Path, data: &Path) -> String {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../charts/golden/default.yaml");
    let text = std::fs::read_to_string(golden).unwrap();
    let lines = text.lines().skip_while(|line| line.trim() != "nats.conf: |").skip(1);
    let config: Vec<&str> = lines.take_while(|line| *line != "---").collect();
    let config = config.join("\n");
    assert!(config.contains("verify_and_map: true"), "{config}");
    config
        .replace("$POD_NAME", "tradewind-nats-0")
        .replace("\"0.0.0.0:4222\"", "\"127.0.0.1:-1\"")
        .replace("\"0.0.0.0:8222\"", "\"127.0.0.1:-1\"")
        .replace("/etc/tradewind/tls", &tls.display().to_string())
        .replace("/data", &data.display().to_string())
        .replace("users: [", "users: [\n{user: \"CN=admin,O=tradewind\"}")
}

struct World {
    authority: Authority,
    server: NatsServer,
    _files: TempDir,
}

impl World {
    fn start() -> Self {
        let authority = Authority::new();
        let files = authority.directory("localhost", "spiffe://tradewind/tradewind-system/nats/tradewind-nats");
        let path = files.path().join("nats.conf");
        std::fs::write(&path, configuration(files.path(), &files.path().join("jetstream"))).unwrap();
        let server = NatsServer::start_with_configuration(&path).unwrap();
        Self { authority, server, _files: files }
    }

    async fn bus(&self, uri: &str) -> Result<Bus, String> {
        let directory = self.authority.directory("localhost", uri);
        let url = format!("tls://localhost:{}", self.server.port());
        let tls = Some(TlsFiles::in_directory(directory.path()));
        Bus::connect(&BusAddress { url, name: "test".into(), tls }).await.map_err(|error| error.to_string())
    }

    async fn client(&self, uri: &str) -> Result<(Client, mpsc::UnboundedReceiver<String>), String> {
        self.claiming(uri, None).await
    }

    /// A client that also says in words who it is.
    async fn claiming(&self, uri: &str, user: Option<&str>) -> Result<(Client, mpsc::UnboundedReceiver<String>), String> {
        tradewind_wire::tls::install_provider();
        let files = self.authority.directory("localhost", uri);
        let (told, errors) = mpsc::unbounded_channel();
        let options = async_nats::ConnectOptions::new()
            .require_tls(true)
            .max_reconnects(1)
            .add_root_certificates(files.path().join("ca.crt"))
            .add_client_certificate(files.path().join("tls.crt"), files.path().join("tls.key"))
            .event_callback(move |event| {
                let told = told.clone();
                async move {
                    if let Event::ServerError(error) = event {
                        drop(told.send(error.to_string().to_lowercase()));
                    }
                }
            });
        let options = match user {
            Some(user) => options.user_and_password(user.to_owned(), String::new()),
            None => options,
        };
        let client = options.connect(format!("tls://localhost:{}", self.server.port())).await;
        client.map(|client| (client, errors)).map_err(|error| error.to_string())
    }
}

/// Whether the server lets it happen. A refusal is an error that names the subject; the server answers in order, so that
/// one about a subject that nobody may use shows that none came for what was sent before.
async fn attempt(client: &Client, errors: &mut mpsc::UnboundedReceiver<String>, what: Try, number: usize) -> bool {
    const MARKER: &str = "tradewind.nobody.may";
    let (subject, mut answers) = match what {
        Try::Listen(subject) => (subject.to_owned(), client.subscribe(subject).await.unwrap()),
        Try::Ask(subject, payload) => {
            let own = |text: &str| text.replace("reader", &format!("reader{number}"));
            let (subject, inbox) = (own(subject), client.new_inbox());
            let answers = client.subscribe(inbox.clone()).await.unwrap();
            client.publish_with_reply(subject.clone(), inbox, own(payload).into()).await.unwrap();
            (subject, answers)
        }
    };
    client.publish(MARKER, "".into()).await.unwrap();
    let mut refused = false;
    loop {
        let error = tokio::time::timeout(LIMIT, errors.recv()).await.unwrap().unwrap();
        if error.contains(MARKER) {
            break;
        }
        refused |= error.contains("permissions violation") && error.contains(&subject.to_lowercase());
    }
    if let (Try::Ask(..), false) = (what, refused) {
        // what is let through is also done, not only heard
        let answer = tokio::time::timeout(LIMIT, futures::StreamExt::next(&mut answers)).await.unwrap().unwrap();
        let text = String::from_utf8_lossy(&answer.payload).into_owned();
        assert!(answer.status.is_none() && !text.contains("\"error\""), "{subject}: {:?} {text}", answer.status);
    }
    !refused
}

#[tokio::test]
#[ignore = "needs the NATS server that `make test` builds"]
async fn every_identity_on_every_subject() {
    let world = World::start();
    let admin = world.bus(ADMIN).await.unwrap();
    for feed in ["default", "other"] {
        let feed = admin.ensure_feed(&feed.parse::<FeedName>().unwrap()).await.unwrap();
        let bar = v1::Bar { symbol: "SPX".into(), ..Default::default() };
        feed.send(&bar, 0).await.unwrap().acknowledged().await.unwrap();
    }
    println!();
    for (number, (name, uri)) in IDENTITIES.into_iter().enumerate() {
        let column = match name {
            "market" => Some(0),
            "policy" | "inference" | "risk" | "policy, other namespace" => Some(1),
            _ => None,
        };
        let connected = world.client(uri).await;
        let Some(column) = column else {
            let error = connected.err().unwrap_or_else(|| panic!("{name} was let in"));
            for user in ["CN=policy,O=tradewind", MARKET] {
                assert!(world.claiming(uri, Some(user)).await.is_err(), "{name} was let in because it said {user}");
            }
            println!("{name}: no connection ({error})");
            continue;
        };
        let (client, mut errors) = if column == 1 {
            world.claiming(uri, Some(MARKET)).await.unwrap() // words change nothing
        } else {
            connected.unwrap()
        };
        println!("{name}:");
        for (what, subject, market, reader) in TRIES {
            let allowed = attempt(&client, &mut errors, subject, number).await;
            println!("    {:<36} {}", what, if allowed { "yes" } else { "refused" });
            assert_eq!(allowed, if column == 0 { market } else { reader }, "{name}: {what}");
        }
    }
    let head = admin.open_feed(&"default".parse().unwrap()).await.unwrap().head().await.unwrap();
    assert_eq!((head.first, head.last), (1, 2), "the first bar, and the one that the market added");
}

#[tokio::test]
#[ignore = "needs the NATS server that `make test` builds"]
async fn the_processes_do_their_work_with_these_permissions() {
    let world = World::start();
    let name: FeedName = "default".parse().unwrap();
    let market = world.bus(MARKET).await.unwrap().ensure_feed(&name).await.unwrap();
    for index in 0..3 {
        let bar = v1::Bar { symbol: "SPX".into(), index, ..Default::default() };
        market.send(&bar, index).await.unwrap().acknowledged().await.unwrap();
    }
    assert_eq!(market.read(1, 3).await.unwrap().len(), 3);
    for (_, uri) in &IDENTITIES[1..4] {
        let feed = world.bus(uri).await.unwrap().open_feed(&name).await.unwrap();
        assert_eq!((feed.head().await.unwrap().last, feed.read(1, 3).await.unwrap().len()), (3, 3));
        assert!(world.bus(uri).await.unwrap().ensure_feed(&"fresh".parse().unwrap()).await.is_err());
    }
}

/// A consumer may name a subject to deliver to. It must not become a way to publish.
#[tokio::test]
#[ignore = "needs the NATS server that `make test` builds"]
async fn a_reader_cannot_have_bars_delivered_into_another_feed() {
    let world = World::start();
    let admin = world.bus(ADMIN).await.unwrap();
    let (mut feeds, bar) = (Vec::new(), v1::Bar { symbol: "SPX".into(), ..Default::default() });
    for feed in ["default", "other"] {
        feeds.push(admin.ensure_feed(&feed.parse::<FeedName>().unwrap()).await.unwrap());
    }
    feeds[0].send(&bar, 0).await.unwrap().acknowledged().await.unwrap();
    let (client, mut errors) = world.client(IDENTITIES[1].1).await.unwrap();
    for (name, target) in [("evil1", "bars.other.SPX"), ("evil2", "$JS.API.STREAM.DELETE.BARS_OTHER")] {
        let config = format!(
            r#"{{"stream_name":"BARS_DEFAULT","config":{{"name":"{name}","deliver_subject":"{target}","deliver_policy":"all","ack_policy":"none","replay_policy":"instant","mem_storage":true,"inactive_threshold":60000000000}}}}"#
        );
        let subject = format!("$JS.API.CONSUMER.CREATE.BARS_DEFAULT.{name}");
        let asking = client.request(subject, config.into());
        tokio::select! {
            answer = asking => println!("{target}: {}", String::from_utf8_lossy(&answer.unwrap().payload)),
            error = errors.recv() => println!("{target}: {error:?}"),
        }
    }
    // A consumer of the same kind that delivers to its owner shows when both bars went out.
    let inbox = client.new_inbox();
    let mut delivered = client.subscribe(inbox.clone()).await.unwrap();
    let honest = format!(
        r#"{{"stream_name":"BARS_DEFAULT","config":{{"name":"honest","deliver_subject":"{inbox}","deliver_policy":"all","ack_policy":"none","replay_policy":"instant","mem_storage":true,"inactive_threshold":60000000000}}}}"#
    );
    client.request("$JS.API.CONSUMER.CREATE.BARS_DEFAULT.honest", honest.into()).await.unwrap();
    feeds[0].send(&v1::Bar { index: 1, ..bar.clone() }, 1).await.unwrap().acknowledged().await.unwrap();
    for _ in 0..2 {
        tokio::time::timeout(LIMIT, futures::StreamExt::next(&mut delivered)).await.unwrap().unwrap();
    }
    let other = feeds[1].head().await.expect("the other stream is still there");
    assert_eq!(other.last, 0, "nothing was written into the other feed");
}
