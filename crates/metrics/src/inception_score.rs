//! Inception score (Salimans et al., "Improved Techniques for Training GANs", 2016).

use serde::Serialize;

use residua_core::error::{Error, Result};

/// The score of a set of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct InceptionScore {
    /// Mean over the splits.
    pub mean: f64,
    /// Unbiased standard deviation over the splits; `None` for a single one.
    pub deviation: Option<f64>,
    /// Number of splits: consecutive parts of the pictures.
    pub parts: usize,
}

/// `exp(E KL(p(y|x) | p(y)))` of `probabilities` `[N, classes]`, for each of `parts` splits; split `i` starts
/// at `i N / parts`.
///
/// # Errors
/// There are fewer pictures than splits, or no splits.
pub fn inception_score(probabilities: &[f32], classes: usize, parts: usize) -> Result<InceptionScore> {
    let count = probabilities.len() / classes;
    if parts == 0 || count < parts {
        return Err(Error::usage(format!(
            "splits: expected 1 to {count}, the number of pictures, found {parts}"
        )));
    }
    let score = |part: usize| {
        let rows = part * count / parts * classes..(part + 1) * count / parts * classes;
        divergence(&probabilities[rows], classes).exp()
    };
    let scores: Vec<f64> = (0..parts).map(score).collect();
    let mean = scores.iter().sum::<f64>() / parts as f64;
    let squares: f64 = scores.iter().map(|score| (score - mean).powi(2)).sum();
    let deviation = (parts > 1).then(|| (squares / (parts - 1) as f64).sqrt());
    Ok(InceptionScore { mean, deviation, parts })
}

/// Mean KL divergence of the rows from their mean, in nats.
fn divergence(rows: &[f32], classes: usize) -> f64 {
    let count = (rows.len() / classes) as f64;
    let mut mean = vec![0.0; classes];
    for row in rows.chunks_exact(classes) {
        mean.iter_mut().zip(row).for_each(|(mean, &p)| *mean += f64::from(p) / count);
    }
    let pairs = rows.chunks_exact(classes).flat_map(|row| row.iter().zip(&mean));
    let terms = pairs.filter(|(p, _)| **p > 0.0).map(|(&p, mean)| f64::from(p) * (f64::from(p) / mean).ln());
    terms.sum::<f64>() / count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::golden;

    #[test]
    fn equals_the_published_score() {
        let golden = golden("inception_score.json");
        let rows = golden["probabilities"].as_array().unwrap().iter();
        let probabilities: Vec<f32> =
            rows.flat_map(|row| row.as_array().unwrap()).map(|p| p.as_f64().unwrap() as f32).collect();
        let found = inception_score(&probabilities, 6, 3).unwrap();
        assert!((found.mean - golden["mean"].as_f64().unwrap()).abs() < 1e-6, "{found:?}");
        assert!((found.deviation.unwrap() - golden["deviation"].as_f64().unwrap()).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn confident_and_diverse_predictions_score_the_number_of_classes() {
        let sure = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
        let found = inception_score(&sure, 3, 1).unwrap();
        assert!((found.mean - 3.0).abs() < 1e-12 && found.deviation.is_none(), "{found:?}");
        assert_eq!(inception_score(&[0.5; 8], 2, 2).unwrap().mean, 1.0);
        for parts in [0, 4] {
            assert!(inception_score(&sure, 3, parts).unwrap_err().to_string().contains("expected 1 to 3"));
        }
    }
}
