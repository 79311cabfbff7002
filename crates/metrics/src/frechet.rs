//! The Fréchet distance between two sets of features, each modelled as a normal distribution (Heusel et al.,
//! "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", 2017).

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::merge::{Merge, differing};
use super::symmetric::{Matrix, add, eigenvalues, factor};
use residua_core::error::{Error, Result};

/// Rows to buffer before adding their products, so that the sums are read less often.
const ROWS: usize = 128;

/// Mean and covariance of a set of features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// `[D]`
    pub mean: Vec<f64>,
    /// `[D, D]`, unbiased: divided by the number of rows minus 1.
    pub covariance: Matrix,
}

/// Running sums over a set of features, with only a few rows in memory.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Moments {
    count: usize,
    /// Subtracted from each row, close to the mean, so that the products keep their precision.
    origin: Vec<f64>,
    sums: Vec<f64>,
    /// Only the lower half is filled. Empty, like `origin`, while all rows are buffered.
    products: Matrix,
    /// Buffered rows, not in the sums yet.
    waiting: Vec<f64>,
}

impl Moments {
    /// Empty sums for rows of `dimension` features.
    pub fn new(dimension: usize) -> Self {
        Self {
            count: 0,
            origin: Vec::new(),
            sums: vec![0.0; dimension],
            products: Matrix::zeros(0, dimension),
            waiting: Vec::new(),
        }
    }

    /// Number of rows so far.
    pub fn count(&self) -> usize {
        self.count + self.waiting.len() / self.sums.len()
    }

    /// Adds complete rows.
    pub fn add(&mut self, rows: &[f32]) {
        self.wait(rows.iter().copied().map(f64::from));
    }

    /// Buffers complete rows, and adds them to the sums if there are enough.
    fn wait(&mut self, rows: impl IntoIterator<Item = f64>) {
        self.waiting.extend(rows);
        if self.waiting.len() >= ROWS * self.sums.len() {
            self.sum();
        }
    }

    /// Mean and covariance.
    ///
    /// # Errors
    /// There are fewer than two rows.
    pub fn finish(mut self) -> Result<Statistics> {
        self.sum();
        if self.count < 2 {
            return Err(Error::invalid(format!(
                "a distance between sets needs at least 2 pictures in each, found {}",
                self.count
            )));
        }
        let (count, size) = (self.count as f64, self.sums.len());
        let mut covariance = Matrix::zeros(size, size);
        for i in 0..size {
            for j in 0..=i {
                let product = self.products.values[i * size + j] - self.sums[i] * self.sums[j] / count;
                covariance.values[i * size + j] = product / (count - 1.0);
                covariance.values[j * size + i] = product / (count - 1.0);
            }
        }
        let mean = self.origin.iter().zip(&self.sums).map(|(origin, sum)| origin + sum / count).collect();
        Ok(Statistics { mean, covariance })
    }

    /// Adds the buffered rows to the sums.
    fn sum(&mut self) {
        let size = self.sums.len();
        let rows = self.waiting.len() / size;
        if rows == 0 {
            return;
        }
        if self.count == 0 {
            self.origin = vec![0.0; size];
            self.products = Matrix::zeros(size, size);
            self.waiting.chunks_exact(size).for_each(|row| add(&mut self.origin, 1.0 / rows as f64, row));
        }
        for row in self.waiting.chunks_exact_mut(size) {
            add(row, -1.0, &self.origin);
            add(&mut self.sums, 1.0, row);
        }
        let waiting = &self.waiting;
        self.products.values.par_chunks_exact_mut(size).enumerate().for_each(|(i, to)| {
            waiting.chunks_exact(size).for_each(|row| add(&mut to[..=i], row[i], &row[..=i]));
        });
        self.count += rows;
        self.waiting.clear();
    }
}

/// With `s` the sum of the other part's `n` rows `x` about its origin, and `d` from this origin to that one, the sum of
/// `(x + d)(x + d)^T` is that of `x x^T`, plus `s d^T + d (s + n d)^T`.
impl Merge for Moments {
    fn merge(&mut self, other: Self) -> Result<()> {
        let size = self.sums.len();
        if size != other.sums.len() {
            return Err(differing(format!("{size} features"), other.sums.len()));
        }
        let Self { count, origin, sums, products, waiting } = other;
        if self.count == 0 {
            (self.count, self.origin, self.sums, self.products) = (count, origin, sums, products);
        } else if count > 0 {
            let away: Vec<f64> = origin.iter().zip(&self.origin).map(|(other, own)| other - own).collect();
            let mut moved = sums.clone();
            add(&mut moved, count as f64, &away);
            let rows = self.products.values.chunks_exact_mut(size).zip(products.values.chunks_exact(size));
            for (i, (row, other)) in rows.enumerate() {
                add(row, 1.0, other);
                add(&mut row[..=i], sums[i], &away[..=i]);
                add(&mut row[..=i], away[i], &moved[..=i]);
            }
            add(&mut self.sums, 1.0, &moved);
            self.count += count;
        }
        self.wait(waiting);
        Ok(())
    }
}

