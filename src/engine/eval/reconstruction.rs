//! How well a stage 1 gives pictures back, with all their codes and with the first ones only, and what the codes cost.

use rayon::prelude::*;
use serde::Serialize;

use super::{LeftOut, Pictures, mean};
use crate::engine::Task;
use crate::engine::pictures::{codes_from_tensor, from_tensor, read, to_tensor};
use crate::error::Result;
use crate::image_io::Picture;
use crate::metrics::psnr::decibels;
use crate::metrics::{Lpips, Usage, mse, ssim};
use crate::model::RqVae;
use crate::model::rqvae::Partial;

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// Pictures measured.
    pub pictures: usize,
    /// Pictures that could not be read.
    pub left_out: Vec<LeftOut>,
    /// Pixels each way.
    pub resolution: usize,
    /// Mean over pictures, in decibels.
    pub psnr: f64,
    /// Of the mean squared error of all pictures, in decibels; never above [`Self::psnr`].
    pub psnr_of_mean_mse: f64,
    /// Mean over pictures.
    pub ssim: f64,
    /// Mean squared error over [0, 1].
    pub mse: f64,
    /// Mean over pictures, where it was asked for.
    pub lpips: Option<f64>,
    /// Bits of a picture's codes, every code as likely.
    pub bits_per_image: f64,
    /// The same for each pixel.
    pub bits_per_pixel: f64,
    /// Bits of a picture's codes, each coded by how often it is used at its depth.
    pub entropy_bits_per_image: f64,
    /// The same for each pixel.
    pub entropy_bits_per_pixel: f64,
    /// By how many codes a cell are taken, from one to all.
    pub depths: Vec<Depth>,
}

/// What the first codes of each cell give, and the last of them.
#[derive(Clone, Debug, Serialize)]
pub struct Depth {
    /// Codes a cell.
    pub codes: usize,
    /// Words in the codebook of the last.
    pub codebook_size: usize,
    /// How many of them are used.
    pub codes_used: usize,
    /// The same as a part of all.
    pub usage: f64,
    /// 2 to the entropy of their use.
    pub perplexity: f64,
    /// Bits of a picture, every code as likely.
    pub bits_per_image: f64,
    /// Bits of a picture, each code by its use.
    pub entropy_bits_per_image: f64,
    /// Mean over pictures, in decibels.
    pub psnr: f64,
    /// Mean squared error over [0, 1].
    pub mse: f64,
    /// Mean over pictures, where it was asked for.
    pub lpips: Option<f64>,
}

/// What is measured of each picture.
struct Figures {
    /// Squared errors at each depth.
    errors: Vec<Vec<f64>>,
    /// Of the last depth.
    similarities: Vec<f64>,
    /// LPIPS at each depth, where asked for.
    distances: Vec<Vec<f64>>,
}

/// Reconstructs all `pictures`, which have the resolution of `model`, by their nearest codes; `lpips` says how different they
/// look.
///
/// # Errors
/// The model is not of pictures; the task was stopped; not one picture could be read.
pub async fn measure(
    model: &RqVae,
    lpips: Option<&Lpips>,
    pictures: &mut Pictures,
    task: &mut Task<'_>,
) -> Result<Measured> {
    let mut usage = Usage::new(&model.config.codebook_sizes()?);
    let mut figures = Figures {
        errors: vec![Vec::new(); model.config.depth()],
        similarities: Vec::new(),
        distances: vec![Vec::new(); model.config.depth()],
    };
    while let Some(batch) = pictures.next_batch(task).await? {
        let originals = batch.pictures;
        let latents = model.encode(to_tensor(&originals, model.device()));
        let codes = model.quantizer.quantize(latents).codes;
        codes_from_tensor(codes.clone()).await?.iter().for_each(|stack| usage.add(stack));
        let mut made = Vec::new();
        for (depth, errors) in figures.errors.iter_mut().enumerate() {
            task.pause().await?;
            made = from_tensor(model.decode_partial(codes.clone(), Partial::Add(depth))).await?;
            errors.extend(each(&originals, &made, mse)?);
            if let Some(lpips) = lpips {
                task.pause().await?;
                let [a, b] = [&originals, &made].map(|pictures| to_tensor(pictures, model.device()));
                // As when it is shown, and as all other figures see it.
                let distances = read(lpips.distance(a, b.clamp(-1.0, 1.0))).await?;
                figures.distances[depth].extend(distances.into_iter().map(f64::from));
            }
        }
        figures.similarities.extend(each(&originals, &made, ssim)?);
    }
    summary(model, &usage, &figures, std::mem::take(&mut pictures.left_out))
}

/// `metric` of each original and what was made of it.
fn each(
    originals: &[Picture],
    made: &[Picture],
    metric: fn(&Picture, &Picture) -> Result<f64>,
) -> Result<Vec<f64>> {
    originals.par_iter().zip(made).map(|(original, made)| metric(original, made)).collect()
}

/// The means of `figures`, and what the codes cost.
fn summary(model: &RqVae, usage: &Usage, figures: &Figures, left_out: Vec<LeftOut>) -> Result<Measured> {
    let ([h, w, _], resolution) = (model.config.hparams.code_shape, model.config.ddconfig.resolution);
    let (cells, pixels) = ((h * w) as f64, (resolution * resolution) as f64);
    let sizes = model.config.codebook_sizes()?;
    let (mut bits, mut entropy) = (0.0, 0.0);
    let depths = figures.errors.iter().zip(&sizes).enumerate().map(|(depth, (errors, &size))| {
        bits += cells * (size as f64).log2();
        entropy += cells * usage.entropy(depth);
        Depth {
            codes: depth + 1,
            codebook_size: size,
            codes_used: usage.used(depth),
            usage: usage.used(depth) as f64 / size as f64,
            perplexity: usage.perplexity(depth),
            bits_per_image: bits,
            entropy_bits_per_image: entropy,
            psnr: mean(&errors.iter().copied().map(decibels).collect::<Vec<_>>()),
            mse: mean(errors),
            lpips: (!figures.distances[depth].is_empty()).then(|| mean(&figures.distances[depth])),
        }
    });
    let depths: Vec<Depth> = depths.collect();
    let all = depths.last().expect("a stack has at least one code a cell");
    Ok(Measured {
        pictures: figures.similarities.len(),
        left_out,
        resolution,
        psnr: all.psnr,
        psnr_of_mean_mse: decibels(all.mse),
        ssim: mean(&figures.similarities),
        mse: all.mse,
        lpips: all.lpips,
        bits_per_image: bits,
        bits_per_pixel: bits / pixels,
        entropy_bits_per_image: entropy,
        entropy_bits_per_pixel: entropy / pixels,
        depths,
    })
}
