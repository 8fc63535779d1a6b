//! ONNX Runtime through its C API.

use std::path::Path;

use anyhow::{Result, anyhow};
use ort::environment::Environment;
use ort::memory::Allocator;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{IoBinding, Session};
use ort::value::Tensor;

use super::{Engine, Feed, Form};

/// A session with all optimisations on one thread, its inputs and outputs bound to memory of its own.
pub struct OnnxRuntime {
    name: String,
    session: Session,
    binding: IoBinding,
    feed: Feed,
    outputs: Vec<f32>,
}

impl OnnxRuntime {
    /// Opens a graph.
    pub fn open(environment: &Environment, graph: &Path, feed: Feed, form: Form) -> Result<Self> {
        let session = Session::builder(environment)?
            .with_optimization_level(GraphOptimizationLevel::All)
            .map_err(|error| anyhow!("{error}"))?
            .with_intra_threads(1)
            .map_err(|error| anyhow!("{error}"))?
            .with_inter_threads(1)
            .map_err(|error| anyhow!("{error}"))?
            .commit_from_file(graph)?;
        let mut binding = session.create_binding()?;
        for output in session.outputs() {
            let shape = output.dtype().tensor_shape().ok_or_else(|| anyhow!("{} is no tensor", output.name()))?.clone();
            binding.bind_output(output.name(), Tensor::<f32>::new(&Allocator::default(), shape)?)?;
        }
        let mut engine = Self { name: format!("ONNX Runtime, {}", form.name()), session, binding, feed, outputs: Vec::new() };
        engine.load(0)?;
        Ok(engine)
    }
}

impl Engine for OnnxRuntime {
    fn name(&self) -> &str {
        &self.name
    }

    fn load(&mut self, sample: usize) -> Result<()> {
        for (name, shape, samples) in &self.feed.inputs {
            self.binding.bind_input(name, &Tensor::from_array((shape.clone(), samples[sample].clone()))?)?;
        }
        Ok(())
    }

    fn run(&mut self) -> Result<()> {
        let outputs = self.session.run_binding(&self.binding)?;
        self.outputs.clear();
        for (name, parts) in &self.feed.outputs {
            let (_, values) = outputs[name.as_str()].try_extract_tensor::<f32>()?;
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
