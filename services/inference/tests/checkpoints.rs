//! Fetching and verifying checkpoints: good ones, spoiled ones, and sources that do not answer.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use tradewind_inference::Networks;
use tradewind_inference::fetch::{FetchError, fetch};
use tradewind_inference::verify::{publish, verify};
use tradewind_nets::architecture::strategic;
use tradewind_nets::checkpoint::{MAX_FILE_BYTES, MAX_REPORT_BYTES, Reason, Verdict, sha256, write};
use tradewind_nets::golden::checkpoint;
use tradewind_nets::spoil::{SPOILS, Spoil, overtrader, spoil};
use tradewind_wire::config::BundleConfig;

type Files = BTreeMap<String, Vec<u8>>;

fn good() -> Vec<u8> {
    write(&overtrader().unwrap()).unwrap()
}

/// Serves files by name, after refusing the first `refusals` requests.
async fn site(files: Files, refusals: u32) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let left = Arc::new(AtomicU32::new(refusals));
    let file = |State((files, left)): State<(Arc<Files>, Arc<AtomicU32>)>, Path(name): Path<String>| async move {
        if left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        files.get(&name).cloned().ok_or(StatusCode::NOT_FOUND)
    };
    let router = Router::new().route("/{name}", get(file)).with_state((Arc::new(files), left));
    tokio::spawn(async { axum::serve(listener, router).await });
    base
}

fn bundle(uri: &str, digest: &str) -> BundleConfig {
    serde_json::from_value(serde_json::json!({
        "bundle": "0123456789ab", "policy": "indices", "feed": "default", "image": "tradewind:1", "instruments": [],
        "strategic": {}, "tactical": {},
        "checkpoints": [{"role": "Tactical", "name": "tactical-a", "uri": uri, "sha256": digest}]
    }))
    .unwrap()
}

#[tokio::test]
async fn a_good_checkpoint_is_verified_with_figures_and_a_small_report() {
    let bytes = good();
    let digest = sha256(&bytes);
    let site = site(Files::from([("a".into(), bytes)]), 2).await;
    let outcome = verify(&format!("{site}/a"), &digest, "Tactical").await;
    assert!(outcome.judged);
    assert_eq!((outcome.report.verdict, outcome.report.reason), (Verdict::Verified, None));
    assert_eq!(outcome.report.figures.sha256, digest);
    assert!(outcome.report.figures.latency_p50_us.unwrap() > 0.0);
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("termination-log");
    std::fs::write(&log, "x".repeat(9_000)).unwrap();
    publish(&outcome.report, Some(&log)).unwrap();
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.len() <= MAX_REPORT_BYTES && text.starts_with(r#"{"verdict":"Verified""#), "{text}");
}

#[tokio::test]
async fn every_spoiled_checkpoint_is_judged_with_its_reason() {
    let good = good();
    for kind in SPOILS.into_iter().filter(|kind| *kind != Spoil::Overtrader) {
        let bytes = spoil(&good, kind).unwrap();
        // A flipped byte is seen against the digest of the good file only.
        let digest = sha256(if kind == Spoil::FlippedByte { &good } else { &bytes });
        let site = site(Files::from([("a".into(), bytes)]), 0).await;
        let outcome = verify(&format!("{site}/a"), &digest, "Tactical").await;
        assert!(outcome.judged, "{kind:?}");
        assert_eq!((outcome.report.verdict, outcome.report.reason), (Verdict::Rejected, kind.reason()), "{kind:?}");
    }
}

#[tokio::test]
async fn sources_that_do_not_answer_are_not_judged_and_huge_files_are() {
    for uri in ["file:///nonexistent/a", "ftp://host/a"] {
        let outcome = verify(uri, &"0".repeat(64), "Tactical").await;
        assert!(!outcome.judged);
        assert_eq!(outcome.report.reason, Some(Reason::SourceUnreachable));
        assert!(outcome.report.message.contains(uri), "{}", outcome.report.message);
    }
    let site = site(Files::from([("huge".into(), vec![0; MAX_FILE_BYTES + 1])]), 0).await;
    let outcome = verify(&format!("{site}/huge"), &"0".repeat(64), "Tactical").await;
    assert_eq!((outcome.judged, outcome.report.reason), (true, Some(Reason::TooLarge)));
}

#[tokio::test]
async fn fetching_leaves_exactly_what_was_verified() {
    let bytes = good();
    let (digest, directory) = (sha256(&bytes), tempfile::tempdir().unwrap());
    let site = site(Files::from([("a".into(), bytes.clone()), ("b".into(), b"replaced".to_vec())]), 1).await;
    let replaced = fetch(&bundle(&format!("{site}/b"), &digest), directory.path()).await.unwrap_err();
    assert!(matches!(&replaced, FetchError::Digest { name, .. } if name == "tactical-a"), "{replaced}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    let files = fetch(&bundle(&format!("{site}/a"), &digest), directory.path()).await.unwrap();
    assert_eq!(files, [directory.path().join(format!("{digest}.safetensors"))]);
    assert_eq!(std::fs::read(&files[0]).unwrap(), bytes);
    // There already: the source is not asked. Damaged: it is.
    fetch(&bundle("ftp://nowhere/a", &digest), directory.path()).await.unwrap();
    std::fs::write(&files[0], "damaged").unwrap();
    assert!(fetch(&bundle("ftp://nowhere/a", &digest), directory.path()).await.is_err());
    fetch(&bundle(&format!("{site}/a"), &digest), directory.path()).await.unwrap();
    assert_eq!(std::fs::read(&files[0]).unwrap(), bytes);
}

/// A bundle is served with a checkpoint of each role or not at all.
#[test]
fn a_bundle_needs_a_checkpoint_of_each_role() {
    let directory = tempfile::tempdir().unwrap();
    let strategic = write(&checkpoint(&strategic::STAGE).unwrap()).unwrap();
    let tactical = good();
    let mut checkpoints = Vec::new();
    for (role, bytes) in [("Strategic", &strategic), ("Tactical", &tactical)] {
        std::fs::write(directory.path().join(format!("{}.safetensors", sha256(bytes))), bytes).unwrap();
        checkpoints.push(serde_json::json!({"role": role, "name": role, "uri": "", "sha256": sha256(bytes)}));
    }
    let bundle = |checkpoints: &[serde_json::Value]| -> BundleConfig {
        serde_json::from_value(serde_json::json!({
            "bundle": "0123456789ab", "policy": "indices", "feed": "default", "image": "tradewind:1", "instruments": [],
            "strategic": {}, "tactical": {}, "checkpoints": checkpoints
        }))
        .unwrap()
    };
    Networks::load(&bundle(&checkpoints), directory.path()).map(drop).unwrap();
    for (only, absent) in [(&checkpoints[..1], "no Tactical checkpoint"), (&checkpoints[1..], "no Strategic checkpoint")] {
        let error = Networks::load(&bundle(only), directory.path()).map(drop).unwrap_err().to_string();
        assert!(error.contains(absent), "{error}");
    }
    checkpoints[0]["sha256"] = checkpoints[1]["sha256"].clone();
    let error = Networks::load(&bundle(&checkpoints), directory.path()).map(drop).unwrap_err().to_string();
    assert!(error.contains("Strategic"), "a tactical file is no strategic one: {error}");
}
