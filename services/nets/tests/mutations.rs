//! Thousands of damaged and hostile files: always an answer, never a panic.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use tradewind_nets::checkpoint::{Checkpoint, Manifest, Reason, SelfTest, sha256, verify, write};
use tradewind_nets::forward::TacticalForward;
use tradewind_nets::golden;

fn file() -> Vec<u8> {
    let mut weights = golden::stage();
    weights.critic = None;
    let inputs = (0..8).map(golden::self_test_input).collect();
    let golden = SelfTest::record(inputs, &mut TacticalForward::new(&weights)).unwrap();
    write(&Checkpoint { manifest: Manifest::tactical(), weights, golden }).unwrap()
}

/// A seeded stream of numbers (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % below as u64) as usize
    }
}

fn header_of(file: &[u8]) -> (String, &[u8]) {
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    (String::from_utf8(file[8..8 + length].to_vec()).unwrap(), &file[8 + length..])
}

fn assemble(header: &str, data: &[u8]) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.extend_from_slice(data);
    file
}

/// Reads a mutant; a refusal must say what and where in a bounded text.
fn refusal(bytes: &[u8]) -> Option<Reason> {
    let faults = Checkpoint::read(bytes, "Tactical").err()?;
    let worst = faults.worst().expect("a refusal has a fault");
    assert!(!worst.subject.is_empty() && !worst.message.is_empty());
    assert!(faults.to_string().len() < 64 * 1024);
    Some(worst.reason)
}

/// Bits of the header and the length: whatever still reads is judged by its digest.
#[test]
fn flipped_bits_in_the_header() {
    let good = file();
    let header_end = good.len() - header_of(&good).1.len();
    let expected = sha256(&good);
    let mut dice = Dice(1);
    let mut refused = 0;
    for round in 0..900 {
        let mut bad = good.clone();
        for _ in 0..=dice.roll(3) {
            let at = dice.roll(header_end);
            bad[at] ^= 1 << dice.roll(8);
        }
        refused += usize::from(refusal(&bad).is_some());
        if round % 100 == 0 {
            assert_eq!(verify(&bad, &expected, "Tactical", &mut || 0).reason.is_some(), bad != good);
        }
    }
    assert!(refused > 800, "only {refused} of 900 were refused by structure");
}

/// Bits of the data change numbers; the digest always sees it, the self-test nearly always when
/// the bit is not a low one.
#[test]
fn flipped_bits_in_the_data() {
    let good = file();
    let data_start = good.len() - header_of(&good).1.len();
    let expected = sha256(&good);
    let mut dice = Dice(2);
    for _ in 0..60 {
        let mut bad = good.clone();
        let at = data_start + dice.roll(good.len() - data_start);
        bad[at] ^= 1 << dice.roll(8);
        refusal(&bad);
        let report = verify(&bad, &expected, "Tactical", &mut || 0);
        assert_eq!(report.reason, Some(Reason::DigestMismatch), "byte {at}: {}", report.message);
    }
}

#[test]
fn every_kind_of_truncation() {
    let good = file();
    let mut dice = Dice(3);
    let lengths = (0..200).chain((0..200).map(|_| dice.roll(good.len())));
    for length in lengths.collect::<Vec<_>>() {
        let reason = refusal(&good[..length]);
        assert!(matches!(reason, Some(Reason::Truncated | Reason::BadFormat)), "{length}: {reason:?}");
    }
    let mut longer = good.clone();
    longer.extend_from_slice(&[0; 100]);
    assert_eq!(refusal(&longer), Some(Reason::BadFormat));
}

