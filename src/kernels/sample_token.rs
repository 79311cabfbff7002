//! The draw of one code for every image of a batch.

use burn::backend::Dispatch;
use burn::tensor::{Int, Tensor, TensorData};

use super::flex::CpuKernels;
use super::{cpu, has_cpu_kernels};
use crate::generate::Filter;

/// How a code is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Draw {
    /// What is done to the logits first.
    pub filter: Filter,
    /// Seed of the session.
    pub seed: u64,
    /// Number of the batch's first image.
    pub first_image: u32,
    /// The code's place in its stack, `cell * D + depth`.
    pub place: u32,
}

/// Codes `[B]` drawn from `logits` `[B, V]`; -1 where a row has no number in it.
pub fn sample_token(logits: Tensor<2>, draw: &Draw) -> Tensor<1, Int> {
    let device = logits.device();
    if has_cpu_kernels(&device) {
        return Tensor::from_dispatch(Dispatch::residua_sample_token(logits.into_dispatch(), *draw));
    }
    let rows = logits.dims()[0];
    let codes = cpu::sample_token::sample_token(&super::values(logits), rows, draw);
    Tensor::from_data(TensorData::new(codes, [rows]), &device)
}
