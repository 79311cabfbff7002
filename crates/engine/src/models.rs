//! Loads models for the engine's tasks.

use burn::tensor::Device;

use residua_core::config::{Precision, StateKind};
use residua_core::error::{Error, Result};
use residua_core::task::Task;
#[cfg(not(target_family = "wasm"))]
use residua_core::text::size;
use residua_model::{Checkpoint, Loader, RqTransformer, RqVae, Stage};
use residua_protocol::{ModelId, Options};
use residua_weights::{Dtype, WeightFile};

/// A loaded RQ-VAE.
#[derive(Debug)]
pub struct Stage1 {
    /// The model.
    pub model: RqVae,
    /// Its checkpoint.
    pub checkpoint: Checkpoint,
}

/// A loaded RQ-Transformer with the RQ-VAE that its codes belong to.
#[derive(Debug)]
pub struct Stage2 {
    /// The model.
    pub model: RqTransformer,
    /// Its checkpoint.
    pub checkpoint: Checkpoint,
    /// The RQ-VAE.
    pub stage1: Stage1,
}

impl Stage1 {
    /// Loads an RQ-VAE onto `device`.
    pub fn load(options: &Options, device: &Device, task: &mut Task) -> Result<Self> {
        let checkpoint = Self::open(options)?;
        checkpoint.warn_of_average()?;
        Self::from_checkpoint(checkpoint, device, task)
    }

    /// Opens an RQ-VAE. If the options name a stage 2, opens its stage 1.
    pub fn open(options: &Options) -> Result<Checkpoint> {
        let place = options.rqvae.as_deref().unwrap_or(&options.model);
        Checkpoint::open(place, Some(Stage::RqVae), options.state).or_else(|error| {
            Checkpoint::open(place, Some(Stage::RqTransformer), StateKind::Auto)
                .and_then(|stage2| stage2.open_stage1(None, StateKind::Auto))
                .map_err(|_| error)
        })
    }

    /// Loads the RQ-VAE of an open checkpoint onto `device`.
    pub fn from_checkpoint(checkpoint: Checkpoint, device: &Device, task: &mut Task) -> Result<Self> {
        let config = checkpoint.rqvae()?.clone();
        let model =
            load(&checkpoint, device, Precision::Stored, task, |loader| RqVae::load(loader, &config))?;
        Ok(Self { model, checkpoint })
    }

    /// Its identity in recipes.
    pub fn id(&self) -> Result<ModelId> {
        id_of(&self.checkpoint)
    }
}

impl Stage2 {
    /// Loads an RQ-Transformer and its RQ-VAE onto `device`.
    pub fn load(options: &Options, device: &Device, task: &mut Task) -> Result<Self> {
        let checkpoint = Checkpoint::open(&options.model, Some(Stage::RqTransformer), options.state)?;
        checkpoint.warn_of_average()?;
        Self::from_checkpoint(checkpoint, options, device, task)
    }

    /// Loads the RQ-Transformer of an open checkpoint, and its RQ-VAE, onto `device`.
    pub fn from_checkpoint(
        checkpoint: Checkpoint,
        options: &Options,
        device: &Device,
        task: &mut Task,
    ) -> Result<Self> {
        let config = checkpoint.rqtransformer()?.clone();
        // Published averages belong to stage 2; its stage 1 may have none.
        let stage1_state = if options.state == StateKind::Ema { StateKind::Auto } else { options.state };
        let stage1 = checkpoint.open_stage1(options.rqvae.as_deref(), stage1_state)?;
        let stage1 = Stage1::from_checkpoint(stage1, device, task)?;
        if !checkpoint.learned_from(&stage1.checkpoint)? {
            tracing::warn!(
                "{} was trained on the codes of an RQ-VAE other than {}: its pictures may be noise",
                checkpoint.name,
                stage1.checkpoint.name
            );
        }
        let codes = (stage1.model.config.hparams.code_shape, stage1.model.config.codebook_sizes()?);
        let expected = (config.block_size, config.codebook_sizes()?);
        if codes != expected {
            return Err(Error::invalid(format!(
                "stage 1 and stage 2 do not belong together: {} has codes of shape {:?} and codebooks {:?}, {} expects {:?} and {:?}",
                stage1.checkpoint.name, codes.0, codes.1, checkpoint.name, expected.0, expected.1
            )));
        }
        let model = load(&checkpoint, device, options.precision, task, |loader| {
            RqTransformer::load(loader, &config, Some(&stage1.model.quantizer.codebooks))
        })?;
        Ok(Self { model, checkpoint, stage1 })
    }

    /// Its identity in recipes.
    pub fn id(&self) -> Result<ModelId> {
        id_of(&self.checkpoint)
    }
}

/// The name and hash of `checkpoint`; the first call reads all of its tensors.
///
/// # Errors
/// A tensor is missing or cannot be read.
pub fn id_of(checkpoint: &Checkpoint) -> Result<ModelId> {
    Ok(ModelId { name: checkpoint.name.clone(), sha256: checkpoint.content()?.into() })
}

