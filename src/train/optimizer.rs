//! Adam, with weight decay as part of the gradient (Adam) or beside it (AdamW; Loshchilov and Hutter, arXiv 1711.05101).

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::parameters::{Gradients, Parameters};

/// What the configuration says of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdamConfig {
    /// Decay of the mean and of the mean square of the gradients.
    pub betas: [f64; 2],
    /// Added to the square root of the latter.
    pub epsilon: f64,
    /// Weight decay.
    pub decay: f64,
    /// Whether the decay goes beside the gradient.
    pub decoupled: bool,
}

impl Default for AdamConfig {
    /// PyTorch's.
    fn default() -> Self {
        Self { betas: [0.9, 0.999], epsilon: 1e-8, decay: 0.0, decoupled: false }
    }
}

/// Moments of the gradients of some parameters.
#[derive(Clone, Debug)]
pub struct Adam {
    config: AdamConfig,
    /// Means of the gradients.
    pub means: Parameters,
    /// Means of their squares.
    pub squares: Parameters,
    /// Steps taken.
    pub steps: u64,
}

impl Adam {
    /// Nothing known of the gradients of `parameters`.
    pub fn new(config: AdamConfig, parameters: &Parameters) -> Self {
        Self { config, means: parameters.zeros(), squares: parameters.zeros(), steps: 0 }
    }

    /// Takes a step of `rate` along `gradients`; parameters for which `decays` is false keep their weight.
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
        let AdamConfig { betas: [first, second], epsilon, decoupled, .. } = self.config;
        let (value, gradient) = match (decay, decoupled) {
            (0.0, _) => (value, gradient),
            (_, true) => (value * (1.0 - rate * decay), gradient),
            (_, false) => (value.clone(), gradient + value * decay),
        };
        let mean = self.means.get(name) * first + gradient.clone() * (1.0 - first);
        let square = self.squares.get(name) * second + gradient.powi_scalar(2) * (1.0 - second);
        self.means.set(name, mean.clone());
        self.squares.set(name, square.clone());
        // Both begin at nothing, and are too small by that at first.
        let steps = self.steps as f64;
        let [mean_part, square_part] = [first, second].map(|beta| 1.0 - beta.powf(steps));
        value - mean / (square.sqrt() * square_part.powf(-0.5) + epsilon) * (rate / mean_part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Parameter;
    use crate::kernels::values;
    use crate::testing::assert_close;
    use burn::tensor::Device;

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
        decoupled: bool,
        decay: f64,
        path: Vec<Vec<f32>>,
    }

    #[test]
    fn steps_are_those_of_pytorch() {
        let golden: Golden = serde_json::from_str(include_str!("../../tests/fixtures/training/adam.json"))
            .expect("our own file");
        let device = Device::flex();
        let list = [Parameter { name: "x".into(), shape: vec![3] }];
        for Case { decoupled, decay, path } in golden.cases {
            let mut parameters = Parameters::new(&list, &device, |_| golden.start.clone());
            let config = AdamConfig { betas: golden.betas, decay, decoupled, ..AdamConfig::default() };
            let mut adam = Adam::new(config, &parameters);
            for ((gradient, rate), expected) in golden.gradients.iter().zip(&golden.rates).zip(path) {
                // The gradient of `gradient x` with respect to `x` is `gradient`.
                let tracked = parameters.tracked();
                let factor = Tensor::<1>::from_floats(gradient.as_slice(), &device).autodiff();
                let gradients = Gradients::of(&(tracked["x"].clone() * factor).sum(), &tracked);
                adam.step(&mut parameters, &gradients, *rate, |_, _| true);
                assert_close(&values(parameters.get("x")), &expected, 1e-5);
            }
        }
    }

    #[test]
    fn gradients_are_added_and_clipped() {
        let device = Device::flex();
        let list = [Parameter { name: "x".into(), shape: vec![2] }];
        let parameters = Parameters::new(&list, &device, |_| vec![1.0, 1.0]);
        let tracked = parameters.tracked();
        let loss = || (tracked["x"].clone() * Tensor::<1>::from_floats([3.0, 4.0], &device).autodiff()).sum();
        let mut gradients = Gradients::of(&loss(), &tracked);
        gradients.add(Gradients::of(&loss(), &tracked));
        assert!((gradients.norm() - 10.0).abs() < 1e-5);
        assert!((gradients.clip(20.0) - 10.0).abs() < 1e-5);
        assert!((gradients.norm() - 10.0).abs() < 1e-5, "what is short enough stays");
        gradients.clip(1.0);
        assert!((gradients.norm() - 1.0).abs() < 1e-5);
    }
}
