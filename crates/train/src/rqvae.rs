//! A step of stage 1: reconstruction, commitment and EMA codebooks (paper section 3.1.3).

use burn::tensor::{Device, Int, Tensor};

use super::blank::{blank, white};
use super::codebooks::{Assigned, Moving, MovingCodebook, MovingCodebooks, Restart};
use super::parameters::{Gradients, Named, Parameters};
use super::rank_share::RankShare;
use super::reconstruction::compare;
use residua_core::error::{Error, Result};
use residua_core::random::uniform;
use residua_kernels::dropout::Noise;
use residua_kernels::values;
use residua_model::RqVae;
use residua_model::rqvae::{Bottleneck, RqVaeConfig, commitment_loss};
use residua_model::{Loader, Parameter};
use residua_weights::WeightFile;

/// Prefix of the codebooks' names; gradients do not change them.
const CODEBOOKS: &str = "quantizer.codebooks.";

/// Name of the last layer's weights.
const LAST_LAYER: &str = "decoder.conv_out.weight";

/// The stream of random numbers that chooses pictures decoded without quantization.
const UNQUANTIZED: u32 = 0x756e_0000;

/// An RQ-VAE in training.
#[derive(Clone, Debug)]
pub struct TrainedRqVae {
    /// The model's configuration.
    pub config: RqVaeConfig,
    /// Trained by gradients.
    pub parameters: Parameters,
    /// Updated by moving averages, without gradients.
    pub codebooks: MovingCodebooks,
}

/// A forward pass, and the terms of its loss.
pub struct Pass {
    /// The parameters, tracking gradients.
    pub tracked: Named,
    /// The model of this pass.
    pub model: RqVae,
    /// Input of the last layer, `[B, ch, H / patch, W / patch]`, without gradients.
    pub features: Tensor<4>,
    /// Reconstructions `[B, 3, H, W]`.
    pub images: Tensor<4>,
    /// The reconstruction loss.
    pub reconstruction: Tensor<1>,
    /// The commitment loss.
    pub commitment: Tensor<1>,
    /// The variance of latents of white cells, times its weight, if the configuration sets one.
    pub blank: Option<Tensor<1>>,
    /// The codes at each depth, including those of other ranks' pictures.
    pub codes: Vec<Vec<usize>>,
}

/// The result of evaluating a model on pictures.
pub struct Looked {
    /// Reconstructions `[B, 3, H, W]`.
    pub images: Tensor<4>,
    /// Stacks `[B, h, w, D]`.
    pub codes: Tensor<4, Int>,
    /// The reconstruction loss and the commitment loss.
    pub losses: [f64; 2],
    /// The variance of latents of white cells, times its weight; 0 if the configuration sets none.
    pub blank: f64,
}

impl TrainedRqVae {
    /// A model with initial weights determined by `seed`.
    pub fn initial(config: &RqVaeConfig, seed: u32, device: &Device) -> Result<Self> {
        let (list, _) = plan(config, device)?;
        let parameters = Parameters::new(&list, device, |parameter| initial(parameter, &list, seed));
        let (sizes, dim) = (config.codebook_sizes()?, config.code_dim());
        let count = if config.hparams.shared_codebook { 1 } else { sizes.len() };
        let each = (0..count).map(|d| MovingCodebook::initial(sizes[d], dim, seed, d)).collect();
        Ok(Self { config: config.clone(), parameters, codebooks: MovingCodebooks::new(each, sizes.len()) })
    }

    /// Reads the weights from `file`. Codebooks without moving averages start new ones.
    ///
    /// # Errors
    /// A tensor is missing or of another shape.
    pub fn read(config: &RqVaeConfig, file: &WeightFile, device: &Device) -> Result<Self> {
        let (list, _) = plan(config, device)?;
        let parameters = Parameters::read(&list, file, "", device)?;
        Ok(Self { config: config.clone(), parameters, codebooks: read_codebooks(config, file, "")? })
    }

