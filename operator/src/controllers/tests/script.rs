//! Passes against a server that knows exactly which requests come, in which order, and fails on one more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Request, Response};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tower_test::mock::Handle;
use tradewind_crds::samples;

use crate::runtime::events::Notice;
use crate::runtime::leadership::Leadership;
use crate::runtime::metrics::Metrics;
use crate::runtime::status_writer::{Outcome, StatusWriter};
use crate::runtime::writes::Writes;

type Server = Handle<Request<Body>, Response<Body>>;

fn pair() -> (Client, Server) {
    let (service, handle) = tower_test::mock::pair();
    (Client::new(service, "default"), handle)
}

/// Takes the next request, checks method and path, answers; gives back its body.
async fn expect(server: &mut Server, method: &str, path: &str, code: u16, answer: Value) -> Value {
    let (request, reply) = server.next_request().await.expect("a request");
    let (parts, body) = request.into_parts();
    assert_eq!((parts.method.as_str(), parts.uri.path()), (method, path));
    reply.send_response(Response::builder().status(code).body(Body::from(answer.to_string().into_bytes())).unwrap());
    serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap_or(Value::Null)
}

fn writer(client: Client, held: bool) -> (StatusWriter, tokio::task::JoinHandle<()>) {
    let (sender, leadership) = Leadership::channel();
    if held {
        sender.send_replace(Some(Instant::now() + Duration::from_secs(60)));
    }
    let metrics = Metrics::global();
    let (writer, task) = StatusWriter::new(Writes::new(client, leadership, metrics.clone()), metrics, "pod-a");
    (
        writer,
        tokio::spawn(async move {
            let _held = sender; // as long as the writer lives
            task.await;
        }),
    )
}

fn stored() -> tradewind_crds::ModelCheckpoint {
    let mut checkpoint = samples::checkpoint("tactical-a", 'a');
    checkpoint.metadata.namespace = Some("trading".into());
    checkpoint.metadata.resource_version = Some("41".into());
    checkpoint.metadata.uid = Some("u".into());
    checkpoint
}

const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/trading/events";
const STATUS: &str = "/apis/tradewind.dev/v1alpha1/namespaces/trading/modelcheckpoints/tactical-a/status";

fn refusal(code: u16) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": "x", "message": "x", "metadata": {}})
}

#[tokio::test]
async fn events_go_before_the_status_and_the_status_carries_the_version_it_was_made_from() {
    let (client, mut server) = pair();
    let (writer, _task) = writer(client, true);
    let notice = Notice::normal("Verified", "Verify", "fine");
    let (before, after) = (json!({}), json!({"phase": "Verified"}));
    let object = stored();
    let write = writer.write(&object, &before, after, vec![notice]);
    let script = async {
        let event = expect(&mut server, "POST", EVENTS, 201, json!({"metadata": {"name": "e"}})).await;
        assert_eq!((event["reason"].clone(), event["regarding"]["uid"].clone()), (json!("Verified"), json!("u")));
        let status = expect(&mut server, "PATCH", STATUS, 200, serde_json::to_value(&object).unwrap()).await;
        assert_eq!(status["metadata"]["resourceVersion"], json!("41"));
        assert_eq!(status["status"], json!({"phase": "Verified"}));
        assert_eq!(
            status.as_object().unwrap().keys().collect::<Vec<_>>(),
            ["apiVersion", "kind", "metadata", "status"],
            "no spec is ever sent"
        );
    };
    let (outcome, ()) = tokio::join!(write, script);
    assert_eq!(outcome.unwrap(), Outcome::Written);
}

#[tokio::test]
async fn a_stale_writer_conflicts_and_a_repeated_event_is_fine() {
    let (client, mut server) = pair();
    let (writer, _task) = writer(client, true);
    let (object, before) = (stored(), json!({}));
    let write = writer.write(&object, &before, json!({"phase": "Verified"}), vec![Notice::normal("Verified", "Verify", "fine")]);
    let script = async {
        expect(&mut server, "POST", EVENTS, 409, refusal(409)).await;
        expect(&mut server, "PATCH", STATUS, 409, refusal(409)).await;
    };
    let (outcome, ()) = tokio::join!(write, script);
    assert_eq!(outcome.unwrap(), Outcome::Conflict);
}

#[tokio::test]
async fn a_lost_event_keeps_the_status_back_so_that_the_pass_repeats_both() {
    let (client, mut server) = pair();
    let (writer, _task) = writer(client, true);
    let (object, before) = (stored(), json!({}));
    let write = writer.write(&object, &before, json!({"phase": "Verified"}), vec![Notice::normal("Verified", "Verify", "fine")]);
    let script = async { drop(expect(&mut server, "POST", EVENTS, 500, refusal(500)).await) };
    let (outcome, ()) = tokio::join!(write, script);
    assert!(outcome.is_err());
}

#[tokio::test]
async fn nothing_is_sent_when_nothing_changed_or_the_lease_is_not_held() {
    let (client, mut server) = pair();
    let (holder, _task) = writer(client.clone(), true);
    let status = json!({"phase": "Verified"});
    assert_eq!(holder.write(&stored(), &status, status.clone(), vec![]).await.unwrap(), Outcome::Unchanged);
    let (standby, _other) = writer(client, false);
    let refused = standby.write(&stored(), &json!({}), status, vec![]).await.unwrap_err();
    assert!(refused.to_string().contains("not the leader"), "{refused}");
    drop((holder, standby));
    let asked = tokio::time::timeout(Duration::from_millis(50), server.next_request()).await;
    assert!(!matches!(asked, Ok(Some(_))), "a request was sent");
}

#[tokio::test]
async fn the_first_pass_over_a_checkpoint_sends_job_event_and_status() {
    let (client, mut server) = pair();
    let operator = super::cluster::Operator::start_with(&super::authority(), client);
    let object = stored();
    let reconcile = crate::controllers::model_checkpoint::reconcile(Arc::new(object.clone()), Arc::clone(&operator.context));
    let name = crate::build::verification::job_name("tactical-a", &object.spec, "tradewind.dev/tradewind:1");
    let script = async {
        let job = expect(
            &mut server,
            "PATCH",
            &format!("/apis/batch/v1/namespaces/trading/jobs/{name}"),
            201,
            json!({"metadata": {"name": name, "namespace": "trading"}}),
        )
        .await;
        assert_eq!(job["spec"]["backoffLimit"], json!(0));
        expect(&mut server, "POST", EVENTS, 201, json!({"metadata": {"name": "e"}})).await;
        let status = expect(&mut server, "PATCH", STATUS, 200, serde_json::to_value(&object).unwrap()).await;
        assert_eq!(status["status"]["phase"], json!("Verifying"));
    };
    let (outcome, ()) = tokio::join!(reconcile, script);
    outcome.unwrap();
}
