//! Inpainting: a contextual model sees everything around a hole, an autoregressive one only what comes before
//! it.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::masks::masked_rows;
use super::optimizer::{Descent, DescentConfig};
use super::rqtransformer::{Likelihood, LossWeights, Target, TrainedRqTransformer};
use residua_core::codes::CodeStack;
use residua_core::config::{Architecture, Config, ModelConfig, RqTransformerConfig};
use residua_core::random::{below, pcg4d};
use residua_core::sampling::{Filter, Forced};
use residua_kernels::dropout::Noise;
use residua_kernels::values;
use residua_model::RqTransformer;
use residua_model::generate::{DraftAndRevise, Request, Session, Steps};
use residua_model::rqtransformer::Masked;

const PICTURES: usize = 16;
const SIDE: usize = 4;
const CELLS: usize = SIDE * SIDE;
const DEPTH: usize = 2;
const CODES: usize = 8;
const STEPS: u32 = 700;
const RATE: f64 = 4e-3;

fn config(kind: &str) -> RqTransformerConfig {
    let text = format!(
        "
dataset: {{vocab_size: {CODES}}}
arch:
  type: {kind}
  block_size: [{SIDE}, {SIDE}, {DEPTH}]
  embed_dim: 48
  body: {{n_layer: 2, block: {{n_head: 4, resid_pdrop: 0.0}}}}
  head: {{n_layer: 1, block: {{n_head: 4, resid_pdrop: 0.0}}}}
"
    );
    match Config::parse("c", &text).unwrap().model {
        ModelConfig::RqTransformer(config) => *config,
        ModelConfig::RqVae(_) => panic!("expected stage 2"),
    }
}

/// The codes of stacks whose lower half mirrors the upper one.
fn codes() -> Vec<i32> {
    let mut codes = Vec::new();
    for picture in 0..PICTURES as u32 {
        for row in 0..SIDE {
            let from = row.min(SIDE - 1 - row);
            let of = |i: usize| below(pcg4d([7, picture, from as u32, i as u32])[0], CODES) as i32;
            codes.extend((0..SIDE * DEPTH).map(of));
        }
    }
    codes
}

/// The same as `[PICTURES, SIDE, SIDE, DEPTH]`.
fn stacks() -> TensorData {
    TensorData::new(codes(), [PICTURES, SIDE, SIDE, DEPTH])
}

/// A model of `kind`, trained on all stacks.
fn trained(kind: &str, device: &Device) -> RqTransformer {
    let config = config(kind);
    let mut model = TrainedRqTransformer::initial(&config, None, 1, device).unwrap();
    let mut descent = Descent::new(DescentConfig::default(), &model.parameters);
    for step in 0..STEPS {
        let codes = Tensor::<4, Int>::from_data(stacks(), device);
        let target = Target::Hard(codes.clone().reshape([PICTURES * CELLS * DEPTH]));
        let noise = Noise::new(2, step);
        let masked = (config.kind == Architecture::Contextual)
            .then(|| Masked::all_of(&masked_rows(PICTURES, CELLS, noise), PICTURES, CELLS, device));
        let condition = Tensor::zeros([PICTURES, 1], device);
        let pass = model.forward(codes, condition, target, masked, Some(noise)).unwrap();
        let loss = pass.loss(LossWeights { image: 1.0, text: 0.0 });
        let gradients = pass.gradients(&loss);
        let rate = RATE * (1.0 - f64::from(step) / f64::from(STEPS));
        descent.step(&mut model.parameters, &gradients, rate, |_, _| false);
    }
    model.model(model.parameters.values(), device, None).unwrap()
}

