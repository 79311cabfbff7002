//! Residual quantization (paper section 3.1): each depth takes the code nearest to what the ones above left over.

use burn::tensor::activation::softmax;
use burn::tensor::{Int, Tensor};

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
