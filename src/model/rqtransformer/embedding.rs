//! How codes become vectors: by stage 1's codebook and a projection, or by tables of the transformer's own.

use burn::tensor::{Int, Tensor};

use super::config::RqTransformerConfig;
use super::layers::Linear;
use crate::checkpoint::Loader;
use crate::error::{Error, Result};
use crate::kernels::quantize::Codebook;

/// Embeds the code of one depth.
#[derive(Debug)]
enum Table {
    /// Stage 1's codebooks, one a depth.
    Codebooks(Vec<Codebook>),
    /// The transformer's own table, `[rows, C]`, and the row at which each depth's codes begin.
    Own { table: Box<Tensor<2>>, offsets: Vec<usize> },
}

/// Embeddings for the body or for the head.
#[derive(Debug)]
pub struct CodeEmbedding {
    table: Table,
    /// The projection from stage 1's dimension to the transformer's width.
    projection: Option<Linear>,
    /// The same with its bias counted once a depth, for a sum over a whole cell.
    cell_projection: Option<Linear>,
}

impl CodeEmbedding {
    /// Embeds with stage 1's `codebooks`, projected by the linear layer at `path`.
    pub fn codebooks(
        loader: &mut Loader,
        path: &str,
        config: &RqTransformerConfig,
        codebooks: Option<&[Codebook]>,
    ) -> Result<Self> {
        let dim = config.input_embed_dim.unwrap_or(0);
        let projection = Linear::load(loader, path, [config.embed_dim, dim], true);
        let cell_projection = projection.with_bias_times(config.depth() as f32);
        let codebooks = match codebooks {
            Some(codebooks) => {
                check_codebooks(codebooks, config, dim)?;
                codebooks.to_vec()
            }
            None if loader.is_plan() => Vec::new(),
            None => {
                return Err(Error::usage(
                    "this RQ-Transformer embeds codes by stage 1's codebook; give --rqvae",
                ));
            }
        };
        Ok(Self {
            table: Table::Codebooks(codebooks),
            projection: Some(projection),
            cell_projection: Some(cell_projection),
        })
    }

    /// Embeds with the transformer's own table.
    pub fn own(table: Tensor<2>, config: &RqTransformerConfig) -> Result<Self> {
        let sizes = config.codebook_sizes()?;
        let mut next = 0;
        let offsets = sizes.iter().map(|size| {
            let offset = next;
            next += if config.shared_tok_emb { 0 } else { *size };
            offset
        });
        Ok(Self {
            table: Table::Own { table: Box::new(table), offsets: offsets.collect() },
            projection: None,
            cell_projection: None,
        })
    }

    /// Rows of the table that [`Self::own`] takes.
    pub fn own_rows(config: &RqTransformerConfig) -> Result<usize> {
        let sizes = config.codebook_sizes()?;
        Ok(if config.shared_tok_emb { sizes.into_iter().max().unwrap_or(0) } else { sizes.iter().sum() })
    }

    /// Embeddings `[N, C']` of the codes `[N]` at `depth`, before projection.
    pub fn embed(&self, codes: Tensor<1, Int>, depth: usize) -> Tensor<2> {
        match &self.table {
            Table::Codebooks(codebooks) => codebooks[depth].embed(codes),
            Table::Own { table, offsets } => table.as_ref().clone().select(0, codes + offsets[depth] as i32),
        }
    }

    /// The sum over depth of the projected embeddings of cells `[N, D]`: `[N, width]`.
    pub fn cell(&self, cells: Tensor<2, Int>) -> Tensor<2> {
        let [rows, depth] = cells.dims();
        let at = |d: usize| self.embed(cells.clone().slice([0..rows, d..d + 1]).reshape([rows]), d);
        let sum = (0..depth).map(at).reduce(|sum, next| sum + next).expect("depth is at least 1");
        project(&self.cell_projection, sum)
    }

    /// Projects embeddings, or sums of them, `[N, C']` to `[N, width]`.
    pub fn project(&self, embeddings: Tensor<2>) -> Tensor<2> {
        project(&self.projection, embeddings)
    }
}

fn project(projection: &Option<Linear>, x: Tensor<2>) -> Tensor<2> {
    match projection {
        Some(projection) => projection.forward(x),
        None => x,
    }
}

fn check_codebooks(codebooks: &[Codebook], config: &RqTransformerConfig, dim: usize) -> Result<()> {
    let found: Vec<[usize; 2]> = codebooks.iter().map(|codebook| codebook.embeddings.dims()).collect();
    let expected: Vec<[usize; 2]> = config.codebook_sizes()?.into_iter().map(|size| [size, dim]).collect();
    if found == expected {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "stage 1 and stage 2 do not belong together: the transformer expects codebooks {expected:?}, stage 1 has {found:?}"
    )))
}
