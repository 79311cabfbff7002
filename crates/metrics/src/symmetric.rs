//! Linear algebra for the Fréchet distance: symmetric matrices in double precision.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use residua_core::error::{Error, Result};

/// Rows of a product to compute together, so that the other factor is read less often.
const ROWS: usize = 16;

/// Maximum number of QL steps per eigenvalue; about two are typical.
const MOST_STEPS: usize = 100;

/// A matrix in row-major order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Matrix {
    /// Number of columns.
    pub columns: usize,
    /// Values.
    pub values: Vec<f64>,
}

impl Matrix {
    /// A matrix of zeros.
    pub fn zeros(rows: usize, columns: usize) -> Self {
        Self { columns, values: vec![0.0; rows * columns] }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.values.len() / self.columns.max(1)
    }

    /// One row.
    pub fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.columns..][..self.columns]
    }

    /// The trace: the sum of the diagonal.
    pub fn trace(&self) -> f64 {
        self.values.iter().step_by(self.columns + 1).sum()
    }

    /// The transpose.
    pub fn transposed(&self) -> Self {
        let values =
            (0..self.columns).flat_map(|column| self.values.iter().skip(column).step_by(self.columns));
        Self { columns: self.rows(), values: values.copied().collect() }
    }

    /// The product of this, `[n, k]`, and `other`, `[k, m]`.
    pub fn times(&self, other: &Self) -> Self {
        let mut product = Self::zeros(self.rows(), other.columns);
        if other.columns == 0 {
            return product;
        }
        product.values.par_chunks_mut(ROWS * other.columns).enumerate().for_each(|(block, to)| {
            for inner in 0..self.columns {
                let with = other.row(inner);
                for (row, to) in to.chunks_exact_mut(other.columns).enumerate() {
                    add(to, self.values[(block * ROWS + row) * self.columns + inner], with);
                }
            }
        });
        product
    }
}

/// Factors a positive semidefinite matrix of rank `r` into `L L^T`, with `L` `[n, r]`: Cholesky
/// decomposition, pivoting on the largest remaining diagonal element until only rounding errors remain.
pub fn factor(matrix: &Matrix) -> Matrix {
    let size = matrix.columns;
    let mut diagonal: Vec<f64> = matrix.values.iter().step_by(size + 1).copied().collect();
    let largest = diagonal.iter().copied().fold(0.0, f64::max);
    let negligible = largest * f64::EPSILON * size as f64;
    // Row by row, with room for the maximum rank.
    let mut factor = Matrix::zeros(size, size);
    let mut rank = 0;
    while rank < size {
        let pivot = (0..size).fold(0, |best, i| if diagonal[i] > diagonal[best] { i } else { best });
        if diagonal[pivot] <= negligible {
            break;
        }
        let root = diagonal[pivot].sqrt();
        let above = factor.row(pivot)[..rank].to_vec();
        factor.values.par_chunks_exact_mut(size).zip(matrix.row(pivot)).for_each(|(row, &value)| {
            row[rank] = (value - dot(&row[..rank], &above)) / root;
        });
        for (i, rest) in diagonal.iter_mut().enumerate() {
            *rest -= factor.values[i * size + rank].powi(2);
        }
        diagonal[pivot] = 0.0;
        rank += 1;
    }
    let values = factor.values.chunks_exact(size).flat_map(|row| row[..rank].iter().copied());
    Matrix { columns: rank, values: values.collect() }
}

/// All eigenvalues of a symmetric matrix, unordered: Householder reflections make it tridiagonal, then
/// shifted QL steps make it diagonal. Accurate to about the rounding error of the largest.
///
/// # Errors
/// A value is NaN or infinite.
pub fn eigenvalues(matrix: Matrix) -> Result<Vec<f64>> {
    let (diagonal, beside) = tridiagonal(matrix);
    ql(diagonal, beside)
        .ok_or_else(|| Error::invalid("expected a matrix of finite numbers, found NaN or infinite values"))
}

/// Diagonal and off-diagonal (whose last element is 0) of a tridiagonal matrix with the same eigenvalues.
fn tridiagonal(mut matrix: Matrix) -> (Vec<f64>, Vec<f64>) {
    let size = matrix.columns;
    let (mut diagonal, mut beside) = (Vec::with_capacity(size), Vec::with_capacity(size));
    for k in 0..size {
        diagonal.push(matrix.values[k * size + k]);
        // Reflect the part of the row after the diagonal onto its first axis.
        let mut v = matrix.row(k)[k + 1..].to_vec();
        let Some(&first) = v.first() else {
            beside.push(0.0);
            break;
        };
        let length = dot(&v, &v).sqrt();
        let onto = if first > 0.0 { -length } else { length };
        v[0] -= onto;
        let squared = dot(&v, &v);
        if squared == 0.0 {
            beside.push(first);
            continue;
        }
        beside.push(onto);
        let rest = &mut matrix.values[(k + 1) * size..];
        let mut w: Vec<f64> =
            rest.par_chunks_exact(size).map(|row| dot(&row[k + 1..], &v) * 2.0 / squared).collect();
        let along = dot(&w, &v) / squared;
        add(&mut w, -along, &v);
        rest.par_chunks_exact_mut(size).enumerate().for_each(|(i, row)| {
            let (v_i, w_i) = (v[i], w[i]);
            row[k + 1..].iter_mut().zip(&v).zip(&w).for_each(|((x, v), w)| *x -= v_i * w + w_i * v);
        });
    }
    (diagonal, beside)
}

