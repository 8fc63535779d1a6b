//! An API server in memory, as far as the operator uses one. It keeps a list of all writes, and can take the operator down
//! right after any of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use http::{Method, Request, Response};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::Notify;

/// Plural, namespace, name.
pub(super) type Key = (String, String, String);

#[derive(Clone, Default)]
pub(super) struct State {
    pub(super) objects: BTreeMap<Key, Value>,
    /// `verb plural/name`, in order.
    pub(super) writes: Vec<String>,
    version: u64,
    uids: u64,
}

#[derive(Clone, Default)]
pub(super) struct Server {
    pub(super) state: Arc<Mutex<State>>,
    /// Take the operator down after this many more writes.
    die_after: Arc<Mutex<Option<usize>>>,
    pub(super) died: Arc<Notify>,
}

struct Path {
    plural: String,
    namespace: String,
    name: String,
    sub: String,
}

fn parse(uri: &str) -> Path {
    let path = uri.split('?').next().unwrap();
    let mut parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let skip = if parts[0] == "api" { 2 } else { 3 };
    parts.drain(..skip);
    let namespaced = parts[0] == "namespaces" && parts.len() > 2;
    let namespace = if namespaced { parts.drain(..2).nth(1).unwrap() } else { "" };
    let at = |i: usize| parts.get(i).copied().unwrap_or_default().to_owned();
    Path { plural: at(0), namespace: namespace.to_owned(), name: at(1), sub: at(2) }
}

fn answer(code: u16, body: &Value) -> Response<Body> {
    Response::builder().status(code).body(Body::from(body.to_string().into_bytes())).unwrap()
}

fn refusal(code: u16, reason: &str) -> Response<Body> {
    answer(code, &json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": reason}))
}

impl Server {
    pub(super) fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move { Ok::<_, std::convert::Infallible>(server.handle(request).await) }
        });
        Client::new(service, "default")
    }

    /// A copy whose later writes do not touch this one.
    pub(super) fn fork(&self) -> Self {
        let state = self.state.lock().unwrap().clone();
        Self { state: Arc::new(Mutex::new(State { writes: Vec::new(), ..state })), ..Self::default() }
    }

    pub(super) fn die_after(&self, writes: usize) {
        *self.die_after.lock().unwrap() = Some(writes);
    }

    async fn handle(&self, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let uri = parts.uri.to_string();
        let body: Value = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap_or(Value::Null);
        let path = parse(&uri);
        let (wrote, response) = match parts.method {
            Method::GET => (false, self.get(&path, &uri)),
            Method::PATCH if path.sub == "status" => self.patch_status(&path, &body),
            Method::PATCH => (true, self.apply(&path, body)),
            Method::POST => self.create(&path, body),
            Method::DELETE => self.delete(&path, &body),
            other => panic!("unexpected {other} {uri}"),
        };
        if wrote && self.last_write_kills() {
            self.died.notify_one();
            return std::future::pending().await;
        }
        response
    }

    fn last_write_kills(&self) -> bool {
        let mut left = self.die_after.lock().unwrap();
        *left = left.map(|n| n - 1);
        if *left == Some(0) {
            *left = None;
            return true;
        }
        false
    }

    fn get(&self, path: &Path, uri: &str) -> Response<Body> {
        let state = self.state.lock().unwrap();
        if !path.name.is_empty() {
            let key = (path.plural.clone(), path.namespace.clone(), path.name.clone());
            return state.objects.get(&key).map_or_else(|| refusal(404, "NotFound"), |object| answer(200, object));
        }
        let node = uri.split("spec.nodeName%3D").nth(1).map(|rest| rest.split("%2C").next().unwrap().to_owned());
        let items: Vec<&Value> = state
            .objects
            .iter()
            .filter(|((plural, _, _), object)| {
                *plural == path.plural && node.as_ref().is_none_or(|node| object["spec"]["nodeName"] == json!(node))
            })
            .map(|(_, object)| object)
            .collect();
        answer(200, &json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "1"}, "items": items}))
    }

    fn apply(&self, path: &Path, body: Value) -> Response<Body> {
        let mut state = self.state.lock().unwrap();
        state.writes.push(format!("apply {}/{}", path.plural, path.name));
        let key = (path.plural.clone(), path.namespace.clone(), path.name.clone());
        let stored = state.put(key, body);
        answer(200, &stored)
    }

    fn create(&self, path: &Path, body: Value) -> (bool, Response<Body>) {
        let mut state = self.state.lock().unwrap();
        let name = body["metadata"]["name"].as_str().unwrap().to_owned();
        let key = (path.plural.clone(), path.namespace.clone(), name.clone());
        if state.objects.contains_key(&key) {
            return (false, refusal(409, "AlreadyExists"));
        }
        let what = if path.plural == "events" { body["reason"].as_str().unwrap().to_owned() } else { name };
        state.writes.push(format!("create {}/{what}", path.plural));
        let stored = state.put(key, body);
        (true, answer(201, &stored))
    }

    fn patch_status(&self, path: &Path, body: &Value) -> (bool, Response<Body>) {
        let mut state = self.state.lock().unwrap();
        let key = (path.plural.clone(), path.namespace.clone(), path.name.clone());
        let Some(stored) = state.objects.get(&key).cloned() else { return (false, refusal(404, "NotFound")) };
        if stored["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"] {
            return (false, refusal(409, "Conflict"));
        }
        let rollout = &body["status"]["rollout"];
        let note = match rollout["phase"].as_str() {
            Some(phase) => format!(
                "{phase} {} of {}",
                rollout["weightBps"],
                body["status"]["candidate"]["checkpoints"].as_str().unwrap_or("-")
            ),
            None => body["status"]["reason"].as_str().unwrap_or("-").to_owned(),
        };
        state.writes.push(format!("status {}/{} {note}", path.plural, path.name));
        let mut next = stored;
        next["status"] = body["status"].clone();
        state.bump(&mut next);
        state.objects.insert(key, next.clone());
        (true, answer(200, &next))
    }

    fn delete(&self, path: &Path, body: &Value) -> (bool, Response<Body>) {
        let mut state = self.state.lock().unwrap();
        let key = (path.plural.clone(), path.namespace.clone(), path.name.clone());
        let Some(stored) = state.objects.get(&key).cloned() else { return (false, refusal(404, "NotFound")) };
        let wanted = &body["preconditions"]["uid"];
        if !wanted.is_null() && *wanted != stored["metadata"]["uid"] {
            return (false, refusal(409, "Conflict"));
        }
        state.writes.push(format!("delete {}/{}", path.plural, path.name));
        state.remove(&key);
        (true, answer(200, &json!({"kind": "Status", "status": "Success"})))
    }
}

