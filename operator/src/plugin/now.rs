//! `halt --now`: straight through the operator to the risk process, in the name of whoever asks.

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use kube::api::PostParams;
use kube::client::{Body, ConfigExt};
use kube::{Api, Client, Config};
use tower::{BoxError, Layer, ServiceExt};

use crate::runtime::halt_door::{Obeyed, PORT, Wish};
use crate::service::LEASE;

/// Why the operator was not reached, or did not obey.
#[derive(Debug, thiserror::Error)]
pub enum NowError {
    /// The kubeconfig identifies its user by a certificate, which cannot be handed on.
    #[error(
        "this kubeconfig has no token that the operator could be shown (it uses a client certificate): name a service account \
         with --service-account whose token you may request, or use `kubectl tradewind halt --profile` without --now"
    )]
    NoToken,
    /// The token of the kubeconfig cannot be had.
    #[error("the token of the kubeconfig: {0}")]
    Token(BoxError),
    /// The API server refused.
    #[error("{what}: {source}")]
    Api {
        /// What was asked.
        what: String,
        /// Its answer.
        source: Box<kube::Error>,
    },
    /// Nobody works as the operator.
    #[error(
        "nobody holds the lease {LEASE} in namespace {0}: no operator works there. Is it installed elsewhere (--operator-namespace)? \
         `kubectl tradewind halt --profile` without --now needs none"
    )]
    NoOperator(String),
    /// The connection failed.
    #[error("port {PORT} of pod {pod}: {reason}; `kubectl tradewind halt --profile` without --now needs no operator")]
    Connection {
        /// Pod of the operator.
        pod: String,
        /// Reason.
        reason: String,
    },
    /// The operator said no.
    #[error("the operator refused ({code}): {text}")]
    Refused {
        /// HTTP status.
        code: u16,
        /// What it said.
        text: String,
    },
}

/// The `Authorization` header that the client of this configuration sends; `None` when it uses a certificate.
///
/// # Errors
/// [`NowError::Token`] when a program that gives tokens fails.
pub(super) async fn authorization(config: &Config) -> Result<Option<HeaderValue>, NowError> {
    let Some(layer) = config.auth_layer().map_err(|error| NowError::Token(error.into()))? else { return Ok(None) };
    let echo = tower::service_fn(|request: Request<Body>| async move {
        Ok::<_, BoxError>(http::Response::new(request.headers().get(AUTHORIZATION).cloned()))
    });
    let answer = layer.layer(echo).oneshot(Request::new(Body::empty())).await;
    Ok(answer.map_err(NowError::Token)?.into_body())
}

/// A token of a service account for a quarter of an hour, for those whose kubeconfig has none.
///
/// # Errors
/// [`NowError::Api`], [`NowError::NoToken`].
pub(super) async fn service_account(client: &Client, namespace: &str, name: &str) -> Result<HeaderValue, NowError> {
    let api: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let spec = TokenRequestSpec { expiration_seconds: Some(900), ..TokenRequestSpec::default() };
    let request = TokenRequest { spec, ..TokenRequest::default() };
    let what = format!("a token of service account {name} in namespace {namespace}");
    let answer = api.create_token_request(name, &PostParams::default(), &request).await;
    let token = answer.map_err(|source| NowError::Api { what, source: Box::new(source) })?.status.map(|status| status.token);
    token.and_then(|token| HeaderValue::from_str(&format!("Bearer {token}")).ok()).ok_or(NowError::NoToken)
}

/// Asks the operator that holds the lease to halt a profile.
///
/// # Errors
/// [`NowError`].
pub(super) async fn halt(
    client: &Client,
    operator_namespace: &str,
    (namespace, profile): (&str, &str),
    authorization: HeaderValue,
    reason: &str,
) -> Result<Obeyed, NowError> {
    let api = |what: &str, source: kube::Error| NowError::Api { what: what.to_owned(), source: Box::new(source) };
    let leases: Api<Lease> = Api::namespaced(client.clone(), operator_namespace);
    let lease = leases.get_opt(LEASE).await.map_err(|error| api("the operator's lease", error))?;
    let holder = lease.and_then(|lease| lease.spec).and_then(|spec| spec.holder_identity).filter(|pod| !pod.is_empty());
    let pod = holder.ok_or_else(|| NowError::NoOperator(operator_namespace.to_owned()))?;
    let lost = |reason: String| NowError::Connection { pod: pod.clone(), reason };
    let pods: Api<Pod> = Api::namespaced(client.clone(), operator_namespace);
    let mut forward = pods.portforward(&pod, &[PORT]).await.map_err(|error| api("a port forward to the operator", error))?;
    let stream = forward.take_stream(PORT).ok_or_else(|| lost("no stream was opened".to_owned()))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| lost(error.to_string()))?;
    let driver = tokio::spawn(connection);
    let body = serde_json::to_vec(&Wish { reason: reason.to_owned() }).map_err(|error| lost(error.to_string()))?;
    let request = Request::post(format!("/v1/halt/{namespace}/{profile}"))
        .header(http::header::HOST, "localhost")
        .header(AUTHORIZATION, authorization)
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(hyper::body::Bytes::from(body)))
        .map_err(|error| lost(error.to_string()))?;
    let answer = sender.send_request(request).await.map_err(|error| lost(error.to_string()))?;
    let code = answer.status().as_u16();
    let bytes = answer.into_body().collect().await.map_err(|error| lost(error.to_string()))?.to_bytes();
    driver.abort();
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    if code != 200 {
        return Err(NowError::Refused { code, text });
    }
    serde_json::from_str(&text).map_err(|error| NowError::Refused { code, text: format!("{error} in {text}") })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use kube::config::AuthInfo;

    #[tokio::test]
    async fn the_token_of_the_kubeconfig_is_shown_and_a_certificate_is_none() {
        let mut config = Config::new("https://127.0.0.1:6443".parse().unwrap());
        assert!(authorization(&config).await.unwrap().is_none());
        config.auth_info = AuthInfo { token: Some("abc".to_owned().into()), ..AuthInfo::default() };
        assert_eq!(authorization(&config).await.unwrap().unwrap(), "Bearer abc");
    }
}
