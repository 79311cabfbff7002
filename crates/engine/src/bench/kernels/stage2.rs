//! The kernels of stage 2, at the shapes of one step of decoding.

use std::cell::RefCell;

use burn::tensor::{Device, Tensor};

use super::{Case, Make, Work, reading, work};
use residua_core::config::Precision;
use residua_core::sampling::Filter;
use residua_kernels::cpu::linear::Block;
use residua_kernels::sample_token::{self, Draw};
use residua_kernels::{
    Activation, KvCache, Weights, attention, half_noise, layer_norm, linear, noise, values,
};

/// Widths of the published transformers.
const WIDTHS: [usize; 2] = [1024, 1536];

/// Size of the published codebooks.
const CLASSES: usize = 16_384;

/// Batch sizes in images.
const BATCHES: [usize; 2] = [1, 8];

/// Rows of a layer in larger batches.
const MANY_ROWS: [usize; 3] = [16, 64, 256];

/// Width of an attention head.
const HEAD: usize = 64;

/// Largest number of positions that a body sees: a condition and 8x8 cells.
const POSITIONS: usize = 65;

/// All cases.
pub fn cases(device: &Device) -> Vec<Make<'_>> {
    let mut cases: Vec<Make> = Vec::new();
    for (width, batch) in WIDTHS.into_iter().flat_map(|width| BATCHES.map(|batch| (width, batch))) {
        for [inputs, outputs] in
            [[width, 3 * width], [width, width], [width, 4 * width], [4 * width, width], [width, CLASSES]]
        {
            for precision in [Precision::Stored, Precision::F16, Precision::Q8] {
                cases.push(Box::new(move || linear(batch, [inputs, outputs], precision, device)));
            }
        }
        cases.push(Box::new(move || normed_linear(batch, width, device)));
        cases.push(Box::new(move || attention(batch, width, device)));
        cases.push(Box::new(move || whole_attention(batch, width, device)));
        cases.push(Box::new(move || normalization(batch, width, device)));
    }
    let [width, _] = WIDTHS;
    for rows in MANY_ROWS {
        cases.push(Box::new(move || linear(rows, [width, 4 * width], Precision::F16, device)));
    }
    for batch in BATCHES {
        cases.push(Box::new(move || draw(batch, device)));
    }
    cases
}

fn linear(rows: usize, [inputs, outputs]: [usize; 2], precision: Precision, device: &Device) -> Case {
    let x: Tensor<2> = noise([rows, inputs], 1, device);
    let shape = [outputs, inputs];
    let weights: Weights = match precision {
        Precision::Stored => noise(shape, 2, device).into(),
        Precision::F16 => half_noise(shape, 2, device).into(),
        Precision::Q8 => {
            let values: Vec<f32> = values(noise::<2>(shape, 2, &residua_kernels::device::cpu()));
            Weights::from_blocks(&Block::round(&values), shape, device)
        }
    };
    let bytes = weights.bytes();
    let bias = noise([outputs], 3, device);
    let ways = [linear::linear, linear::composed].map(|way| -> Work {
        let (x, weights, bias) = (x.clone(), weights.clone(), bias.clone());
        work(move || way(x.clone(), &weights, &bias, Activation::None))
    });
    let kept = match precision {
        Precision::Stored => "f32",
        Precision::F16 => "f16",
        Precision::Q8 => "q8",
    };
    Case::reading("decode_linear", format!("{rows} x {inputs}->{outputs} {kept}"), bytes, ways)
}

/// Queries, keys and values of a block.
fn normed_linear(rows: usize, width: usize, device: &Device) -> Case {
    let x: Tensor<2> = noise([rows, width], 1, device);
    let weights = Weights::from(half_noise([3 * width, width], 2, device));
    let bias: Tensor<1> = noise([3 * width], 3, device);
    let norm = [4, 5].map(|seed| noise::<1>([width], seed, device));
    let bytes = weights.bytes();
    let ways = [linear::normed_linear, normed_composed].map(|way| -> Work {
        let (x, weights, bias, norm) = (x.clone(), weights.clone(), bias.clone(), norm.clone());
        work(move || way(x.clone(), norm.each_ref(), 1e-5, &weights, &bias, Activation::None))
    });
    Case::reading("normed_linear", format!("{rows} x {width}->{} f16", 3 * width), bytes, ways)
}

