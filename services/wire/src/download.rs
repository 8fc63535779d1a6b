//! Fetching a file of bounded size: `http:`, `https:`, `file:`.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::client::chain;

/// How many times a server may point elsewhere.
const REDIRECTS: usize = 5;

/// Why a file was not fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DownloadError {
    /// The address is not one that can be fetched.
    #[error("'{uri}': {detail}; write http://host/path, https://host/path or file:///path")]
    Address {
        /// Address seen.
        uri: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The source does not answer, or breaks off.
    #[error("{uri}: {detail}")]
    Unreachable {
        /// Address in question.
        uri: String,
        /// What went wrong.
        detail: String,
    },
    /// A file of this machine cannot be read.
    #[error("{uri}: {detail}; is the volume mounted?")]
    File {
        /// Address in question.
        uri: String,
        /// The system's answer.
        detail: String,
    },
    /// The source answers and has no such file.
    #[error("{uri}: the server answered {status}")]
    Status {
        /// Address in question.
        uri: String,
        /// Its answer.
        status: StatusCode,
    },
    /// The file is larger than allowed.
    #[error("{uri}: larger than the {allowed} bytes that are allowed")]
    TooLarge {
        /// Address in question.
        uri: String,
        /// Limit in bytes.
        allowed: usize,
    },
}

impl DownloadError {
    /// Whether the same fetch may succeed later. A missing file may still be uploaded.
    #[must_use]
    pub const fn may_answer_later(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Status { .. })
    }
}

/// What one fetch may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest file in bytes.
    pub bytes: usize,
    /// Longest time from the first packet to the last byte.
    pub time: Duration,
}

/// Fetches a file into memory.
///
/// # Errors
/// [`DownloadError`] names the address and the limit that was met.
pub async fn download(uri: &str, limits: Limits) -> Result<Bytes, DownloadError> {
    if let Some(path) = uri.strip_prefix("file://") {
        return read_file(uri, Path::new(path), limits.bytes);
    }
    let late = |_| DownloadError::Unreachable {
        uri: uri.to_owned(),
        detail: format!("not complete within {} s", limits.time.as_secs()),
    };
    tokio::time::timeout(limits.time, fetch(uri, limits.bytes)).await.map_err(late)?
}

fn read_file(uri: &str, path: &Path, allowed: usize) -> Result<Bytes, DownloadError> {
    let unreadable = |error: std::io::Error| DownloadError::File { uri: uri.to_owned(), detail: error.to_string() };
    let mut bytes = Vec::new();
    std::fs::File::open(path).and_then(|file| file.take(allowed as u64 + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() > allowed { Err(DownloadError::TooLarge { uri: uri.to_owned(), allowed }) } else { Ok(bytes.into()) }
}

async fn fetch(uri: &str, allowed: usize) -> Result<Bytes, DownloadError> {
    let client = client().map_err(|detail| DownloadError::Unreachable { uri: uri.to_owned(), detail })?;
    let mut at = address(uri)?;
    for _ in 0..=REDIRECTS {
        let wrong = |error: http::Error| DownloadError::Address { uri: at.to_string(), detail: error.to_string() };
        let request = Request::get(&at).header(header::USER_AGENT, "tradewind").body(Empty::<Bytes>::new()).map_err(wrong)?;
        let lost = |error: &dyn std::error::Error| DownloadError::Unreachable { uri: at.to_string(), detail: chain(error) };
        let answer = client.request(request).await.map_err(|error| lost(&error))?;
        if let Some(next) = redirect(&at, &answer)? {
            at = next;
            continue;
        }
        if answer.status() != StatusCode::OK {
            return Err(DownloadError::Status { uri: at.to_string(), status: answer.status() });
        }
        return collect(&at, answer.into_body(), allowed).await;
    }
    Err(DownloadError::Unreachable { uri: uri.to_owned(), detail: format!("more than {REDIRECTS} redirections") })
}

fn client() -> Result<Client<HttpsConnector<HttpConnector>, Empty<Bytes>>, String> {
    let provider = rustls::crypto::ring::default_provider();
    let tls = HttpsConnectorBuilder::new().with_provider_and_webpki_roots(provider).map_err(|error| error.to_string())?;
    Ok(Client::builder(TokioExecutor::new()).build(tls.https_or_http().enable_http1().build()))
}

fn address(text: &str) -> Result<Uri, DownloadError> {
    let wrong = |detail: String| DownloadError::Address { uri: text.to_owned(), detail };
    let uri: Uri = text.parse().map_err(|error: http::uri::InvalidUri| wrong(error.to_string()))?;
    match uri.scheme_str() {
        Some("http" | "https") if uri.host().is_some_and(|host| !host.is_empty()) => Ok(uri),
        Some("http" | "https") => Err(wrong("no host in it".into())),
        Some(other) => Err(wrong(format!("scheme '{other}' is not supported"))),
        None => Err(wrong("no scheme in it".into())),
    }
}

/// Where a redirection points; never from https to http.
fn redirect(at: &Uri, answer: &http::Response<Incoming>) -> Result<Option<Uri>, DownloadError> {
    if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let target = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let base = format!("{}://{}", at.scheme_str().unwrap_or("http"), at.authority().map_or("", http::uri::Authority::as_str));
    let next = if target.starts_with('/') { address(&format!("{base}{target}"))? } else { address(target)? };
    if at.scheme_str() == Some("https") && next.scheme_str() == Some("http") {
        return Err(DownloadError::Address { uri: target.to_owned(), detail: format!("{at} must not lead to plain http") });
    }
    Ok(Some(next))
}

async fn collect(at: &Uri, mut body: Incoming, allowed: usize) -> Result<Bytes, DownloadError> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| DownloadError::Unreachable { uri: at.to_string(), detail: chain(&error) })?;
        if let Some(data) = frame.data_ref() {
            if bytes.len() + data.len() > allowed {
                return Err(DownloadError::TooLarge { uri: at.to_string(), allowed });
            }
            bytes.extend_from_slice(data);
        }
    }
    Ok(bytes.into())
}