    /// Takes the tensors of `file` that have the shapes of this model. Returns the names of the other
    /// parameters.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn take(&mut self, file: &WeightFile) -> Result<Vec<String>> {
        let mut others = self.parameters.take(file, "")?;
        for (d, codebook) in self.codebooks.each.iter_mut().enumerate() {
            let name = format!("{CODEBOOKS}{d}.weight");
            match read_codebook(file, &name, [codebook.size(), self.config.code_dim()]) {
                Ok(read) => *codebook = read,
                Err(_) => others.push(name),
            }
        }
        Ok(others)
    }

    /// Runs the model on `images` `[B, 3, H, W]` in `[-1, 1]` and updates its codebooks. `noise` determines
    /// dropout, the latents that restart unused codes, and the pictures that are not quantized; `None` disables
    /// all three.
    pub fn forward(&mut self, images: Tensor<4>, noise: Option<Noise>) -> Result<Pass> {
        self.forward_shared(images, noise, &RankShare::alone())
    }

    /// The same for `images` that are a `share` of a batch: the codebooks are updated by all of it. The terms of the
    /// batch's loss are the means over the ranks, by the weights of their shares.
    pub fn forward_shared(
        &mut self,
        images: Tensor<4>,
        noise: Option<Noise>,
        share: &RankShare,
    ) -> Result<Pass> {
        let tracked = self.parameters.tracked();
        let model = self.model(&tracked, &self.parameters.device().autodiff(), noise)?;
        let images = images.autodiff();
        let latents = model.encode(images.clone());
        let hparams = &self.config.hparams;
        let [batch, rows, columns, _] = latents.dims();
        let [r, c] = self.config.cell();
        let is_white =
            (hparams.blank_weight > 0.0).then(|| white(images.clone().inner(), [rows / r, columns / c]));
        let moving = moving(&self.config, noise, is_white.as_ref(), share)?;
        let cells = model.quantizer.to_cells(latents.clone());
        let Assigned { codes, partial_sums } =
            self.codebooks.quantize_shared(cells.clone().inner(), &moving, share);
        let commitment = commitment_loss(&cells, partial_sums.iter().map(|sum| sum.clone().autodiff()));
        let blank = is_white.map(|white| blank(&cells, white, share) * hparams.blank_weight);
        // Straight-through estimator: the forward pass uses the codes, the backward pass the latents.
        // Pictures that are not quantized use the latents in both.
        let quantized = partial_sums.last().expect("a stack has a code").clone().autodiff();
        let mut change = quantized - cells.clone().detach();
        if let Some(kept) = quantized_pictures(hparams.unquantized_rate, noise, batch, &cells) {
            change = change * kept.autodiff();
        }
        let passed = cells + change;
        let latents = model.quantizer.to_latents(passed, [batch, rows / r, columns / c]);
        let [features, made] = model.decode_with_features(latents);
        let reconstruction = compare(hparams, made.clone(), images);
        Ok(Pass {
            tracked,
            model,
            features: features.inner(),
            images: made,
            reconstruction,
            commitment,
            blank,
            codes,
        })
    }

    /// Evaluates the model on `images` `[B, 3, H, W]`, without updating it.
    ///
    /// # Errors
    /// The model cannot be built.
    pub fn look(&self, images: &Tensor<4>) -> Result<Looked> {
        let model = self.plain()?;
        let latents = model.encode(images.clone());
        let Bottleneck { codes, partial_sums, .. } = model.quantizer.quantize(latents.clone());
        let hparams = &self.config.hparams;
        let [_, h, w, _] = codes.dims();
        let blank = (hparams.blank_weight > 0.0).then(|| {
            let cells = model.quantizer.to_cells(latents.clone()).autodiff();
            blank(&cells, white(images.clone(), [h, w]), &RankShare::alone()).inner() * hparams.blank_weight
        });
        let made = model.decode_codes(codes.clone());
        let number = |loss: Tensor<1>| f64::from(values(loss)[0]);
        let losses = [
            compare(hparams, made.clone(), images.clone()),
            commitment_loss(&latents, partial_sums.into_iter()),
        ];
        Ok(Looked { images: made, codes, losses: losses.map(number), blank: blank.map_or(0.0, number) })
    }

    /// The model for inference.
    ///
    /// # Errors
    /// The model cannot be built.
    pub fn plain(&self) -> Result<RqVae> {
        self.model(self.parameters.values(), &self.parameters.device(), None)
    }

    /// The codebooks in the published layout: with a padding row, and their moving averages.
    pub fn codebook_tensors(&self) -> Vec<(String, Vec<usize>, Vec<f32>)> {
        let of = |(d, codebook): (usize, &MovingCodebook)| {
            let (size, dim) = (codebook.size(), self.config.code_dim());
            let padded = codebook.weight.iter().copied().chain(vec![0.0; dim]).collect();
            let name = |what: &str| format!("{CODEBOOKS}{d}.{what}");
            [
                (name("weight"), vec![size + 1, dim], padded),
                (name("cluster_size_ema"), vec![size], codebook.cluster_size.clone()),
                (name("embed_ema"), vec![size, dim], codebook.sums.clone()),
            ]
        };
        self.codebooks.each.iter().enumerate().flat_map(of).collect()
    }

    /// The model with the parameters `tensors`, all on `device`; `noise` determines dropout.
    fn model(&self, tensors: &Named, device: &Device, noise: Option<Noise>) -> Result<RqVae> {
        let mut all = tensors.clone();
        for (d, codebook) in self.codebooks.each.iter().enumerate() {
            let weight = Tensor::from_floats(codebook.weight.as_slice(), device);
            all.insert(format!("{CODEBOOKS}{d}.weight"), weight);
        }
        let mut loader = Loader::from_given(&all, device).dropping(noise);
        let model = RqVae::load(&mut loader, &self.config)?;
        loader.finish()?;
        Ok(model)
    }
}