impl Statistics {
    /// `|m - m'|^2 + tr(S + S' - 2 (S S')^1/2)` for means `m` and covariances `S`; 0 if they are equal. The
    /// trace of the root is the sum of the square roots of the eigenvalues of `L^T S' L`, where `S = L L^T`;
    /// these are the eigenvalues of `S S'`. Unlike a matrix square root of the product, this is exact even
    /// with fewer rows than features.
    ///
    /// # Errors
    /// The sizes differ, or values are NaN or infinite.
    pub fn distance(&self, other: &Self) -> Result<f64> {
        let (expected, found) = (self.mean.len(), other.mean.len());
        if expected != found {
            return Err(Error::invalid(format!(
                "cannot compare statistics with different numbers of features: expected {expected}, found {found}"
            )));
        }
        let apart: f64 = self.mean.iter().zip(&other.mean).map(|(a, b)| (a - b).powi(2)).sum();
        let factor = factor(&self.covariance);
        let between = factor.transposed().times(&other.covariance.times(&factor));
        let roots: f64 = match between.columns {
            0 => 0.0,
            _ => eigenvalues(between)?.into_iter().map(|value| value.max(0.0).sqrt()).sum(),
        };
        Ok(apart + self.covariance.trace() + other.covariance.trace() - 2.0 * roots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::golden;
    use serde_json::Value;

    pub fn numbers(value: &Value) -> Vec<f64> {
        match value {
            Value::Array(values) => values.iter().flat_map(numbers).collect(),
            value => vec![value.as_f64().unwrap()],
        }
    }

    fn statistics(golden: &Value, name: &str) -> Statistics {
        let mut moments = Moments::new(6);
        for row in golden["values"][name].as_array().unwrap() {
            moments.add(&numbers(row).iter().map(|&x| x as f32).collect::<Vec<_>>());
        }
        moments.finish().unwrap()
    }

    #[test]
    fn equals_the_published_distance() {
        let golden = golden("frechet.json");
        for case in golden["distances"].as_array().unwrap() {
            let [one, other] = [0, 1].map(|i| statistics(&golden, case[i].as_str().unwrap()));
            let (found, expected) = (one.distance(&other).unwrap(), case[2].as_f64().unwrap());
            assert!((found - expected).abs() < 1e-4, "{case}: {found}");
        }
    }

    #[test]
    fn mean_and_covariance_match_numpy() {
        let golden = golden("frechet.json");
        let found = statistics(&golden, "a");
        for (found, expected) in
            [(&found.mean, &golden["mean"]), (&found.covariance.values, &golden["covariance"])]
        {
            assert!(found.iter().zip(numbers(expected)).all(|(a, b)| (a - b).abs() < 1e-5), "{found:?}");
        }
    }

    /// The sums keep their precision far from zero and for any number of pieces.
    #[test]
    fn moments_do_not_depend_on_offset_or_pieces() {
        let row = |i: usize| [(i % 7) as f32, (i % 5) as f32, (i * i % 11) as f32];
        let of = |count: usize, away: f32| {
            let mut moments = Moments::new(3);
            (0..count).for_each(|i| moments.add(&row(i).map(|x| x + away)));
            assert_eq!(moments.count(), count);
            moments.finish().unwrap()
        };
        let (near, far) = (of(1000, 0.0), of(1000, 100_000.0));
        let close =
            near.covariance.values.iter().zip(&far.covariance.values).all(|(a, b)| (a - b).abs() < 1e-9);
        assert!(close, "{near:?} {far:?}");
        assert!((near.distance(&far).unwrap() - 3e10).abs() < 1.0);
        assert!(Moments::new(3).finish().unwrap_err().to_string().contains("found 0"));
    }

    /// Parts of any sizes, with or without rows that are still buffered, add up to the whole.
    #[test]
    fn parts_add_up_to_the_whole() {
        fn of(rows: impl Iterator<Item = usize>) -> Moments {
            let row = |i: usize| [(i % 7) as f32 + 1000.0, (i % 5) as f32 - 2000.0, (i * i % 11) as f32];
            let mut moments = Moments::new(3);
            rows.for_each(|i| moments.add(&row(i)));
            moments
        }
        for (total, parts) in [(1000, 2), (1000, 7), (300, 290), (400, 3)] {
            let whole = of(0..total).finish().unwrap();
            let part_of = |i: usize| if i < 5 { 0 } else { 1 + i % (parts - 1) };
            let part = |part: usize| of((0..total).filter(|&i| part_of(i) == part));
            let mut merged = Moments::new(3);
            (0..parts).for_each(|i| merged.merge(part(i)).unwrap());
            assert_eq!(merged.count(), total);
            let merged = merged.finish().unwrap();
            let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9);
            assert!(close(&merged.mean, &whole.mean), "{total} {parts}: {merged:?}, expected {whole:?}");
            assert!(close(&merged.covariance.values, &whole.covariance.values), "{total} {parts}");
        }
        assert!(Moments::new(3).merge(Moments::new(2)).is_err());
    }

    #[test]
    fn other_sizes_are_refused() {
        let of = |size: usize| Statistics { mean: vec![0.0; size], covariance: Matrix::zeros(size, size) };
        assert_eq!(of(3).distance(&of(3)).unwrap(), 0.0);
        assert!(of(3).distance(&of(2)).unwrap_err().to_string().contains("expected 3, found 2"));
    }
}
