//! Residual quantization (paper section 3.1): each depth takes the code nearest to what the ones above left over.

use burn::tensor::activation::softmax;
use burn::tensor::{Int, Tensor};

use super::sample_token::{Draw, sample_token};

/// A codebook ready for look-ups.
#[derive(Clone, Debug)]
pub struct Codebook {
    /// Embeddings, `[K, C]`.
    pub embeddings: Tensor<2>,
    /// Squared norms of the embeddings, `[1, K]`, computed once.
    norms: Tensor<2>,
}

/// What quantization gives.
pub struct Quantized {
    /// Codes, `[N, D]`.
    pub codes: Tensor<2, Int>,
    /// Sum of the embeddings of codes `0..=d`, `[N, C]`, for each depth `d`.
    pub partial_sums: Vec<Tensor<2>>,
}

impl Codebook {
    /// A codebook of `embeddings` `[K, C]`.
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

    /// Squared distances `[N, K]` of `residual` `[N, C]` to every code, less each row's own squared norm, which does
    /// not change what is nearest.
    fn relative_distances(&self, residual: Tensor<2>) -> Tensor<2> {
        self.norms.clone() - residual.matmul(self.embeddings.clone().transpose()) * 2.0
    }

    /// The codes `[N]` nearest to `residual` `[N, C]`; the lowest index on a tie.
    pub fn nearest(&self, residual: Tensor<2>) -> Tensor<1, Int> {
        let rows = residual.dims()[0];
        self.relative_distances(residual).argmin(1).reshape([rows])
    }

    /// Codes `[N]` drawn for `residual` `[N, C]` from [`Self::soft`] at the temperature of `draw` (paper section 3.2.2);
    /// row `i` is image `i` of the draw.
    pub fn stochastic(&self, residual: Tensor<2>, draw: &Draw) -> Tensor<1, Int> {
        sample_token(self.relative_distances(residual) * -1.0, draw)
    }

    /// `softmax(-distance / temperature)` over the codes, `[N, K]` (paper section 3.2.2).
    pub fn soft(&self, residual: Tensor<2>, temperature: f32) -> Tensor<2> {
        softmax(self.relative_distances(residual) * (-1.0 / temperature), 1)
    }
}

/// Quantizes `latents` `[N, C]` with one codebook a depth (equation 2). `choose` picks the codes of a residual: the
/// nearest, or for stochastic codes a draw.
pub fn residual_quantize(
    latents: Tensor<2>,
    codebooks: &[Codebook],
    mut choose: impl FnMut(usize, &Codebook, Tensor<2>) -> Tensor<1, Int>,
) -> Quantized {
    let mut residual = latents;
    let mut codes = Vec::with_capacity(codebooks.len());
    let mut partial_sums: Vec<Tensor<2>> = Vec::with_capacity(codebooks.len());
    for (depth, codebook) in codebooks.iter().enumerate() {
        let chosen = choose(depth, codebook, residual.clone());
        let embedding = codebook.embed(chosen.clone());
        residual = residual - embedding.clone();
        partial_sums.push(match partial_sums.last() {
            Some(sum) => sum.clone() + embedding,
            None => embedding,
        });
        codes.push(chosen.unsqueeze_dim(1));
    }
    Quantized { codes: Tensor::cat(codes, 1), partial_sums }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::Filter;
    use crate::kernels::values;
    use crate::testing::tensor;
    use burn::tensor::{Device, TensorData};

    fn codes(codes: Tensor<1, Int>) -> Vec<usize> {
        let codes: Vec<i64> = codes.into_data().convert::<i64>().try_to_vec().expect("converted");
        codes.into_iter().map(|code| code as usize).collect()
    }

    #[test]
    fn the_nearest_code_is_the_lowest_index_on_a_tie() {
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
        let draw = Draw { filter, seed: 5, first_image: 0, place: 0 };
        let draws = 20_000;
        let mut counts = [0u32; 8];
        for code in codes(codebook.stochastic(point.repeat_dim(0, draws), &draw)) {
            counts[code] += 1;
        }
        for (count, p) in counts.iter().zip(expected) {
            assert!((*count as f32 / draws as f32 - p).abs() < 0.015, "{counts:?}");
        }
    }
}
