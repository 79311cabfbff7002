//! Likelihood of masked cells of pictures under a contextual stage 2, by how many are masked.

use burn::tensor::{Int, Tensor, TensorData};
use serde::Serialize;

use super::likelihood::conditions;
use super::{LeftOut, Pictures, Sizes, Tally, mean};
use crate::Stage2;
use residua_core::error::Result;
use residua_core::task::Task;
use residua_model::rqtransformer::Masked;
use residua_model::tensors::{read, to_tensor};
use residua_protocol::condition::tokenizer;
use residua_train::masks::random_cells;
use residua_train::rqtransformer::{Likelihood, Target};

/// Fractions of the cells to mask: from a single cell to all.
const RATIOS: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

/// Separates the random numbers from those for other uses.
const CELLS: u32 = 0x6365_6c6c;

/// The measurements.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// Pictures measured.
    pub pictures: usize,
    /// Pictures that could not be read, by path.
    pub left_out: Vec<LeftOut>,
    /// The same pictures at each mask ratio.
    pub ratios: Vec<AtRatio>,
}

/// Likelihood of the codes of masked cells, given all other cells and, within a cell, the codes of lower
/// depth.
#[derive(Clone, Debug, Serialize)]
pub struct AtRatio {
    /// Cells masked in each picture, at random.
    pub cells: usize,
    /// Their fraction of all cells.
    pub ratio: f64,
    /// Mean negative log-likelihood of a code, in nats.
    pub nats_per_code: f64,
    /// How far that is below the value of a model to which all codes are equally likely.
    pub nats_below_uniform: f64,
    /// `nats_per_code` at each depth.
    pub depths: Vec<f64>,
}

/// Measures the nearest codes of all `pictures`, as [`super::likelihood::measure`] does. Which cells are
/// masked depends only on the picture's number. The sums are of nats, by mask ratio and depth.
///
/// # Errors
/// The task was stopped; no picture could be read; the model is not contextual.
pub async fn measure(
    stage2: &Stage2,
    pictures: &mut Pictures,
    task: &mut Task<'_>,
) -> Result<Tally<Vec<Vec<f64>>>> {
    let (config, rqvae) = (&stage2.model.config, &stage2.stage1.model);
    let tokenizer = tokenizer(config)?;
    let (cells, depths) = (config.cells(), config.depth());
    let counts = masked_cells(cells);
    let mut sums = vec![vec![0.0; depths]; counts.len()];
    while let Some(batch) = pictures.next_batch(task).await? {
        let (images, device) = (batch.items.len(), stage2.model.device());
        let condition = TensorData::new(
            conditions(config, tokenizer.as_ref(), &batch)?,
            [images, config.block_size_cond],
        );
        let condition = Tensor::<2, Int>::from_data(condition, device);
        let codes = rqvae.quantizer.quantize(rqvae.encode(to_tensor(&batch.pictures, rqvae.device()))).codes;
        for (at, (&count, sums)) in counts.iter().zip(&mut sums).enumerate() {
            let of = |image: usize| {
                let key = [CELLS, at as u32, batch.numbers[image]];
                random_cells(count, cells, key).into_iter().map(move |cell| image * cells + cell)
            };
            let rows: Vec<usize> = (0..images).flat_map(of).collect();
            let masked = Masked::all_of(&rows, images, cells, device);
            let target = Target::Hard(codes.clone().reshape([images * cells * depths]));
            let found =
                Likelihood::of_masked(&stage2.model, codes.clone(), condition.clone(), target, &masked);
            for cell in read(found.each).await?.chunks_exact(depths) {
                sums.iter_mut().zip(cell).for_each(|(sum, &nats)| *sum += f64::from(nats));
            }
        }
    }
    Ok(Tally::new(pictures, sums))
}

/// How many of `cells` are masked at each ratio.
fn masked_cells(cells: usize) -> [usize; RATIOS.len()] {
    RATIOS.map(|ratio| ((ratio * cells as f64).ceil() as usize).max(1))
}

impl Measured {
    /// The measurements, from the sums of [`measure`] over pictures of `sizes`.
    ///
    /// # Errors
    /// There are no pictures.
    pub fn of(sizes: &Sizes, tally: Tally<Vec<Vec<f64>>>) -> Result<Self> {
        let Tally { pictures, left_out, sums } = tally.of_some()?;
        let uniform: Vec<f64> = sizes.codebooks.iter().map(|&size| (size as f64).ln()).collect();
        let ratios = masked_cells(sizes.cells).into_iter().zip(sums).map(|(count, sums)| {
            let depths: Vec<f64> = sums.iter().map(|sum| sum / (pictures * count) as f64).collect();
            let nats_per_code = mean(&depths);
            AtRatio {
                cells: count,
                ratio: count as f64 / sizes.cells as f64,
                nats_per_code,
                nats_below_uniform: mean(&uniform) - nats_per_code,
                depths,
            }
        });
        Ok(Self { pictures, left_out, ratios: ratios.collect() })
    }
}