impl Pass {
    /// The total loss, with the configured weights.
    pub fn loss(&self) -> Tensor<1> {
        self.reconstruction.clone() + self.of_latents()
    }

    /// The terms that only depend on the latents.
    fn of_latents(&self) -> Tensor<1> {
        let commitment = self.commitment.clone() * self.commitment_weight();
        match &self.blank {
            Some(blank) => commitment + blank.clone(),
            None => commitment,
        }
    }

    /// The weight of the commitment loss.
    pub fn commitment_weight(&self) -> f64 {
        self.model.config.hparams.latent_loss_weight
    }

    /// The reconstruction loss of other reconstructions `made`; both are `[B, 3, H, W]`.
    pub fn compare(&self, made: Tensor<4>, images: Tensor<4>) -> Tensor<1> {
        compare(&self.model.config.hparams, made, images)
    }

    /// A loss whose gradient with respect to the reconstructions is `wanted` `[B, 3, H, W]`, plus the losses
    /// of the latents.
    pub fn toward(&self, wanted: Tensor<4>) -> Tensor<1> {
        let at_images = (self.images.clone() * wanted.autodiff()).sum();
        at_images + self.of_latents()
    }

    /// The last layer's weights, `[3 patch patch, ch, 3, 3]`, without gradients.
    pub fn last_layer(&self) -> Tensor<4> {
        let channels = self.images.dims()[1] * self.model.config.ddconfig.patch.pow(2);
        let shape = [channels, self.features.dims()[1], 3, 3];
        self.tracked[LAST_LAYER].clone().inner().reshape(shape)
    }

    /// Gradients of `loss`.
    pub fn gradients(&self, loss: &Tensor<1>) -> Gradients {
        Gradients::of(loss, &self.tracked)
    }

    /// Reconstruction loss and commitment loss as numbers.
    pub fn losses(&self) -> [f32; 2] {
        [&self.reconstruction, &self.commitment].map(|loss| values(loss.clone().inner())[0])
    }
}

/// How the codebooks of `config` are updated: `noise` determines restarts, which never use latents where
/// `is_white` `[N, 1]` is 1, on any rank of `share`.
fn moving(
    config: &RqVaeConfig,
    noise: Option<Noise>,
    is_white: Option<&Tensor<2>>,
    share: &RankShare,
) -> Result<Moving> {
    let (hparams, depth) = (&config.hparams, config.depth());
    let threshold = hparams.restart_threshold.values("restart_threshold", depth)?;
    let is_blank =
        |white: &Tensor<2>| share.gather(values(white.clone())).iter().map(|&white| white > 0.0).collect();
    let blank = is_white.map_or_else(Vec::new, is_blank);
    let by_error = hparams.restart_by_error;
    let restart = noise.filter(|_| hparams.restart_unused_codes);
    let restart =
        restart.map(|Noise { seed, pass, .. }| Restart { seed, step: pass, threshold, by_error, blank });
    Ok(Moving { decay: hparams.decay.values("decay", depth)?, restart })
}

