//! Inspects stacks and codebooks: pictures of partial stacks, residuals, nearest codes.

use std::sync::Arc;

use burn::tensor::{Int, Tensor, TensorData};

use crate::reconstruct::check_codes;
use residua_core::error::{Error, Result};
use residua_core::task::Task;
use residua_io::image_io::Picture;
use residua_kernels::present::DeviceImage;
use residua_metrics::{bits_per_pixel, psnr, ssim};
use residua_model::RqVae;
use residua_model::rqvae::Partial;
use residua_model::tensors::{codes_to_tensor, from_tensor, read, to_tensor};
use residua_protocol::{CodePatches, Layers, Neighbours, Seen, SeenOnDevice, View};

/// Which of a cell's codes to decode.
#[derive(Clone, Copy)]
enum Codes {
    /// The codes at depths `0..=d`.
    Add(usize),
    /// Only the code at depth `d`.
    Select(usize),
}

impl Codes {
    fn has(self, depth: usize) -> bool {
        match self {
            Self::Add(last) => depth <= last,
            Self::Select(only) => depth == only,
        }
    }
}

/// Caches the latents of an original.
#[derive(Default)]
pub struct Latents {
    of: Option<(Arc<Picture>, Tensor<4>)>,
}

impl Latents {
    /// Latents `[1, h', w', C]` of `original`.
    pub fn get(&mut self, model: &RqVae, original: &Arc<Picture>) -> Tensor<4> {
        match &self.of {
            Some((picture, latents)) if same(picture, original) => latents.clone(),
            _ => {
                let latents = model.encode(to_tensor(std::slice::from_ref(original), model.device()));
                self.of = Some((original.clone(), latents.clone()));
                latents
            }
        }
    }
}

/// Caches an original on the graphics device.
#[derive(Default)]
pub struct Uploaded {
    of: Option<(Arc<Picture>, Arc<DeviceImage>)>,
}

impl Uploaded {
    fn get(&mut self, model: &RqVae, original: &Arc<Picture>) -> Option<Arc<DeviceImage>> {
        if self.of.as_ref().is_none_or(|(picture, _)| !same(picture, original)) {
            let image = DeviceImage::new(to_tensor(std::slice::from_ref(original), model.device()))?;
            self.of = Some((original.clone(), Arc::new(image)));
        }
        self.of.as_ref().map(|(_, image)| image.clone())
    }
}

/// The picture that was sampled or shown last: the window asks for it next after a revision, and again for its layers.
#[derive(Default)]
pub struct Latest {
    of: Option<(View, Arc<Picture>)>,
}

impl Latest {
    /// Keeps the picture of `view`.
    pub fn set(&mut self, view: View, picture: Arc<Picture>) {
        self.of = Some((view, picture));
    }

    /// The picture of `view`, if it is this one.
    pub fn get(&self, view: &View) -> Option<Arc<Picture>> {
        let same = |(of, _): &&(View, _)| of.stack == view.stack && of.limits == view.limits;
        self.of.as_ref().filter(same).map(|(_, picture)| picture.clone())
    }
}

