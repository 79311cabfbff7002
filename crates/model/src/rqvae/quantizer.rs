//! The bottleneck: latents to code stacks and back, where a code may cover a block of latents.

use burn::tensor::{Int, Tensor};

use super::Partial;
use crate::Loader;
use residua_core::config::rqvae::RqVaeConfig;
use residua_core::error::Result;
use residua_core::sampling::Filter;
use residua_kernels::embed::{Lookup, Reading, embed_codes};
use residua_kernels::quantize::{Codebook, Codebooks, Quantized, residual_quantize, residual_quantize_by};
use residua_kernels::sample_token::Draw;

/// The residual quantizer.
#[derive(Debug)]
pub struct Quantizer {
    /// One codebook per depth, or one for all.
    pub codebooks: Codebooks,
    /// Rows and columns of latents covered by one code.
    cell: [usize; 2],
    channels: usize,
}

/// The result of quantizing latents.
pub struct Bottleneck {
    /// Code stacks, `[B, h, w, D]`.
    pub codes: Tensor<4, Int>,
    /// Sums of the codes `0..=d` as latents `[B, h', w', C]`, for each depth `d`; the last is the quantized latent.
    pub partial_sums: Vec<Tensor<4>>,
    /// Squared norms of each cell's residual after codes `0..=d`, `[B, h, w, D]`.
    pub squares: Tensor<4>,
}

impl Quantizer {
    /// Loads `quantizer.codebooks.*`.
    pub fn load(loader: &mut Loader, config: &RqVaeConfig) -> Result<Self> {
        let (sizes, dim) = (config.codebook_sizes()?, config.code_dim());
        let name = |depth: usize| format!("quantizer.codebooks.{depth}.weight");
        let mut codebook = |depth: usize| Codebook::new(loader.codebook(&name(depth), [sizes[depth], dim]));
        let codebooks = if config.hparams.shared_codebook {
            let shared = codebook(0);
            (1..sizes.len()).for_each(|depth| loader.ignore(name(depth)));
            Codebooks::shared(shared, sizes.len())
        } else {
            Codebooks::per_depth((0..sizes.len()).map(codebook).collect())
        };
        // Moving averages, which only training needs.
        loader.ignore(".cluster_size_ema");
        loader.ignore(".embed_ema");
        Ok(Self { codebooks, cell: config.cell(), channels: config.hparams.embed_dim })
    }

    /// Codes in one cell.
    pub fn depth(&self) -> usize {
        self.codebooks.each().len()
    }

    /// Quantizes latents `[B, h', w', C]` to the nearest codes.
    pub fn quantize(&self, latents: Tensor<4>) -> Bottleneck {
        let shape = self.code_shape(&latents);
        self.bottleneck(residual_quantize(self.to_cells(latents), &self.codebooks), shape)
    }

    /// Quantizes latents `[B, h', w', C]` to codes sampled from `softmax(-distance / temperature)`;
    /// deterministic for a given seed (paper section 3.2.2).
    pub fn quantize_stochastic(&self, latents: Tensor<4>, temperature: f32, seed: u64) -> Bottleneck {
        let filter = Filter { temperature, ..Filter::NONE };
        self.quantize_by(latents, |depth, codebook, residual| {
            codebook.stochastic(
                residual,
                &Draw { filter, seed, first_image: 0, image_step: 1, place: depth as u32, turns: None },
            )
        })
    }

    /// Quantizes latents `[B, h', w', C]` to codes that `choose` selects for each depth's residuals
    /// `[B h w, C']`.
    pub fn quantize_by(
        &self,
        latents: Tensor<4>,
        choose: impl FnMut(usize, &Codebook, Tensor<2>) -> Tensor<1, Int>,
    ) -> Bottleneck {
        let shape = self.code_shape(&latents);
        self.bottleneck(residual_quantize_by(self.to_cells(latents), &self.codebooks, choose), shape)
    }

    /// `[B, h, w]` for latents `[B, h', w', C]`.
    fn code_shape(&self, latents: &Tensor<4>) -> [usize; 3] {
        let [batch, rows, columns, _] = latents.dims();
        [batch, rows / self.cell[0], columns / self.cell[1]]
    }

