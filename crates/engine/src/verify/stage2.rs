//! The outputs of an RQ-Transformer.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::golden::Golden;
use super::{Comparison, tolerance, training};
use crate::models::{Stage1, load};
use residua_core::codes::CodeStack;
use residua_core::config::{Architecture, Precision, RqTransformerConfig, StateKind};
use residua_core::error::Result;
use residua_core::sampling::filter::most_likely;
use residua_core::sampling::{Filter, Forced};
use residua_core::task::Task;
use residua_kernels::quantize::Codebooks;
use residua_model::generate::{Request, Session, Steps};
use residua_model::tensors::{codes_to_tensor, read};
use residua_model::{Checkpoint, RqTransformer};

/// Compares every output in `golden`.
pub async fn verify(
    checkpoint: Checkpoint,
    golden: &Golden,
    rqvae: Option<&str>,
    device: &Device,
    task: &mut Task<'_>,
) -> Result<Vec<Comparison>> {
    let config = checkpoint.rqtransformer()?.clone();
    config.kind.must_be(
        Architecture::Autoregressive,
        "verify",
        "the published programs only have outputs of such models",
    )?;
    let shares_codebooks = config.input_emb_vqvae || config.head_emb_vqvae;
    let codebooks = shares_codebooks.then(|| codebooks(&checkpoint, rqvae, device, task)).transpose()?;
    let model = load(&checkpoint, device, Precision::Stored, task, |loader| {
        RqTransformer::load(loader, &config, codebooks.as_ref())
    })?;
    let codes = stacks(&config, golden, "codes", golden.shape::<4>("codes")?[0])?;
    let conditions = conditions(golden, codes.len(), config.block_size_cond)?;
    let run = Run { model, conditions, relative: tolerance(device) };
    let condition = run.condition_tensor();
    let mut comparisons =
        training::rqtransformer(&checkpoint, golden, codebooks.as_ref(), condition, device).await?;
    for name in golden.names() {
        match name {
            "logits" => comparisons.extend(run.logits(golden, &codes).await?),
            "greedy" => comparisons.push(run.greedy(name, golden, None).await?),
            "greedy_keep_row0" => comparisons.push(run.greedy(name, golden, Some(&codes)).await?),
            _ => (),
        }
    }
    Ok(comparisons)
}

fn codebooks(
    checkpoint: &Checkpoint,
    rqvae: Option<&str>,
    device: &Device,
    task: &mut Task,
) -> Result<Codebooks> {
    let stage1 = Stage1::from_checkpoint(checkpoint.open_stage1(rqvae, StateKind::Auto)?, device, task)?;
    Ok(stage1.model.quantizer.codebooks)
}

/// One condition per image: zeros for an unconditional model.
fn conditions(golden: &Golden, batch: usize, length: usize) -> Result<Vec<Vec<u32>>> {
    if !golden.has("cond") {
        return Ok(vec![vec![0; length]; batch]);
    }
    golden.check("cond", [batch, length])?;
    Ok(golden.numbers("cond")?.chunks(length).map(Vec::from).collect())
}

/// The code stacks `name` of so many `images`, which a model with this `config` knows.
fn stacks(
    config: &RqTransformerConfig,
    golden: &Golden,
    name: &str,
    images: usize,
) -> Result<Vec<CodeStack>> {
    let [h, w, depth] = config.block_size;
    golden.check(name, [images, h, w, depth])?;
    let (stacks, sizes) = (golden.stacks(name)?, config.codebook_sizes()?);
    stacks.iter().try_for_each(|stack| stack.validate(&sizes))?;
    Ok(stacks)
}

struct Run {
    model: RqTransformer,
    conditions: Vec<Vec<u32>>,
    relative: f64,
}

impl Run {
    fn condition_tensor(&self) -> Tensor<2, Int> {
        let tokens: Vec<i32> = self.conditions.iter().flatten().map(|&token| token as i32).collect();
        let shape = [self.conditions.len(), self.conditions[0].len()];
        Tensor::from_data(TensorData::new(tokens, shape), self.model.device())
    }

