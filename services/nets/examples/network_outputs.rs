//! Outputs of a checkpoint's networks for inputs from standard input, for comparison with another implementation.
//!
//! `network_outputs FILE stage` runs the networks that serve, side by side, on inputs of the self-test's shape;
//! `network_outputs FILE NETWORK` runs one network, critics as well, in candle on its own inputs.
//! Values are little-endian f32 in both directions.

use std::io::{Read, Write};

use anyhow::{Context, bail};
use tradewind_nets::checkpoint::{Checkpoint, claimed_role};
use tradewind_nets::reference::{CandleNetwork, batch};
use tradewind_nets::served::served;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, what] = arguments.as_slice() else { bail!("usage: network_outputs FILE stage|NETWORK < inputs > outputs") };
    let bytes = std::fs::read(file)?;
    let role = claimed_role(&bytes).context("the file claims no role")?;
    let checkpoint = Checkpoint::read(&bytes, role.name())?;
    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input)?;
    let values: Vec<f32> = input.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let stage = checkpoint.weights.stage;
    let outputs = if what == "stage" {
        let mut networks = served(&checkpoint)?;
        let mut row = vec![0.0; stage.output_width()];
        let mut outputs = Vec::new();
        for input in values.chunks(stage.input_width()) {
            networks.outputs(input, &mut row)?;
            outputs.extend_from_slice(&row);
        }
        outputs
    } else {
        let network = stage.networks.iter().find(|network| network.id == what).context("no such network")?;
        let weights = checkpoint.weights.network(what).context("the checkpoint does not hold this network")?;
        let inputs: Vec<&[f32]> = values.chunks(network.inputs).collect();
        CandleNetwork::new(network, weights)?.outputs(&batch(&inputs)?)?.flatten_all()?.to_vec1()?
    };
    let bytes: Vec<u8> = outputs.iter().flat_map(|value| value.to_le_bytes()).collect();
    std::io::stdout().write_all(&bytes)?;
    Ok(())
}