    fn bottleneck(&self, quantized: Quantized, [batch, h, w]: [usize; 3]) -> Bottleneck {
        let [depth, cells, channels] = quantized.partial_sums.dims();
        let sum = |d: usize| {
            let sum = quantized.partial_sums.clone().slice([d..d + 1, 0..cells, 0..channels]);
            self.to_latents(sum.reshape([cells, channels]), [batch, h, w])
        };
        Bottleneck {
            codes: quantized.codes.reshape([batch, h, w, depth]),
            partial_sums: (0..depth).map(sum).collect(),
            squares: quantized.squares.reshape([batch, h, w, depth]),
        }
    }

    /// `softmax(-distance / temperature)` at each depth, `[N, K_d]` for the `N` cells of latents
    /// `[B, h', w', C]`; each depth's residual is that of the nearest codes above.
    pub fn soft_codes(&self, latents: Tensor<4>, temperature: f32) -> Vec<Tensor<2>> {
        let mut soft = Vec::with_capacity(self.depth());
        self.quantize_by(latents, |_, codebook, residual| {
            soft.push(codebook.soft(residual.clone(), temperature));
            codebook.nearest(residual)
        });
        soft
    }

    /// Embeddings `[N, D, C']` of the codes `[B, h, w, D]`, `N = B h w`.
    pub fn embeddings(&self, codes: Tensor<4, Int>) -> Tensor<3> {
        self.embed(codes, Lookup::first(self.depth(), Reading::Each))
    }

    /// Embeds the codes `[B, h, w, D]` as `lookup` says: `[N, outputs, C']`.
    fn embed(&self, codes: Tensor<4, Int>, lookup: Lookup) -> Tensor<3> {
        let [batch, h, w, depth] = codes.dims();
        embed_codes(codes.reshape([batch * h * w, depth]), self.codebooks.table(), lookup, None)
    }

    /// Latents `[B, h', w', C]` of code stacks `[B, h, w, D]`, from all or some of their codes.
    pub fn latents(&self, codes: Tensor<4, Int>, partial: Partial) -> Tensor<4> {
        let [batch, h, w, _] = codes.dims();
        let lookup = match partial {
            Partial::Select(depth) => {
                Lookup { first_column: depth, first_depth: depth, depths: 1, reading: Reading::Sum }
            }
            Partial::Add(depth) => Lookup::first(depth + 1, Reading::Sum),
        };
        self.to_latents(self.embed(codes, lookup).squeeze_dim(1), [batch, h, w])
    }

    /// Latents `[B, h', w', C]` of code stacks `[B, h, w, D]`, each embedding multiplied by its entry in
    /// `mask` `[B h w, D]`.
    pub fn masked_latents(&self, codes: Tensor<4, Int>, mask: Tensor<2>) -> Tensor<4> {
        let [batch, h, w, _] = codes.dims();
        let cells = batch * h * w;
        let masked = self.embeddings(codes) * mask.unsqueeze_dim(2);
        let channels = masked.dims()[2];
        let sum = masked.sum_dim(1).reshape([cells, channels]);
        self.to_latents(sum, [batch, h, w])
    }

    /// `[B, h', w', C]` to `[B h w, rH rW C]`, with a cell's latents in (row, column, channel) order.
    pub fn to_cells(&self, latents: Tensor<4>) -> Tensor<2> {
        let [batch, rows, columns, channels] = latents.dims();
        let [r, c] = self.cell;
        let (h, w) = (rows / r, columns / c);
        let blocks = latents.reshape([batch, h, r, w, c, channels]).permute([0, 1, 3, 2, 4, 5]);
        blocks.reshape([batch * h * w, r * c * channels])
    }

    /// The inverse of [`Self::to_cells`].
    pub fn to_latents(&self, cells: Tensor<2>, [batch, h, w]: [usize; 3]) -> Tensor<4> {
        let ([r, c], channels) = (self.cell, self.channels);
        let blocks = cells.reshape([batch, h, w, r, c, channels]).permute([0, 1, 3, 2, 4, 5]);
        blocks.reshape([batch, h * r, w * c, channels])
    }
}

/// The commitment loss (equation 6): the mean over depths of the mean squared distance between `latents` and the partial
/// sums of their codes, all of one shape. A tensor with one element.
pub fn commitment_loss<const N: usize>(
    latents: &Tensor<N>,
    partial_sums: impl Iterator<Item = Tensor<N>>,
) -> Tensor<1> {
    let losses = partial_sums.map(|sum| (latents.clone() - sum).powi_scalar(2).mean());
    Tensor::cat(losses.collect(), 0).mean()
}