    /// Teacher-forced logits of the codes, and of the caption if there is one.
    async fn logits(&self, golden: &Golden, codes: &[CodeStack]) -> Result<Vec<Comparison>> {
        let logits = self.model.logits(codes_to_tensor(codes, self.model.device()), self.condition_tensor());
        let found = read(logits.codes).await?;
        let mut comparisons =
            vec![Comparison::of_values("logits", &found, &golden.values("logits")?, self.relative)];
        if let Some(condition) = logits.condition.filter(|_| golden.has("cond_logits")) {
            let (found, expected) = (read(condition).await?, golden.values("cond_logits")?);
            comparisons.push(Comparison::of_values("cond_logits", &found, &expected, self.relative));
        }
        Ok(comparisons)
    }

    /// Greedy samples, given the first row of `kept` if there is one.
    async fn greedy(&self, name: &str, golden: &Golden, kept: Option<&[CodeStack]>) -> Result<Comparison> {
        let expected = stacks(&self.model.config, golden, name, self.conditions.len())?;
        let (mut wrong, mut ties) = (0, 0);
        let teacher = self.teacher(&expected).await?;
        for (image, expected) in expected.iter().enumerate() {
            let forced = kept.map(|kept| first_row(&kept[image]));
            let free = forced.as_ref().map_or(0, |forced| forced.keep.iter().filter(|&&keep| keep).count());
            let found = self.sample(image, forced).await?;
            let mut places = found.codes().iter().zip(expected.codes());
            let Some(place) = places.position(|(a, b)| a != b) else { continue };
            // After a first difference the samples diverge, so that one must be a near tie.
            let logits = &teacher[image][place];
            let (a, b) = (logits[found.codes()[place] as usize], logits[expected.codes()[place] as usize]);
            let largest = largest(logits);
            let tie = place >= free && f64::from((a - b).abs()) <= self.relative * largest;
            if tie { ties += 1 } else { wrong += 1 }
        }
        wrong += self.not_most_likely(&teacher, &expected, kept.is_some());
        Ok(Comparison::of_codes(name, wrong, ties))
    }

    /// Logits at every position of `stacks`, given the codes before it.
    async fn teacher(&self, stacks: &[CodeStack]) -> Result<Vec<Vec<Vec<f32>>>> {
        let logits =
            self.model.logits(codes_to_tensor(stacks, self.model.device()), self.condition_tensor()).codes;
        let [_, places, classes] = logits.dims();
        let values = read(logits).await?;
        let places =
            values.chunks(places * classes).map(|image| image.chunks(classes).map(Vec::from).collect());
        Ok(places.collect())
    }

    /// Number of positions, after the first row if that was given, where the golden code is neither the most
    /// likely one nor a near tie.
    fn not_most_likely(&self, teacher: &[Vec<Vec<f32>>], expected: &[CodeStack], row_given: bool) -> usize {
        let images = teacher.iter().zip(expected);
        images
            .map(|(places, stack)| {
                let skipped = if row_given { stack.w() * stack.depth() } else { 0 };
                let rest = places.iter().zip(stack.codes()).skip(skipped);
                rest.filter(|(logits, code)| !self.as_good(logits, **code as usize)).count()
            })
            .sum()
    }

    fn as_good(&self, logits: &[f32], code: usize) -> bool {
        let Some(best) = most_likely(logits) else { return false };
        let largest = largest(logits);
        f64::from(logits[best] - logits[code]) <= self.relative * largest
    }

    /// The greedy sample with the condition of `image`.
    async fn sample(&self, image: usize, forced: Option<Forced>) -> Result<CodeStack> {
        let request = Request {
            condition: self.conditions[image].clone(),
            filters: vec![Filter { top_k: 1, ..Filter::NONE }; self.model.config.depth()],
            seed: 0,
            images: (0..1).into(),
            forced,
        };
        let mut session = Session::new(&self.model, request)?;
        session.finish();
        Ok(session.stacks().await?.remove(0))
    }
}

/// The largest magnitude among the finite logits.
fn largest(logits: &[f32]) -> f64 {
    let finite = logits.iter().filter(|x| x.is_finite());
    finite.fold(0.0, |most, &x| most.max(f64::from(x).abs()))
}

/// The first row of `stack` is given, the rest is free.
fn first_row(stack: &CodeStack) -> Forced {
    let row = stack.w() * stack.depth();
    let keep = (0..stack.codes().len()).map(|place| place < row).collect();
    Forced { stack: stack.clone(), keep }
}
