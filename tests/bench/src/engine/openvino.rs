//! OpenVINO through its C API.

use std::path::Path;

use anyhow::{Context, Result};
use openvino::{Core, DeviceType, ElementType, InferRequest, RwPropertyKey, Shape, Tensor};

use super::{Engine, Feed, Form};

/// A request with one thread and full precision.
pub struct OpenVino {
    name: String,
    request: InferRequest,
    tensors: Vec<Tensor>,
    feed: Feed,
    outputs: Vec<f32>,
    // The request works on what these own.
    _core: Core,
}

impl OpenVino {
    /// Opens a graph.
    pub fn open(graph: &Path, feed: Feed, form: Form) -> Result<Self> {
        let mut core = Core::new()?;
        let settings = [
            (RwPropertyKey::InferenceNumThreads, "1"),
            (RwPropertyKey::NumStreams, "1"),
            (RwPropertyKey::HintPerformanceMode, "LATENCY"),
            (RwPropertyKey::HintInferencePrecision, "f32"),
        ];
        core.set_properties(&DeviceType::CPU, settings)?;
        let model = core.read_model_from_file(graph.to_str().context("the path is not UTF-8")?, "")?;
        let mut compiled = core.compile_model(&model, DeviceType::CPU)?;
        let mut request = compiled.create_infer_request()?;
        let mut tensors = Vec::new();
        for (name, shape, _) in &feed.inputs {
            let sizes: Vec<i64> = shape.iter().map(|size| *size as i64).collect();
            let tensor = Tensor::new(ElementType::F32, &Shape::new(&sizes)?)?;
            request.set_tensor(name, &tensor)?;
            tensors.push(tensor);
        }
        Ok(Self { name: format!("OpenVINO, {}", form.name()), request, tensors, feed, outputs: Vec::new(), _core: core })
    }
}

impl Engine for OpenVino {
    fn name(&self) -> &str {
        &self.name
    }

    fn load(&mut self, sample: usize) -> Result<()> {
        for (tensor, (_, _, samples)) in self.tensors.iter_mut().zip(&self.feed.inputs) {
            tensor.get_data_mut::<f32>()?.copy_from_slice(&samples[sample]);
        }
        Ok(())
    }

    fn run(&mut self) -> Result<()> {
        self.request.infer()?;
        self.outputs.clear();
        for (name, parts) in &self.feed.outputs {
            let tensor = self.request.get_tensor(name)?;
            let values = tensor.get_data::<f32>()?;
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
