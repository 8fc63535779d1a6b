//! Any bytes as a checkpoint: as they are, and as a header before as many zeros as it claims, so that small inputs reach the checks
//! behind the container, and with good headers the networks. A refusal must say something; no input may panic or, by libFuzzer's
//! limit, take much memory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use tradewind_nets::architecture::Role;
use tradewind_nets::checkpoint::{
    Checkpoint, MANIFEST_KEY, MAX_FILE_BYTES, SelfTestSource, Verdict, claimed_role, convert, sha256, verify,
};
use tradewind_nets::{StrategicPolicies, TacticalNetwork};

fuzz_target!(|input: &[u8]| {
    judge(input, &String::from_utf8_lossy(input));
    let Ok(header) = serde_json::from_slice(input) else { return };
    let claimed = claimed_bytes(&header).filter(|claimed| *claimed < MAX_FILE_BYTES).unwrap_or(0);
    let mut file = (input.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(input);
    file.resize(file.len() + claimed, 0);
    judge(&file, manifest(&header).unwrap_or_default());
});

fn judge(file: &[u8], manifest: &str) {
    let role = claimed_role(file).unwrap_or(Role::Tactical);
    match Checkpoint::read(file, role.name()) {
        Ok(_) => accepted(file, role),
        Err(faults) => {
            assert!(faults.list().iter().all(|fault| !fault.subject.is_empty() && !fault.message.is_empty()));
            assert!(faults.count() > 0 && faults.to_string().len() < 64 * 1024);
        }
    }
    // A wrong digest: the way on which nothing of the file is evaluated.
    let report = verify(file, "", role.name(), &mut || 0);
    assert!(report.to_json().is_ok_and(|text| text.len() <= 4096));
    for source in [SelfTestSource::File, SelfTestSource::Recorded] {
        if let Ok(converted) = convert(file, manifest, source) {
            assert!(claimed_role(&converted).is_some_and(|role| Checkpoint::read(&converted, role.name()).is_ok()));
        }
    }
}

/// What verifies can be served, and nothing else.
fn accepted(file: &[u8], role: Role) {
    let digest = sha256(file);
    let report = verify(file, &digest, role.name(), &mut || 0);
    assert!(report.to_json().is_ok_and(|text| text.len() <= 4096));
    let verified = report.verdict == Verdict::Verified;
    match role {
        Role::Strategic => assert_eq!(StrategicPolicies::from_bytes(file, &digest).is_ok(), verified),
        Role::Tactical => assert_eq!(TacticalNetwork::from_bytes(file, &digest).is_ok(), verified),
        Role::Execution | Role::Risk => {}
    }
}

/// Where the last tensor of a header ends.
fn claimed_bytes(header: &Map<String, Value>) -> Option<usize> {
    let ends = header.values().filter_map(|tensor| tensor.get("data_offsets")?.get(1)?.as_u64());
    usize::try_from(ends.max()?).ok()
}

/// The manifest in the metadata of a header.
fn manifest(header: &Map<String, Value>) -> Option<&str> {
    header.get("__metadata__")?.get(MANIFEST_KEY)?.as_str()
}
