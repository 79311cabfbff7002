//! The outputs of one step of training.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::Comparison;
use super::golden::Golden;
use residua_core::error::Result;
use residua_kernels::quantize::Codebooks;
use residua_model::Checkpoint;
use residua_model::tensors::{codes_to_tensor, read};
use residua_train::parameters::Gradients;
use residua_train::rqtransformer::{LossWeights, Target, TrainedRqTransformer};
use residua_train::rqvae::TrainedRqVae;

/// Relative tolerance.
const TOLERANCE: f64 = 1e-3;

/// The loss weights of the reference.
const WEIGHTS: LossWeights = LossWeights { image: 0.9, text: 0.1 };

/// Prefix of the names of training outputs.
const PREFIX: &str = "train.";

/// Compares a forward and backward pass of an RQ-VAE on the golden images, and its first codebook afterwards.
pub async fn rqvae(checkpoint: &Checkpoint, golden: &Golden, device: &Device) -> Result<Vec<Comparison>> {
    let shape: [usize; 4] = golden.shape("image")?;
    let images = Tensor::<4>::from_data(TensorData::new(golden.values("image")?, shape), device);
    let mut trained = TrainedRqVae::read(checkpoint.rqvae()?, &checkpoint.weights, device)?;
    let pass = trained.forward(images, None)?;
    let loss = pass.loss();
    let gradients = pass.gradients(&loss);
    let codebook = trained.codebooks.of(0);
    let mut comparisons = Vec::new();
    for name in golden.names() {
        let Some(output) = name.strip_prefix(PREFIX) else { continue };
        let found = match output {
            "loss_total" => read(loss.clone().inner()).await?,
            "loss_recon" => read(pass.reconstruction.clone().inner()).await?,
            "loss_latent" => read(pass.commitment.clone().inner()).await?,
            // The reference has a row of zeros for padding.
            "after.codebook0.weight" => {
                let padding = golden.values(name)?.len().saturating_sub(codebook.weight.len());
                codebook.weight.iter().copied().chain(vec![0.0; padding]).collect()
            }
            "after.codebook0.cluster_size_ema" => codebook.cluster_size.clone(),
            "after.codebook0.embed_ema" => codebook.sums.clone(),
            _ => gradient(output, &gradients).await?,
        };
        comparisons.push(Comparison::of_values(name, &found, &golden.values(name)?, TOLERANCE));
    }
    Ok(comparisons)
}

/// Compares a forward and backward pass of an RQ-Transformer on the golden codes.
pub async fn rqtransformer(
    checkpoint: &Checkpoint,
    golden: &Golden,
    codebooks: Option<&Codebooks>,
    conditions: Tensor<2, Int>,
    device: &Device,
) -> Result<Vec<Comparison>> {
    let config = checkpoint.rqtransformer()?;
    let trained = TrainedRqTransformer::read(config, codebooks, &checkpoint.weights, "", device)?;
    let codes = codes_to_tensor(&golden.stacks("codes")?, device);
    let places = codes.shape().num_elements();
    let target = Target::Hard(codes.clone().reshape([places]));
    let pass = trained.forward(codes, conditions, target, None, None)?;
    let loss = pass.loss(WEIGHTS);
    let gradients = pass.gradients(&loss);
    let mut comparisons = Vec::new();
    for name in golden.names() {
        let Some(output) = name.strip_prefix(PREFIX) else { continue };
        let found = match output {
            "loss" => read(loss.clone().inner()).await?,
            _ => gradient(output, &gradients).await?,
        };
        comparisons.push(Comparison::of_values(name, &found, &golden.values(name)?, TOLERANCE));
    }
    Ok(comparisons)
}

/// The gradient that `output` names; empty if there is none, so that the comparison fails.
async fn gradient(output: &str, gradients: &Gradients) -> Result<Vec<f32>> {
    let named = output.strip_prefix("grad.").and_then(|name| gradients.get(name));
    match named {
        Some(gradient) => read(gradient.clone()).await,
        None => Ok(Vec::new()),
    }
}
