//! The connection to the API server dies without a word: nothing is closed, nothing is answered any more. A halt that is
//! written then is seen within two seconds.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use kube::api::{Api, ApiResource, DynamicObject};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tradewind_wire::probes::Readiness;

/// Between two looks: a loop without a pause takes the CPU from what it waits for.
const PAUSE: Duration = Duration::from_millis(5);

/// The object that the scripted API server has; its version is its generation.
#[derive(Clone)]
struct Server(watch::Sender<(u64, bool)>);

impl Server {
    fn object(version: u64, halt: bool) -> Value {
        json!({
            "apiVersion": "tradewind.dev/v1alpha1", "kind": "RiskProfile",
            "metadata": { "name": "main", "namespace": "trading", "resourceVersion": version.to_string(), "generation": version },
            "spec": { "halt": halt }
        })
    }

    async fn start() -> (Self, SocketAddr) {
        let server = Self(watch::Sender::new((1, false)));
        let path = "/apis/tradewind.dev/v1alpha1/namespaces/trading/riskprofiles";
        let router = Router::new().route(path, get(list)).route(&format!("{path}/{{name}}"), get(one)).with_state(server.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        (server, address)
    }
}

fn answer(object: &Value) -> Response {
    ([("content-type", "application/json")], object.to_string()).into_response()
}

async fn one(State(server): State<Server>, Path(_): Path<String>) -> Response {
    let (version, halt) = *server.0.borrow();
    answer(&Server::object(version, halt))
}

async fn list(State(server): State<Server>, Query(query): Query<Vec<(String, String)>>) -> Response {
    if !query.iter().any(|(key, value)| key == "watch" && value != "false") {
        let (version, halt) = *server.0.borrow();
        let list = json!({
            "apiVersion": "tradewind.dev/v1alpha1", "kind": "RiskProfileList",
            "metadata": { "resourceVersion": version.to_string() }, "items": [Server::object(version, halt)]
        });
        return answer(&list);
    }
    let events = futures::stream::unfold(server.0.subscribe(), |mut seen| async move {
        seen.changed().await.ok()?;
        let (version, halt) = *seen.borrow_and_update();
        let event = json!({ "type": "MODIFIED", "object": Server::object(version, halt) });
        Some((Ok::<_, std::convert::Infallible>(format!("{event}\n")), seen))
    });
    ([("content-type", "application/json")], Body::from_stream(events)).into_response()
}

/// Forwards connections until it freezes; those of before are then neither served nor closed, later ones are.
struct Proxy {
    address: SocketAddr,
    frozen: watch::Sender<bool>,
    accepted: Arc<Mutex<usize>>,
}

impl Proxy {
    async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, frozen) = (listener.local_addr().unwrap(), watch::Sender::new(false));
        let accepted = Arc::new(Mutex::new(0));
        let (state, count) = (frozen.clone(), Arc::clone(&accepted));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                *count.lock().unwrap() += 1;
                // What begins after the freeze is served.
                let stuck = (!*state.borrow()).then(|| state.subscribe());
                tokio::spawn(async move {
                    let server = TcpStream::connect(target).await.unwrap();
                    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                    tokio::join!(carry(from_client, to_server, stuck.clone()), carry(from_server, to_client, stuck));
                });
            }
        });
        Self { address, frozen, accepted }
    }

    fn freeze(&self) {
        self.frozen.send_replace(true);
    }
}

