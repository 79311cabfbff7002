//! Loads models for the things that a person does with them.

use burn::tensor::Device;
use sha2::{Digest, Sha256};

pub use super::options::Options;
use super::recipe::ModelId;
use super::task::Task;
use crate::checkpoint::{Checkpoint, Loader, Precision, Stage, StateKind, WeightFile};
use crate::error::{Error, Result};
use crate::model::{RqTransformer, RqVae};

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
        let place = options.rqvae.as_deref().unwrap_or(&options.model);
        let checkpoint = match Checkpoint::open(place, Some(Stage::RqVae), options.state) {
            // A stage 2 was named: its stage 1 is what is meant.
            Err(error) => Checkpoint::open(place, Some(Stage::RqTransformer), StateKind::Auto)
                .and_then(|stage2| stage2.open_stage1(None, StateKind::Auto))
                .map_err(|_| error)?,
            Ok(checkpoint) => checkpoint,
        };
        Self::from_checkpoint(checkpoint, device, task)
    }

    /// Loads the RQ-VAE of an open checkpoint onto `device`.
    pub fn from_checkpoint(checkpoint: Checkpoint, device: &Device, task: &mut Task) -> Result<Self> {
        let config = checkpoint.rqvae()?.clone();
        let model =
            load(&checkpoint, device, Precision::Stored, task, |loader| RqVae::load(loader, &config))?;
        Ok(Self { model, checkpoint })
    }

    /// What recipes call it.
    pub fn id(&self) -> Result<ModelId> {
        ModelId::of(&self.checkpoint)
    }
}

impl Stage2 {
    /// Loads an RQ-Transformer and its RQ-VAE onto `device`.
    pub fn load(options: &Options, device: &Device, task: &mut Task) -> Result<Self> {
        let checkpoint = Checkpoint::open(&options.model, Some(Stage::RqTransformer), options.state)?;
        let config = checkpoint.rqtransformer()?.clone();
        // Published averages are of stage 2; its stage 1 need not have one.
        let stage1_state = if options.state == StateKind::Ema { StateKind::Auto } else { options.state };
        let stage1 = checkpoint.open_stage1(options.rqvae.as_deref(), stage1_state)?;
        let stage1 = Stage1::from_checkpoint(stage1, device, task)?;
        let codes = (stage1.model.config.hparams.code_shape, stage1.model.config.codebook_sizes()?);
        let expected = (config.block_size, config.codebook_sizes()?);
        if codes != expected {
            return Err(Error::invalid(format!(
                "stage 1 and stage 2 do not belong together: {} makes codes {:?} of codebooks {:?}, {} expects {:?} of {:?}",
                stage1.checkpoint.name, codes.0, codes.1, checkpoint.name, expected.0, expected.1
            )));
        }
        let model = load(&checkpoint, device, options.precision, task, |loader| {
            RqTransformer::load(loader, &config, Some(&stage1.model.quantizer.codebooks))
        })?;
        Ok(Self { model, checkpoint, stage1 })
    }

    /// What recipes call it.
    pub fn id(&self) -> Result<ModelId> {
        ModelId::of(&self.checkpoint)
    }
}

impl ModelId {
    /// Reads the whole weight file once.
    pub fn of(checkpoint: &Checkpoint) -> Result<Self> {
        Ok(Self { name: checkpoint.name.clone(), ..Self::of_file(&checkpoint.weights)? })
    }

    /// The same of weights that have no configuration.
    pub fn of_file(weights: &WeightFile) -> Result<Self> {
        let mut hash = Sha256::new();
        weights.for_each_chunk(|chunk| hash.update(chunk))?;
        let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { name: weights.name().into(), sha256 })
    }
}

/// Builds a model from a checkpoint, reporting tensors read.
pub fn load<M>(
    checkpoint: &Checkpoint,
    device: &Device,
    precision: Precision,
    task: &mut Task,
    build: impl FnOnce(&mut Loader) -> Result<M>,
) -> Result<M> {
    let total = checkpoint.parameters()?.len();
    let mut done = 0;
    let mut loader = Loader::from_file(&checkpoint.weights, device, precision, || {
        done += 1;
        task.report(done, total);
        task.check()
    });
    let model = build(&mut loader)?;
    loader.finish()?;
    // Weights are on their way until the device says otherwise. A browser can't wait here, and is asked later.
    #[cfg(not(target_family = "wasm"))]
    crate::device::wait(device)?;
    Ok(model)
}
