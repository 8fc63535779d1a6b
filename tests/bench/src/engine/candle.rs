//! candle, which trains the networks.

use anyhow::Result;
use candle_core::{Device, Module, Tensor};
use candle_nn::{LayerNorm, Linear};
use tradewind_nets::actor::{Actor, batch};

use super::tradewind::{STRATEGIC, TRUNK, matrices, tactical};
use super::{Engine, Stage};
use crate::weights::Weights;

/// Opens a stage.
pub fn open(weights: &Weights, stage: Stage) -> Result<Box<dyn Engine>> {
    let vectors = |name: &str, width: usize| -> Result<Vec<Tensor>> {
        let values = weights.tensor(&format!("inputs.{name}"))?;
        values.chunks(width).map(|row| Ok(Tensor::from_slice(row, (1, width), &Device::Cpu)?)).collect()
    };
    let mut networks: Vec<Box<dyn Module>> = Vec::new();
    let inputs = match stage {
        Stage::Strategic => {
            for agent in ["mlmi", "nwrqk", "regime"] {
                networks.push(Box::new(perceptron(weights, &format!("agents.{agent}"), &STRATEGIC)?));
            }
            vec![vectors("mlmi", 10)?, vectors("nwrqk", 10)?, vectors("regime", 9)?]
        }
        Stage::Tactical => {
            for actor in &tactical(weights)?.agents {
                networks.push(Box::new(Tactical(Actor::new(actor)?)));
            }
            let all = matrices(weights)?.iter().map(|matrix| Ok(batch(&[*matrix])?)).collect::<Result<Vec<_>>>()?;
            vec![all.clone(), all.clone(), all]
        }
        Stage::Execution => {
            for agent in ["position_sizing_agent", "execution_timing_agent"] {
                networks.push(Box::new(execution(weights, agent, &["policy_head"])?));
            }
            networks.push(Box::new(execution(weights, "risk_management_agent", &["stop_loss_head", "take_profit_head"])?));
            let all = vectors("context", 15)?;
            vec![all.clone(), all.clone(), all]
        }
    };
    Ok(Box::new(Candle { networks, inputs, sample: 0, outputs: Vec::new() }))
}

struct Candle {
    networks: Vec<Box<dyn Module>>,
    inputs: Vec<Vec<Tensor>>,
    sample: usize,
    outputs: Vec<f32>,
}

impl Engine for Candle {
    fn name(&self) -> &str {
        "candle"
    }

    fn load(&mut self, sample: usize) -> Result<()> {
        self.sample = sample;
        Ok(())
    }

    fn run(&mut self) -> Result<()> {
        self.outputs.clear();
        for (network, inputs) in self.networks.iter().zip(&self.inputs) {
            self.outputs.extend(network.forward(&inputs[self.sample])?.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(())
    }

    fn outputs(&self) -> Result<Vec<f32>> {
        Ok(self.outputs.clone())
    }
}

struct Tactical(Actor);

impl Module for Tactical {
    fn forward(&self, input: &Tensor) -> candle_core::Result<Tensor> {
        self.0.logits(input)
    }
}

/// Dense layers with ReLU, some with layer normalisation after it, the last one bare.
struct Perceptron {
    hidden: Vec<(Linear, Option<LayerNorm>)>,
    last: Linear,
}

impl Module for Perceptron {
    fn forward(&self, input: &Tensor) -> candle_core::Result<Tensor> {
        let mut value = input.clone();
        for (dense, norm) in &self.hidden {
            value = dense.forward(&value)?.relu()?;
            if let Some(norm) = norm {
                value = norm.forward(&value)?;
            }
        }
        self.last.forward(&value)
    }
}

/// An execution actor: attention, trunk, one or two heads.
struct Execution {
    attention: Tensor,
    trunk: Vec<(Linear, Option<LayerNorm>)>,
    heads: Vec<(Linear, Linear)>,
}

impl Module for Execution {
    fn forward(&self, input: &Tensor) -> candle_core::Result<Tensor> {
        let mut value = input.broadcast_mul(&self.attention)?;
        for (dense, norm) in &self.trunk {
            value = dense.forward(&value)?.relu()?;
            if let Some(norm) = norm {
                value = norm.forward(&value)?;
            }
        }
        let ends = self.heads.iter().map(|(first, last)| last.forward(&first.forward(&value)?.relu()?));
        Tensor::cat(&ends.collect::<candle_core::Result<Vec<_>>>()?, 1)
    }
}

fn linear(weights: &Weights, name: &str) -> Result<Linear> {
    let layer = weights.layer(name)?;
    let outputs = layer.bias.len();
    let weight = Tensor::from_vec(layer.weight.clone(), (outputs, layer.weight.len() / outputs), &Device::Cpu)?;
    Ok(Linear::new(weight, Some(Tensor::from_vec(layer.bias, outputs, &Device::Cpu)?)))
}

fn norm(weights: &Weights, name: &str) -> Result<LayerNorm> {
    let layer = weights.layer(name)?;
    let width = layer.bias.len();
    Ok(LayerNorm::new(
        Tensor::from_vec(layer.weight, width, &Device::Cpu)?,
        Tensor::from_vec(layer.bias, width, &Device::Cpu)?,
        1e-5,
    ))
}

fn perceptron(weights: &Weights, prefix: &str, names: &[&str; 7]) -> Result<Perceptron> {
    let mut hidden = Vec::new();
    for pair in names[..6].chunks(2) {
        let dense = linear(weights, &format!("{prefix}.{}", pair[0]))?;
        hidden.push((dense, Some(norm(weights, &format!("{prefix}.{}", pair[1]))?)));
    }
    Ok(Perceptron { hidden, last: linear(weights, &format!("{prefix}.{}", names[6]))? })
}

fn execution(weights: &Weights, agent: &str, heads: &[&str]) -> Result<Execution> {
    let at = |name: &str| format!("{agent}.{name}");
    Ok(Execution {
        attention: Tensor::from_vec(weights.tensor(&at("attention_weights"))?, 15, &Device::Cpu)?,
        trunk: vec![
            (linear(weights, &at(TRUNK[0]))?, Some(norm(weights, &at(TRUNK[1]))?)),
            (linear(weights, &at(TRUNK[2]))?, None),
        ],
        heads: heads
            .iter()
            .map(|head| Ok((linear(weights, &at(&format!("{head}.0")))?, linear(weights, &at(&format!("{head}.2")))?)))
            .collect::<Result<_>>()?,
    })
}
