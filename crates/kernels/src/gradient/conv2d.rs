//! Convolution as a single autodiff operation.

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients as Found;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;

use super::{Gradients, Resample};

/// The operation.
#[derive(Debug)]
struct Conv2d;

impl<B: Gradients> Backward<B, 3> for Conv2d {
    /// Input, weight and resampling.
    type State = (FloatTensor<B>, FloatTensor<B>, Resample);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Found, _: &mut Checkpointer) {
        let [for_x, for_weight, for_bias] = ops.parents;
        let (x, weight, resample) = ops.state;
        let dy = grads.consume::<B>(&ops.node);
        if let Some(node) = for_bias {
            grads.register::<B>(node.id, B::conv2d_bias(dy.clone()));
        }
        if let Some(node) = for_weight {
            let gradient = B::conv2d_weight(x.clone(), weight.clone(), dy.clone(), resample);
            grads.register::<B>(node.id, gradient);
        }
        if let Some(node) = for_x {
            grads.register::<B>(node.id, B::conv2d_input(x, weight, dy, resample));
        }
    }
}

/// Convolves, and records the operation if any operand needs a gradient.
pub(super) fn recorded<B: Gradients, C: CheckpointStrategy>(
    x: FloatTensor<Autodiff<B, C>>,
    weight: FloatTensor<Autodiff<B, C>>,
    bias: FloatTensor<Autodiff<B, C>>,
    resample: Resample,
) -> FloatTensor<Autodiff<B, C>> {
    let ((x, x_node), (weight, weight_node)) = (x.into_parts(), weight.into_parts());
    let (bias, bias_node) = bias.into_parts();
    match Conv2d.prepare::<C>([x_node, weight_node, bias_node]).compute_bound().stateful() {
        OpsKind::Tracked(step) => {
            let y = B::residua_recorded_conv2d(x.clone(), weight.clone(), bias, resample);
            step.finish((x, weight, resample), y)
        }
        OpsKind::UnTracked(step) => step.finish(B::residua_recorded_conv2d(x, weight, bias, resample)),
    }
}