fn normed_composed(
    x: Tensor<2>,
    [gamma, beta]: [&Tensor<1>; 2],
    epsilon: f32,
    weights: &Weights,
    bias: &Tensor<1>,
    activation: Activation,
) -> Tensor<2> {
    linear::composed(layer_norm::composed(x, gamma, beta, epsilon), weights, bias, activation)
}

fn attention(batch: usize, width: usize, device: &Device) -> Case {
    let heads = width / HEAD;
    let before: Tensor<3> = noise([batch, POSITIONS - 1, 3 * width], 1, device);
    let last: Tensor<3> = noise([batch, 1, 3 * width], 2, device);
    let against =
        |way: fn(Tensor<3>, usize, Option<&mut KvCache>) -> Tensor<3>, mut cache: KvCache| -> Work {
            way(before.clone(), heads, Some(&mut cache));
            let (cache, last) = (RefCell::new(cache), last.clone());
            work(move || {
                let mut cache = cache.borrow_mut();
                cache.truncate(POSITIONS - 1);
                way(last.clone(), heads, Some(&mut cache))
            })
        };
    let ways = [
        against(attention::attend, KvCache::new(batch, heads, POSITIONS, HEAD, device)),
        against(attention::composed, KvCache::of_burn(batch, heads, POSITIONS, HEAD, device)),
    ];
    let bytes = 2 * batch * POSITIONS * width * size_of::<f32>();
    Case::reading("decode_attention", format!("{batch} x {heads} heads, {POSITIONS} positions"), bytes, ways)
}

/// A contextual model's: all cells to all.
fn whole_attention(batch: usize, width: usize, device: &Device) -> Case {
    let (heads, qkv) = (width / HEAD, noise([batch, POSITIONS, 3 * width], 1, device));
    let ways = [attention::attend_all, attention::composed_all].map(|way| -> Work {
        let qkv: Tensor<3> = qkv.clone();
        work(move || way(qkv.clone(), heads))
    });
    let bytes = 4 * batch * POSITIONS * width * size_of::<f32>();
    Case::reading("attention", format!("{batch} x {heads} heads, {POSITIONS} positions"), bytes, ways)
}

fn normalization(rows: usize, width: usize, device: &Device) -> Case {
    let (x, gamma, beta) =
        (noise([rows, width], 1, device), noise([width], 2, device), noise([width], 3, device));
    let ways = [layer_norm::layer_norm, layer_norm::composed].map(|way| -> Work {
        let (x, gamma, beta) = (x.clone(), gamma.clone(), beta.clone());
        work(move || way(x.clone(), &gamma, &beta, 1e-5))
    });
    Case::reading("layer_norm", format!("{rows} x {width}"), 2 * rows * width * size_of::<f32>(), ways)
}

fn draw(rows: usize, device: &Device) -> Case {
    let logits: Tensor<2> = noise([rows, CLASSES], 1, device) * 6.0;
    let filter = Filter { temperature: 1.0, top_k: 2048, top_p: 0.95, ..Filter::NONE };
    let draw = Draw { filter, seed: 1, first_image: 0, image_step: 1, place: 0, turns: None };
    let ways = [sample_token::sample_token, sample_token::composed].map(|way| -> Work {
        let logits = logits.clone();
        Box::new(move || {
            let codes = way(logits.clone(), &draw);
            Box::new(|| reading(codes.into_data()))
        })
    });
    Case::reading("sample_token", format!("{rows} x {CLASSES}"), rows * CLASSES * size_of::<f32>(), ways)
}
