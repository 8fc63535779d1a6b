//! The recordings of the repository, from disk and over HTTP.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use sha2::{Digest, Sha256};
use tradewind_core::instrument::{Instrument, Symbol};
use tradewind_core::money::Money;
use tradewind_market::{Source, SourceError, load};
use tradewind_wire::convert::bar_from_wire;

fn fixtures() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/bars"))
}

fn symbol(text: &str) -> Symbol {
    text.to_owned().try_into().unwrap()
}

const DIGESTS: [(&str, &str); 2] = [
    ("SPX.csv", "90f365b1241afb252baa259f8d7d547ec9807ec26ca5b4cd7bff882465f61e27"),
    ("IXIC.csv", "1a65c75f29f7d826589fdd4ec880e3edccb8eecc73131c1d07018599625bf012"),
];

#[test]
fn the_recordings_are_those_that_the_readme_names() {
    let readme = std::fs::read_to_string(fixtures().join("README.md")).unwrap();
    assert!(fixtures().join("LICENSE-arch-NCSA.md").is_file());
    for (name, digest) in DIGESTS {
        assert_eq!(hex::encode(Sha256::digest(std::fs::read(fixtures().join(name)).unwrap())), digest, "{name}");
        assert!(readme.contains(digest), "{name} is not in the README");
    }
}

#[tokio::test]
async fn both_indices_merge_session_by_session() {
    let source = Source::Directory(fixtures());
    let bars = load(&source, &[symbol("SPX"), symbol("IXIC")], None).await.unwrap();
    assert_eq!(bars.len(), 2 * 5_031);
    assert!(
        bars.chunks(2)
            .all(|pair| pair[0].symbol == "IXIC" && pair[1].symbol == "SPX" && pair[0].close_time_ns == pair[1].close_time_ns)
    );
    assert!(bars.iter().all(|bar| bar.close_time_ns - bar.open_time_ns == 86_400_000_000_000));
    let amount = |text: &str| text.parse::<Money>().unwrap();
    let instrument = |name: &str| Instrument::new(symbol(name), amount("0.01"), amount("1"), amount("1")).unwrap();
    let (spx, ixic) = (instrument("SPX"), instrument("IXIC"));
    for bar in &bars {
        bar_from_wire(bar, if bar.symbol == "SPX" { &spx } else { &ixic }).unwrap();
    }
}

#[tokio::test]
async fn a_folder_behind_http_gives_the_same_and_says_what_it_has_not() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/bars/", listener.local_addr().unwrap());
    let file = |Path(name): Path<String>| async move { std::fs::read(fixtures().join(name)).map_err(|_| StatusCode::NOT_FOUND) };
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/bars/{name}", get(file))).await });
    let web: Source = base.parse().unwrap();
    let from_web = load(&web, &[symbol("SPX")], None).await.unwrap();
    assert_eq!(from_web, load(&Source::Directory(fixtures()), &[symbol("SPX")], None).await.unwrap());
    let absent = load(&web, &[symbol("DAX")], None).await.unwrap_err();
    assert!(absent.may_answer_later() && absent.to_string().contains("DAX.csv: the server answered 404"), "{absent}");
}

#[tokio::test]
async fn a_directory_must_hold_exactly_one_file_per_symbol() {
    let directory = tempfile::tempdir().unwrap();
    let source = Source::Directory(directory.path().to_owned());
    let none = load(&source, &[symbol("SPX")], None).await.unwrap_err();
    assert!(matches!(none, SourceError::Files { found: 0, .. }), "{none}");
    let text = std::fs::read(fixtures().join("SPX.csv")).unwrap();
    std::fs::write(directory.path().join("index-SPX-1d-19990104_20181231.csv"), &text).unwrap();
    assert_eq!(load(&source, &[symbol("SPX")], None).await.unwrap().len(), 5_031);
    std::fs::write(directory.path().join("SPX.csv"), &text).unwrap();
    let two = load(&source, &[symbol("SPX")], None).await.unwrap_err();
    assert!(matches!(two, SourceError::Files { found: 2, .. }) && !two.may_answer_later(), "{two}");
    let missing = load(&"/nonexistent".parse().unwrap(), &[symbol("SPX")], None).await.unwrap_err();
    assert!(matches!(missing, SourceError::Directory { .. }), "{missing}");
}