/// Compares contents too: a page and its worker share no memory, so each message brings its own copy.
fn same(one: &Arc<Picture>, other: &Arc<Picture>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

/// Rejects a view that `model` cannot decode.
pub(super) fn check(model: &RqVae, view: &View) -> Result<()> {
    check_codes(model, &view.stack)?;
    let (cells, depth) = (view.stack.h() * view.stack.w(), view.stack.depth());
    if view.limits.len() != cells || view.limits.iter().any(|&limit| limit > depth) {
        return Err(Error::usage(format!("expected {cells} depth limits of 0 to {depth}")));
    }
    Ok(())
}

/// Whether a view shows all codes of each cell.
fn is_whole(view: &View) -> bool {
    view.limits.iter().all(|&limit| limit == view.stack.depth())
}

/// Decodes a view, unless its picture is `known`.
pub async fn see(
    model: &RqVae,
    view: &View,
    known: Option<Arc<Picture>>,
    uploaded: &mut Uploaded,
) -> Result<Seen> {
    check(model, view)?;
    let image = match &known {
        Some(picture) => to_tensor(std::slice::from_ref(picture), model.device()),
        None => decode(model, view, Codes::Add(view.stack.depth() - 1)),
    };
    let on_device = DeviceImage::new(image.clone()).map(|image| SeenOnDevice {
        picture: Arc::new(image),
        original: view
            .original
            .as_ref()
            .and_then(|original| uploaded.get(model, original))
            .map(|image| image as _),
    });
    let picture = match known {
        Some(picture) => picture,
        None => picture_of(image).await?,
    };
    let quality = match &view.original {
        Some(original) => Some((psnr(original, &picture)?, ssim(original, &picture)?)),
        None => None,
    };
    let bits_per_pixel = rate(model, view.stack.depth())?;
    let (stack, limits) = (view.stack.clone(), view.limits.clone());
    Ok(Seen { stack, limits, picture, quality, bits_per_pixel, on_device })
}

/// Decodes a view's layers; `None` if this gave way, because other work `waits`. `whole` is the view's picture from [`see`].
pub async fn layers(
    model: &RqVae,
    view: &View,
    whole: &Arc<Picture>,
    latents: &mut Latents,
    task: &mut Task<'_>,
    waits: &impl Fn() -> bool,
) -> Result<Option<Layers>> {
    check(model, view)?;
    let depth = view.stack.depth();
    let (mut add, mut select, mut rate_distortion) = (Vec::new(), Vec::new(), Vec::new());
    for d in 0..depth {
        if gives_way(task, waits).await? {
            return Ok(None);
        }
        add.push(if d + 1 == depth {
            whole.clone()
        } else {
            picture_of(decode(model, view, Codes::Add(d))).await?
        });
        if gives_way(task, waits).await? {
            return Ok(None);
        }
        select.push(picture_of(decode(model, view, Codes::Select(d))).await?);
        let target = view.original.as_ref().unwrap_or(whole);
        rate_distortion.push((rate(model, d + 1)?, psnr(target, &add[d])?));
        task.report(d + 1, depth);
    }
    let original = view.original.as_ref().map(|original| latents.get(model, original));
    Ok(Some(Layers {
        stack: view.stack.clone(),
        add,
        select,
        of_original: original.is_some(),
        residual_norms: residual_norms(model, view, original).await?,
        rate_distortion,
    }))
}

/// Whether other work `waits`, unless `task` was stopped.
async fn gives_way(task: &Task<'_>, waits: &impl Fn() -> bool) -> Result<bool> {
    task.pause().await?;
    let waits = waits();
    // A newer view stops this one before it waits itself. These layers are then not needed any more.
    task.check()?;
    Ok(waits)
}

/// Bits per pixel of the first `depth` codes of each cell.
fn rate(model: &RqVae, depth: usize) -> Result<f64> {
    let [h, w, _] = model.config.hparams.code_shape;
    let resolution = model.config.ddconfig.resolution;
    Ok(bits_per_pixel(h, w, &model.config.codebook_sizes()?[..depth], resolution * resolution))
}

/// Decodes all codes of `view`.
pub(super) async fn picture(model: &RqVae, view: &View) -> Result<Arc<Picture>> {
    picture_of(decode(model, view, Codes::Add(view.stack.depth() - 1))).await
}

/// Reads a picture back from the device.
async fn picture_of(image: Tensor<4>) -> Result<Arc<Picture>> {
    Ok(Arc::new(from_tensor(image).await?.remove(0)))
}

/// Decodes some of a view's codes to an image `[1, 3, H, W]`.
fn decode(model: &RqVae, view: &View, which: Codes) -> Tensor<4> {
    let (codes, depth) =
        (codes_to_tensor(std::slice::from_ref(&*view.stack), model.device()), view.stack.depth());
    match which {
        // The same path as for saved pictures, so that both are bit-identical.
        Codes::Add(d) if d + 1 == depth && is_whole(view) => model.decode_codes(codes),
        _ => {
            let counts = view.limits.iter().flat_map(|&limit| {
                (0..depth).map(move |d| if d < limit && which.has(d) { 1.0 } else { 0.0 })
            });
            let mask = TensorData::new(counts.collect::<Vec<f32>>(), [view.limits.len(), depth]);
            model.decode_masked(codes, Tensor::from_data(mask, model.device()))
        }
    }
}

/// Norms of each cell's residual after each depth, row-major in (row, column, depth).
async fn residual_norms(model: &RqVae, view: &View, original: Option<Tensor<4>>) -> Result<Vec<f32>> {
    let codes = codes_to_tensor(std::slice::from_ref(&*view.stack), model.device());
    let embeddings = model.quantizer.embeddings(codes);
    let [cells, depth, channels] = embeddings.dims();
    let mut residual = match original {
        Some(latents) => model.quantizer.to_cells(latents),
        None => embeddings.clone().sum_dim(1).reshape([cells, channels]),
    };
    let mut norms = Vec::with_capacity(depth);
    for d in 0..depth {
        residual =
            residual - embeddings.clone().slice([0..cells, d..d + 1, 0..channels]).reshape([cells, channels]);
        norms.push(residual.clone().powi_scalar(2).sum_dim(1).sqrt());
    }
    read(Tensor::cat(norms, 1)).await
}

/// Finds the `count` codes nearest to `code` in the codebook at `depth`.
pub async fn neighbours(model: &RqVae, depth: usize, code: u32, count: usize) -> Result<Neighbours> {
    check_code(model, depth, code)?;
    let embeddings = model.quantizer.codebooks.each()[depth].embeddings.clone();
    let [_, channels] = embeddings.dims();
    let of = embeddings.clone().slice([code as usize..code as usize + 1, 0..channels]);
    let distances = read((embeddings - of).powi_scalar(2).sum_dim(1).sqrt()).await?;
    let mut order: Vec<u32> = (0..distances.len() as u32).filter(|&other| other != code).collect();
    order.sort_by(|&a, &b| distances[a as usize].total_cmp(&distances[b as usize]).then(a.cmp(&b)));
    let nearest = order.into_iter().take(count).map(|other| (other, distances[other as usize])).collect();
    Ok(Neighbours { depth, code, nearest })
}

/// Decodes each of `codes` at `depth` alone: the middle cell of a picture with this code in every cell.
pub async fn patches(model: &RqVae, depth: usize, codes: &[u32], task: &mut Task<'_>) -> Result<CodePatches> {
    let [h, w, depths] = model.config.hparams.code_shape;
    let mut patches = Vec::with_capacity(codes.len());
    for &code in codes {
        task.pause().await?;
        check_code(model, depth, code)?;
        let same =
            (0..h * w * depths).map(|place| if place % depths == depth { code as i32 } else { 0 }).collect();
        let stack: Tensor<4, Int> =
            Tensor::from_data(TensorData::new::<i32, _>(same, [1, h, w, depths]), model.device());
        let picture = from_tensor(model.decode_partial(stack, Partial::Select(depth))).await?.remove(0);
        let (high, wide) = (picture.height() / h, picture.width() / w);
        let patch = picture.crop(w / 2 * wide, h / 2 * high, wide, high)?;
        patches.push((code, Arc::new(patch)));
        task.report(patches.len(), codes.len());
    }
    Ok(CodePatches { depth, patches })
}

pub(super) fn check_code(model: &RqVae, depth: usize, code: u32) -> Result<()> {
    let sizes = model.config.codebook_sizes()?;
    match sizes.get(depth) {
        None => Err(Error::usage(format!("expected a depth from 0 to {}, found {depth}", sizes.len() - 1))),
        Some(&size) if code as usize >= size => {
            Err(Error::usage(format!("expected a code from 0 to {}, found {code}", size - 1)))
        }
        Some(_) => Ok(()),
    }
}
