//! What a policy maximises, and one optimiser step.

use candle_core::backprop::GradStore;
use candle_core::{D, Error, Result, Tensor, Var};
use candle_nn::optim::{AdamW, Optimizer, ParamsAdamW};

use crate::mappo::gradient::clip_factor;

/// Coefficient of the entropy (TA-44, ST-85).
pub const ENTROPY_COEF: f64 = 0.01;
/// Learning rate of the policies (TA-44, ST-87).
pub const POLICY_LR: f64 = 3e-4;
/// Largest norm of the gradient of one network (TA-44, ST-88).
pub const MAX_GRAD_NORM: f64 = 0.5;

/// `-(sum of p_a * r_a) - 0.01 * entropy`, averaged over the batch.
///
/// A recorded bar tells the reward of every action, not only of one that was sampled. So the expectation
/// whose gradient a policy-gradient method estimates by sampling is computed outright: the same optimum,
/// no sampling noise, no critic. `logits` and `rewards` are (batch, 3).
///
/// # Errors
/// When the shapes differ.
pub fn loss(logits: &Tensor, rewards: &Tensor, temperature: f64) -> Result<Tensor> {
    let log_p = candle_nn::ops::log_softmax(&(logits / temperature)?, D::Minus1)?;
    let p = log_p.exp()?;
    let expected = (&p * rewards)?.sum(D::Minus1)?.mean_all()?;
    let entropy = (&p * &log_p)?.sum(D::Minus1)?.mean_all()?.neg()?;
    (expected.neg()? - (entropy * ENTROPY_COEF)?)?.contiguous()
}

/// Adam on the variables of one network, with the gradient cut to the largest norm.
pub struct Optimiser {
    variables: Vec<Var>,
    adam: AdamW,
}

impl Optimiser {
    /// An optimiser that has not taken a step.
    ///
    /// # Errors
    /// When candle cannot allocate the moments.
    pub fn new(variables: Vec<Var>, learning_rate: f64) -> Result<Self> {
        let parameters = ParamsAdamW { lr: learning_rate, weight_decay: 0.0, ..ParamsAdamW::default() };
        Ok(Self { adam: AdamW::new(variables.clone(), parameters)?, variables })
    }

    /// One step down the loss; the result is the loss before it.
    ///
    /// # Errors
    /// When the loss is no single number, or the gradient is not finite; nothing has moved then (ST-96).
    pub fn descend(&mut self, loss: &Tensor) -> Result<f64> {
        let mut gradients = loss.backward()?;
        cut(&mut gradients, &self.variables)?;
        self.adam.step(&gradients)?;
        Ok(f64::from(loss.to_scalar::<f32>()?))
    }
}

/// Scales all gradients down when their common norm is above [`MAX_GRAD_NORM`].
fn cut(gradients: &mut GradStore, variables: &[Var]) -> Result<()> {
    let mut squares = 0.0;
    for gradient in variables.iter().filter_map(|variable| gradients.get(variable)) {
        squares += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
    }
    let factor = clip_factor(squares.sqrt(), MAX_GRAD_NORM).map_err(Error::wrap)?;
    if factor >= 1.0 {
        return Ok(());
    }
    for variable in variables {
        if let Some(gradient) = gradients.remove(variable) {
            gradients.insert(variable, (gradient * factor)?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use candle_core::Device;
    use tradewind_nets::actor::{Actor, batch};
    use tradewind_nets::golden;

    #[test]
    fn the_loss_is_the_formula() {
        let logits = Tensor::new(&[[2.0f32, 0.5, -1.0], [0.0, 0.0, 0.0]], &Device::Cpu).unwrap();
        let rewards = Tensor::new(&[[1.0f32, 0.3, -1.0], [0.3, 0.6, 0.9]], &Device::Cpu).unwrap();
        let seen = f64::from(loss(&logits, &rewards, 1.2).unwrap().to_scalar::<f32>().unwrap());
        // TA-V7 at 1.2
        let p = [0.730679129, 0.209343075, 0.059977795];
        let entropy = |p: &[f64]| -p.iter().map(|v| v * v.ln()).sum::<f64>();
        let first = -(p[0] + 0.3 * p[1] - p[2]) - 0.01 * entropy(&p);
        let second = -0.6 - 0.01 * 3f64.ln();
        assert!((seen - (first + second) / 2.0).abs() < 1e-6, "{seen}");
    }

    /// An agent for which one action is always right learns it (TA-79).
    #[test]
    fn a_simple_task_is_learnt() {
        let actor = Actor::new(&golden::actor([0.5; 7])).unwrap();
        let mut optimiser = Optimiser::new(actor.variables(), POLICY_LR).unwrap();
        let inputs = batch(&(0..16).map(golden::self_test_input).collect::<Vec<_>>()).unwrap();
        let rewards = Tensor::new(&[[0.0f32, 0.2, 1.0]], &Device::Cpu).unwrap().repeat((16, 1)).unwrap();
        let mut step = || optimiser.descend(&loss(&actor.logits(&inputs).unwrap(), &rewards, 1.0).unwrap()).unwrap();
        let first = step();
        let last = (0..40).map(|_| step()).last().unwrap();
        assert!(first > -0.6 && last < -0.95, "from {first} to {last}");
    }

    #[test]
    fn gradients_are_cut_to_the_norm() {
        let variable = Var::new(&[3.0f32, 4.0], &Device::Cpu).unwrap();
        let mut gradients = variable.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        cut(&mut gradients, std::slice::from_ref(&variable)).unwrap();
        let cut = gradients.get(&variable).unwrap().to_vec1::<f32>().unwrap();
        assert!((cut[0] - 0.3).abs() < 1e-6 && (cut[1] - 0.4).abs() < 1e-6, "{cut:?}");
    }

    /// ST-96: a loss that is not finite moves nothing.
    #[test]
    fn a_gradient_that_is_not_finite_is_refused() {
        let variable = Var::new(&[1.0f32, 2.0], &Device::Cpu).unwrap();
        let mut optimiser = Optimiser::new(vec![variable.clone()], POLICY_LR).unwrap();
        let loss = (variable.sum_all().unwrap() * f64::NAN).unwrap();
        let refused = optimiser.descend(&loss).unwrap_err().to_string();
        assert!(refused.contains("gradient norm"), "{refused}");
        assert_eq!(variable.to_vec1::<f32>().unwrap(), [1.0, 2.0]);
    }
}
