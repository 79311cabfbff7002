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