/// 1 for `cells` `[N, C]` of pictures that are decoded from their codes, 0 for the others, `[N, 1]`: the latter have
/// probability `rate`, determined by `noise`. `None` if all are decoded from their codes.
fn quantized_pictures(
    rate: f64,
    noise: Option<Noise>,
    pictures: usize,
    cells: &Tensor<2>,
) -> Option<Tensor<2>> {
    let Noise { seed, pass, first, .. } = noise.filter(|_| rate > 0.0)?;
    let is_kept = |picture: u32| f64::from(uniform([seed ^ UNQUANTIZED, pass, first + picture, 0])) >= rate;
    let of_cell =
        |picture| std::iter::repeat_n(f32::from(u8::from(is_kept(picture))), cells.dims()[0] / pictures);
    let kept: Vec<f32> = (0..pictures as u32).flat_map(of_cell).collect();
    Some(Tensor::<1>::from_floats(kept.as_slice(), &cells.device().inner()).unsqueeze_dim(1))
}

/// Reads the codebooks of `config` from `file`, where `prefix` comes before each name.
///
/// # Errors
/// A codebook is missing or has another shape.
pub fn read_codebooks(config: &RqVaeConfig, file: &WeightFile, prefix: &str) -> Result<MovingCodebooks> {
    let sizes = config.codebook_sizes()?;
    let own = if config.hparams.shared_codebook { &sizes[..1] } else { &sizes[..] };
    let read = |(d, &size): (usize, &usize)| {
        read_codebook(file, &format!("{prefix}{CODEBOOKS}{d}.weight"), [size, config.code_dim()])
    };
    let each = own.iter().enumerate().map(read).collect::<Result<_>>()?;
    Ok(MovingCodebooks::new(each, config.depth()))
}

/// Reads the codebook `name` of shape `[K, C]`, with or without the published padding row, and its moving
/// averages. Missing averages start from the codebook.
fn read_codebook(file: &WeightFile, name: &str, [size, dim]: [usize; 2]) -> Result<MovingCodebook> {
    let part = |name: &str, whole: &[usize], padded: &[usize]| {
        let shape = &file.get(name)?.shape;
        (shape == whole || shape == padded).then(|| file.read_f32(name))
    };
    let Some(weight) = part(name, &[size, dim], &[size + 1, dim]) else {
        let found = file.get(name).map_or("none".into(), |info| format!("{:?}", info.shape));
        let (file, expected) = (file.name(), [size, dim]);
        return Err(Error::invalid(format!("{file}: expected {name} of shape {expected:?}, found {found}")));
    };
    let mut weight = weight?;
    weight.truncate(size * dim);
    let path = name.trim_end_matches(".weight");
    let average = |what: &str, shape: &[usize]| part(&format!("{path}.{what}"), shape, shape).transpose();
    let cluster_size = average("cluster_size_ema", &[size])?.unwrap_or_else(|| vec![1.0; size]);
    let sums = average("embed_ema", &[size, dim])?.unwrap_or_else(|| weight.clone());
    Ok(MovingCodebook::new(weight, cluster_size, sums))
}

/// The parameters trained by gradients, and the codebooks.
fn plan(config: &RqVaeConfig, device: &Device) -> Result<(Vec<Parameter>, Vec<Parameter>)> {
    let mut loader = Loader::plan(device);
    RqVae::load(&mut loader, config)?;
    Ok(loader.finish()?.into_iter().partition(|parameter| !parameter.name.starts_with(CODEBOOKS)))
}

/// PyTorch's initial values of a convolution: weights and biases uniform within 1 / sqrt(fan_in). Norms start
/// as the identity.
fn initial(parameter: &Parameter, list: &[Parameter], seed: u32) -> Vec<f32> {
    let count = parameter.shape.iter().product::<usize>();
    let (path, is_weight) = match parameter.name.rsplit_once('.') {
        Some((path, kind)) => (path, kind == "weight"),
        None => (parameter.name.as_str(), true),
    };
    let weight = list.iter().find(|other| other.name == format!("{path}.weight"));
    let fan_in = weight.map(|weight| weight.shape[1..].iter().product::<usize>());
    match fan_in {
        Some(fan_in) if weight.is_some_and(|weight| weight.shape.len() > 1) => {
            let bound = (fan_in as f32).powf(-0.5);
            let stream = super::stream(&parameter.name);
            (0..count as u32).map(|i| bound * (2.0 * uniform([seed, stream, i, 0]) - 1.0)).collect()
        }
        _ => vec![if is_weight { 1.0 } else { 0.0 }; count],
    }
}
