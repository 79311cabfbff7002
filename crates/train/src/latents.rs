//! Latents of all pictures that a run of stage 2 learns, encoded once and cached in a file, so that steps
//! need not run the encoder. Codes are computed from them, whether nearest, sampled or soft.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{Tensor, TensorData};

use super::data::{Loaded, Wish, in_epoch};
use residua_core::config::StateKind;
use residua_core::error::{Error, Result};
use residua_core::task::Task;
use residua_kernels::values;
use residua_model::RqVae;
use residua_weights::write::{Described, write_safetensors};
use residua_weights::{Dtype, WeightFile};

/// The metadata key that describes what the latents were made from.
const OF: &str = "of";

/// Latents of each picture in each of its variations.
pub struct Latents {
    file: WeightFile,
    /// `[h', w', C]`.
    shape: [usize; 3],
}

impl Latents {
    /// Opens the file at `path`. If it is missing, encodes the pictures of `wish` with `rqvae`, in as many
    /// variations as `wish` asks for, and writes it. `hashes` identify the model's file and the data.
    ///
    /// # Errors
    /// The file holds other latents, cannot be written, or would have the name of another format; no picture
    /// can be read; [`Error::Cancelled`].
    pub fn open_or_make(
        path: &Path,
        rqvae: &RqVae,
        hashes: [&str; 2],
        wish: &Wish,
        task: &mut Task<'_>,
    ) -> Result<Self> {
        let of = described(hashes, wish);
        if !path.is_file() {
            check_ending(path)?;
            make(path, rqvae, &of, wish, task)?;
        }
        let anew = |error| Error::invalid(format!("{error}, or delete it to encode the pictures again"));
        let file = WeightFile::open(path, StateKind::Auto).map_err(anew)?;
        if file.metadata().get(OF) != Some(&of) {
            return Err(Error::usage(format!(
                "{}: expected latents of these pictures from this RQ-VAE and seed, found others: choose another file",
                path.display()
            )));
        }
        let first = file.get(&name(0, 0)).map(|info| info.shape.clone()).unwrap_or_default();
        let shape = first.try_into().map_err(|_| {
            Error::invalid(format!("{}: expected latents of 3 dimensions: delete the file", path.display()))
        })?;
        Ok(Self { file, shape })
    }

    /// Latents `[B, h', w', C]` of a batch.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn of(&self, batch: &Loaded) -> Result<Tensor<4>> {
        let mut all = Vec::with_capacity(batch.len() * self.shape.iter().product::<usize>());
        for (&picture, &variation) in batch.indices.iter().zip(&batch.variations) {
            all.extend(self.file.read_f32(&name(variation, picture))?);
        }
        let [h, w, channels] = self.shape;
        Ok(Tensor::from_data(TensorData::new(all, [batch.len(), h, w, channels]), &batch.images.device()))
    }
}

/// Refuses a new file of latents that would be taken for a picture or a model of another format.
fn check_ending(path: &Path) -> Result<()> {
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("safetensors")) {
        Ok(())
    } else {
        Err(Error::usage(format!(
            "{}: expected a name that ends in .safetensors, the format of cached latents",
            path.display()
        )))
    }
}

/// Describes what the latents were made from.
fn described([model, data]: [&str; 2], wish: &Wish) -> String {
    let Wish { items, resolution, augmentation, seed, variations, .. } = wish;
    format!("{model} {data} {} {resolution} {augmentation:?} {seed} {variations:?}", items.len())
}

fn name(variation: u32, picture: usize) -> String {
    format!("{variation:04}.{picture:08}")
}

/// Encodes all pictures, in the order of the names.
fn make(path: &Path, rqvae: &RqVae, of: &str, wish: &Wish, task: &mut Task<'_>) -> Result<()> {
    let variations = wish.variations.unwrap_or(1);
    let [h, w, channels] = rqvae.config.hparams.latent_shape;
    let tensor = |variation| {
        move |picture| -> Described { (name(variation, picture), Dtype::F32, vec![h, w, channels]) }
    };
    let tensors: Vec<Described> =
        (0..variations).flat_map(|variation| (0..wish.items.len()).map(tensor(variation))).collect();
    let mut batches = (0..variations).flat_map(|variation| in_epoch(wish, variation));
    let mut waiting = Vec::new().into_iter();
    let mut done = 0;
    write_safetensors(path, &tensors, &BTreeMap::from([(OF.into(), of.into())]), |_| {
        if waiting.len() == 0 {
            task.check()?;
            let batch = batches.next().ok_or_else(|| Error::invalid("expected more pictures, found none"))?;
            let latents = values(rqvae.encode(batch.images));
            let parts =
                latents.chunks_exact(h * w * channels).map(|part| bytemuck::cast_slice(part).to_vec());
            waiting = parts.collect::<Vec<Vec<u8>>>().into_iter();
        }
        done += 1;
        task.report(done, tensors.len());
        waiting.next().ok_or_else(|| Error::invalid("expected latents of pictures, found none"))
    })
}