/// Nats of the true codes of the upper half of each stack, predicted cell by cell.
fn autoregressive(model: &RqTransformer, device: &Device) -> f32 {
    let codes = Tensor::<4, Int>::from_data(stacks(), device);
    let target = Target::Hard(codes.clone().reshape([PICTURES * CELLS * DEPTH]));
    let nats = values(Likelihood::of(model, codes, Tensor::zeros([PICTURES, 1], device), target).each);
    let upper = |stack: &[f32]| stack[..CELLS * DEPTH / 2].iter().sum::<f32>();
    nats.chunks(CELLS * DEPTH).map(upper).sum::<f32>() / PICTURES as f32
}

/// The same for a contextual model, which also sees the lower half: each cell is predicted from the earlier
/// ones too.
fn contextual(model: &RqTransformer, device: &Device) -> f32 {
    let mut sum = 0.0;
    for cell in 0..CELLS / 2 {
        let codes = Tensor::<4, Int>::from_data(stacks(), device);
        let target = Target::Hard(codes.clone().reshape([PICTURES * CELLS * DEPTH]));
        let hidden = (0..PICTURES * CELLS).map(|row| (cell..CELLS / 2).contains(&(row % CELLS))).collect();
        let asked: Vec<usize> = (0..PICTURES).map(|picture| picture * CELLS + cell).collect();
        let masked = Masked::new(hidden, &asked, CELLS, device);
        let condition = Tensor::zeros([PICTURES, 1], device);
        let nats = Likelihood::of_masked(model, codes, condition, target, &masked).each;
        sum += values(nats).iter().sum::<f32>();
    }
    sum / PICTURES as f32
}

/// The part of the codes of the upper half that a model fills in right, where the lower half is kept.
fn filled(model: &RqTransformer) -> f32 {
    const HALF: usize = CELLS * DEPTH / 2;
    let right = |codes: &[i32]| {
        let codes: Vec<u32> = codes.iter().map(|&code| code as u32).collect();
        let stack = CodeStack::new(SIDE, SIDE, DEPTH, codes.clone()).unwrap();
        let keep = (0..2 * HALF).map(|place| place >= HALF).collect();
        let found = completed(model, Forced { stack, keep });
        assert_eq!(found.codes()[HALF..], codes[HALF..]);
        codes[..HALF].iter().zip(found.codes()).filter(|(code, found)| code == found).count()
    };
    codes().chunks(2 * HALF).map(right).sum::<usize>() as f32 / (PICTURES * HALF) as f32
}

/// A stack completed with the likeliest codes.
fn completed(model: &RqTransformer, given: Forced) -> CodeStack {
    let filters = vec![Filter::GREEDY; DEPTH];
    let schedule = model.config.schedule(&filters, None, Some(&given));
    let request =
        Request { condition: vec![0], filters, seed: 0, images: (0..1).into(), forced: Some(given) };
    match schedule {
        None => finished(Session::new(model, request).unwrap()),
        Some(schedule) => finished(DraftAndRevise::new(model, request, schedule).unwrap()),
    }
}

fn finished(mut session: impl Steps) -> CodeStack {
    session.finish();
    pollster::block_on(session.stacks()).unwrap().remove(0)
}

#[test]
fn a_contextual_model_fills_a_hole_better() {
    let device = Device::flex();
    let [blind, seeing] = ["rq-transformer", "contextual-rq-transformer"].map(|kind| trained(kind, &device));
    let (before, around) = (autoregressive(&blind, &device), contextual(&seeing, &device));
    let chance = (CELLS / 2 * DEPTH) as f32 * (CODES as f32).ln();
    println!(
        "nats of the upper half: {before:.2} given the cells before, {around:.2} given the cells around, {chance:.2} by chance"
    );
    // Without the lower half, a model cannot know which of the pictures it sees.
    assert!(before > (PICTURES as f32).ln() * 0.9, "{before}");
    assert!(around < 0.5 * before, "{around} {before}");
    let [before, around] = [&blind, &seeing].map(filled);
    println!("filled in right: {before:.2} by completion, {around:.2} by draft and revisions");
    assert!(around > 0.75 && before < 0.5 * around, "{around} {before}");
}