/// Writes a file whole or not at all: temporary name, sync, rename, sync of the directory.
///
/// # Errors
/// The system's answer, with the path.
pub fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    let named = |error: std::io::Error| std::io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let mut partial = PathBuf::from(path).into_os_string();
    partial.push(format!(".{}.part", std::process::id()));
    let partial = PathBuf::from(partial);
    let written = std::fs::File::create(&partial)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&partial, path))
        .and_then(|()| path.parent().map_or(Ok(()), |directory| std::fs::File::open(directory)?.sync_all()));
    if written.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    written.map_err(named)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use axum::Router;
    use axum::body::Body;
    use axum::response::Redirect;
    use axum::routing::get;

    const LIMITS: Limits = Limits { bytes: 1000, time: Duration::from_secs(5) };

    async fn site() -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let absolute = Redirect::temporary(&format!("{base}/file"));
        let silent = || async { Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>()) };
        let broken = || async {
            let parts = vec![Ok(Bytes::from("half")), Err(std::io::Error::other("gone"))];
            Body::from_stream(futures::stream::iter(parts))
        };
        let router = Router::new()
            .route("/file", get(|| async { "content" }))
            .route("/large", get(|| async { "x".repeat(1001) }))
            .route("/silent", get(silent))
            .route("/broken", get(broken))
            .route("/near", get(|| async { Redirect::permanent("/file") }))
            .route("/far", get(|| async { absolute }))
            .route("/round", get(|| async { Redirect::permanent("/round") }))
            .route("/s3", get(|| async { Redirect::permanent("s3://bucket/key") }));
        tokio::spawn(async { axum::serve(listener, router).await });
        base
    }

    #[tokio::test]
    async fn files_arrive_through_redirections_and_within_limits() {
        let site = site().await;
        for path in ["/file", "/near", "/far"] {
            assert_eq!(download(&format!("{site}{path}"), LIMITS).await.unwrap(), "content");
        }
        let get = async |path: &str| download(&format!("{site}{path}"), LIMITS).await.unwrap_err();
        assert!(matches!(get("/large").await, DownloadError::TooLarge { allowed: 1000, .. }));
        assert!(matches!(get("/absent").await, DownloadError::Status { status: StatusCode::NOT_FOUND, .. }));
        for path in ["/broken", "/round"] {
            assert!(matches!(get(path).await, DownloadError::Unreachable { .. }), "{path}");
        }
        assert!(matches!(get("/s3").await, DownloadError::Address { .. }));
        let brief = Limits { time: Duration::from_millis(50), ..LIMITS };
        let silent = download(&format!("{site}/silent"), brief).await.unwrap_err();
        assert!(silent.may_answer_later() && silent.to_string().contains("not complete"), "{silent}");
    }

    #[tokio::test]
    async fn addresses_that_cannot_be_fetched_are_named() {
        for wrong in ["s3://bucket/key", "no scheme", "/path", "http:///path"] {
            let error = download(wrong, LIMITS).await.unwrap_err();
            assert!(matches!(error, DownloadError::Address { .. }) && !error.may_answer_later(), "{wrong}: {error}");
        }
        let closed = download("http://127.0.0.1:1/x", LIMITS).await.unwrap_err();
        assert!(matches!(closed, DownloadError::Unreachable { .. }), "{closed}");
    }

    #[tokio::test]
    async fn files_of_this_machine_are_read_and_written_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let uri = format!("file://{}", path.display());
        assert!(matches!(download(&uri, LIMITS).await, Err(DownloadError::File { .. })));
        write_whole(&path, b"one").unwrap();
        write_whole(&path, b"two").unwrap();
        assert_eq!(download(&uri, LIMITS).await.unwrap(), "two");
        let tight = Limits { bytes: 2, ..LIMITS };
        assert!(matches!(download(&uri, tight).await, Err(DownloadError::TooLarge { .. })));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing partial is left");
        let nowhere = write_whole(Path::new("/nonexistent/file"), b"x").unwrap_err();
        assert!(nowhere.to_string().contains("/nonexistent/file"), "{nowhere}");
    }
}
