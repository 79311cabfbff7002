//! Encodes and decodes pictures with the RQ-VAE: codes, reconstructions at each depth, and their quality.

use burn::tensor::{Int, Tensor, TensorData};
use image::RgbImage;

use residua_core::codes::CodeStack;
use residua_core::error::{Error, Result};
use residua_core::task::Task;
use residua_io::image_io::Picture;
use residua_io::image_io::framing::Framing;
use residua_metrics::{bits_per_pixel, psnr, ssim};
use residua_model::RqVae;
use residua_model::rqvae::{Partial, Quantizer};
use residua_model::tensors::{codes_from_tensor, codes_to_tensor, from_tensor, read, to_tensor};

/// A picture's codes and reconstructions.
#[derive(Debug)]
pub struct Reconstruction {
    /// The picture as the model saw it: resized and cropped.
    pub original: Picture,
    /// Its codes.
    pub codes: CodeStack,
    /// Pictures decoded from codes `0..=d`, for each depth `d`; the last is the reconstruction.
    pub partials: Vec<Picture>,
    /// Mean norm, over cells, of the residual that the codes `0..=d` leave of the latent, for each `d`.
    pub residual_norms: Vec<f32>,
    /// Mean norm of the latents themselves.
    pub latent_norm: f32,
    /// PSNR of the reconstruction, in decibels.
    pub psnr: f64,
    /// SSIM of the reconstruction.
    pub ssim: f64,
    /// Size of the codes, in bits per pixel.
    pub bits_per_pixel: f64,
}

impl Reconstruction {
    /// The reconstruction from all codes.
    pub fn picture(&self) -> &Picture {
        self.partials.last().expect("a stack has at least one code per cell")
    }

    /// The reconstruction from all codes, in 8 bits.
    pub fn image(&self) -> RgbImage {
        self.picture().to_rgb8()
    }
}

/// How codes are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Choice {
    /// The nearest code.
    #[default]
    Nearest,
    /// Sampled by distance, at a temperature above 0.
    Stochastic {
        /// Divides the squared distances.
        temperature: f32,
        /// Random seed.
        seed: u64,
    },
}

/// Encodes pictures of any size, one at a time.
pub async fn encode(
    model: &RqVae,
    pictures: &[Picture],
    choice: Choice,
    task: &mut Task<'_>,
) -> Result<Vec<CodeStack>> {
    let mut stacks = Vec::with_capacity(pictures.len());
    for (done, picture) in pictures.iter().enumerate() {
        task.pause().await?;
        let images = to_tensor(&[fitted(model, picture)?], model.device());
        let latents = model.encode(images);
        let quantized = match choice {
            Choice::Nearest => model.quantizer.quantize(latents),
            Choice::Stochastic { temperature, seed } => {
                model.quantizer.quantize_stochastic(latents, temperature, seed)
            }
        };
        stacks.extend(codes_from_tensor(quantized.codes).await?);
        task.report(done + 1, pictures.len());
    }
    Ok(stacks)
}

/// Decodes stacks one at a time, which needs memory for only one picture.
pub async fn decode(model: &RqVae, stacks: &[CodeStack], task: &mut Task<'_>) -> Result<Vec<Picture>> {
    let mut pictures = Vec::with_capacity(stacks.len());
    for (done, stack) in stacks.iter().enumerate() {
        task.pause().await?;
        check_codes(model, stack)?;
        let codes = codes_to_tensor(std::slice::from_ref(stack), model.device());
        pictures.extend(from_tensor(model.decode_codes(codes)).await?);
        task.report(done + 1, stacks.len());
    }
    Ok(pictures)
}

/// Decodes the `known` cells (image by image) of codes `[B, h, w, D]` that are still on the device, and reads
/// all pictures back at once. Images are decoded one at a time, since a layer of a whole batch can exceed the
/// largest binding of a GPU.
pub async fn decode_partly(model: &RqVae, codes: Tensor<4, Int>, known: &[bool]) -> Result<Vec<Picture>> {
    let [batch, h, w, depth] = codes.dims();
    let image = |i| {
        let known = known[i * h * w..][..h * w].iter().flat_map(|&known| std::iter::repeat_n(known, depth));
        let mask: Vec<f32> = known.map(|known| if known { 1.0 } else { 0.0 }).collect();
        let mask = Tensor::from_data(TensorData::new(mask, [h * w, depth]), model.device());
        model.decode_masked(codes.clone().slice([i..i + 1, 0..h, 0..w, 0..depth]), mask)
    };
    from_tensor(Tensor::cat((0..batch).map(image).collect(), 0)).await
}

/// Reconstructs one picture of any size.
pub async fn reconstruct(model: &RqVae, picture: &Picture, task: &mut Task<'_>) -> Result<Reconstruction> {
    let original = fitted(model, picture)?;
    let depth = model.config.depth();
    let latents = model.encode(to_tensor(std::slice::from_ref(&original), model.device()));
    let quantized = model.quantizer.quantize(latents.clone());
    task.report(1, depth + 1);

    let mut residual_norms = read(mean_norms(&model.quantizer, latents, quantized.squares)).await?;
    let latent_norm = residual_norms.pop().expect("the last is the latents' own");
    let codes = codes_from_tensor(quantized.codes.clone()).await?.remove(0);
    let mut partials = Vec::with_capacity(depth);
    for d in 0..depth {
        task.pause().await?;
        let images = model.decode_partial(quantized.codes.clone(), Partial::Add(d));
        partials.extend(from_tensor(images).await?);
        task.report(d + 2, depth + 1);
    }
    let reconstruction = partials.last().expect("a stack has at least one code per cell");
    let (resolution, sizes) = (model.config.ddconfig.resolution, model.config.codebook_sizes()?);
    Ok(Reconstruction {
        psnr: psnr(&original, reconstruction)?,
        ssim: ssim(&original, reconstruction)?,
        bits_per_pixel: bits_per_pixel(codes.h(), codes.w(), &sizes, resolution * resolution),
        latent_norm,
        original,
        codes,
        partials,
        residual_norms,
    })
}

/// Refuses a stack that `model` cannot decode.
pub fn check_codes(model: &RqVae, stack: &CodeStack) -> Result<()> {
    let expected = model.config.hparams.code_shape;
    if stack.shape() != expected {
        let found = stack.shape();
        return Err(Error::invalid(format!(
            "expected codes of shape {expected:?} for this model, found {found:?}"
        )));
    }
    stack.validate(&model.config.codebook_sizes()?)
}

/// The middle of the picture at the model's resolution.
pub fn fitted(model: &RqVae, picture: &Picture) -> Result<Picture> {
    framed(model, picture, Framing::Middle)
}

/// A part of the picture at the model's resolution.
pub fn framed(model: &RqVae, picture: &Picture, framing: Framing) -> Result<Picture> {
    framing.apply(picture, model.config.ddconfig.resolution)
}

/// Means over cells of the norms whose squares are `squares` `[1, h, w, D]`, followed by that of the norms of
/// the latents `[1, h', w', C]` themselves: `[1, D + 1]`.
fn mean_norms(quantizer: &Quantizer, latents: Tensor<4>, squares: Tensor<4>) -> Tensor<2> {
    let cells = quantizer.to_cells(latents).powi_scalar(2).sum_dim(1);
    let squares = squares.reshape([cells.dims()[0], quantizer.depth()]);
    Tensor::cat(vec![squares, cells], 1).sqrt().mean_dim(0)
}
