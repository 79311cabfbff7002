//! Sums over the ranks of a job, with gradients.

use std::fmt::{Debug, Formatter};

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, TensorMetadata};
use burn::tensor::{Tensor, TensorData};

use super::step::Step;
use crate::operations::Kernels;
use residua_core::ranks::World;

/// The ranks to sum over.
#[derive(Clone)]
pub struct OverRanks(World);

impl Debug for OverRanks {
    fn fmt(&self, to: &mut Formatter<'_>) -> std::fmt::Result {
        write!(to, "over {} ranks", self.0.size())
    }
}

impl OverRanks {
    /// The sum of `x` over all ranks.
    pub(crate) fn sum<B: Backend>(&self, x: FloatTensor<B>) -> FloatTensor<B> {
        let (shape, device) = (x.shape(), x.device());
        let data = pollster::block_on(B::float_into_data(x)).expect("the device works");
        let mut numbers = data.try_into_vec_as::<f32>().expect("floats");
        self.0.sum(&mut numbers);
        B::float_from_data(TensorData::new(numbers, shape), &device)
    }
}

impl<B: Backend> Step<B, 1> for OverRanks {
    fn forward(&self, [x]: [FloatTensor<B>; 1]) -> FloatTensor<B> {
        self.sum::<B>(x)
    }

    /// Each rank's summand affects the losses of all ranks.
    fn backward(
        &self,
        _: [FloatTensor<B>; 1],
        dy: FloatTensor<B>,
        _: [bool; 1],
    ) -> [Option<FloatTensor<B>>; 1] {
        [Some(self.sum::<B>(dy))]
    }
}

/// The sum of `x` over all ranks of `world`, of equal shapes. Its gradients are those of the sum of all ranks' losses. All
/// ranks compute it, and the gradients of equal graphs, at the same time.
pub fn sum_over<const D: usize>(x: Tensor<D>, world: &World) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::residua_sum_over(x.into_dispatch(), OverRanks(world.clone())))
}
