//! The weights of linear layers in one of three precisions.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, ExtensionType};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use super::cpu::linear::Block;
use super::cpu::memory::room;
use super::operations::Kernels;
use crate::device::is_cpu;

/// Weights `[out, in]` of a linear layer.
#[derive(Clone, Debug)]
pub enum Weights {
    /// `[out, in]`, f32 or f16.
    Dense(Tensor<2>),
    /// 8 bits each, with a scale for each [`Block::SIZE`] weights along the inputs. The number of inputs is a
    /// multiple of [`Block::SIZE`].
    Blocks {
        /// `[out, in / 4]`, i32: four weights per word, the first in the lowest byte.
        packed: Box<Tensor<2, Int>>,
        /// `[out, in / 32]`, f32.
        scales: Tensor<2>,
    },
}

/// [`Weights`] as tensors of a backend.
#[derive(ExtensionType)]
pub enum StoredWeights<B: Backend> {
    /// [`Weights::Dense`].
    Dense(FloatTensor<B>),
    /// [`Weights::Blocks`].
    Blocks {
        /// Four weights per word.
        packed: IntTensor<B>,
        /// One per block.
        scales: FloatTensor<B>,
    },
}

impl From<Tensor<2>> for Weights {
    fn from(dense: Tensor<2>) -> Self {
        Self::Dense(dense)
    }
}

impl Weights {
    /// Weights per word of [`Weights::Blocks`].
    pub const PACKED: usize = size_of::<i32>();

    /// Weights `[out, in]` from `blocks`, row by row.
    pub fn from_blocks(blocks: &[Block], [outputs, inputs]: [usize; 2], device: &Device) -> Self {
        let mut packed: Vec<i32> = room(blocks.len() * Block::SIZE / Self::PACKED);
        packed.extend(blocks.iter().flat_map(|block| words(&block.numbers)));
        let scales: Vec<f32> = blocks.iter().map(|block| block.scale).collect();
        let packed = TensorData::new(packed, [outputs, inputs / Self::PACKED]);
        let scales = TensorData::new(scales, [outputs, inputs / Block::SIZE]);
        Self::Blocks {
            packed: Box::new(Tensor::from_data(packed, (device, DType::I32))),
            scales: Tensor::from_data(scales, (device, DType::F32)),
        }
    }

    /// Size in bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Dense(weight) => weight.shape().num_elements() * weight.dtype().size(),
            Self::Blocks { packed, scales } => {
                let [packed, scales] = [packed.shape(), scales.shape()].map(|shape| shape.num_elements());
                packed * size_of::<i32>() + scales * size_of::<f32>()
            }
        }
    }

    /// Number of outputs of the layer.
    pub(super) fn outputs(&self) -> usize {
        let (Self::Dense(rows) | Self::Blocks { scales: rows, .. }) = self;
        rows.dims()[0]
    }

    /// The type of the stored elements: f32, f16, or i32 for four 8-bit weights.
    pub(super) fn dtype(&self) -> DType {
        match self {
            Self::Dense(weight) => weight.dtype(),
            Self::Blocks { packed, .. } => packed.dtype(),
        }
    }

    /// The weights as the argument of a backend operation.
    pub(super) fn stored(&self) -> StoredWeights<Dispatch> {
        match self.clone() {
            Self::Dense(weight) => StoredWeights::Dense(weight.into_dispatch()),
            Self::Blocks { packed, scales } => {
                StoredWeights::Blocks { packed: (*packed).into_dispatch(), scales: scales.into_dispatch() }
            }
        }
    }

    /// The weights `[out, in]` in f32.
    pub fn single(&self) -> Tensor<2> {
        match self {
            Self::Dense(weight) if weight.dtype() == DType::F32 => weight.clone(),
            // Burn's own cast needs a GPU whose shaders support f16, and 8-bit weights would take several
            // passes.
            weights if !is_cpu(&weights.device()) => {
                Tensor::from_dispatch(Dispatch::residua_widen(weights.stored()))
            }
            weights => weights.composed(),
        }
    }

    fn device(&self) -> Device {
        match self {
            Self::Dense(weight) => weight.device(),
            Self::Blocks { scales, .. } => scales.device(),
        }
    }

    /// [`Self::single`] built from Burn's own operations.
    fn composed(&self) -> Tensor<2> {
        match self.clone() {
            Self::Dense(weight) => weight.cast(DType::F32),
            Self::Blocks { packed, scales } => {
                let ([outputs, words], [_, blocks]) = (packed.dims(), scales.dims());
                let byte = |i: i32| {
                    let number = packed
                        .as_ref()
                        .clone()
                        .bitwise_left_shift_scalar(24 - 8 * i)
                        .bitwise_right_shift_scalar(24);
                    number.reshape([outputs, words, 1])
                };
                let numbers = Tensor::cat((0..Self::PACKED as i32).map(byte).collect(), 2).float();
                let scaled = numbers.reshape([outputs, blocks, Block::SIZE]) * scales.unsqueeze_dim(2);
                scaled.reshape([outputs, blocks * Block::SIZE])
            }
        }
    }
}

/// The numbers of a block as words in memory order.
fn words(numbers: &[i8; Block::SIZE]) -> impl Iterator<Item = i32> {
    let (words, _) = numbers.as_chunks();
    words.iter().map(|bytes: &[i8; Weights::PACKED]| i32::from_ne_bytes(bytes.map(|byte| byte as u8)))
}
