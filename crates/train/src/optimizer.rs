//! The published optimizers: Adam with weight decay added to the gradient, AdamW with decoupled weight decay
//! (Loshchilov and Hutter, arXiv 1711.05101), and gradient descent with momentum (SGD).

use burn::tensor::Tensor;

use super::config::OptimizerKind;
use super::parameters::{Gradients, Parameters};
use residua_core::error::Result;
use residua_weights::WeightFile;

/// Momentum of SGD, as published.
const MOMENTUM: f64 = 0.9;

/// The parameters of an optimizer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DescentConfig {
    /// The kind of optimizer.
    pub kind: OptimizerKind,
    /// Decay rates of the mean and the mean square of the gradients.
    pub betas: [f64; 2],
    /// Added to the root of the mean square.
    pub epsilon: f64,
    /// Weight decay.
    pub decay: f64,
}

impl Default for DescentConfig {
    /// PyTorch's defaults for Adam.
    fn default() -> Self {
        Self { kind: OptimizerKind::Adam, betas: [0.9, 0.999], epsilon: 1e-8, decay: 0.0 }
    }
}

/// An optimizer with its moments for a set of parameters.
#[derive(Clone, Debug)]
pub struct Descent {
    config: DescentConfig,
    /// Means of the gradients; for SGD, the momentum buffers.
    pub means: Parameters,
    /// Mean squares of the gradients; empty for SGD.
    pub squares: Parameters,
    /// Steps taken.
    pub steps: u64,
}

impl Descent {
    /// Starts without moments for `parameters`.
    pub fn new(config: DescentConfig, parameters: &Parameters) -> Self {
        let squares = match config.kind {
            OptimizerKind::Sgd => Parameters::new(&[], &parameters.device(), |_| Vec::new()),
            OptimizerKind::Adam | OptimizerKind::AdamW => parameters.zeros(),
        };
        Self { config, means: parameters.zeros(), squares, steps: 0 }
    }

    /// Resumes after `steps` steps with the moments that `training` has under names that begin with `prefix`.
    ///
    /// # Errors
    /// The moments belong to other parameters.
    pub fn resume(&mut self, training: &WeightFile, prefix: &str, steps: u64) -> Result<()> {
        let device = self.means.device();
        let read = |known: &Parameters, part: &str| {
            Parameters::read(&known.list(), training, &format!("{prefix}{part}"), &device)
        };
        (self.means, self.squares) = (read(&self.means, "means.")?, read(&self.squares, "squares.")?);
        self.steps = steps;
        Ok(())
    }

    /// Takes a step of learning rate `rate` along `gradients`. Weight decay applies where `decays` is true.
    pub fn step(
        &mut self,
        parameters: &mut Parameters,
        gradients: &Gradients,
        rate: f64,
        decays: impl Fn(&str, &[usize]) -> bool,
    ) {
        self.steps += 1;
        let names: Vec<String> = parameters.shapes().keys().cloned().collect();
        for name in names {
            let Some(gradient) = gradients.get(&name) else { continue };
            let decay = if decays(&name, &parameters.shapes()[&name]) { self.config.decay } else { 0.0 };
            let value = self.moved(&name, parameters.get(&name), gradient.clone(), rate, decay);
            parameters.set(&name, value);
        }
    }

    fn moved(
        &mut self,
        name: &str,
        value: Tensor<1>,
        gradient: Tensor<1>,
        rate: f64,
        decay: f64,
    ) -> Tensor<1> {
        let DescentConfig { kind, betas: [first, second], epsilon, .. } = self.config;
        let (value, gradient) = match (decay, kind) {
            (0.0, _) => (value, gradient),
            (_, OptimizerKind::AdamW) => (value * (1.0 - rate * decay), gradient),
            (_, OptimizerKind::Adam | OptimizerKind::Sgd) => (value.clone(), gradient + value * decay),
        };
        if kind == OptimizerKind::Sgd {
            let sum = self.means.get(name) * MOMENTUM + gradient;
            self.means.set(name, sum.clone());
            return value - sum * rate;
        }
        let mean = self.means.get(name) * first + gradient.clone() * (1.0 - first);
        let square = self.squares.get(name) * second + gradient.powi_scalar(2) * (1.0 - second);
        self.means.set(name, mean.clone());
        self.squares.set(name, square.clone());
        // Bias correction: both moments start at 0.
        let steps = self.steps as f64;
        let [mean_part, square_part] = [first, second].map(|beta| 1.0 - beta.powf(steps));
        value - mean / (square.sqrt() * square_part.powf(-0.5) + epsilon) * (rate / mean_part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use residua_kernels::values;
    use residua_model::Parameter;
    use residua_testing::assert_close;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Golden {
        start: Vec<f32>,
        gradients: Vec<Vec<f32>>,
        betas: [f64; 2],
        rates: Vec<f64>,
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        kind: String,
        decay: f64,
        path: Vec<Vec<f32>>,
    }

    #[test]
    fn steps_match_pytorch() {
        let golden: Golden = serde_json::from_str(include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/fixtures/training/optimizer.json"
        )))
        .expect("our own file");
        let device = Device::flex();
        let list = [Parameter { name: "x".into(), shape: vec![3] }];
        for Case { kind, decay, path } in golden.cases {
            let mut parameters = Parameters::new(&list, &device, |_| golden.start.clone());
            let kind = OptimizerKind::try_from(kind).expect("a published type");
            let config = DescentConfig { kind, betas: golden.betas, decay, ..DescentConfig::default() };
            let mut descent = Descent::new(config, &parameters);
            for ((gradient, rate), expected) in golden.gradients.iter().zip(&golden.rates).zip(path) {
                // The gradient of `gradient x` with respect to `x` is `gradient`.
                let tracked = parameters.tracked();
                let factor = Tensor::<1>::from_floats(gradient.as_slice(), &device).autodiff();
                let gradients = Gradients::of(&(tracked["x"].clone() * factor).sum(), &tracked);
                descent.step(&mut parameters, &gradients, *rate, |_, _| true);
                assert_close(&values(parameters.get("x")), &expected, 1e-5);
            }
        }
    }

    #[test]
    fn gradients_are_summed_and_clipped() {
        let device = Device::flex();
        let list = [Parameter { name: "x".into(), shape: vec![2] }];
        let parameters = Parameters::new(&list, &device, |_| vec![1.0, 1.0]);
        let tracked = parameters.tracked();
        let loss = || (tracked["x"].clone() * Tensor::<1>::from_floats([3.0, 4.0], &device).autodiff()).sum();
        let mut gradients = Gradients::of(&loss(), &tracked);
        gradients.add(Gradients::of(&loss(), &tracked));
        assert!((gradients.norm() - 10.0).abs() < 1e-5);
        assert!((gradients.clip(20.0) - 10.0).abs() < 1e-5);
        assert!((gradients.norm() - 10.0).abs() < 1e-5, "short gradients are not clipped");
        gradients.clip(1.0);
        assert!((gradients.norm() - 1.0).abs() < 1e-5);
    }
}
