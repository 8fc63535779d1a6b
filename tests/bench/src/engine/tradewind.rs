//! The serving path of this repository.

use anyhow::{Result, ensure};
use tradewind_nets::architecture::{AGENTS, COLUMNS, Matrix};
use tradewind_nets::forward::simd::Isa;
use tradewind_nets::forward::{
    ExecutionActor, ExecutionForward, ExecutionLogits, StrategicForward, StrategicInputs, StrategicLogits, TacticalForward,
};
use tradewind_nets::weights::{Layer, TacticalWeights};

use super::{Engine, Stage};
use crate::weights::Weights;

/// A stage in given instructions; its weights in memory, in bytes.
pub fn open(weights: &Weights, stage: Stage, isa: Isa) -> Result<(Box<dyn Engine>, usize)> {
    let name = format!("tradewind, {}", isa.name());
    Ok(match stage {
        Stage::Strategic => {
            let forward = strategic(weights, isa)?;
            let inputs = strategic_inputs(weights)?;
            (forward.bytes(), Strategic { name, forward, input: inputs[0], inputs, logits: Default::default() }).boxed()
        }
        Stage::Tactical => {
            let forward = TacticalForward::with_isa(&tactical(weights)?, isa);
            let inputs = matrices(weights)?;
            (forward.bytes(), Tactical { name, forward, input: inputs[0], inputs, logits: Default::default() }).boxed()
        }
        Stage::Execution => {
            let forward = execution(weights, isa)?;
            let inputs = weights.inputs("context")?;
            (forward.bytes(), Execution { name, forward, input: inputs[0], inputs, logits: Default::default() }).boxed()
        }
    })
}

trait Boxed {
    fn boxed(self) -> (Box<dyn Engine>, usize);
}

impl<E: Engine + 'static> Boxed for (usize, E) {
    fn boxed(self) -> (Box<dyn Engine>, usize) {
        (Box::new(self.1), self.0)
    }
}

/// Layers of a strategic policy.
pub const STRATEGIC: [&str; 7] = ["network.0", "network.3", "network.4", "network.7", "network.8", "network.11", "network.12"];
/// Layers of a tactical actor.
const TACTICAL: [&str; 5] = ["conv1", "conv2", "fc1", "fc2", "fc3"];
/// Trunk of an execution actor.
pub const TRUNK: [&str; 3] = ["feature_extractor.0", "feature_extractor.2", "feature_extractor.3"];

fn strategic(weights: &Weights, isa: Isa) -> Result<StrategicForward> {
    let [a, b, c] = ["mlmi", "nwrqk", "regime"].map(|agent| weights.layers(&format!("agents.{agent}"), &STRATEGIC));
    Ok(StrategicForward::with_isa([&a?, &b?, &c?], isa)?)
}

fn strategic_inputs(weights: &Weights) -> Result<Vec<StrategicInputs>> {
    let (mlmi, nwrqk, regime) = (weights.inputs("mlmi")?, weights.inputs("nwrqk")?, weights.inputs("regime")?);
    let rows = mlmi.into_iter().zip(nwrqk).zip(regime);
    Ok(rows.map(|((mlmi, nwrqk), regime)| StrategicInputs { mlmi, nwrqk, regime }).collect())
}

/// The weights of the tactical actors.
pub fn tactical(weights: &Weights) -> Result<TacticalWeights> {
    let mut all = TacticalWeights::zeros();
    for (agent, actor) in AGENTS.iter().zip(&mut all.agents) {
        let prefix = format!("agents.{}", agent.id);
        actor.attention.copy_from_slice(&weights.tensor(&format!("{prefix}.attention_weights"))?);
        for (layer, name) in actor.layers.iter_mut().zip(TACTICAL) {
            *layer = weights.layer(&format!("{prefix}.{name}"))?;
        }
    }
    Ok(all)
}

/// The matrices of the tactical stage.
pub fn matrices(weights: &Weights) -> Result<Vec<Matrix>> {
    let rows = weights.inputs::<COLUMNS>("matrix")?;
    let (matrices, rest) = rows.as_chunks();
    ensure!(rest.is_empty(), "inputs.matrix does not have whole matrices");
    Ok(matrices.to_vec())
}

fn execution(weights: &Weights, isa: Isa) -> Result<ExecutionForward> {
    let heads: [(&str, &[&str]); 3] = [
        ("position_sizing_agent", &["policy_head.0", "policy_head.2"]),
        ("execution_timing_agent", &["policy_head.0", "policy_head.2"]),
        ("risk_management_agent", &["stop_loss_head.0", "stop_loss_head.2", "take_profit_head.0", "take_profit_head.2"]),
    ];
    let mut actors: Vec<([f32; 15], Vec<Layer>)> = Vec::new();
    for (agent, heads) in heads {
        let mut attention = [0.0; 15];
        attention.copy_from_slice(&weights.tensor(&format!("{agent}.attention_weights"))?);
        let mut layers = weights.layers(agent, &TRUNK)?;
        layers.extend(weights.layers(agent, heads)?);
        actors.push((attention, layers));
    }
    let [a, b, c] = [0, 1, 2].map(|i| ExecutionActor { attention: &actors[i].0, layers: &actors[i].1 });
    Ok(ExecutionForward::with_isa([a, b, c], isa)?)
}

macro_rules! engine {
    ($stage:ident, $forward:ty, $input:ty, $logits:ty, $flat:expr) => {
        struct $stage {
            name: String,
            forward: $forward,
            inputs: Vec<$input>,
            input: $input,
            logits: $logits,
        }

        impl Engine for $stage {
            fn name(&self) -> &str {
                &self.name
            }

            fn load(&mut self, sample: usize) -> Result<()> {
                self.input = self.inputs[sample];
                Ok(())
            }

            fn run(&mut self) -> Result<()> {
                self.logits = self.forward.logits(&self.input)?;
                Ok(())
            }

            fn outputs(&self) -> Result<Vec<f32>> {
                let flat: fn(&$logits) -> Vec<f32> = $flat;
                Ok(flat(&self.logits))
            }
        }
    };
}

engine!(Strategic, StrategicForward, StrategicInputs, StrategicLogits, |logits| logits.concat());
engine!(Tactical, TacticalForward, Matrix, [[f32; 3]; 3], |logits| logits.concat());
engine!(Execution, ExecutionForward, [f32; 15], ExecutionLogits, |l| [l.sizing.as_slice(), &l.timing, &l.risk].concat());
