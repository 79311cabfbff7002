//! The stages of the work, each timed separately: the device is synchronized before the clock is read.

use std::time::{Duration, Instant};

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::{Measure, SEED};
use residua_core::error::Result;
use residua_core::memory;
use residua_core::sampling::Filter;
use residua_core::task::Task;
use residua_kernels::device::wait;
use residua_kernels::sample_token::{Draw, sample_into};
use residua_model::{RqTransformer, RqVae};

/// The filter of the published FFHQ samples, which costs more than none.
pub const FILTER: Filter = Filter { temperature: 1.0, top_k: 250, top_p: 0.95, ..Filter::NONE };

/// Times `work` until the device has finished it.
pub fn timed<T>(device: &Device, work: impl FnOnce() -> T) -> Result<(T, Duration)> {
    let start = Instant::now();
    let result = work();
    wait(device)?;
    Ok((result, start.elapsed()))
}

fn measured<T>(stage: &'static str, device: &Device, work: impl FnOnce() -> T) -> Result<(T, Measure)> {
    memory::reset_peak();
    let (result, time) = timed(device, work)?;
    Ok((result, Measure { stage, ms: milliseconds(time), peak_bytes: memory::peak() }))
}

/// `time` in milliseconds.
pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Encodes, quantizes and decodes `batch` pictures, one at a time as the engine does.
pub fn autoencoder(model: &RqVae, batch: usize, device: &Device) -> Result<Vec<Measure>> {
    let side = model.config.ddconfig.resolution;
    let pixels: Vec<f32> = (0..3 * side * side)
        .map(|i| residua_core::random::uniform([SEED, i as u32, 0, 0]) * 2.0 - 1.0)
        .collect();
    let image = Tensor::<4>::from_data(TensorData::new(pixels, [1, 3, side, side]), device);
    let (latents, encode) = measured("encode", device, || each(batch, || model.encode(image.clone())))?;
    let quantize = || each(batch, || model.quantizer.quantize(latents.clone()).codes);
    let (codes, quantize) = measured("quantize", device, quantize)?;
    let (_, decode) = measured("decode", device, || each(batch, || model.decode_codes(codes.clone())))?;
    Ok(vec![encode, quantize, decode])
}

/// Does `work` once for each image of a batch and returns the last result.
fn each<T>(batch: usize, work: impl Fn() -> T) -> T {
    let mut result = work();
    for _ in 1..batch {
        result = work();
    }
    result
}

/// The timings of a sampled batch.
pub struct Sampled {
    /// Milliseconds for the batch.
    pub ms: f64,
    /// The total, and body, head and sampling separately.
    pub measures: Vec<Measure>,
}

/// Samples `batch` stacks with the steps of a session, timing each kind of step.
pub fn sample(model: &RqTransformer, batch: usize, task: &Task) -> Result<Sampled> {
    let (device, config) = (model.device().clone(), &model.config);
    memory::reset_peak();
    let condition = Tensor::<2, Int>::zeros([batch, config.block_size_cond], &device);
    let (mut decoding, mut body) = timed(&device, || model.begin(condition, None))?;
    let (mut head, mut drawing) = (Duration::ZERO, Duration::ZERO);
    let mut codes = Tensor::<2, Int>::zeros([batch, config.cells() * config.depth()], &device);
    for cell in 0..config.cells() {
        task.check()?;
        for depth in 0..config.depth() {
            let above = (depth > 0).then(|| codes.clone());
            let (logits, time) = timed(&device, || model.code_logits(&mut decoding, above, cell, depth))?;
            head += time;
            let place = cell * config.depth() + depth;
            let draw = Draw {
                filter: FILTER,
                seed: u64::from(SEED),
                first_image: 0,
                image_step: 1,
                place: place as u32,
                turns: None,
            };
            let (written, time) = timed(&device, || sample_into(logits, &draw, codes, place))?;
            drawing += time;
            codes = written;
        }
        if cell + 1 < config.cells() {
            let read = codes.clone();
            let ((), time) = timed(&device, || model.read_cell(&mut decoding, read, cell))?;
            body += time;
        }
    }
    let peak_bytes = memory::peak();
    let parts = [("sample", body + head + drawing), ("body", body), ("head", head), ("sampling", drawing)];
    let measures = parts.map(|(stage, time)| Measure { stage, ms: milliseconds(time), peak_bytes });
    Ok(Sampled { ms: measures[0].ms, measures: measures.into() })
}
