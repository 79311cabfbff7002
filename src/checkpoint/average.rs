//! What a checkpoint has besides the weights that are taken: a moving average, which the published trainer makes and never
//! moves, and a discriminator.

use super::{Checkpoint, StateKind, WeightFile};
use crate::error::{Error, Result};
use crate::files;

/// The file beside the weights of a run of ours that has what the run needs to go on.
const TRAINING: &str = "training.safetensors";

/// The most numbers that are compared.
const MOST: usize = 1 << 22;

/// The largest distance from the trained weights that an average may have, as a part of their length. Weights that are
/// forgotten are about as far as their own length and that of the others, together.
const FARTHEST: f64 = 0.5;

impl Checkpoint {
    /// The discriminator that an RQ-VAE was trained with, and what comes before the names of its tensors; `None` where the
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

    /// Warns where the moving average was taken, the trained weights are there too, and the two are far apart.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn warn_of_average(&self) -> Result<()> {
        let (Some(path), StateKind::Ema, true) =
            (&self.path, self.weights.kind(), self.weights.available().state)
        else {
            return Ok(());
        };
        let trained = WeightFile::open(path, StateKind::State)?;
        let distance = distance(&self.weights, &trained)?;
        if distance > FARTHEST {
            tracing::warn!(
                "{}: the moving average is far from the trained weights ({:.0}% of their length away): its trainer may never \
                 have moved it from the first weights; take the others by --weights state",
                self.name,
                100.0 * distance
            );
        }
        Ok(())
    }
}

/// How far the matrices of `average` are from those of `trained`, in lengths of the latter.
fn distance(average: &WeightFile, trained: &WeightFile) -> Result<f64> {
    let (mut apart, mut length, mut left) = (0.0, 0.0, MOST);
    for info in average.tensors() {
        let same = trained.get(&info.name).is_some_and(|other| other.shape == info.shape);
        // Gains of norms begin where they stay, near one.
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

    /// The fixture's two kinds of weights are drawn by themselves: as far apart as two can be that are alike in length.
    #[test]
    fn weights_that_have_nothing_in_common_are_far_apart() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rqt-class/model.pt");
        let open = |kind| WeightFile::open(&path, kind).unwrap();
        let [average, trained] = [open(StateKind::Ema), open(StateKind::State)];
        assert!(distance(&average, &trained).unwrap() > FARTHEST);
        assert_eq!(distance(&trained, &trained).unwrap(), 0.0);
    }
}
