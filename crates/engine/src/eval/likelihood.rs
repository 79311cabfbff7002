//! Likelihood of pictures' code stacks under a stage 2: what it has learned, independent of sampling.

use burn::tensor::{Int, Tensor, TensorData};
use serde::Serialize;

use super::pictures::Batch;
use super::{LeftOut, Pictures, Sizes, Tally, mean};
use crate::Stage2;
use residua_core::config::{Architecture, RqTransformerConfig};
use residua_core::error::Result;
use residua_core::task::Task;
use residua_io::tokenizer::Tokenizer;
use residua_model::tensors::{read, to_tensor};
use residua_protocol::condition::tokenizer;
use residua_train::conditions::condition_tokens;
use residua_train::rqtransformer::{Target, cross_entropy};

/// The measurements.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// Pictures measured.
    pub pictures: usize,
    /// Pictures that could not be read, by path.
    pub left_out: Vec<LeftOut>,
    /// Mean negative log-likelihood of a code given all before it, in nats.
    pub nats_per_code: f64,
    /// How far that is below the value of a model to which all codes are equally likely.
    pub nats_below_uniform: f64,
    /// Negative log-likelihood of a picture's codes, in bits: their size if the model compresses them.
    pub bits_per_image: f64,
    /// The same per pixel.
    pub bits_per_pixel: f64,
    /// Bits of a picture's codes, if all codes are equally likely.
    pub uniform_bits_per_image: f64,
    /// The same at each depth.
    pub depths: Vec<Depth>,
}

/// Likelihood of the codes at one depth.
#[derive(Clone, Debug, Serialize)]
pub struct Depth {
    /// The depth, from 0.
    pub depth: usize,
    /// Mean negative log-likelihood, in nats.
    pub nats_per_code: f64,
    /// The same if all codes are equally likely.
    pub uniform_nats_per_code: f64,
    /// How much the first is below the second.
    pub nats_below_uniform: f64,
    /// Bits of a picture's codes at this depth.
    pub bits_per_image: f64,
}

/// Measures the nearest codes of all `pictures`, which have the resolution of the stage 1 of `stage2`, given
/// their classes or captions. Pictures without one count as the first class, or get an empty caption. The sums are of
/// nats, by depth.
///
/// # Errors
/// The task was stopped; no picture could be read; the model is not autoregressive.
pub async fn measure(
    stage2: &Stage2,
    pictures: &mut Pictures,
    task: &mut Task<'_>,
) -> Result<Tally<Vec<f64>>> {
    let (config, rqvae) = (&stage2.model.config, &stage2.stage1.model);
    config.kind.must_be(
        Architecture::Autoregressive,
        "the likelihood of whole pictures",
        "measure that of masked cells instead",
    )?;
    let tokenizer = tokenizer(config)?;
    let depths = config.depth();
    let mut sums = vec![0.0; depths];
    while let Some(batch) = pictures.next_batch(task).await? {
        let conditions = conditions(config, tokenizer.as_ref(), &batch)?;
        let latents = rqvae.encode(to_tensor(&batch.pictures, rqvae.device()));
        let codes = rqvae.quantizer.quantize(latents).codes;
        let shape = [batch.items.len(), config.block_size_cond];
        let condition =
            Tensor::<2, Int>::from_data(TensorData::new(conditions, shape), stage2.model.device());
        let logits = stage2.model.logits(codes.clone(), condition).codes;
        let [images, places, classes] = logits.dims();
        let target = Target::Hard(codes.reshape([images * places]));
        let nats = read(cross_entropy(logits.reshape([images * places, classes]), target)).await?;
        for cell in nats.chunks_exact(depths) {
            sums.iter_mut().zip(cell).for_each(|(sum, &nats)| *sum += f64::from(nats));
        }
    }
    Ok(Tally::new(pictures, sums))
}

/// Condition tokens of a batch, picture by picture.
pub(super) fn conditions(
    config: &RqTransformerConfig,
    tokenizer: Option<&Tokenizer>,
    batch: &Batch,
) -> Result<Vec<i32>> {
    let classes: Vec<usize> = batch.items.iter().map(|item| item.class.unwrap_or(0)).collect();
    let captions: Vec<String> =
        batch.items.iter().map(|item| item.caption().unwrap_or_default().into()).collect();
    let tokens = condition_tokens(config, tokenizer, &classes, &captions, None)?;
    Ok(tokens.into_iter().flatten().map(|token| token as i32).collect())
}

