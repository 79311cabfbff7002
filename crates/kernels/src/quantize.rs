//! Residual quantization (paper section 3.1): each depth picks the code nearest to the residual of the
//! previous depths.

use burn::backend::Dispatch;
use burn::tensor::activation::softmax;
use burn::tensor::{Int, Tensor};

use super::cube::residual_quantize_variant;
use super::embed::{CodeTable, Place};
use super::matmul::matmul;
use super::operations::Kernels;
use super::route::{Gradient, Route, route};
use super::sample_token::{Draw, sample_token};

/// A codebook prepared for look-ups.
#[derive(Clone, Debug)]
pub struct Codebook {
    /// Embeddings, `[K, C]`.
    pub embeddings: Tensor<2>,
    /// Squared norms of the embeddings, `[1, K]`, computed once.
    norms: Tensor<2>,
}

/// The codebooks of all depths.
#[derive(Clone, Debug)]
pub struct Codebooks {
    /// One per depth. A shared codebook is the same tensors at each depth.
    each: Vec<Codebook>,
    table: CodeTable,
    /// Squared norms of the rows of the table, `[1, rows]`.
    norms: Tensor<2>,
}

impl Codebooks {
    /// One codebook shared by `depths` depths.
    pub fn shared(codebook: Codebook, depths: usize) -> Self {
        let places = vec![Place { first: 0, size: codebook.size() }; depths];
        let table = CodeTable::new(codebook.embeddings.clone(), places);
        Self { norms: codebook.norms.clone(), each: vec![codebook; depths], table }
    }

    /// One codebook per depth, at least one.
    pub fn per_depth(each: Vec<Codebook>) -> Self {
        let table = CodeTable::per_depth(each.iter().map(|codebook| codebook.embeddings.clone()).collect());
        let norms = Tensor::cat(each.iter().map(|codebook| codebook.norms.clone()).collect(), 1);
        Self { each, table, norms }
    }

    /// The codebooks, one per depth.
    pub fn each(&self) -> &[Codebook] {
        &self.each
    }

    /// Whether all depths share one codebook.
    pub fn is_shared(&self) -> bool {
        self.table.is_shared()
    }

    /// The embeddings of all depths.
    pub fn table(&self) -> &CodeTable {
        &self.table
    }
}

/// The result of quantization.
pub struct Quantized {
    /// Codes, `[N, D]`.
    pub codes: Tensor<2, Int>,
    /// Sum of the embeddings of codes `0..=d`, for each depth `d`, `[D, N, C]`.
    pub partial_sums: Tensor<3>,
    /// Squared norm of the residual after codes `0..=d`, for each depth `d`, `[N, D]`.
    pub squares: Tensor<2>,
}

impl Codebook {
    /// A codebook with `embeddings` `[K, C]`.
    pub fn new(embeddings: Tensor<2>) -> Self {
        let norms = embeddings.clone().powi_scalar(2).sum_dim(1).transpose();
        Self { embeddings, norms }
    }

    /// Number of codes, `K`.
    pub fn size(&self) -> usize {
        self.embeddings.dims()[0]
    }

    /// Embeddings `[N, C]` of `codes` `[N]`.
    pub fn embed(&self, codes: Tensor<1, Int>) -> Tensor<2> {
        self.embeddings.clone().select(0, codes)
    }

    /// Squared distances `[N, K]` of `residual` `[N, C]` to every code, minus each row's own squared norm,
    /// which does not change the nearest code.
    fn relative_distances(&self, residual: Tensor<2>) -> Tensor<2> {
        self.norms.clone() - matmul(residual, self.embeddings.clone().transpose()) * 2.0
    }

    /// The codes `[N]` nearest to `residual` `[N, C]`; the lowest index on a tie.
    pub fn nearest(&self, residual: Tensor<2>) -> Tensor<1, Int> {
        let rows = residual.dims()[0];
        self.relative_distances(residual).argmin(1).reshape([rows])
    }

    /// Codes `[N]` sampled for `residual` `[N, C]` from [`Self::soft`] at the temperature of `draw` (paper
    /// section 3.2.2). Row `i` is image `i` of `draw`.
    pub fn stochastic(&self, residual: Tensor<2>, draw: &Draw) -> Tensor<1, Int> {
        sample_token(self.relative_distances(residual) * -1.0, draw)
    }

    /// `softmax(-distance / temperature)` over the codes, `[N, K]` (paper section 3.2.2).
    pub fn soft(&self, residual: Tensor<2>, temperature: f32) -> Tensor<2> {
        let (distances, factor) = (self.relative_distances(residual), -1.0 / temperature);
        match route(&distances.device(), None, Gradient::Nowhere) {
            Route::Kernel => {
                Tensor::from_dispatch(Dispatch::residua_softmax(distances.into_dispatch(), factor))
            }
            Route::Composed => softmax(distances * factor, 1),
        }
    }
}