async fn carry(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut frozen: Option<watch::Receiver<bool>>,
) {
    let mut bytes = [0; 4096];
    loop {
        let freezing = async {
            match &mut frozen {
                Some(frozen) => drop(frozen.wait_for(|frozen| *frozen).await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = freezing => std::future::pending::<()>().await,
            read = from.read(&mut bytes) => match read {
                Ok(length) if length > 0 => {
                    if to.write_all(&bytes[..length]).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
        }
    }
}

/// Far from the 295 s after which kube alone gives a dead connection up, and enough for a busy machine. That the pauses
/// add up to less than 2 s is asserted where they are set.
const LIMIT: Duration = Duration::from_secs(30);

/// Generation and halt of the object.
type Seen = (i64, bool);

fn seen(object: Option<&DynamicObject>, _: Option<&Seen>) -> Option<Seen> {
    let object = object?;
    Some((object.metadata.generation?, object.data["spec"]["halt"].as_bool()?))
}

/// What is followed through `address`.
fn following(address: SocketAddr) -> (watch::Receiver<Option<Seen>>, Readiness, CancellationToken) {
    let (readiness, stop) = (Readiness::new(), CancellationToken::new());
    (following_as("main", address, &readiness, &stop), readiness, stop)
}

/// The object called `name` for a process with this readiness.
fn following_as(
    name: &str,
    address: SocketAddr,
    readiness: &Readiness,
    stop: &CancellationToken,
) -> watch::Receiver<Option<Seen>> {
    let config = kube::Config::new(format!("http://{address}").parse().unwrap());
    let client = kube::Client::try_from(config).unwrap();
    let resource = ApiResource {
        group: "tradewind.dev".into(),
        version: "v1alpha1".into(),
        api_version: "tradewind.dev/v1alpha1".into(),
        kind: "RiskProfile".into(),
        plural: "riskprofiles".into(),
    };
    let api: Api<DynamicObject> = Api::namespaced_with(client, "trading", &resource);
    let (sender, receiver) = watch::channel(None);
    tokio::spawn(tradewind_watch::follow(api, name.into(), sender, readiness.clone(), stop.clone(), seen));
    receiver
}

async fn until_seen(receiver: &mut watch::Receiver<Option<Seen>>, wanted: Seen) {
    tokio::time::timeout(LIMIT, receiver.wait_for(|seen| *seen == Some(wanted))).await.expect("seen in time").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_halt_is_seen_although_the_connection_died_silently() {
    let (server, target) = Server::start().await;
    let proxy = Proxy::start(target).await;
    let (mut receiver, _, stop) = following(proxy.address);
    until_seen(&mut receiver, (1, false)).await;
    // The watch works: a change comes by itself.
    server.0.send_replace((2, false));
    until_seen(&mut receiver, (2, false)).await;
    let before = *proxy.accepted.lock().unwrap();
    proxy.freeze();
    server.0.send_replace((3, true));
    until_seen(&mut receiver, (3, true)).await;
    assert!(*proxy.accepted.lock().unwrap() > before, "over a new connection");
    // And the watch is alive again too: what follows is seen, whichever way it comes.
    server.0.send_replace((4, false));
    until_seen(&mut receiver, (4, false)).await;
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_cannot_see_its_object_is_not_ready() {
    let (_, target) = Server::start().await;
    let proxy = Proxy::start(target).await;
    let (mut receiver, readiness, stop) = following(proxy.address);
    until_seen(&mut receiver, (1, false)).await;
    let until = async |wanted: bool| {
        let deadline = Instant::now() + LIMIT;
        while readiness.not_ready_reason().is_none() != wanted {
            assert!(Instant::now() < deadline, "{:?}", readiness.not_ready_reason());
            tokio::time::sleep_until(tokio::time::Instant::now() + PAUSE).await;
        }
    };
    until(true).await;
    // Nobody listens any more at all: neither old connections nor new ones.
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (_, silent, stopped) = following(dead.local_addr().unwrap());
    assert!(silent.not_ready_reason().unwrap().contains("watch of main: "), "{silent:?}");
    let deadline = Instant::now() + LIMIT;
    while !silent.not_ready_reason().unwrap().contains("has not answered for 3s") {
        assert!(Instant::now() < deadline, "{silent:?}");
        tokio::time::sleep_until(tokio::time::Instant::now() + PAUSE).await;
    }
    stop.cancel();
    stopped.cancel();
}

/// Risk follows its profile and its account: the answer for one of them is no answer for the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_is_read_does_not_hide_another_that_is_not() {
    let (_, target) = Server::start().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (readiness, stop) = (Readiness::new(), CancellationToken::new());
    let _unseen = following_as("account", silent.local_addr().unwrap(), &readiness, &stop);
    let mut receiver = following_as("main", target, &readiness, &stop);
    until_seen(&mut receiver, (1, false)).await;
    // The watch may have brought the object before the read that proves the connection.
    let deadline = Instant::now() + LIMIT;
    loop {
        let reason = readiness.not_ready_reason().expect("nobody has answered for the account");
        assert!(reason.contains("watch of account"), "{reason}");
        if !reason.contains("watch of main") {
            break;
        }
        assert!(Instant::now() < deadline, "{reason}");
        tokio::time::sleep_until(tokio::time::Instant::now() + PAUSE).await;
    }
    stop.cancel();
}