impl Measured {
    /// The measurements, from the sums of [`measure`] over pictures of `sizes`.
    ///
    /// # Errors
    /// There are no pictures.
    pub fn of(sizes: &Sizes, tally: Tally<Vec<f64>>) -> Result<Self> {
        let Tally { pictures, left_out, sums } = tally.of_some()?;
        let cells = sizes.cells as f64;
        let bits = |nats: f64| nats * cells * std::f64::consts::LOG2_E;
        let depths = sums.iter().zip(&sizes.codebooks).enumerate().map(|(depth, (sum, &size))| {
            let (nats, uniform) = (sum / (pictures as f64 * cells), (size as f64).ln());
            Depth {
                depth,
                nats_per_code: nats,
                uniform_nats_per_code: uniform,
                nats_below_uniform: uniform - nats,
                bits_per_image: bits(nats),
            }
        });
        let depths: Vec<Depth> = depths.collect();
        let mean_of = |value: fn(&Depth) -> f64| mean(&depths.iter().map(value).collect::<Vec<_>>());
        let bits_per_image = depths.iter().map(|depth| depth.bits_per_image).sum();
        Ok(Self {
            pictures,
            left_out,
            nats_per_code: mean_of(|depth| depth.nats_per_code),
            nats_below_uniform: mean_of(|depth| depth.nats_below_uniform),
            bits_per_image,
            bits_per_pixel: bits_per_image / sizes.pixels(),
            uniform_bits_per_image: depths.iter().map(|depth| bits(depth.uniform_nats_per_code)).sum(),
            depths,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::Selection;
    use crate::explain::surprise;
    use crate::reconstruct::{Choice, encode};
    use residua_core::config::{Precision, StateKind};
    use residua_io::image_io::Picture;
    use residua_kernels::device::cpu;
    use residua_protocol::Options;
    use residua_train::data::Split;
    use std::path::Path;

    fn stage2() -> Stage2 {
        let options = Options {
            model: concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/rqt-class").into(),
            rqvae: None,
            state: StateKind::Auto,
            precision: Precision::Stored,
        };
        Stage2::load(&options, &cpu(), &mut Task::unwatched()).unwrap()
    }

    /// Pictures of two classes: the measurements agree with what `explain` says of each picture.
    #[test]
    fn likelihoods_agree_with_those_of_each_code() {
        let stage2 = stage2();
        let classes: Vec<String> = (0..10).map(|number| format!("kind {number}")).collect();
        let folder = tempfile::tempdir().unwrap();
        let samples = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("assets/samples");
        let mut sums = [0.0; 4];
        for (name, class) in [("red-cat.png", 3), ("brown-bun.png", 5), ("green-cat.png", 3)] {
            let below = folder.path().join(&classes[class]);
            std::fs::create_dir_all(&below).unwrap();
            std::fs::copy(samples.join(name), below.join(name)).unwrap();
            let picture = Picture::read(&samples.join(name)).unwrap();
            let (rqvae, task) = (&stage2.stage1.model, &mut Task::unwatched());
            let stack =
                pollster::block_on(encode(rqvae, &[picture], Choice::Nearest, task)).unwrap().remove(0);
            let told =
                pollster::block_on(surprise(&stage2.model, &stack, &[class as u32], &mut Task::unwatched()))
                    .unwrap();
            for (place, (_, chosen)) in told.iter().enumerate() {
                sums[place % 4] -= f64::from(chosen.probability.ln());
            }
        }
        let selection = Selection { folder: folder.path().into(), split: Split::All, limit: None, batch: 2 };
        let mut pictures = Pictures::open(&selection, &classes, Some(32)).unwrap();
        let tally = pollster::block_on(measure(&stage2, &mut pictures, &mut Task::unwatched())).unwrap();
        let found = Measured::of(&Sizes::of(&stage2.stage1.model).unwrap(), tally).unwrap();
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-4 * b.abs(), "{a} {b}: {found:?}");
        for (depth, sum) in found.depths.iter().zip(sums) {
            near(depth.nats_per_code, sum / (3.0 * 64.0));
            near(depth.uniform_nats_per_code, 64f64.ln());
        }
        let all: f64 = sums.iter().sum();
        near(found.nats_per_code, all / (3.0 * 256.0));
        near(found.bits_per_image, all / 3.0 / std::f64::consts::LN_2);
        near(found.bits_per_pixel, found.bits_per_image / 1024.0);
        near(found.uniform_bits_per_image, 1536.0);
        near(found.nats_below_uniform, 64f64.ln() - found.nats_per_code);
        assert_eq!(found.pictures, 3);
    }
}
