//! One network in candle: for training, and the reference that everything faster is compared with.

use candle_core::{D, Device, Error, Result, Tensor, Var};

use crate::architecture::{BINS, KERNEL, Network, ROWS, Step, pool_bin};
use crate::weights::{Layer, NetworkWeights};

/// Added to the variance before the root in a layer norm (ST-50, EX-15, RK-28).
const EPSILON: f64 = 1e-5;

/// A network whose variables can be trained. Outputs are those of its last linear layers, never probabilities (TA-G2);
/// dropout does not exist here (ST-94).
pub struct CandleNetwork {
    network: &'static Network,
    attention: Option<Var>,
    layers: Vec<(Var, Var)>,
}

impl CandleNetwork {
    /// A network with the given weights.
    ///
    /// # Errors
    /// When a length is wrong.
    pub fn new(network: &'static Network, weights: &NetworkWeights) -> Result<Self> {
        let device = Device::Cpu;
        let shapes: Vec<_> = network.layers().into_iter().filter_map(Step::layer).collect();
        if shapes.len() != weights.layers.len() || network.attention.len() != weights.attention.len() {
            let (layers, factors) = (weights.layers.len(), weights.attention.len());
            return Err(Error::Msg(format!("{} has other layers than the {layers} and {factors} factors given", network.id)));
        }
        let mut layers = Vec::with_capacity(shapes.len());
        for ((_, shape), layer) in shapes.into_iter().zip(&weights.layers) {
            let bias = Tensor::from_slice(&layer.bias, shape[0], &device)?;
            let weight = Tensor::from_slice(&layer.weight, shape, &device)?;
            layers.push((Var::from_tensor(&weight)?, Var::from_tensor(&bias)?));
        }
        let attention = match weights.attention.as_slice() {
            [] => None,
            factors => Some(Var::from_tensor(&Tensor::new(factors, &device)?)?),
        };
        Ok(Self { network, attention, layers })
    }

    /// All trainable variables, in the order of [`Network::tensors`].
    pub fn variables(&self) -> Vec<Var> {
        let layers = self.layers.iter().flat_map(|(weight, bias)| [weight.clone(), bias.clone()]);
        self.attention.iter().cloned().chain(layers).collect()
    }

    /// The weights as they are now.
    ///
    /// # Errors
    /// When candle cannot read a variable.
    pub fn weights(&self) -> Result<NetworkWeights> {
        let values = |variable: &Var| variable.flatten_all()?.to_vec1::<f32>();
        let layer = |(weight, bias): &(Var, Var)| Ok(Layer { weight: values(weight)?, bias: values(bias)? });
        Ok(NetworkWeights {
            attention: self.attention.as_ref().map_or_else(|| Ok(Vec::new()), values)?,
            layers: self.layers.iter().map(layer).collect::<Result<_>>()?,
        })
    }

    /// Outputs (batch, outputs) for inputs (batch, inputs), all heads side by side.
    ///
    /// # Errors
    /// When the inputs have another width.
    pub fn outputs(&self, inputs: &Tensor) -> Result<Tensor> {
        Ok(self.pass(inputs)?.1)
    }

    /// The activations after each step of the trunk, for tests and for whoever wants to look inside.
    ///
    /// # Errors
    /// When the inputs have another width.
    pub fn activations(&self, inputs: &Tensor) -> Result<Vec<Tensor>> {
        Ok(self.pass(inputs)?.0)
    }

    fn pass(&self, inputs: &Tensor) -> Result<(Vec<Tensor>, Tensor)> {
        let (batch, width) = inputs.dims2()?;
        if width != self.network.inputs {
            return Err(Error::Msg(format!("{} takes {} values and is given {width}", self.network.id, self.network.inputs)));
        }
        let mut layers = self.layers.iter();
        let mut current = match &self.attention {
            Some(factors) => {
                let rows = inputs.reshape((batch, (), factors.dim(0)?))?;
                rows.broadcast_mul(factors.as_tensor())?.reshape((batch, width))?
            }
            None => inputs.clone(),
        };
        let mut activations = Vec::with_capacity(self.network.trunk.len());
        for step in self.network.trunk {
            current = run(step, &current, &mut layers)?;
            activations.push(current.clone());
        }
        let mut outputs = Vec::with_capacity(self.network.heads.len());
        for head in self.network.heads {
            outputs.push(run_all(head, &current, &mut layers)?);
        }
        Ok((activations, Tensor::cat(&outputs, 1)?))
    }
}