/// Quantizes `latents` `[N, C]` with one codebook per depth (equation 2). Each depth picks the code nearest
/// to the residual, the lowest index on a tie.
pub fn residual_quantize(latents: Tensor<2>, codebooks: &Codebooks) -> Quantized {
    let [rows, channels] = latents.dims();
    let variant = residual_quantize_variant(rows, channels, codebooks.each.len());
    let Some(table) = codebooks.table.for_kernel(&latents.device(), variant) else {
        return composed(latents, codebooks);
    };
    let norms = codebooks.norms.clone().into_dispatch();
    let (codes, partial_sums, squares) =
        Dispatch::residua_residual_quantize(latents.into_dispatch(), table, norms);
    Quantized {
        codes: Tensor::from_dispatch(codes),
        partial_sums: Tensor::from_dispatch(partial_sums),
        squares: Tensor::from_dispatch(squares),
    }
}

/// [`residual_quantize`] built from matrix products and Burn's own operations.
pub fn composed(latents: Tensor<2>, codebooks: &Codebooks) -> Quantized {
    residual_quantize_by(latents, codebooks, |_, codebook, residual| codebook.nearest(residual))
}

/// Quantizes `latents` `[N, C]` with one codebook per depth. `choose` picks the codes for each depth's
/// residuals.
pub fn residual_quantize_by(
    latents: Tensor<2>,
    codebooks: &Codebooks,
    mut choose: impl FnMut(usize, &Codebook, Tensor<2>) -> Tensor<1, Int>,
) -> Quantized {
    let codebooks = codebooks.each();
    let mut residual = latents;
    let mut codes = Vec::with_capacity(codebooks.len());
    let mut squares = Vec::with_capacity(codebooks.len());
    let mut partial_sums: Vec<Tensor<2>> = Vec::with_capacity(codebooks.len());
    for (depth, codebook) in codebooks.iter().enumerate() {
        let chosen = choose(depth, codebook, residual.clone());
        let embedding = codebook.embed(chosen.clone());
        residual = residual - embedding.clone();
        squares.push(residual.clone().powi_scalar(2).sum_dim(1));
        partial_sums.push(match partial_sums.last() {
            Some(sum) => sum.clone() + embedding,
            None => embedding,
        });
        codes.push(chosen.unsqueeze_dim(1));
    }
    Quantized {
        codes: Tensor::cat(codes, 1),
        partial_sums: Tensor::cat(partial_sums.into_iter().map(|sum| sum.unsqueeze_dim(0)).collect(), 0),
        squares: Tensor::cat(squares, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu;
    use crate::{Grain, values};
    use burn::tensor::{Device, TensorData};
    use residua_core::random::pcg4d;
    use residua_core::sampling::Filter;
    use residua_testing::{poison, tensor};

    fn codes(codes: Tensor<1, Int>) -> Vec<usize> {
        let codes: Vec<i64> = codes.into_data().convert::<i64>().try_to_vec().expect("converted");
        codes.into_iter().map(|code| code as usize).collect()
    }

    #[test]
    fn nearest_picks_the_lowest_index_on_a_tie() {
        let device = Device::flex();
        let rows = [[0.0, 1.0], [1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]];
        let codebook = Codebook::new(Tensor::from_data(TensorData::from(rows), &device));
        let points = TensorData::from([[0.9, 0.1], [-2.0, 0.0], [0.0, 0.0]]);
        assert_eq!(codes(codebook.nearest(Tensor::from_data(points, &device))), [1, 3, 0]);
    }

    #[test]
    fn stochastic_codes_follow_soft_codes() {
        let device = Device::flex();
        let codebook = Codebook::new(tensor([8, 3], 1, &device));
        let point = tensor::<2>([1, 3], 2, &device);
        let expected = values(codebook.soft(point.clone(), 0.7));
        let filter = Filter { temperature: 0.7, ..Filter::NONE };
        let draw = Draw { filter, seed: 5, first_image: 0, image_step: 1, place: 0, turns: None };
        let draws = 20_000;
        let mut counts = [0u32; 8];
        for code in codes(codebook.stochastic(point.repeat_dim(0, draws), &draw)) {
            counts[code] += 1;
        }
        for (count, p) in counts.iter().zip(expected) {
            assert!((*count as f32 / draws as f32 - p).abs() < 0.015, "{counts:?}");
        }
    }

    /// Copies a tensor to the GPU.
    fn moved<const D: usize>(tensor: &Tensor<D>) -> Tensor<D> {
        Tensor::from_data(tensor.clone().into_data(), &gpu())
    }

    /// Asserts that no code is nearer to the residual than the chosen one, that no equal code has a lower
    /// index, and that sums and squares match the codes. Computed in double precision on the host.
    fn assert_nearest(found: Quantized, latents: &Tensor<2>, codebooks: &[Tensor<2>]) {
        let [rows, channels] = latents.dims();
        let depths = codebooks.len();
        let sums = values(found.partial_sums.reshape([depths * rows * channels]));
        let squares = values(found.squares);
        let codes = codes(found.codes.reshape([rows * depths]));
        let tables: Vec<Vec<f32>> = codebooks.iter().map(|codebook| values(codebook.clone())).collect();
        for (row, latent) in values(latents.clone()).chunks(channels).enumerate() {
            let mut residual: Vec<f64> = latent.iter().map(|&x| f64::from(x)).collect();
            let mut sum = vec![0.0; channels];
            for (depth, table) in tables.iter().enumerate() {
                let distance = |code: &[f32]| -> f64 {
                    residual.iter().zip(code).map(|(r, &c)| (r - f64::from(c)).powi(2)).sum()
                };
                let code = codes[row * depths + depth];
                let own = &table[code * channels..][..channels];
                let least = table.chunks(channels).map(distance).fold(f64::INFINITY, f64::min);
                let scale = own.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() + least + 1.0;
                assert!(distance(own) <= least + 1e-5 * scale, "row {row}, depth {depth}: {code}");
                assert_eq!(table.chunks(channels).position(|other| other == own), Some(code));
                for ((residual, sum), &x) in residual.iter_mut().zip(&mut sum).zip(own) {
                    *residual -= f64::from(x);
                    *sum += f64::from(x);
                }
                let square: f64 = residual.iter().map(|r| r * r).sum();
                let found = f64::from(squares[row * depths + depth]);
                assert!(
                    (found - square).abs() <= 1e-4 * scale,
                    "row {row}, depth {depth}: {found}, {square}"
                );
                let found = &sums[(depth * rows + row) * channels..][..channels];
                assert!(found.iter().zip(&sum).all(|(&a, b)| (f64::from(a) - b).abs() < 1e-4 * scale));
            }
        }
    }

    /// Sizes that are not multiples of the tiles, codebooks of very different sizes, and a third of the codes
    /// duplicated.
    #[test]
    fn both_kernels_find_the_nearest_codes() {
        Grain::ALL.into_iter().for_each(|grain| grain.during(nearest_codes_are_found));
    }

    fn nearest_codes_are_found() {
        let host = Device::flex();
        for case in 0..40u32 {
            let size = |word, most: u32| 1 + (pcg4d([case, word, 5, 5])[0] % most) as usize;
            let rows = [1, 2, 3, 5, 8, 9, 31, 33, 65, 200][case as usize % 10];
            let (channels, depths) = (size(0, 300), size(1, 4));
            let most = [20_000, 40, 700, 2000][case as usize % 4] / if rows > 40 { 4 } else { 1 };
            let codebooks: Vec<Tensor<2>> = (0..depths as u32)
                .map(|depth| {
                    let table = tensor([size(2 + depth, most), channels], case * 8 + depth, &host);
                    let repeated = table.dims()[0].div_ceil(3);
                    Tensor::cat(vec![table.clone(), table.slice([0..repeated, 0..channels])], 0)
                })
                .collect();
            let latents: Tensor<2> = tensor([rows, channels], case + 1000, &host) * 2.0;
            println!("case {case}: {rows} x {channels}, {:?}", codebooks.iter().map(Tensor::dims));
            let ready = Codebooks::per_depth(codebooks.iter().cloned().map(Codebook::new).collect());
            assert_nearest(residual_quantize(latents.clone(), &ready), &latents, &codebooks);
            let there = codebooks.iter().map(|codebook| Codebook::new(moved(codebook)));
            let ready = Codebooks::per_depth(there.collect());
            let there = moved(&latents);
            poison([depths, rows, channels], &gpu());
            poison([rows, depths], &gpu());
            assert_nearest(residual_quantize(there.clone(), &ready), &latents, &codebooks);
            assert_eq!(values(there), values(latents));
        }
    }

    /// An image's codes do not depend on the other images.
    #[test]
    fn a_row_does_not_depend_on_other_rows() {
        Grain::ALL.into_iter().for_each(|grain| grain.during(rows_are_independent));
    }

    fn rows_are_independent() {
        let host = Device::flex();
        let (codebook, latents) = (tensor::<2>([3000, 100], 1, &host), tensor::<2>([70, 100], 2, &host));
        for device in [host, gpu()] {
            let on = |tensor: &Tensor<2>| Tensor::<2>::from_data(tensor.clone().into_data(), &device);
            let codebooks = Codebooks::shared(Codebook::new(on(&codebook)), 3);
            let quantized = |latents: Tensor<2>| {
                let found = residual_quantize(latents, &codebooks);
                (codes(found.codes.flatten(0, 1)), values(found.squares))
            };
            let all = quantized(on(&latents));
            for rows in [1, 5, 9, 40] {
                let (codes, squares) = quantized(on(&latents).slice([0..rows, 0..100]));
                assert_eq!(codes, all.0[..3 * rows]);
                assert_eq!(squares, all.1[..3 * rows]);
            }
        }
    }

    /// A NaN latent gets a valid code.
    #[test]
    fn nan_latents_get_the_first_code() {
        for device in [Device::flex(), gpu()] {
            let codebook = Codebook::new(tensor([700, 5], 1, &device));
            let latents = Tensor::full([3, 5], f32::NAN, &device);
            let found = residual_quantize(latents, &Codebooks::shared(codebook, 2));
            assert_eq!(codes(found.codes.flatten(0, 1)), [0; 6]);
        }
    }
}