/// The name and hash of a weight file without a configuration.
///
/// # Errors
/// It cannot be read.
pub fn id_of_file(weights: &WeightFile) -> Result<ModelId> {
    Ok(ModelId { name: weights.name().into(), sha256: weights.sha256()?.into() })
}

/// Builds a model from a checkpoint, reporting tensors read.
pub fn load<M>(
    checkpoint: &Checkpoint,
    device: &Device,
    precision: Precision,
    task: &mut Task,
    build: impl FnOnce(&mut Loader) -> Result<M>,
) -> Result<M> {
    let watch = watched(checkpoint.parameters()?.len(), task);
    let mut loader = Loader::from_file(&checkpoint.weights, device, precision, watch);
    let model = build(&mut loader)?;
    loader.finish()?;
    // Uploads are asynchronous, so a failure shows only now. A browser can't block here; its worker checks
    // later.
    #[cfg(not(target_family = "wasm"))]
    residua_kernels::device::wait(device).map_err(|error| too_large(error, checkpoint, precision))?;
    Ok(model)
}

/// Called for each of `total` tensors, reports them, and ends the work if `task` is stopped.
pub fn watched<'a>(total: usize, task: &'a mut Task<'_>) -> impl FnMut() -> Result<()> + 'a {
    let mut done = 0;
    move || {
        done += 1;
        task.report(done.min(total), total);
        task.check()
    }
}

/// Adds the size of the weights if `error` says that memory ran out, and what takes less.
#[cfg(not(target_family = "wasm"))]
fn too_large(error: Error, checkpoint: &Checkpoint, precision: Precision) -> Error {
    let bytes = |precision| footprint(checkpoint, precision).ok().map(|(_, bytes)| bytes);
    match (&error, bytes(precision), bytes(Precision::Q8)) {
        (Error::OutOfMemory, Some(needed), Some(least)) => {
            let smaller =
                if least < needed { format!("precision q8 ({}) or ", size(least)) } else { String::new() };
            Error::invalid(format!(
                "the weights of {} take {}, more than the graphics device has left: use {smaller}the CPU",
                checkpoint.name,
                size(needed)
            ))
        }
        _ => error,
    }
}

/// Number of parameters of a checkpoint, and their size in bytes once loaded. Everything but a transformer's
/// matrices is f32.
pub fn footprint(checkpoint: &Checkpoint, precision: Precision) -> Result<(usize, u64)> {
    let transformer = checkpoint.rqtransformer().is_ok();
    let (mut parameters, mut bytes) = (0, 0);
    for parameter in checkpoint.parameters()? {
        let count: usize = parameter.shape.iter().product();
        let stored = checkpoint.weights.get(&parameter.name).map(|info| info.dtype);
        let is_linear = parameter.shape.len() == 2 || parameter.name.ends_with("linear.weight");
        let matrix = transformer && is_linear;
        parameters += count;
        bytes += match precision {
            // One byte each, and four bytes for the scale of every 32.
            Precision::Q8 if matrix => count + count / 8,
            Precision::F16 if matrix => 2 * count,
            _ if matrix && stored == Some(Dtype::F16) => 2 * count,
            _ => 4 * count,
        } as u64;
    }
    Ok((parameters, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use residua_io::assets::bundled::{BUNDLED, Bundled};
    use residua_protocol::condition::tokenizer;

    #[test]
    fn the_first_captions_have_only_known_words() {
        for Bundled { name, caption, .. } in BUNDLED {
            let checkpoint = Checkpoint::open(name, None, StateKind::Auto).unwrap();
            let tokenizer = tokenizer(checkpoint.rqtransformer().unwrap()).unwrap().unwrap();
            assert!(!caption.is_empty() && tokenizer.unknown(caption).is_empty(), "{name}");
        }
    }

    #[test]
    fn without_memory_the_error_says_what_the_weights_take_and_what_would_fit() {
        let told = |stage, precision| {
            let checkpoint = Checkpoint::open("characters-128", Some(stage), StateKind::Auto).unwrap();
            too_large(Error::OutOfMemory, &checkpoint, precision).to_string()
        };
        let most = "more than the graphics device has left: use";
        // Sizes of the tensors in the files.
        for (stage, precision, expected) in [
            (
                Stage::RqTransformer,
                Precision::Stored,
                format!("8.9 MB, {most} precision q8 (5.1 MB) or the CPU"),
            ),
            (Stage::RqTransformer, Precision::Q8, format!("5.1 MB, {most} the CPU")),
            (Stage::RqVae, Precision::Stored, format!("14.9 MB, {most} the CPU")),
        ] {
            assert_eq!(told(stage, precision), format!("the weights of characters-128 take {expected}"));
        }
    }
}
