//! The outputs of an RQ-VAE.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::golden::Golden;
use super::{Comparison, tolerance, training};
use crate::models::Stage1;
use crate::reconstruct::check_codes;
use residua_core::codes::CodeStack;
use residua_core::config::rqvae::DdConfig;
use residua_core::error::Result;
use residua_core::task::Task;
use residua_model::rqvae::{Partial, commitment_loss};
use residua_model::tensors::{codes_from_tensor, codes_to_tensor, read};
use residua_model::{Checkpoint, RqVae};

/// Compares every output in `golden`.
pub async fn verify(
    checkpoint: Checkpoint,
    golden: &Golden,
    device: &Device,
    task: &mut Task<'_>,
) -> Result<Vec<Comparison>> {
    let DdConfig { resolution, in_channels, .. } = checkpoint.rqvae()?.ddconfig;
    let shape = [golden.shape::<4>("image")?[0], in_channels, resolution, resolution];
    golden.check("image", shape)?;
    let trained = training::rqvae(&checkpoint, golden, device).await?;
    let model = Stage1::from_checkpoint(checkpoint, device, task)?.model;
    let images = Tensor::<4>::from_data(TensorData::new(golden.values("image")?, shape), device);
    let latents = model.encode(images);
    let codes = stacks(&model, golden, "codes", shape[0])?;
    let given = codes_to_tensor(&codes, device);
    let run = Run { model, latents, codes, given };

    let mut comparisons = trained;
    for name in golden.names() {
        if let Some(comparison) = run.compare(name, golden, tolerance(device)).await? {
            comparisons.push(comparison);
        }
    }
    Ok(comparisons)
}

/// The code stacks `name` of so many `images`, which `model` can decode.
fn stacks(model: &RqVae, golden: &Golden, name: &str, images: usize) -> Result<Vec<CodeStack>> {
    let [h, w, depth] = model.config.hparams.code_shape;
    golden.check(name, [images, h, w, depth])?;
    let stacks = golden.stacks(name)?;
    stacks.iter().try_for_each(|stack| check_codes(model, stack))?;
    Ok(stacks)
}

/// A model, its latents of the golden images, and the golden codes. Everything after the codes is computed
/// from the golden ones, so that one difference does not count many times.
struct Run {
    model: RqVae,
    latents: Tensor<4>,
    codes: Vec<CodeStack>,
    given: Tensor<4, Int>,
}

impl Run {
    /// The comparison of output `name`; `None` for an input, or an output of training.
    async fn compare(&self, name: &str, golden: &Golden, relative: f64) -> Result<Option<Comparison>> {
        let (quantizer, depth) = (&self.model.quantizer, self.model.config.depth());
        let found = match name {
            "image" => return Ok(None),
            "codes" | "soft_codes_argmax" => {
                return Ok(Some(self.compare_codes(name, golden, relative).await?));
            }
            "z_e" => read(self.latents.clone()).await?,
            "z_q" => read(quantizer.latents(self.given.clone(), Partial::Add(depth - 1))).await?,
            "recon" | "decode_code" => read(self.model.decode_codes(self.given.clone())).await?,
            "commitment_loss" => {
                let sums = (0..depth).map(|d| quantizer.latents(self.given.clone(), Partial::Add(d)));
                read(commitment_loss(&self.latents, sums)).await?
            }
            "code_embeddings" => {
                let [b, h, w, _] = self.given.dims();
                let all = quantizer.embeddings(self.given.clone());
                let dim = all.dims()[2];
                read(all.reshape([b, h, w, depth, dim])).await?
            }
            _ => match (partial(name, depth), soft_temperature(name)) {
                (Some(partial), _) => read(self.model.decode_partial(self.given.clone(), partial)).await?,
                (_, Some(temperature)) => self.soft_codes(temperature, golden.shape::<5>(name)?[0]).await?,
                _ => return Ok(None),
            },
        };
        Ok(Some(Comparison::of_values(name, &found, &golden.values(name)?, relative)))
    }

