//! Other contents of a checkpoint besides the selected weights: a moving average, which the published trainer
//! creates but never updates, and a discriminator.

use super::parameters::fitted;
use crate::Checkpoint;
use residua_core::config::StateKind;
use residua_core::error::{Error, Result};
use residua_core::files;
use residua_weights::WeightFile;

/// The file beside the weights of our own runs that stores the state needed to resume.
const TRAINING: &str = "training.safetensors";

/// The largest number of elements to compare.
const MOST: usize = 1 << 22;

/// The largest allowed distance between an average and the trained weights, relative to the latter's norm. If
/// an average was never updated, the distance is about the sum of both norms.
const FARTHEST: f64 = 0.5;

impl Checkpoint {
    /// The discriminator that an RQ-VAE was trained with, and the prefix of its tensor names; `None` if the
    /// checkpoint has none.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn discriminator(&self) -> Result<Option<(WeightFile, &'static str)>> {
        let (Some(path), Ok(_)) = (&self.path, self.rqvae()) else { return Ok(None) };
        let training = path.with_file_name(TRAINING);
        if files::is_file(&training) {
            return Ok(Some((WeightFile::open(&training, StateKind::Auto)?, "discriminator.")));
        }
        match WeightFile::open(path, StateKind::Discriminator) {
            Ok(file) => Ok(Some((file, ""))),
            Err(Error::Usage(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Warns if the moving average was loaded but is far from the trained weights in the same file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn warn_of_average(&self) -> Result<()> {
        let (Some(path), StateKind::Ema, true) =
            (&self.path, self.weights.kind(), self.weights.available().state)
        else {
            return Ok(());
        };
        let trained = fitted(WeightFile::open(path, StateKind::State)?, self.parameters()?, &self.config);
        let distance = distance(&self.weights, &trained)?;
        if distance > FARTHEST {
            tracing::warn!(
                "{}: the moving average is far from the trained weights ({:.0}% of their length away): the trainer may never \
                 have updated it; the trained weights (state) are in the file too",
                self.name,
                100.0 * distance
            );
        }
        Ok(())
    }
}

/// Distance between the matrices of `average` and `trained`, relative to the norm of the latter.
fn distance(average: &WeightFile, trained: &WeightFile) -> Result<f64> {
    let (mut apart, mut length, mut left) = (0.0, 0.0, MOST);
    for info in average.tensors() {
        let same = trained.get(&info.name).is_some_and(|other| other.shape == info.shape);
        // Norm gains start near one and stay there.
        if !same || info.shape.len() < 2 || info.elements() > left {
            continue;
        }
        left -= info.elements();
        let pairs = average.read_f32(&info.name)?.into_iter().zip(trained.read_f32(&info.name)?);
        for (average, trained) in pairs {
            apart += f64::from(average - trained).powi(2);
            length += f64::from(trained).powi(2);
        }
    }
    Ok(if length > 0.0 { (apart / length).sqrt() } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The fixture's two kinds of weights are independent, so they are nearly orthogonal.
    #[test]
    fn unrelated_weights_are_far_apart() {
        let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
            .join("tests/fixtures/rqt-class/model.pt");
        let open = |kind| WeightFile::open(&path, kind).unwrap();
        let [average, trained] = [open(StateKind::Ema), open(StateKind::State)];
        assert!(distance(&average, &trained).unwrap() > FARTHEST);
        assert_eq!(distance(&trained, &trained).unwrap(), 0.0);
    }
}
