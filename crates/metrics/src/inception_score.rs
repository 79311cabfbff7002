//! Inception score (Salimans et al., "Improved Techniques for Training GANs", 2016).

use serde::{Deserialize, Serialize};

use super::merge::Merge;
use residua_core::error::{Error, Result};

/// The score of a set of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct InceptionScore {
    /// Mean over the splits.
    pub mean: f64,
    /// Unbiased standard deviation over the splits; `None` for a single one.
    pub deviation: Option<f64>,
    /// Number of splits that have pictures.
    pub splits: usize,
}

/// Sums over the pictures of each split.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Splits(Vec<Split>);

/// Sums over the pictures of one split.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Split {
    /// Number of pictures.
    pictures: u32,
    /// Sum of the probabilities of each class.
    probabilities: Vec<f64>,
    /// Sum of `p ln p` over all probabilities `p`.
    logarithms: f64,
}

impl Splits {
    /// Empty sums for `splits` splits.
    pub fn new(classes: usize, splits: usize) -> Self {
        Self(vec![Split { pictures: 0, probabilities: vec![0.0; classes], logarithms: 0.0 }; splits])
    }

    /// Adds the class probabilities of a picture in `split`.
    pub fn add(&mut self, split: usize, probabilities: &[f32]) {
        let Split { pictures, probabilities: sums, logarithms } = &mut self.0[split];
        *pictures += 1;
        for (sum, p) in sums.iter_mut().zip(probabilities.iter().copied().map(f64::from)) {
            *sum += p;
            *logarithms += times_logarithm(p);
        }
    }

    /// `exp(E KL(p(y|x) | p(y)))`, for each split.
    ///
    /// # Errors
    /// There are no pictures.
    pub fn score(&self) -> Result<InceptionScore> {
        let scores: Vec<f64> = self.0.iter().filter(|split| split.pictures > 0).map(Split::score).collect();
        if scores.is_empty() {
            return Err(Error::invalid("an inception score needs at least one picture, found none"));
        }
        let splits = scores.len();
        let mean = scores.iter().sum::<f64>() / splits as f64;
        let squares: f64 = scores.iter().map(|score| (score - mean).powi(2)).sum();
        let deviation = (splits > 1).then(|| (squares / (splits - 1) as f64).sqrt());
        Ok(InceptionScore { mean, deviation, splits })
    }
}

impl Merge for Splits {
    fn merge(&mut self, other: Self) -> Result<()> {
        self.0.merge(other.0)
    }
}

impl Merge for Split {
    fn merge(&mut self, other: Self) -> Result<()> {
        self.pictures.merge(other.pictures)?;
        self.probabilities.merge(other.probabilities)?;
        self.logarithms.merge(other.logarithms)
    }
}

impl Split {
    /// The mean KL divergence is the mean of `p ln p` less that of the mean probabilities.
    fn score(&self) -> f64 {
        let count = f64::from(self.pictures);
        let of_mean: f64 = self.probabilities.iter().map(|sum| times_logarithm(sum / count)).sum();
        (self.logarithms / count - of_mean).exp()
    }
}

/// `p ln p`, which is 0 for 0.
fn times_logarithm(p: f64) -> f64 {
    if p > 0.0 { p * p.ln() } else { 0.0 }
}

/// The split of the picture at `place` of `count`: of `splits` splits, split `i` starts at `i count / splits`.
pub fn split_of(place: usize, count: usize, splits: usize) -> usize {
    ((place + 1) * splits - 1) / count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::golden;

    fn sums(rows: &[Vec<f32>], splits: usize) -> Splits {
        let mut sums = Splits::new(rows[0].len(), splits);
        for (place, row) in rows.iter().enumerate() {
            sums.add(split_of(place, rows.len(), splits), row);
        }
        sums
    }

    #[test]
    fn equals_the_published_score() {
        let golden = golden("inception_score.json");
        let row = |row: &serde_json::Value| -> Vec<f32> {
            row.as_array().unwrap().iter().map(|p| p.as_f64().unwrap() as f32).collect()
        };
        let rows: Vec<Vec<f32>> = golden["probabilities"].as_array().unwrap().iter().map(row).collect();
        let found = sums(&rows, 3).score().unwrap();
        assert!((found.mean - golden["mean"].as_f64().unwrap()).abs() < 1e-6, "{found:?}");
        assert!((found.deviation.unwrap() - golden["deviation"].as_f64().unwrap()).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn confident_and_diverse_predictions_score_the_number_of_classes() {
        let sure = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]].map(Vec::from);
        let found = sums(&sure, 1).score().unwrap();
        assert!((found.mean - 3.0).abs() < 1e-12 && found.deviation.is_none(), "{found:?}");
        let even = vec![vec![0.5; 2]; 4];
        assert_eq!(sums(&even, 2).score().unwrap().mean, 1.0);
        // A split may have lost its pictures.
        let mut lost = Splits::new(3, 2);
        sure.iter().for_each(|row| lost.add(1, row));
        assert_eq!(lost.score().unwrap().splits, 1);
        assert!(Splits::new(3, 2).score().unwrap_err().to_string().contains("found none"));
    }

    #[test]
    fn each_split_is_a_consecutive_range() {
        for (count, splits) in [(10, 3), (7, 7), (5, 1), (50, 10)] {
            let found: Vec<usize> = (0..count).map(|place| split_of(place, count, splits)).collect();
            for split in 0..splits {
                let range = split * count / splits..(split + 1) * count / splits;
                assert!(found[range].iter().all(|&of| of == split), "{count} {splits}: {found:?}");
            }
        }
    }

    #[test]
    fn parts_add_up_to_the_whole() {
        let row = |i: usize| -> Vec<f32> {
            let parts = [i % 3 + 1, i % 5 + 1, i % 7].map(|part| part as f32);
            parts.iter().map(|part| part / parts.iter().sum::<f32>()).collect()
        };
        let mut parts = [Splits::new(3, 4), Splits::new(3, 4), Splits::new(3, 4)];
        (0..40).for_each(|i| parts[i % 3].add(split_of(i, 40, 4), &row(i)));
        let [mut merged, second, third] = parts;
        merged.merge(second).unwrap();
        merged.merge(third).unwrap();
        let whole = sums(&(0..40).map(row).collect::<Vec<_>>(), 4).score().unwrap();
        let merged = merged.score().unwrap();
        assert!((merged.mean - whole.mean).abs() < 1e-12, "{merged:?}, expected {whole:?}");
        assert!(Splits::new(3, 4).merge(Splits::new(3, 5)).is_err());
    }
}
