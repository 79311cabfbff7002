//! How well a stage 1 reconstructs pictures, from all codes and from only the first ones, and the size of the
//! codes.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{LeftOut, Pictures, Sizes, Tally};
use residua_core::error::Result;
use residua_core::task::Task;
use residua_io::image_io::Picture;
use residua_judges::Lpips;
use residua_metrics::merge::Merge;
use residua_metrics::psnr::decibels;
use residua_metrics::{Usage, mse, ssim};
use residua_model::RqVae;
use residua_model::rqvae::Partial;
use residua_model::tensors::{codes_from_tensor, from_tensor, read, to_tensor};

/// The measurements.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// Pictures measured.
    pub pictures: usize,
    /// Pictures that could not be read, by path.
    pub left_out: Vec<LeftOut>,
    /// Pixels per side.
    pub resolution: usize,
    /// Mean PSNR over pictures, in decibels.
    pub psnr: f64,
    /// PSNR of the mean squared error of all pictures, in decibels; never above [`Self::psnr`].
    pub psnr_of_mean_mse: f64,
    /// Mean SSIM over pictures.
    pub ssim: f64,
    /// Mean squared error of values in `[0, 1]`.
    pub mse: f64,
    /// Mean LPIPS over pictures, if requested.
    pub lpips: Option<f64>,
    /// Bits of a picture's codes, if all codes are equally likely.
    pub bits_per_image: f64,
    /// The same per pixel.
    pub bits_per_pixel: f64,
    /// Bits of a picture's codes, entropy-coded by how often each is used at its depth.
    pub entropy_bits_per_image: f64,
    /// The same per pixel.
    pub entropy_bits_per_pixel: f64,
    /// By the number of codes used per cell, from one to all.
    pub depths: Vec<Depth>,
}

/// The reconstruction from the first codes of each cell, and the usage of the last of these.
#[derive(Clone, Debug, Serialize)]
pub struct Depth {
    /// Codes per cell.
    pub codes: usize,
    /// Size of the codebook of the last.
    pub codebook_size: usize,
    /// How many of its codes are used.
    pub codes_used: usize,
    /// The same as a fraction.
    pub usage: f64,
    /// 2 to the power of the entropy of their use.
    pub perplexity: f64,
    /// Bits of a picture, if all codes are equally likely.
    pub bits_per_image: f64,
    /// Bits of a picture, entropy-coded.
    pub entropy_bits_per_image: f64,
    /// Mean PSNR over pictures, in decibels.
    pub psnr: f64,
    /// Mean squared error of values in `[0, 1]`.
    pub mse: f64,
    /// Mean LPIPS over pictures, if requested.
    pub lpips: Option<f64>,
}

/// Sums over pictures.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sums {
    /// How often each code is used.
    usage: Usage,
    /// SSIM at the last depth.
    similarity: f64,
    /// By the number of codes used per cell, from one to all.
    depths: Vec<DepthSums>,
}

/// Sums over reconstructions from the first codes of each cell.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct DepthSums {
    /// Squared errors.
    error: f64,
    /// PSNR, in decibels.
    decibels: f64,
    /// LPIPS, if requested.
    distance: Option<f64>,
}

impl Merge for Sums {
    fn merge(&mut self, other: Self) -> Result<()> {
        self.usage.merge(other.usage)?;
        self.similarity.merge(other.similarity)?;
        self.depths.merge(other.depths)
    }
}

impl Merge for DepthSums {
    fn merge(&mut self, other: Self) -> Result<()> {
        self.error.merge(other.error)?;
        self.decibels.merge(other.decibels)?;
        self.distance.merge(other.distance)
    }
}

/// Reconstructs all `pictures`, which have the resolution of `model`, from their nearest codes, and measures
/// the results, with `lpips` if given.
///
/// # Errors
/// The model does not have 3 channels; the task was stopped; no picture could be read.
pub async fn measure(
    model: &RqVae,
    lpips: Option<&Lpips>,
    pictures: &mut Pictures,
    task: &mut Task<'_>,
) -> Result<Tally<Sums>> {
    let none = DepthSums { error: 0.0, decibels: 0.0, distance: lpips.map(|_| 0.0) };
    let mut sums = Sums {
        usage: Usage::new(&model.config.codebook_sizes()?),
        similarity: 0.0,
        depths: vec![none; model.config.depth()],
    };
    while let Some(batch) = pictures.next_batch(task).await? {
        let originals = batch.pictures;
        let latents = model.encode(to_tensor(&originals, model.device()));
        let codes = model.quantizer.quantize(latents).codes;
        codes_from_tensor(codes.clone()).await?.iter().for_each(|stack| sums.usage.add(stack));
        let mut made = Vec::new();
        for (depth, sums) in sums.depths.iter_mut().enumerate() {
            task.pause().await?;
            made = from_tensor(model.decode_partial(codes.clone(), Partial::Add(depth))).await?;
            let errors = each(&originals, &made, mse)?;
            sums.error += errors.iter().sum::<f64>();
            sums.decibels += errors.into_iter().map(decibels).sum::<f64>();
            if let (Some(lpips), Some(distance)) = (lpips, &mut sums.distance) {
                task.pause().await?;
                let [a, b] = [&originals, &made].map(|pictures| to_tensor(pictures, model.device()));
                // Clamped, as for display and for all other metrics.
                let distances = read(lpips.distance(a, b.clamp(-1.0, 1.0))).await?;
                *distance += distances.into_iter().map(f64::from).sum::<f64>();
            }
        }
        sums.similarity += each(&originals, &made, ssim)?.into_iter().sum::<f64>();
    }
    Ok(Tally::new(pictures, sums))
}

/// `metric` of each original and its reconstruction.
fn each(
    originals: &[Picture],
    made: &[Picture],
    metric: fn(&Picture, &Picture) -> Result<f64>,
) -> Result<Vec<f64>> {
    originals.par_iter().zip(made).map(|(original, made)| metric(original, made)).collect()
}

impl Measured {
    /// The means over all pictures, from the sums of [`measure`], and the size of the codes of pictures of `sizes`.
    ///
    /// # Errors
    /// There are no pictures.
    pub fn of(sizes: &Sizes, tally: Tally<Sums>) -> Result<Self> {
        let Tally { pictures, left_out, sums } = tally.of_some()?;
        let (count, cells, usage) = (pictures as f64, sizes.cells as f64, &sums.usage);
        let (mut bits, mut entropy) = (0.0, 0.0);
        let depths = sums.depths.iter().zip(&sizes.codebooks).enumerate().map(|(depth, (sums, &size))| {
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
                psnr: sums.decibels / count,
                mse: sums.error / count,
                lpips: sums.distance.map(|distance| distance / count),
            }
        });
        let depths: Vec<Depth> = depths.collect();
        let all = depths.last().expect("a stack has at least one code per cell");
        Ok(Self {
            pictures,
            left_out,
            resolution: sizes.resolution,
            psnr: all.psnr,
            psnr_of_mean_mse: decibels(all.mse),
            ssim: sums.similarity / count,
            mse: all.mse,
            lpips: all.lpips,
            bits_per_image: bits,
            bits_per_pixel: bits / sizes.pixels(),
            entropy_bits_per_image: entropy,
            entropy_bits_per_pixel: entropy / sizes.pixels(),
            depths,
        })
    }
}