/// Headers that lie about sizes: refused before anything of that size is allocated.
#[test]
fn hostile_headers() {
    let good = file();
    let (header, data) = header_of(&good);
    for length in [u64::MAX, u64::MAX - 7, 1 << 40, 1 << 31, 1 << 20, (256 << 10) + 1] {
        let mut bad = good.clone();
        bad[..8].copy_from_slice(&length.to_le_bytes());
        assert_eq!(refusal(&bad), Some(Reason::TooLarge), "{length}");
    }
    let shape = r#""shape":[256,1024]"#;
    assert!(header.contains(shape));
    let huge =
        ["18446744073709551615", "9223372036854775808", "4611686018427387904,4", "1e30", "-1", "1.5", "\"x\"", "null", "[]"];
    for number in huge {
        let bad = header.replacen(shape, &format!(r#""shape":[{number},1024]"#), 1);
        assert_eq!(refusal(&assemble(&bad, data)), Some(Reason::BadFormat), "{number}");
    }
    for offsets in ["[0,18446744073709551615]", "[5,4]", "[0]", "[]", "[0,4,8]", "\"0\"", "[0,9999999999]"] {
        let start = header.find(r#""data_offsets":["#).unwrap();
        let end = start + header[start..].find(']').unwrap() + 1;
        let bad = format!(r#"{}"data_offsets":{offsets}{}"#, &header[..start], &header[end..]);
        let reason = refusal(&assemble(&bad, data));
        assert!(matches!(reason, Some(Reason::BadFormat | Reason::Truncated)), "{offsets}: {reason:?}");
    }
    let deep = "[".repeat(200_000);
    assert_eq!(refusal(&assemble(&deep, data)), Some(Reason::BadFormat));
    assert_eq!(refusal(&assemble(&format!(r#"{{"a":{{"shape":{deep}"#), data)), Some(Reason::BadFormat));
    for text in
        ["", "{}", "[]", "null", "{\"a\":1}", "{\"__metadata__\":{\"tradewind.manifest\":1}}", "\u{0}", "{\"__metadata__\":[]}"]
    {
        assert!(refusal(&assemble(text, data)).is_some(), "{text}");
        assert!(refusal(&assemble(text, &[])).is_some(), "{text}");
    }
}

#[test]
fn names_given_twice() {
    let good = file();
    let (header, data) = header_of(&good);
    let twice = header.replacen("agents.fvg.fc3.bias", "agents.entry.fc3.bias", 1);
    assert_eq!(refusal(&assemble(&twice, data)), Some(Reason::BadFormat));
    let dtype = header.replacen(r#""dtype":"F32""#, r#""dtype":"F32","dtype":"F32""#, 1);
    assert_eq!(refusal(&assemble(&dtype, data)), Some(Reason::BadFormat));
    let metadata = header.replacen(r#""tradewind.manifest":"#, r#""tradewind.manifest":"{}","tradewind.manifest":"#, 1);
    assert_eq!(refusal(&assemble(&metadata, data)), Some(Reason::BadFormat));
    let unknown = header.replacen("agents.fvg.fc3.bias", "agents.fvg.fc4.bias", 1);
    let faults = Checkpoint::read(&assemble(&unknown, data), "Tactical").unwrap_err();
    assert!(faults.has(Reason::UnknownTensor) && faults.has(Reason::MissingTensor), "{faults}");
}

#[test]
fn other_number_types() {
    let good = file();
    let (header, data) = header_of(&good);
    for dtype in ["I32", "U32", "F64", "F16", "BF16", "BOOL", "F8_E4M3", "", "float32"] {
        let bad = header.replacen(r#""dtype":"F32""#, &format!(r#""dtype":"{dtype}""#), 1);
        let reason = refusal(&assemble(&bad, data));
        assert!(matches!(reason, Some(Reason::BadShape | Reason::BadFormat)), "{dtype}: {reason:?}");
    }
}

/// Each manifest key in turn missing, of another type, or of absurd size.
#[test]
fn damaged_manifests() {
    let good = file();
    let (header, data) = header_of(&good);
    let parsed: serde_json::Value = serde_json::from_str(&header).unwrap();
    let manifest: serde_json::Value =
        serde_json::from_str(parsed["__metadata__"]["tradewind.manifest"].as_str().unwrap()).unwrap();
    let keys: Vec<String> = manifest.as_object().unwrap().keys().cloned().collect();
    let rebuild = |manifest: &serde_json::Value| {
        let mut parsed = parsed.clone();
        parsed["__metadata__"]["tradewind.manifest"] = manifest.to_string().into();
        assemble(&parsed.to_string(), data)
    };
    assert_eq!(refusal(&rebuild(&manifest)), None, "rebuilding alone does no harm");
    for key in &keys {
        let mut without = manifest.clone();
        without.as_object_mut().unwrap().remove(key);
        let faults = Checkpoint::read(&rebuild(&without), "Tactical").unwrap_err();
        assert_eq!(faults.list()[0].subject, format!("manifest.{key}"), "{faults}");
        let long: Vec<u32> = (0..10_000).collect();
        for value in [
            serde_json::json!(null),
            serde_json::json!([[1]]),
            serde_json::json!("x".repeat(5_000)),
            serde_json::json!(long),
            serde_json::json!({"a": {}}),
        ] {
            let mut other = manifest.clone();
            other[key] = value;
            assert_eq!(refusal(&rebuild(&other)), Some(Reason::BadFormat), "{key}");
        }
    }
    let mut more = manifest.clone();
    more["extra"] = 1.into();
    assert_eq!(refusal(&rebuild(&more)), Some(Reason::BadFormat));
}