type Layers<'a> = std::slice::Iter<'a, (Var, Var)>;

fn run_all(steps: &[Step], input: &Tensor, layers: &mut Layers<'_>) -> Result<Tensor> {
    steps.iter().try_fold(input.clone(), |current, step| run(step, &current, layers))
}

fn run(step: &Step, input: &Tensor, layers: &mut Layers<'_>) -> Result<Tensor> {
    let mut layer = || layers.next().ok_or_else(|| Error::Msg(format!("no weights are left for {step:?}")));
    match *step {
        Step::Dense(..) => {
            let (weight, bias) = layer()?;
            input.matmul(&weight.t()?)?.broadcast_add(bias.as_tensor())
        }
        Step::Convolution(_, inputs, outputs) => {
            let (weight, bias) = layer()?;
            convolve(input, weight, inputs, outputs)?.broadcast_add(&bias.reshape((1, outputs, 1))?)
        }
        Step::Norm(..) => {
            let (gain, shift) = layer()?;
            let centred = input.broadcast_sub(&input.mean_keepdim(D::Minus1)?)?;
            let deviation = (centred.sqr()?.mean_keepdim(D::Minus1)? + EPSILON)?.sqrt()?;
            centred.broadcast_div(&deviation)?.broadcast_mul(gain.as_tensor())?.broadcast_add(shift.as_tensor())
        }
        Step::Relu => input.relu(),
        Step::Columns(columns) => input.reshape((input.dim(0)?, (), columns))?.transpose(1, 2)?.contiguous(),
        Step::Pool => {
            let (batch, channels, _) = input.dims3()?;
            input.reshape((batch * channels, ROWS))?.matmul(&pool_matrix()?)?.reshape((batch, channels * BINS))
        }
        Step::Append(first, count, steps) => {
            let behind = run_all(steps, &input.narrow(1, first, count)?.contiguous()?, layers)?;
            Tensor::cat(&[input, &behind], 1)
        }
    }
}

/// (batch, inputs, times) to (batch, outputs, times) without bias: the three taps side by side, then one product of matrices.
///
/// Not candle's `conv1d`: the gradients that its 0.11.1 gives for kernel and input are not those of finite differences.
fn convolve(input: &Tensor, weight: &Var, inputs: usize, outputs: usize) -> Result<Tensor> {
    let (batch, _, times) = input.dims3()?;
    let padded = input.transpose(1, 2)?.pad_with_zeros(1, 1, 1)?;
    let taps = (0..KERNEL).map(|tap| padded.narrow(1, tap, times)).collect::<Result<Vec<_>>>()?;
    let rows = Tensor::cat(&taps, 2)?.contiguous()?.reshape((batch * times, KERNEL * inputs))?;
    let kernel = weight.transpose(1, 2)?.contiguous()?.reshape((outputs, KERNEL * inputs))?;
    rows.matmul(&kernel.t()?)?.reshape((batch, times, outputs))?.transpose(1, 2)?.contiguous()
}

/// Average pooling as a constant (60, 16) matrix: overlapping bins of different lengths (TA-18).
fn pool_matrix() -> Result<Tensor> {
    let mut weights = vec![0f32; ROWS * BINS];
    for bin in 0..BINS {
        let (start, end) = pool_bin(bin);
        for row in start..end {
            weights[row * BINS + bin] = 1.0 / (end - start) as f32;
        }
    }
    Tensor::from_vec(weights, (ROWS, BINS), &Device::Cpu)
}

/// A batch (samples, inputs) of flat inputs of the same length.
///
/// # Errors
/// When the lengths differ.
pub fn batch<S: AsRef<[f32]>>(inputs: &[S]) -> Result<Tensor> {
    let width = inputs.first().map_or(0, |input| input.as_ref().len());
    let flat: Vec<f32> = inputs.iter().flat_map(|input| input.as_ref()).copied().collect();
    Tensor::from_vec(flat, (inputs.len(), width), &Device::Cpu)
}
