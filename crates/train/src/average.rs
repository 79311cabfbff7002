//! Exponential moving averages (EMA) of the weights over the steps of a run: the model that a run publishes.

use burn::tensor::Device;

use super::codebooks::MovingCodebooks;
use super::parameters::Parameters;
use residua_core::error::Result;
use residua_weights::WeightFile;

/// EMA of weights, and of codebooks if the model has them.
#[derive(Clone, Debug)]
pub struct Average {
    /// The averages.
    pub weights: Parameters,
    /// As published, codebooks are averaged too, although they are moving averages already.
    pub codebooks: Option<MovingCodebooks>,
    /// EMA decay, in the long run.
    decay: f64,
}

impl Average {
    /// Starts from `weights` and `codebooks`.
    pub fn new(weights: &Parameters, codebooks: Option<&MovingCodebooks>, decay: f64) -> Self {
        Self { weights: weights.clone(), codebooks: codebooks.cloned(), decay }
    }

    /// Starts again from `weights` and `codebooks`, with the same decay.
    pub fn restarted(self, weights: &Parameters, codebooks: Option<&MovingCodebooks>) -> Self {
        Self::new(weights, codebooks, self.decay)
    }

    /// Moves towards `weights` and `codebooks` after step `step`, counted from 0. As published, the decay is
    /// lower at first: the averages would otherwise be dominated by the untrained weights.
    pub fn follow(&mut self, weights: &Parameters, codebooks: Option<&MovingCodebooks>, step: u64) {
        let step = step as f64;
        let decay = self.decay.min((1.0 + step) / (10.0 + step));
        self.weights.follow(weights, decay);
        if let (Some(average), Some(codebooks)) = (&mut self.codebooks, codebooks) {
            average.follow(codebooks, decay);
        }
    }

    /// Resumes with the averages in `file`.
    ///
    /// # Errors
    /// The file belongs to another model.
    pub fn resume(&mut self, file: &WeightFile, device: &Device) -> Result<()> {
        self.weights = Parameters::read(&self.weights.list(), file, "", device)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codebooks::MovingCodebook;
    use residua_kernels::values;
    use residua_model::Parameter;
    use residua_testing::assert_close;

    /// The average after each step, starting at `first`; the steps set the weight to `weights`.
    fn averages(first: f32, weights: &[f32], decay: f64) -> Vec<f32> {
        let device = Device::flex();
        let of = |value: f32| {
            Parameters::new(&[Parameter { name: "x".into(), shape: vec![1] }], &device, |_| vec![value])
        };
        let mut average = Average::new(&of(first), None, decay);
        let followed = weights.iter().zip(0..).map(|(&weight, step)| {
            average.follow(&of(weight), None, step);
            values(average.weights.get("x"))[0]
        });
        followed.collect()
    }

    /// The numbers come from the published module, given the same steps.
    #[test]
    fn averages_match_the_published_code() {
        assert_close(&averages(8.0, &[1.0, 2.0, 4.0], 0.998), &[1.7, 1.945_454_5, 3.486_363_6], 1e-6);
        assert_close(&averages(8.0, &[1.0, 2.0, 4.0], 0.15), &[1.7, 1.955, 3.693_25], 1e-6);
    }

    /// A codebook is averaged like a single weight.
    #[test]
    fn codebooks_are_averaged_too() {
        let book = |value: f32| {
            let each = vec![MovingCodebook::new(vec![value], vec![2.0 * value], vec![3.0 * value])];
            MovingCodebooks::new(each, 1)
        };
        let device = Device::flex();
        let nothing = Parameters::new(&[], &device, |_| Vec::new());
        let mut average = Average::new(&nothing, Some(&book(8.0)), 0.998);
        for (value, step) in [1.0, 2.0, 4.0].into_iter().zip(0..) {
            average.follow(&nothing, Some(&book(value)), step);
        }
        let MovingCodebook { weight, cluster_size, sums, .. } = average.codebooks.unwrap().each.remove(0);
        let expected = 3.486_363_6;
        assert_close(&[weight[0], cluster_size[0], sums[0]], &[1.0, 2.0, 3.0].map(|x| x * expected), 1e-5);
    }

    #[test]
    fn initial_weights_are_soon_forgotten() {
        let last = *averages(1e3, &[1.0; 800], 0.998).last().expect("800 steps");
        assert!((last - 1.0).abs() < 1e-3, "{last}");
    }
}
