//! Group norm, with or without SiLU, as a single autodiff operation.

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients as Found;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;

use super::{Gradients, Norm};

/// The operation.
#[derive(Debug)]
struct GroupNorm;

impl<B: Gradients> Backward<B, 3> for GroupNorm {
    /// Input, scales, shifts and settings.
    type State = ([FloatTensor<B>; 3], Norm);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Found, _: &mut Checkpointer) {
        let ([x, gamma, beta], norm) = ops.state;
        let dy = grads.consume::<B>(&ops.node);
        let gradients = B::group_norm(x, gamma, beta, dy, norm);
        for (node, gradient) in ops.parents.into_iter().zip(gradients) {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

/// Normalizes, and records the operation if any operand needs a gradient.
pub(super) fn recorded<B: Gradients, C: CheckpointStrategy>(
    x: FloatTensor<Autodiff<B, C>>,
    gamma: FloatTensor<Autodiff<B, C>>,
    beta: FloatTensor<Autodiff<B, C>>,
    norm: Norm,
) -> FloatTensor<Autodiff<B, C>> {
    let [(x, x_node), (gamma, gamma_node), (beta, beta_node)] =
        [x, gamma, beta].map(|operand| operand.into_parts());
    let Norm { groups, epsilon, silu } = norm;
    match GroupNorm.prepare::<C>([x_node, gamma_node, beta_node]).compute_bound().stateful() {
        OpsKind::Tracked(step) => {
            let operands = [x, gamma, beta];
            let [x, gamma, beta] = operands.clone();
            let y = B::residua_recorded_group_norm(x, gamma, beta, groups, epsilon, silu);
            step.finish((operands, norm), y)
        }
        OpsKind::UnTracked(step) => {
            step.finish(B::residua_recorded_group_norm(x, gamma, beta, groups, epsilon, silu))
        }
    }
}
