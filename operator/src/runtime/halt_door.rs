//! The door for `kubectl tradewind halt --now`: a person is recognised, is asked whether they may, and the risk process is
//! called at once. What they ask for is latched there, with their name.
//!
//! It listens on the loopback address of the leader's pod only, and is reached by a port forward through the API server: so it
//! needs neither a Service nor a certificate that a laptop would have to trust, both ends of the way are encrypted by the
//! cluster itself, and whoever comes needs the right to forward. The proxy of the API server for Services would not do: it
//! takes the `Authorization` header away.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::PostParams;
use kube::{Api, Client};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tradewind_crds::names;
use tradewind_wire::v1::HaltNowRequest;

use super::caches::Caches;
use super::halts::{HaltOrder, Halts, risk_endpoint};

/// Port on the loopback address of the operator's pod.
pub const PORT: u16 = 9101;
/// Verb that a person needs on `riskprofiles/NAME`.
pub const VERB: &str = "halt";
/// One question to the API server takes no longer.
const DEADLINE: Duration = Duration::from_secs(5);

/// Body of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// Why.
    pub reason: String,
}

/// Answer to a request that was obeyed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Obeyed {
    /// Account that is halted.
    pub account: String,
    /// Id that `spec.acknowledgeHalt` has to name.
    pub halt_id: String,
    /// As whom the person was recognised.
    pub actor: String,
}

/// Why a request was not obeyed.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("no bearer token in the Authorization header")]
    NoToken,
    #[error("the API server does not know this token: {0}")]
    Unknown(String),
    #[error(
        "{user} may not {VERB} riskprofiles.tradewind.dev/{name} in namespace {namespace}; a role has to allow the verb '{VERB}'"
    )]
    Forbidden { user: String, namespace: String, name: String },
    #[error("RiskProfile {name} does not exist in namespace {namespace}, or cannot be read; spec.halt of it stops it too")]
    NoProfile { namespace: String, name: String },
    #[error("the body is no {{\"reason\": \"...\"}}: {0}")]
    Body(serde_json::Error),
    #[error("the API server could not be asked: {0}")]
    Review(String),
    #[error("the risk process of {account} does not answer: {reason}; set spec.halt of the RiskProfile")]
    Risk { account: String, reason: String },
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let code = match &self {
            Self::NoToken | Self::Unknown(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden { .. } => StatusCode::FORBIDDEN,
            Self::NoProfile { .. } => StatusCode::NOT_FOUND,
            Self::Body(_) => StatusCode::BAD_REQUEST,
            Self::Review(_) | Self::Risk { .. } => StatusCode::BAD_GATEWAY,
        };
        (code, format!("{self}\n")).into_response()
    }
}

/// What the door needs.
#[derive(Clone, Debug)]
pub struct Door {
    /// Accounts of the profiles.
    pub caches: Caches,
    /// Calls to risk processes.
    pub halts: Halts,
    /// Who asks, and whether they may.
    pub reviewer: Reviewer,
}

/// Asks the API server about people.
#[derive(Clone)]
pub struct Reviewer(Client);

impl std::fmt::Debug for Reviewer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reviewer").finish_non_exhaustive()
    }
}

impl Reviewer {
    /// Asks through `client`.
    #[must_use]
    pub const fn new(client: Client) -> Self {
        Self(client)
    }

    async fn create<K>(&self, object: &K) -> Result<K, Refused>
    where
        K: kube::Resource<Scope = kube::core::ClusterResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + Serialize
            + serde::de::DeserializeOwned,
    {
        let api: Api<K> = Api::all(self.0.clone());
        let params = PostParams::default();
        match tokio::time::timeout(DEADLINE, api.create(&params, object)).await {
            Ok(answer) => answer.map_err(|error| Refused::Review(error.to_string())),
            Err(_) => Err(Refused::Review(format!("no answer within {DEADLINE:?}"))),
        }
    }