impl State {
    fn bump(&mut self, object: &mut Value) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
    }

    /// Stores an object, as new or as another generation; its status stays.
    pub(super) fn put(&mut self, key: Key, mut object: Value) -> Value {
        let before = self.objects.get(&key);
        let (uid, generation, created) = match before {
            Some(before) => {
                let changed = before["spec"] != object["spec"];
                let generation = before["metadata"]["generation"].as_i64().unwrap_or(1) + i64::from(changed);
                (before["metadata"]["uid"].clone(), generation, before["metadata"]["creationTimestamp"].clone())
            }
            None => {
                self.uids += 1;
                let created = format!("2026-01-01T00:{:02}:{:02}Z", self.uids / 60, self.uids % 60);
                (json!(format!("uid-{}", self.uids)), 1, json!(created))
            }
        };
        if let Some(before) = before
            && !before["status"].is_null()
        {
            object["status"] = before["status"].clone();
        }
        object["metadata"]["uid"] = uid;
        object["metadata"]["generation"] = json!(generation);
        object["metadata"]["creationTimestamp"] = created;
        self.bump(&mut object);
        self.objects.insert(key, object.clone());
        object
    }

    /// Removes an object and everything that it owns, as the garbage collector does.
    pub(super) fn remove(&mut self, key: &Key) {
        let Some(gone) = self.objects.remove(key) else { return };
        let uid = gone["metadata"]["uid"].clone();
        let orphans: Vec<Key> = self
            .objects
            .iter()
            .filter(|(_, object)| {
                object["metadata"]["ownerReferences"]
                    .as_array()
                    .is_some_and(|owners| owners.iter().any(|owner| owner["uid"] == uid))
            })
            .map(|(key, _)| key.clone())
            .collect();
        for orphan in orphans {
            self.remove(&orphan);
        }
    }
}
