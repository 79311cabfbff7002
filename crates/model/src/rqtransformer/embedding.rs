//! Embeds codes as vectors: with stage 1's codebook and a projection, or with the transformer's own tables.

use burn::tensor::{Int, Tensor};

use super::layers::Linear;
use crate::Loader;
use residua_core::config::rqtransformer::RqTransformerConfig;
use residua_core::error::{Error, Result};
use residua_kernels::embed::{CodeTable, Lookup, Place, Reading, embed_codes};
use residua_kernels::quantize::Codebooks;

/// Embeddings for the body or for the head.
#[derive(Debug)]
pub struct CodeEmbedding {
    /// Stage 1's codebooks, or the transformer's own table.
    table: CodeTable,
    /// The projection from stage 1's dimension to the transformer's width.
    projection: Option<Linear>,
    /// The same projection with its bias scaled by the depth, for the sum over a cell.
    cell_projection: Option<Linear>,
}

impl CodeEmbedding {
    /// Embeds with stage 1's `codebooks`, projected by the linear layer at `path`.
    pub fn codebooks(
        loader: &mut Loader,
        path: &str,
        config: &RqTransformerConfig,
        codebooks: Option<&Codebooks>,
    ) -> Result<Self> {
        let dim = config.input_embed_dim.unwrap_or(0);
        let projection = Linear::load(loader, path, [config.embed_dim, dim], true);
        let cell_projection = projection.with_bias(projection.bias() * config.depth() as f32);
        let table = match codebooks {
            Some(codebooks) => {
                check_codebooks(codebooks, config, dim)?;
                codebooks.table().clone()
            }
            // A plan computes nothing.
            None if loader.is_plan() => CodeTable::new(Tensor::zeros([1, 1], loader.device()), Vec::new()),
            None => {
                return Err(Error::usage(
                    "this RQ-Transformer embeds codes with its RQ-VAE's codebook: name that RQ-VAE, too",
                ));
            }
        };
        Ok(Self { table, projection: Some(projection), cell_projection: Some(cell_projection) })
    }

    /// Embeds with the transformer's own table.
    pub fn own(table: Tensor<2>, config: &RqTransformerConfig) -> Result<Self> {
        let sizes = config.codebook_sizes()?;
        let mut next = 0;
        let places = sizes.into_iter().map(|size| {
            let first = next;
            next += if config.shared_tok_emb { 0 } else { size };
            Place { first, size }
        });
        Ok(Self { table: CodeTable::new(table, places.collect()), projection: None, cell_projection: None })
    }

    /// Number of rows in the table for [`Self::own`].
    pub fn own_rows(config: &RqTransformerConfig) -> Result<usize> {
        let sizes = config.codebook_sizes()?;
        Ok(if config.shared_tok_emb { sizes.into_iter().max().unwrap_or(0) } else { sizes.iter().sum() })
    }

    /// Embeds cells `[N, D]` as inputs `[N, width]`: the sum over depth of their projected embeddings, plus a
    /// position from `positions` `[n, width]`, used in rotation.
    pub fn cells(&self, cells: Tensor<2, Int>, positions: Tensor<2>) -> Tensor<2> {
        let lookup = Lookup::first(cells.dims()[1], Reading::Sum);
        let Some(projection) = &self.cell_projection else {
            return embed_codes(cells, &self.table, lookup, Some(positions)).squeeze_dim(1);
        };
        let sums = projection.forward(embed_codes(cells, &self.table, lookup, None).squeeze_dim(1));
        let ([rows, width], count) = (sums.dims(), positions.dims()[0]);
        let placed = sums.reshape([rows / count, count, width]) + positions.unsqueeze();
        placed.reshape([rows, width])
    }

    /// Contexts `[N, depths, width]` after each of the first `depths` codes of cells `[N, D]`.
    pub fn contexts(&self, cells: Tensor<2, Int>, depths: usize, reading: Reading) -> Tensor<3> {
        let contexts = embed_codes(cells, &self.table, Lookup::first(depths, reading), None);
        let Some(projection) = &self.projection else { return contexts };
        let [rows, depths, channels] = contexts.dims();
        let projected = projection.forward(contexts.reshape([rows * depths, channels]));
        let width = projected.dims()[1];
        projected.reshape([rows, depths, width])
    }

    /// Embeddings of whole cells at places with these `positions` `[places, width]`.
    pub fn cells_at(&self, positions: Tensor<2>) -> Placed {
        Placed::new(&self.table, self.cell_projection.as_ref(), positions)
    }

    /// Embeddings of codes above a depth, at depths with these `positions` `[D, width]`.
    pub fn codes_at(&self, positions: Tensor<2>) -> Placed {
        Placed::new(&self.table, self.projection.as_ref(), positions)
    }
}

/// Embeddings for one place at a time, at which they all are. Adding its position takes no kernel of its own.
#[derive(Debug)]
pub struct Placed {
    table: CodeTable,
    projection: Option<Linear>,
    /// For each place, what is added to its embeddings: the position, and the projection's bias if there is one,
    /// `[places, width]`.
    addends: Tensor<2>,
}

impl Placed {
    fn new(table: &CodeTable, projection: Option<&Linear>, positions: Tensor<2>) -> Self {
        let addends = match projection {
            Some(projection) => positions + projection.bias().unsqueeze(),
            None => positions,
        };
        Self { table: table.clone(), projection: projection.cloned(), addends }
    }

    /// The sum `[N, width]` of the embeddings of the columns `lookup` of `codes` `[N, columns]`, at `place`.
    pub fn embed(&self, codes: Tensor<2, Int>, lookup: Lookup, place: usize) -> Tensor<2> {
        let width = self.addends.dims()[1];
        let addend = self.addends.clone().slice([place..place + 1, 0..width]);
        let embed = |onto| embed_codes(codes, &self.table, lookup, onto).squeeze_dim(1);
        match &self.projection {
            Some(projection) => projection.with_bias(addend.reshape([width])).forward(embed(None)),
            None => embed(Some(addend)),
        }
    }
}

fn check_codebooks(codebooks: &Codebooks, config: &RqTransformerConfig, dim: usize) -> Result<()> {
    let found: Vec<[usize; 2]> = codebooks.each().iter().map(|codebook| codebook.embeddings.dims()).collect();
    let expected: Vec<[usize; 2]> = config.codebook_sizes()?.into_iter().map(|size| [size, dim]).collect();
    if found == expected {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "stage 1 and stage 2 do not belong together: the transformer expects codebooks {expected:?}, stage 1 has {found:?}"
    )))
}
