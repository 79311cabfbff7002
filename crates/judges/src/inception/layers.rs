//! The network's layers, with Burn's operations: its kernel sizes occur in no other model here.

use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::module::{avg_pool2d, conv2d, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions};

use super::table::{Branches, Row};
use residua_model::Loader;

/// Epsilon of all batch norms.
const EPSILON: f64 = 1e-3;

/// Convolution and ReLU, with the batch norm between them folded into the convolution.
#[derive(Debug)]
pub struct Conv {
    weight: Tensor<4>,
    bias: Tensor<1>,
    stride: usize,
    /// In rows and columns.
    padding: [usize; 2],
    channels: usize,
}

impl Conv {
    fn load(
        loader: &mut Loader,
        path: &str,
        [from, to]: [usize; 2],
        [rows, columns]: [usize; 2],
        stride: usize,
        padding: [usize; 2],
    ) -> Self {
        let weight: Tensor<4> = loader.tensor(&format!("{path}.conv.weight"), [to, from, rows, columns]);
        let mut norm = |name: &str| -> Tensor<1> { loader.tensor(&format!("{path}.bn.{name}"), [to]) };
        let (gain, shift) = (norm("weight"), norm("bias"));
        let (mean, variance) = (norm("running_mean"), norm("running_var"));
        let scale = gain / (variance + EPSILON).sqrt();
        let channels = scale.dims()[0];
        Self {
            weight: weight * scale.clone().reshape([channels, 1, 1, 1]),
            bias: shift - mean * scale,
            stride,
            padding,
            channels: to,
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let options = ConvOptions::new([self.stride; 2], self.padding, [1, 1], 1);
        relu(conv2d(x, self.weight.clone(), Some(self.bias.clone()), options))
    }
}

/// One row of the table.
#[derive(Debug)]
pub enum Step {
    /// Convolutions of the same input, concatenated; usually only one.
    Convs(Vec<Conv>),
    /// 3x3 max pooling.
    Largest(MaxPoolOptions<2>),
    /// 3x3 average pooling.
    Mean(AvgPoolOptions<2>),
}

impl Step {
    /// Loads `rows` for an input with this many channels; also returns the number of output channels.
    pub fn load_all(loader: &mut Loader, path: &str, rows: &[Row], channels: usize) -> (Vec<Self>, usize) {
        let mut channels = channels;
        let steps = rows.iter().map(|row| {
            let step = Self::load(loader, path, row, channels);
            channels = step.channels().unwrap_or(channels);
            step
        });
        let steps = steps.collect();
        (steps, channels)
    }

    fn load(loader: &mut Loader, path: &str, row: &Row, from: usize) -> Self {
        let mut same = |name: &str, to: usize, kernel: [usize; 2]| {
            let padding = kernel.map(|size| size / 2);
            Conv::load(loader, &format!("{path}{name}"), [from, to], kernel, 1, padding)
        };
        match *row {
            Row::Same(name, to, kernel) => Self::Convs(vec![same(name, to, kernel)]),
            Row::Fork(two) => Self::Convs(two.map(|(name, to, kernel)| same(name, to, kernel)).into()),
            Row::Within(name, to, kernel, stride) => {
                let path = format!("{path}{name}");
                Self::Convs(vec![Conv::load(loader, &path, [from, to], kernel, stride, [0, 0])])
            }
            Row::LargestWithin => Self::Largest(MaxPoolOptions::new([3, 3]).with_stride([2, 2])),
            Row::Largest => {
                Self::Largest(MaxPoolOptions::new([3, 3]).with_stride([1, 1]).with_padding([1, 1]))
            }
            Row::Mean => Self::Mean(
                AvgPoolOptions::new([3, 3])
                    .with_stride([1, 1])
                    .with_padding([1, 1])
                    .with_count_include_pad(false),
            ),
        }
    }

    /// Number of output channels, if the step changes it.
    fn channels(&self) -> Option<usize> {
        match self {
            Self::Convs(convs) => Some(convs.iter().map(|conv| conv.channels).sum()),
            Self::Largest(_) | Self::Mean(_) => None,
        }
    }

    /// `[B, C, H, W]` to `[B, C', H', W']`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Convs(convs) => Tensor::cat(convs.iter().map(|conv| conv.forward(x.clone())).collect(), 1),
            Self::Largest(options) => max_pool2d(x, options.clone()),
            Self::Mean(options) => avg_pool2d(x, options.clone()),
        }
    }
}

/// Parallel branches whose outputs are concatenated.
#[derive(Debug)]
pub struct Block {
    branches: Vec<Vec<Step>>,
    channels: usize,
}

impl Block {
    /// Loads the block at `path` for an input with this many channels.
    pub fn load(loader: &mut Loader, path: &str, branches: Branches, channels: usize) -> Self {
        let path = format!("{path}.");
        let loaded = branches.iter().map(|rows| Step::load_all(loader, &path, rows, channels));
        let (branches, channels): (Vec<_>, Vec<usize>) = loaded.unzip();
        Self { branches, channels: channels.iter().sum() }
    }

    /// Number of output channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// `[B, C, H, W]` to `[B, C', H', W']`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let run = |steps: &Vec<Step>| steps.iter().fold(x.clone(), |x, step| step.forward(x));
        Tensor::cat(self.branches.iter().map(run).collect(), 1)
    }
}
