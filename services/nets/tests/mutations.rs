//! Thousands of damaged and hostile files of every role: always an answer, never a panic, never much memory.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use allocation_counter::measure;
use tradewind_nets::architecture::Role;
use tradewind_nets::checkpoint::{Checkpoint, Faults, Reason, SelfTestSource, convert, sha256, verify, write};
use tradewind_nets::golden;

/// Most bytes that reading may allocate, added up over the whole call.
const MOST_BYTES: u64 = 64 << 20;

/// A good file of each role.
fn files() -> [(Role, Vec<u8>); 4] {
    Role::ALL.map(|role| (role, write(&golden::checkpoint(role.stage()).unwrap()).unwrap()))
}

fn file(role: Role) -> Vec<u8> {
    write(&golden::checkpoint(role.stage()).unwrap()).unwrap()
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

/// What is wrong with a mutant: a refusal says what and where in a bounded text, and takes little memory.
fn faults(role: Role, bytes: &[u8]) -> Option<Faults> {
    let mut read = None;
    let used = measure(|| read = Some(Checkpoint::read(bytes, role.name())));
    assert!(used.bytes_total < MOST_BYTES, "{} bytes allocated for a file of {}", used.bytes_total, bytes.len());
    let faults = read.unwrap().err()?;
    for fault in faults.list() {
        assert!(!fault.subject.is_empty() && !fault.message.is_empty(), "{fault}");
    }
    assert!(!faults.is_empty() && faults.to_string().len() < 64 * 1024);
    Some(faults)
}

fn refusal(role: Role, bytes: &[u8]) -> Option<Reason> {
    faults(role, bytes).map(|faults| faults.worst().unwrap().reason)
}

/// One thousand files: bit flips, truncations, lying sizes, names given twice, other number types, in all roles. Where one tensor
/// was changed, the refusal names it.
#[test]
fn a_thousand_mutants() {
    let files = files();
    let mut dice = Dice(7);
    let mut refused = [0; 5];
    for round in 0..1_000 {
        let (role, good) = &files[round % 4];
        let (header, data) = header_of(good);
        let kind = dice.roll(5);
        let tensor = some_tensor(&header, &mut dice);
        let (bad, named) = match kind {
            0 => (flip(good, &mut dice), None),
            1 => (good[..dice.roll(good.len())].to_vec(), None),
            2 => (assemble(&lie(&header, &tensor, &mut dice), data), Some(tensor)),
            3 => (assemble(&header.replacen(&tensor, "golden.inputs", 1), data), Some("golden.inputs".to_owned())),
            _ => {
                let dtype = ["I32", "F64", "BF16", "F16", "BOOL", "U8", "F8_E5M2", "", "f32"][dice.roll(9)];
                let at = header.find(&format!("\"{tensor}\":")).unwrap();
                let bad = format!("{}{}", &header[..at], header[at..].replacen("\"F32\"", &format!("{dtype:?}"), 1));
                (assemble(&bad, data), Some(tensor))
            }
        };
        let found = faults(*role, &bad);
        refused[kind] += u32::from(found.is_some());
        if let Some(named) = named {
            let text = found.expect("a changed tensor is refused").to_string();
            assert!(text.contains(&named), "{named} is not in {text}");
        }
    }
    let [flips, rest @ ..] = refused;
    assert!(rest.iter().all(|count| *count > 150) && flips > 20, "{refused:?}");
}

/// The name of some tensor but `golden.inputs`.
fn some_tensor(header: &str, dice: &mut Dice) -> String {
    let parsed: serde_json::Map<String, serde_json::Value> = serde_json::from_str(header).unwrap();
    let names: Vec<&String> = parsed.keys().filter(|name| !["__metadata__", "golden.inputs"].contains(&name.as_str())).collect();
    names[dice.roll(names.len())].clone()
}

/// Up to three flipped bits; half of the time in the header, where they hurt.
fn flip(good: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bad = good.to_vec();
    let end = if dice.roll(2) == 0 { good.len() } else { good.len() - header_of(good).1.len() };
    for _ in 0..=dice.roll(3) {
        bad[dice.roll(end)] ^= 1 << dice.roll(8);
    }
    bad
}

/// A header that lies about the size of one tensor.
fn lie(header: &str, tensor: &str, dice: &mut Dice) -> String {
    let sizes = [
        "18446744073709551615",
        "9223372036854775808",
        "4611686018427387904,4",
        "1e30",
        "-1",
        "1.5",
        "null",
        "[]",
        "99999999999",
    ];
    let key = [r#""shape":["#, r#""data_offsets":["#][dice.roll(2)];
    let at = header.find(&format!("\"{tensor}\":")).unwrap();
    let start = at + header[at..].find(key).unwrap() + key.len();
    let end = start + header[start..].find([',', ']']).unwrap();
    format!("{}{}{}", &header[..start], sizes[dice.roll(sizes.len())], &header[end..])
}

/// Bits of the header and the length: whatever still reads is judged by its digest.
#[test]
fn flipped_bits_in_the_header() {
    let mut dice = Dice(1);
    for (role, good) in files() {
        let header_end = good.len() - header_of(&good).1.len();
        let expected = sha256(&good);
        let mut refused = 0;
        for round in 0..250 {
            let mut bad = good.clone();
            for _ in 0..=dice.roll(3) {
                let at = dice.roll(header_end);
                bad[at] ^= 1 << dice.roll(8);
            }
            refused += usize::from(refusal(role, &bad).is_some());
            if round % 50 == 0 {
                assert_eq!(verify(&bad, &expected, role.name(), &mut || 0).reason.is_some(), bad != good);
            }
        }
        assert!(refused > 200, "only {refused} of 250 were refused by structure");
    }
}

/// Bits of the data change numbers; the digest always sees it, the self-test nearly always when
/// the bit is not a low one.
#[test]
fn flipped_bits_in_the_data() {
    let mut dice = Dice(2);
    for (role, good) in files() {
        let data_start = good.len() - header_of(&good).1.len();
        let expected = sha256(&good);
        for _ in 0..15 {
            let mut bad = good.clone();
            let at = data_start + dice.roll(good.len() - data_start);
            bad[at] ^= 1 << dice.roll(8);
            refusal(role, &bad);
            let report = verify(&bad, &expected, role.name(), &mut || 0);
            assert_eq!(report.reason, Some(Reason::DigestMismatch), "byte {at}: {}", report.message);
        }
    }
}

#[test]
fn every_kind_of_truncation() {
    let mut dice = Dice(3);
    for (role, good) in files() {
        let lengths = (0..50).chain((0..50).map(|_| dice.roll(good.len())));
        for length in lengths.collect::<Vec<_>>() {
            let reason = refusal(role, &good[..length]);
            assert!(matches!(reason, Some(Reason::Truncated | Reason::BadFormat)), "{length}: {reason:?}");
        }
        let mut longer = good.clone();
        longer.extend_from_slice(&[0; 100]);
        assert_eq!(refusal(role, &longer), Some(Reason::BadFormat));
    }
}

/// Headers that lie about sizes: refused before anything of that size is allocated.
#[test]
fn hostile_headers() {
    let role = Role::Tactical;
    let good = file(role);
    let (header, data) = header_of(&good);
    for length in [u64::MAX, u64::MAX - 7, 1 << 40, 1 << 31, 1 << 20, (256 << 10) + 1] {
        let mut bad = good.clone();
        bad[..8].copy_from_slice(&length.to_le_bytes());
        assert_eq!(refusal(role, &bad), Some(Reason::TooLarge), "{length}");
    }
    let start = header.find(r#""data_offsets":["#).unwrap();
    let end = start + header[start..].find(']').unwrap() + 1;
    let right = &header[start + r#""data_offsets":["#.len()..end - 1];
    let with_a_third = format!("[{right},8]");
    for offsets in ["[0,18446744073709551615]", "[5,4]", "[0]", "[]", "\"0\"", "[0,9999999999]", &with_a_third] {
        let bad = format!(r#"{}"data_offsets":{offsets}{}"#, &header[..start], &header[end..]);
        let reason = refusal(role, &assemble(&bad, data));
        assert!(matches!(reason, Some(Reason::BadFormat | Reason::Truncated)), "{offsets}: {reason:?}");
    }
    for text in
        ["", "{}", "[]", "null", "{\"a\":1}", "{\"__metadata__\":{\"tradewind.manifest\":1}}", "\u{0}", "{\"__metadata__\":[]}"]
    {
        assert!(refusal(role, &assemble(text, data)).is_some(), "{text}");
        assert!(refusal(role, &assemble(text, &[])).is_some(), "{text}");
    }
}

/// Headers of the largest size that spend it on depth, on names, on empty tensors, on numbers: little memory, little time.
#[test]
fn headers_that_expand() {
    let role = Role::Execution;
    let fill = |begin: &str, item: &dyn Fn(usize) -> String, end: &str| {
        let mut text = begin.to_owned();
        for at in 0.. {
            let next = item(at);
            if text.len() + next.len() + end.len() >= 256 << 10 {
                break;
            }
            text.push_str(&next);
        }
        text + end
    };
    let tensor = r#"{"dtype":"F32","shape":[0],"data_offsets":[0,0]}"#;
    let hostile = [
        "[".repeat(200_000),
        format!(r#"{{"a":{{"shape":{}"#, "[".repeat(200_000)),
        fill("{", &|at| format!(r#""{at}":{tensor},"#), &format!(r#""z":{tensor}}}"#)),
        fill(r#"{"__metadata__":{"#, &|at| format!(r#""{at}":"","#), r#""z":""}}"#),
        fill(r#"{"a":{"shape":["#, &|_| "0,".to_owned(), r#"0],"dtype":"F32","data_offsets":[0,0]}}"#),
        fill(r#"{"a":{"x":["#, &|_| "{},".to_owned(), "{}]}}"),
        fill(r#"{"__metadata__":{"tradewind.manifest":"{\"metrics\":{"#, &|at| format!(r#"\"{at}\":1,"#), r#"\"z\":1}}"}}"#),
    ];
    for header in hostile {
        let begun = std::time::Instant::now();
        assert!(refusal(role, &assemble(&header, &[])).is_some());
        assert!(begun.elapsed().as_secs() < 30, "{}", &header[..60]);
    }
    let huge = vec![b'['; 16 << 20];
    assert_eq!(refusal(role, &huge), Some(Reason::TooLarge));
}

#[test]
fn names_given_twice() {
    let role = Role::Tactical;
    let good = file(role);
    let (header, data) = header_of(&good);
    let twice = header.replacen("agents.fvg.fc3.bias", "agents.entry.fc3.bias", 1);
    assert_eq!(refusal(role, &assemble(&twice, data)), Some(Reason::BadFormat));
    let dtype = header.replacen(r#""dtype":"F32""#, r#""dtype":"F32","dtype":"F32""#, 1);
    assert_eq!(refusal(role, &assemble(&dtype, data)), Some(Reason::BadFormat));
    let metadata = header.replacen(r#""tradewind.manifest":"#, r#""tradewind.manifest":"{}","tradewind.manifest":"#, 1);
    assert_eq!(refusal(role, &assemble(&metadata, data)), Some(Reason::BadFormat));
    let key = header.replacen(r#"{\"formatVersion\":1"#, r#"{\"formatVersion\":1,\"formatVersion\":1"#, 1);
    let found = faults(role, &assemble(&key, data)).unwrap();
    assert_eq!(found.to_string(), "BadFormat: manifest.formatVersion: named twice, allowed once");
    let unknown = header.replacen("agents.fvg.fc3.bias", "agents.fvg.fc4.bias", 1);
    let found = faults(role, &assemble(&unknown, data)).unwrap();
    assert!(found.has(Reason::UnknownTensor) && found.has(Reason::MissingTensor), "{found}");
}

/// Each manifest key in turn missing, of another type, or of absurd size.
#[test]
fn damaged_manifests() {
    for (role, good) in files() {
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
        assert_eq!(refusal(role, &rebuild(&manifest)), None, "rebuilding alone does no harm");
        for key in &keys {
            let mut without = manifest.clone();
            without.as_object_mut().unwrap().remove(key);
            match faults(role, &rebuild(&without)) {
                Some(found) => assert_eq!(found.list()[0].subject, format!("manifest.{key}"), "{found}"),
                None => assert_eq!(key, "features", "only the default columns go without saying"),
            }
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
                assert_eq!(refusal(role, &rebuild(&other)), Some(Reason::BadFormat), "{key}");
            }
        }
        let mut more = manifest.clone();
        more["extra"] = 1.into();
        assert_eq!(refusal(role, &rebuild(&more)), Some(Reason::BadFormat));
    }
}

/// Conversion reads what other tools wrote: mutants of tensors and manifest never stop it.
#[test]
fn conversion_of_mutants() {
    let mut dice = Dice(5);
    for (role, good) in files() {
        let manifest = serde_json::to_string(&tradewind_nets::checkpoint::Manifest::of(role.stage())).unwrap();
        assert_eq!(convert(&good, &manifest, SelfTestSource::File).unwrap(), good);
        for _ in 0..100 {
            let mut text = manifest.clone().into_bytes();
            let at = dice.roll(text.len());
            text[at] = b"{}[],:\"0a"[dice.roll(9)];
            let text = String::from_utf8(text).unwrap();
            let used = measure(|| {
                let _ = convert(&flip(&good, &mut dice), &text, SelfTestSource::File);
            });
            assert!(used.bytes_max < MOST_BYTES, "{} bytes", used.bytes_max);
        }
    }
}

/// The seeds of the fuzz target are the headers of the good files, so that it begins behind the first checks.
#[test]
fn fuzz_seeds_are_headers_of_good_files() {
    for (role, good) in files() {
        let name = role.name().to_lowercase();
        let path = format!("{}/fuzz/corpus/checkpoint/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let seed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(seed.trim_end() == header_of(&good).0.trim_end(), "{path} is not the header of a good file");
    }
}
