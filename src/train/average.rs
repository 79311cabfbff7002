//! Averages of weights over the steps of a run, which is what people get of it.

use burn::tensor::Device;

use super::parameters::Parameters;
use crate::checkpoint::WeightFile;
use crate::error::Result;

/// Weights that follow those under training.
#[derive(Clone, Debug)]
pub struct Average {
    /// The averages.
    pub weights: Parameters,
    /// How much of them stays in a step, in the long run.
    decay: f64,
}

impl Average {
    /// Of `weights` as they are.
    pub fn new(weights: &Parameters, decay: f64) -> Self {
        Self { weights: weights.clone(), decay }
    }

    /// The same, of `weights` from now on.
    pub fn restarted(self, weights: &Parameters) -> Self {
        Self::new(weights, self.decay)
    }

    /// Moves towards `weights`, which step `step`, counted from 0, has left. As published, averages are short at first: they
    /// would else be full of the first weights, which nothing was learned by.
    pub fn follow(&mut self, weights: &Parameters, step: u64) {
        let step = step as f64;
        self.weights.follow(weights, self.decay.min((1.0 + step) / (10.0 + step)));
    }

    /// Goes on with the averages in `file`.
    ///
    /// # Errors
    /// They are of another model.
    pub fn resume(&mut self, file: &WeightFile, device: &Device) -> Result<()> {
        self.weights = Parameters::read(&self.weights.list(), file, "", device)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Parameter;
    use crate::kernels::values;
    use crate::testing::assert_close;

    /// Averages of `weights`, one a step, that begin at `first`.
    fn averages(first: f32, weights: &[f32], decay: f64) -> Vec<f32> {
        let device = Device::flex();
        let of = |value: f32| {
            Parameters::new(&[Parameter { name: "x".into(), shape: vec![1] }], &device, |_| vec![value])
        };
        let mut average = Average::new(&of(first), decay);
        let followed = weights.iter().zip(0..).map(|(&weight, step)| {
            average.follow(&of(weight), step);
            values(average.weights.get("x"))[0]
        });
        followed.collect()
    }

    /// The numbers are of the published module, given the same steps.
    #[test]
    fn averages_are_the_published_ones() {
        assert_close(&averages(8.0, &[1.0, 2.0, 4.0], 0.998), &[1.7, 1.945_454_5, 3.486_363_6], 1e-6);
        assert_close(&averages(8.0, &[1.0, 2.0, 4.0], 0.15), &[1.7, 1.955, 3.693_25], 1e-6);
    }

    #[test]
    fn first_weights_are_soon_forgotten() {
        let last = *averages(1e3, &[1.0; 800], 0.998).last().expect("800 steps");
        assert!((last - 1.0).abs() < 1e-3, "{last}");
    }
}