/// Eigenvalues of a tridiagonal matrix; `None` if the iteration does not converge.
fn ql(mut d: Vec<f64>, mut e: Vec<f64>) -> Option<Vec<f64>> {
    let size = d.len();
    let largest = d.iter().chain(&e).fold(0.0f64, |most, x| most.max(x.abs()));
    let negligible = f64::EPSILON * largest;
    for l in 0..size {
        let mut steps = 0;
        loop {
            let m = (l..size).find(|&m| e[m].abs() <= negligible)?;
            if m == l {
                break;
            }
            steps += 1;
            if steps > MOST_STEPS {
                return None;
            }
            step(&mut d, &mut e, l, m);
        }
    }
    Some(d)
}

/// One QL step with Wilkinson's shift on the rows `l..=m`.
fn step(d: &mut [f64], e: &mut [f64], l: usize, m: usize) {
    let half = (d[l + 1] - d[l]) / (2.0 * e[l]);
    let mut g = d[m] - d[l] + e[l] / (half + half.hypot(1.0).copysign(half));
    let (mut sine, mut cosine, mut p) = (1.0, 1.0, 0.0);
    for i in (l..m).rev() {
        let (f, b) = (sine * e[i], cosine * e[i]);
        let r = f.hypot(g);
        e[i + 1] = r;
        if r == 0.0 {
            d[i + 1] -= p;
            e[m] = 0.0;
            return;
        }
        (sine, cosine) = (f / r, g / r);
        g = d[i + 1] - p;
        let turned = (d[i] - g) * sine + 2.0 * cosine * b;
        p = sine * turned;
        d[i + 1] = g + p;
        g = cosine * turned - b;
    }
    d[l] -= p;
    e[l] = g;
    e[m] = 0.0;
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    // Several partial sums in parallel, as a single one would wait for each addition.
    let (a8, b8) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (a, b) in a8.0.iter().zip(b8.0) {
        (0..8).for_each(|i| sums[i] += a[i] * b[i]);
    }
    sums.iter().sum::<f64>() + a8.1.iter().zip(b8.1).map(|(a, b)| a * b).sum::<f64>()
}

/// `to += factor * from`
pub fn add(to: &mut [f64], factor: f64, from: &[f64]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += factor * from);
}

#[cfg(test)]
mod tests {
    use super::*;
    use residua_core::random::normal;

    fn noise(rows: usize, columns: usize) -> Matrix {
        let values = (0..(rows * columns) as u32).map(|i| f64::from(normal([7, i, 0, 0])));
        Matrix { columns, values: values.collect() }
    }

    fn assert_near(found: &[f64], expected: &[f64], tolerance: f64) {
        assert_eq!(found.len(), expected.len());
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < tolerance), "{found:?} {expected:?}");
    }

    #[test]
    fn products_are_rows_times_columns() {
        let a = Matrix { columns: 2, values: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0] };
        assert_eq!(a.transposed().values, [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
        assert_eq!(a.times(&a.transposed()).values, [5.0, 11.0, 17.0, 11.0, 25.0, 39.0, 17.0, 39.0, 61.0]);
        assert_eq!(a.times(&a.transposed()).trace(), 91.0);
    }

    #[test]
    fn a_factor_has_the_rank_of_its_matrix() {
        assert_eq!(factor(&Matrix::zeros(40, 40)).columns, 0);
        for rank in [1, 5, 40] {
            let root = noise(40, rank);
            let matrix = root.times(&root.transposed());
            let factor = factor(&matrix);
            assert_eq!(factor.columns, rank);
            assert_near(&factor.times(&factor.transposed()).values, &matrix.values, 1e-12 * 40.0);
        }
    }

    /// Traces of powers are sums of powers of the eigenvalues; `A A^T` and `A^T A` have the same ones.
    #[test]
    fn eigenvalues_match_traces_of_powers() {
        let sorted = |matrix: Matrix| {
            let mut found = eigenvalues(matrix).unwrap();
            found.sort_by(f64::total_cmp);
            found
        };
        for size in [1, 2, 3, 33] {
            let root = noise(size, size);
            let matrix = root.times(&root.transposed());
            let found = sorted(matrix.clone());
            let square = matrix.times(&matrix);
            let sum = |power: i32| found.iter().map(|x| x.powi(power)).sum::<f64>();
            let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-11 * b.abs(), "{a} {b}");
            near(sum(1), matrix.trace());
            near(sum(2), square.trace());
            near(sum(3), square.times(&matrix).trace());
            assert_near(&sorted(root.transposed().times(&root)), &found, 1e-10);
        }
        let diagonal = Matrix { columns: 3, values: vec![3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0] };
        assert_eq!(sorted(diagonal), [-1.0, 0.0, 3.0]);
        assert!(eigenvalues(Matrix { columns: 2, values: vec![f64::NAN; 4] }).is_err());
    }
}
