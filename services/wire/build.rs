//! Compiles the protobuf contracts without a `protoc` on the machine.

use std::error::Error;

const FILES: [&str; 6] = ["market", "process", "inference", "execution", "risk", "policy"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = FILES.map(|name| format!("proto/tradewind/v1/{name}.proto"));
    let descriptors = protox::compile(files, ["proto"])?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