    /// Whose token it is.
    async fn user(&self, token: &str) -> Result<UserInfo, Refused> {
        let spec = TokenReviewSpec { token: Some(token.to_owned()), ..TokenReviewSpec::default() };
        let review = self.create(&TokenReview { spec, ..TokenReview::default() }).await?;
        let status = review.status.unwrap_or_default();
        match status.user.filter(|_| status.authenticated == Some(true)) {
            Some(user) if user.username.as_deref().is_some_and(|name| !name.is_empty()) => Ok(user),
            _ => Err(Refused::Unknown(status.error.unwrap_or_else(|| "it is not valid".to_owned()))),
        }
    }

    /// Whether they may halt this profile.
    async fn may_halt(&self, user: &UserInfo, namespace: &str, name: &str) -> Result<(), Refused> {
        let text = |text: &str| Some(text.to_owned());
        let spec = SubjectAccessReviewSpec {
            user: user.username.clone(),
            uid: user.uid.clone(),
            groups: user.groups.clone(),
            extra: user.extra.clone(),
            resource_attributes: Some(ResourceAttributes {
                group: text(tradewind_crds::GROUP),
                resource: text("riskprofiles"),
                namespace: text(namespace),
                name: text(name),
                verb: text(VERB),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        };
        let review = self.create(&SubjectAccessReview { spec, ..SubjectAccessReview::default() }).await?;
        if review.status.is_some_and(|status| status.allowed && status.denied != Some(true)) {
            return Ok(());
        }
        let user = user.username.clone().unwrap_or_default();
        Err(Refused::Forbidden { user, namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

/// The routes.
pub fn router(door: Door) -> Router {
    Router::new().route("/v1/halt/{namespace}/{profile}", post(answer)).with_state(door)
}

async fn answer(
    State(door): State<Door>,
    Path((namespace, name)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match halt(&door, &namespace, &name, &headers, &body).await {
        Ok(obeyed) => match serde_json::to_string(&obeyed) {
            Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
        },
        Err(refused) => {
            tracing::warn!(namespace, name, %refused, "a halt was refused");
            refused.into_response()
        }
    }
}

async fn halt(door: &Door, namespace: &str, name: &str, headers: &HeaderMap, body: &[u8]) -> Result<Obeyed, Refused> {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = authorization.and_then(|value| value.strip_prefix("Bearer ")).filter(|token| !token.is_empty());
    let user = door.reviewer.user(token.ok_or(Refused::NoToken)?).await?;
    door.reviewer.may_halt(&user, namespace, name).await?;
    let wish: Wish = serde_json::from_slice(body).map_err(Refused::Body)?;
    let profile = door.caches.profiles.get(namespace, name).and_then(|guarded| guarded.0.clone().ok());
    let absent = || Refused::NoProfile { namespace: namespace.to_owned(), name: name.to_owned() };
    let account = profile.ok_or_else(absent)?.spec.account;
    let actor = user.username.unwrap_or_default();
    tracing::warn!(namespace, name, actor, reason = wish.reason, "a halt is asked for directly");
    let request = HaltNowRequest { account: account.clone(), actor: actor.clone(), reason: wish.reason, generation: 0 };
    let order = HaltOrder { endpoint: risk_endpoint(&names::risk(name), namespace), request };
    let silent = |reason| Refused::Risk { account: account.clone(), reason };
    let halt_id = door.halts.call(order).await.map_err(silent)?;
    Ok(Obeyed { account, halt_id, actor })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use axum::body::Body;
    use http_body_util::BodyExt;
    use kube::runtime::watcher::Event;
    use serde_json::{Value, json};
    use std::sync::{Arc, Mutex};
    use tower::ServiceExt;
    use tradewind_crds::samples;

    /// An API server that knows anna's token, who may halt, and bob's, who may not.
    fn reviewer() -> Reviewer {
        let service = tower::service_fn(|request: http::Request<kube::client::Body>| async move {
            let path = request.uri().path().to_owned();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let mut object: Value = serde_json::from_slice(&body).unwrap();
            let user = match object["spec"]["token"].as_str() {
                Some("token-of-anna") => "anna",
                Some("token-of-bob") => "bob",
                _ => "",
            };
            let asked = &object["spec"]["resourceAttributes"];
            let right = asked["verb"] == "halt" && asked["resource"] == "riskprofiles" && asked["group"] == "tradewind.dev";
            let may = right && asked["name"] == "main" && asked["namespace"] == "trading" && object["spec"]["user"] == "anna";
            object["status"] = match path.rsplit('/').next() {
                Some("tokenreviews") => {
                    json!({ "authenticated": !user.is_empty(), "user": { "username": user, "groups": ["desk"] } })
                }
                _ => json!({ "allowed": may }),
            };
            let answer = http::Response::builder().status(201).body(kube::client::Body::from(object.to_string().into_bytes()));
            Ok::<_, std::convert::Infallible>(answer.unwrap())
        });
        Reviewer::new(Client::new(service, "default"))
    }

    type Calls = Arc<Mutex<Vec<HaltOrder>>>;

    fn door(answers: bool) -> (Router, Calls) {
        let (caches, mut writers) = Caches::new();
        let mut profile = serde_json::to_value(samples::profile("main", "paper-1")).unwrap();
        profile["metadata"]["namespace"] = json!("trading");
        writers.profiles.apply_watcher_event(&Event::Apply(serde_json::from_value(profile).unwrap()));
        let calls = Calls::default();
        let made = Arc::clone(&calls);
        let halts = Halts::new(Arc::new(move |order| {
            made.lock().unwrap().push(order);
            Box::pin(async move { if answers { Ok("halt-3-0a1b2c3d4e5f".to_owned()) } else { Err("refused".to_owned()) } })
        }));
        (router(Door { caches, halts, reviewer: reviewer() }), calls)
    }

    async fn ask(router: &Router, profile: &str, token: &str, body: &str) -> (StatusCode, String) {
        let mut request = axum::http::Request::post(format!("/v1/halt/trading/{profile}"));
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let answer = router.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
        let status = answer.status();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    const BODY: &str = r#"{"reason":"fat finger"}"#;

    #[tokio::test]
    async fn a_person_who_may_halts_the_account_in_their_own_name() {
        let (router, calls) = door(true);
        let (code, text) = ask(&router, "main", "token-of-anna", BODY).await;
        assert_eq!(code, StatusCode::OK, "{text}");
        let obeyed: Obeyed = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (obeyed.halt_id.as_str(), obeyed.account.as_str(), obeyed.actor.as_str()),
            ("halt-3-0a1b2c3d4e5f", "paper-1", "anna")
        );
        let calls = calls.lock().unwrap();
        let request =
            HaltNowRequest { account: "paper-1".into(), actor: "anna".into(), reason: "fat finger".into(), generation: 0 };
        assert_eq!(*calls, [HaltOrder { endpoint: "main-risk.trading.svc:9000".into(), request }]);
    }

    #[tokio::test]
    async fn nobody_else_reaches_a_risk_process() {
        let (router, calls) = door(true);
        for (profile, token, body, code) in [
            ("main", "", BODY, StatusCode::UNAUTHORIZED),
            ("main", "made-up", BODY, StatusCode::UNAUTHORIZED),
            ("main", "token-of-bob", BODY, StatusCode::FORBIDDEN),
            ("other", "token-of-anna", BODY, StatusCode::FORBIDDEN),
            ("main", "token-of-anna", "{}", StatusCode::BAD_REQUEST),
            ("main", "token-of-anna", r#"{"reason":"x","account":"paper-2"}"#, StatusCode::BAD_REQUEST),
        ] {
            let (seen, text) = ask(&router, profile, token, body).await;
            assert_eq!(seen, code, "{profile} {token} {body}: {text}");
        }
        assert_eq!(*calls.lock().unwrap(), vec![]);
    }

    #[tokio::test]
    async fn a_risk_process_that_does_not_answer_is_said_so() {
        let (code, text) = ask(&door(false).0, "main", "token-of-anna", BODY).await;
        assert_eq!(code, StatusCode::BAD_GATEWAY);
        assert!(text.contains("paper-1") && text.contains("spec.halt"), "{text}");
    }
}
