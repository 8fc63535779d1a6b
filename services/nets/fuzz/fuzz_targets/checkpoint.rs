//! Any bytes as a checkpoint: as they are, and as a header before as many zeros as it claims, so that small inputs reach the checks
//! behind the container. A refusal must say something; no input may panic or, by libFuzzer's limit, take much memory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tradewind_nets::architecture::Role;
use tradewind_nets::checkpoint::{Checkpoint, MAX_FILE_BYTES, SelfTestSource, claimed_role, convert, verify};

fuzz_target!(|input: &[u8]| {
    judge(input);
    let claimed = claimed_bytes(input).filter(|claimed| *claimed < MAX_FILE_BYTES).unwrap_or(0);
    let mut file = (input.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(input);
    file.resize(file.len() + claimed, 0);
    judge(&file);
});

fn judge(file: &[u8]) {
    let role = claimed_role(file).unwrap_or(Role::Tactical);
    if let Err(faults) = Checkpoint::read(file, role.name()) {
        assert!(faults.list().iter().all(|fault| !fault.subject.is_empty() && !fault.message.is_empty()));
        assert!(faults.count() > 0 && faults.to_string().len() < 64 * 1024);
    }
    let report = verify(file, "", role.name(), &mut || 0);
    assert!(report.to_json().is_ok_and(|text| text.len() <= 4096));
    let _ = convert(file, &String::from_utf8_lossy(file), SelfTestSource::File);
}

/// Where the last tensor of a header ends.
fn claimed_bytes(header: &[u8]) -> Option<usize> {
    let header: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(header).ok()?;
    let ends = header.values().filter_map(|tensor| tensor.get("data_offsets")?.get(1)?.as_u64());
    usize::try_from(ends.max()?).ok()
}
