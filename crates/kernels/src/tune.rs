//! Measures the variants of kernels on the adapter in use, and keeps the fastest that is right.

use std::time::Instant;

use burn::tensor::{DType, Device, Tensor};
use serde::Serialize;

use crate::check::{KEPT, Kept, difference};
use crate::conv2d::conv2d;
use crate::cube::{conv2d_variants, linear_variant};
use crate::device::wait;
use crate::linear::linear;
use crate::tuned::{Asked, Layer, Tuned, forcing, keep};
use crate::{Activation, GpuKernel, Resample, Variant, Weights, noise, values};
use residua_core::error::Result;
use residua_core::task::check_interrupted;
use residua_core::text::counted;

/// Seconds of one round of repetitions, and how many rounds there are. The best round counts.
const ROUND: f64 = 0.02;
const ROUNDS: usize = 3;

/// Most repetitions in a round.
const MOST: f64 = 500.0;

/// A variant replaces the default if it takes less than this share of its time: less is within the noise.
const CLEARLY: f64 = 0.95;

/// Largest difference from the default's result, relative to the largest value.
const TOLERANCE: f32 = 1e-4;

/// Bytes of weights that a layer's repetitions take in turn, so that they come from memory rather than from a cache.
const IN_TURN: usize = 64 << 20;

/// One variant of a layer, measured.
#[derive(Clone, Debug, Serialize)]
pub struct Timing {
    /// The kernel.
    pub kernel: GpuKernel,
    /// The layer, in words.
    pub layer: String,
    /// The variant, in words.
    pub variant: &'static str,
    /// Microseconds; `None` if its result is wrong.
    pub microseconds: Option<f64>,
    /// Whether it is used from now on.
    pub chosen: bool,
}

/// Times every variant of the layers in `asked` on `device`, a GPU, and uses the fastest from now on, in later runs too.
/// The variants of a layer follow each other.
///
/// # Errors
/// The device failed, or the process was interrupted.
pub fn tune(asked: &[Asked], device: &Device) -> Result<Vec<Timing>> {
    let (mut timings, mut found) = (Vec::new(), Vec::with_capacity(asked.len()));
    for asked in asked {
        let Asked { layer, variants, default } = *asked;
        let seconds = measured(asked, device)?;
        let choice = fastest(&seconds, default);
        found.push(Tuned { layer, choice });
        timings.extend(variants.iter().zip(seconds).enumerate().map(|(i, (&variant, seconds))| Timing {
            kernel: layer.kernel(),
            layer: layer.words(),
            variant,
            microseconds: seconds.map(|seconds| seconds * 1e6),
            chosen: i == choice,
        }));
    }
    keep(&found);
    Ok(timings)
}

/// Seconds that each variant takes; `None` for a wrong one.
fn measured(asked: &Asked, device: &Device) -> Result<Vec<Option<f64>>> {
    let Asked { layer, variants, default } = *asked;
    let work = layer.work(device);
    let expected = forcing(Tuned { layer, choice: default }, || values(work(0)));
    let seconds = |choice| {
        check_interrupted()?;
        forcing(Tuned { layer, choice }, || {
            // The first run builds the shader and checks the variant.
            let found = values(work(0));
            let is_right = layer.variant().is_some_and(Variant::is_on);
            if is_right && difference(&found, &expected) <= TOLERANCE {
                repeated(&work, device).map(Some)
            } else {
                Ok(None)
            }
        })
    };
    (0..variants.len()).map(seconds).collect()
}

/// Seconds of one repetition of `work`.
fn repeated(work: &Work, device: &Device) -> Result<f64> {
    let round = |count: usize| -> Result<f64> {
        wait(device)?;
        let start = Instant::now();
        (0..count).for_each(|i| drop(work(i)));
        wait(device)?;
        Ok(start.elapsed().as_secs_f64() / count as f64)
    };
    let count = (ROUND / round(1)?).clamp(1.0, MOST) as usize;
    (0..ROUNDS).try_fold(f64::INFINITY, |best, _| Ok(best.min(round(count)?)))
}

/// The variant that takes the least `seconds`.
fn fastest(seconds: &[Option<f64>], default: usize) -> usize {
    let limit = seconds[default].map_or(f64::INFINITY, |seconds| CLEARLY * seconds);
    let right = seconds.iter().enumerate().filter_map(|(i, seconds)| Some((i, (*seconds)?)));
    let faster = right.filter(|(_, seconds)| *seconds < limit);
    faster.min_by(|(_, a), (_, b)| a.total_cmp(b)).map_or(default, |(i, _)| i)
}

/// Computes a layer; the number says which of several copies of its weights to use.
type Work = Box<dyn Fn(usize) -> Tensor<1>>;

