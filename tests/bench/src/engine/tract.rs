//! tract, an inference engine in Rust.

use std::path::Path;

use anyhow::{Result, ensure};
use tract_onnx::prelude::{Framework, InferenceModelExt, IntoRunnable, TValue, TVec, Tensor, TypedSimpleState};

use super::{Engine, Feed, Form};

/// An optimised graph with a state of its own, on the calling thread.
pub struct Tract {
    name: String,
    state: TypedSimpleState,
    inputs: TVec<TValue>,
    feed: Feed,
    outputs: Vec<f32>,
}

impl Tract {
    /// Opens a graph.
    pub fn open(graph: &Path, feed: Feed, form: Form) -> Result<Self> {
        let model = tract_onnx::onnx().model_for_path(graph)?;
        // Values are handed over by position, the feed has names.
        let inputs = model.inputs.iter().map(|input| model.nodes[input.node].name.as_str());
        let outputs = model.outputs.iter().map(|output| model.outlet_label(*output).unwrap_or_default());
        ensure!(inputs.eq(feed.inputs.iter().map(|(name, ..)| name.as_str())), "tract reads inputs in another order");
        ensure!(outputs.eq(feed.outputs.iter().map(|(name, _)| name.as_str())), "tract writes outputs in another order");
        let state = model.into_optimized()?.into_runnable()?.spawn()?;
        let mut engine = Self { name: format!("tract, {}", form.name()), state, inputs: TVec::new(), feed, outputs: Vec::new() };
        engine.load(0)?;
        Ok(engine)
    }
}

impl Engine for Tract {
    fn name(&self) -> &str {
        &self.name
    }

    fn load(&mut self, sample: usize) -> Result<()> {
        let tensors = self.feed.inputs.iter().map(|(_, shape, samples)| Tensor::from_shape(shape, &samples[sample]));
        self.inputs = tensors.map(|tensor| Ok(tensor?.into())).collect::<Result<_>>()?;
        Ok(())
    }

    fn run(&mut self) -> Result<()> {
        // Copies references to the inputs, not their numbers.
        let outputs = self.state.run(self.inputs.clone())?;
        self.outputs.clear();
        for (values, (_, parts)) in outputs.iter().zip(&self.feed.outputs) {
            let view = values.try_as_plain_ram()?;
            let values = view.as_slice::<f32>()?;
            for part in parts {
                self.outputs.extend_from_slice(&values[part.clone()]);
            }
        }
        Ok(())
    }

    fn outputs(&self) -> Result<Vec<f32>> {
        Ok(self.outputs.clone())
    }
}