    /// Soft codes of the first `count` images, `[count, h, w, D, K]`; of fewer if there are fewer.
    async fn soft_codes(&self, temperature: f32, count: usize) -> Result<Vec<f32>> {
        let [images, rows, columns, channels] = self.latents.dims();
        let count = count.min(images);
        let latents = self.latents.clone().slice([0..count, 0..rows, 0..columns, 0..channels]);
        let soft = self.model.quantizer.soft_codes(latents, temperature);
        let soft: Vec<Tensor<3>> = soft.into_iter().map(|soft| soft.unsqueeze_dim(1)).collect();
        read(Tensor::cat(soft, 1)).await
    }

    /// Counts codes that differ, and near ties: those almost as close as the golden one.
    async fn compare_codes(&self, name: &str, golden: &Golden, relative: f64) -> Result<Comparison> {
        let found = codes_from_tensor(self.model.quantizer.quantize(self.latents.clone()).codes).await?;
        let expected = stacks(&self.model, golden, name, found.len())?;
        let (mut wrong, mut ties) = (0, 0);
        let distances = Distances::new(self).await?;
        for (image, (found, expected)) in found.iter().zip(&expected).enumerate() {
            for (cell, (found, expected)) in found.cells().zip(expected.cells()).enumerate() {
                let cell = image * self.codes[0].h() * self.codes[0].w() + cell;
                match distances.first_difference(cell, found, expected, relative) {
                    Verdict::Same => (),
                    Verdict::Tie => ties += 1,
                    Verdict::Wrong => wrong += 1,
                }
            }
        }
        Ok(Comparison::of_codes(name, wrong, ties))
    }
}

enum Verdict {
    Same,
    Tie,
    Wrong,
}

/// Distances of residuals to codes, in double precision on the host.
struct Distances {
    /// Latents by cell, `dim` values each.
    cells: Vec<f32>,
    dim: usize,
    codebooks: Vec<Vec<f32>>,
}

impl Distances {
    async fn new(run: &Run) -> Result<Self> {
        let quantizer = &run.model.quantizer;
        let cells = read(quantizer.to_cells(run.latents.clone())).await?;
        let mut codebooks = Vec::new();
        for codebook in quantizer.codebooks.each() {
            codebooks.push(read(codebook.embeddings.clone()).await?);
        }
        Ok(Self { cells, dim: run.model.config.code_dim(), codebooks })
    }

    /// Judges the first depth at which the codes of a cell differ; after it, the residuals differ anyway.
    fn first_difference(&self, cell: usize, found: &[u32], expected: &[u32], relative: f64) -> Verdict {
        let Some(depth) = found.iter().zip(expected).position(|(a, b)| a != b) else { return Verdict::Same };
        let mut residual: Vec<f64> =
            self.cells[cell * self.dim..(cell + 1) * self.dim].iter().map(|&x| f64::from(x)).collect();
        for (d, &code) in expected[..depth].iter().enumerate() {
            for (r, e) in residual.iter_mut().zip(self.embedding(d, code)) {
                *r -= f64::from(*e);
            }
        }
        let distance = |code: u32| -> f64 {
            let pairs = residual.iter().zip(self.embedding(depth, code));
            pairs.map(|(r, e)| (r - f64::from(*e)).powi(2)).sum()
        };
        let (a, b) = (distance(found[depth]), distance(expected[depth]));
        if (a - b).abs() <= relative * a.max(b) { Verdict::Tie } else { Verdict::Wrong }
    }

    fn embedding(&self, depth: usize, code: u32) -> &[f32] {
        &self.codebooks[depth][code as usize * self.dim..(code as usize + 1) * self.dim]
    }
}

/// `partial_select_2` or `partial_add_2`.
fn partial(name: &str, depth: usize) -> Option<Partial> {
    let at = |prefix: &str| name.strip_prefix(prefix)?.parse().ok().filter(|&d: &usize| d < depth);
    at("partial_select_").map(Partial::Select).or_else(|| at("partial_add_").map(Partial::Add))
}

/// `soft_codes_t0.5`.
fn soft_temperature(name: &str) -> Option<f32> {
    name.strip_prefix("soft_codes_t")?.parse().ok()
}