impl Layer {
    fn kernel(self) -> GpuKernel {
        match self {
            Self::Linear { .. } => GpuKernel::DecodeLinear,
            Self::Conv2d { .. } => GpuKernel::Conv2d,
        }
    }

    fn words(self) -> String {
        match self {
            Self::Linear { rows, inputs, outputs, kind } => {
                format!("{} of {inputs} to {outputs}, {}", counted(rows, "row"), KEPT[kind].name)
            }
            Self::Conv2d { images, in_channels, out_channels, height, width, up } => {
                let doubled = if up { ", doubled" } else { "" };
                format!("{images} x 3x3 {in_channels}->{out_channels} at {height}x{width}{doubled}")
            }
        }
    }

    /// The variant that is used for it now.
    fn variant(self) -> Option<Variant> {
        match self {
            Self::Linear { rows, inputs, outputs, kind } => {
                linear_variant(rows, inputs, KEPT[kind].dtype, outputs)
            }
            Self::Conv2d { .. } => {
                let (x, weight, resample) = self.convolution();
                let [variant, _] = conv2d_variants(x, weight, resample);
                Some(variant)
            }
        }
    }

    fn work(self, device: &Device) -> Work {
        match self {
            Self::Linear { rows, inputs, outputs, kind } => {
                let Kept { weights, dtype, .. } = KEPT[kind];
                let bytes = outputs * inputs * if dtype == DType::F16 { 2 } else { 4 };
                let weights: Vec<Weights> =
                    (0..=IN_TURN / bytes).map(|_| weights([outputs, inputs], device)).collect();
                let (x, bias) = (noise([rows, inputs], 1, device), noise([outputs], 3, device));
                Box::new(move |i| {
                    let weights = &weights[i % weights.len()];
                    linear(x.clone(), weights, &bias, Activation::None).reshape([rows * outputs])
                })
            }
            Self::Conv2d { out_channels, .. } => {
                let (x, weight, resample) = self.convolution();
                let (x, weight) = (noise(x, 1, device), noise(weight, 2, device));
                let bias = noise([out_channels], 3, device);
                Box::new(move |_| {
                    let y = conv2d(x.clone(), &weight, &bias, resample);
                    let count = y.shape().num_elements();
                    y.reshape([count])
                })
            }
        }
    }

    /// The dimensions of a convolution's input and weights, and its resampling.
    fn convolution(self) -> ([usize; 4], [usize; 4], Resample) {
        let Self::Conv2d { images, in_channels, out_channels, height, width, up } = self else {
            unreachable!("called for convolutions only")
        };
        let (times, resample) = if up { (2, Resample::Up) } else { (1, Resample::Same) };
        let x = [images, in_channels, height / times, width / times];
        (x, [out_channels, in_channels, 3, 3], resample)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Grain;
    use crate::gpu;
    use crate::tuned::asked;

    #[test]
    fn the_fastest_right_variant_is_used() {
        assert_eq!(fastest(&[Some(2.0), Some(1.0), Some(1.5)], 0), 1);
        assert_eq!(fastest(&[Some(2.0), None, Some(1.0)], 0), 2);
        assert_eq!(fastest(&[Some(1.0), Some(0.97)], 0), 0, "within the noise");
        assert_eq!(fastest(&[None, Some(9.0)], 0), 1);
        assert_eq!(fastest(&[None, None], 1), 1);
    }

    /// The variants that a tuner forces are those that it names, and all give the default's result.
    #[test]
    fn every_variant_of_a_layer_is_measured_and_right() {
        let device = gpu();
        let compute = || {
            let linear = |rows| Layer::Linear { rows, inputs: 64, outputs: 2100, kind: 1 };
            let [same, up] = [false, true].map(|up| Layer::Conv2d {
                images: 1,
                in_channels: 5,
                out_channels: 9,
                height: 36,
                width: 40,
                up,
            });
            [linear(1), linear(40), same, up].map(Layer::variant)
        };
        Grain::Fine.during(|| {
            let (_, asked) = asked(compute);
            assert_eq!(asked.iter().map(|asked| asked.variants.len()).collect::<Vec<_>>(), [2, 3, 2, 2]);
            for asked in asked {
                let Asked { layer, variants, .. } = asked;
                let used = |choice| forcing(Tuned { layer, choice }, || layer.variant().unwrap());
                let used: Vec<Variant> = (0..variants.len()).map(used).collect();
                assert!((1..used.len()).all(|i| !used[..i].contains(&used[i])), "{used:?}");
                let seconds = measured(&asked, &device).unwrap();
                assert!(
                    seconds.iter().all(|seconds| seconds.is_some_and(|seconds| seconds > 0.0)),
                    "{asked:?}"
                );
            }
        });
    }
}
