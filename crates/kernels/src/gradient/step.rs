//! An operation on several tensors as a single autodiff operation.

use std::fmt::Debug;
use std::marker::PhantomData;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients as Found;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend};

/// An operation on `N` tensors, with its settings.
pub(super) trait Step<B: Backend, const N: usize>: Clone + Debug + Send + 'static {
    /// Computes the result.
    fn forward(&self, operands: [FloatTensor<B>; N]) -> FloatTensor<B>;

    /// Gradients of the operands, from the gradient of the result. May be `None` for operands whose gradient is
    /// not `wanted`, and for those that never need one.
    fn backward(
        &self,
        operands: [FloatTensor<B>; N],
        dy: FloatTensor<B>,
        wanted: [bool; N],
    ) -> [Option<FloatTensor<B>>; N];
}

/// A recorded step.
#[derive(Debug)]
struct Recorded<S>(PhantomData<fn() -> S>);

impl<B: Backend, S: Step<B, N>, const N: usize> Backward<B, N> for Recorded<S> {
    type State = ([FloatTensor<B>; N], S);

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Found, _: &mut Checkpointer) {
        let (operands, step) = ops.state;
        let dy = grads.consume::<B>(&ops.node);
        let wanted = ops.parents.each_ref().map(Option::is_some);
        for (node, gradient) in ops.parents.into_iter().zip(step.backward(operands, dy, wanted)) {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

/// Runs `step`, and records it if any operand needs a gradient.
pub(super) fn recorded<B: Backend, C: CheckpointStrategy, S: Step<B, N>, const N: usize>(
    step: S,
    operands: [FloatTensor<Autodiff<B, C>>; N],
) -> FloatTensor<Autodiff<B, C>> {
    let mut nodes = Vec::with_capacity(N);
    let operands = operands.map(|operand| {
        let (operand, node) = operand.into_parts();
        nodes.push(node);
        operand
    });
    let nodes = nodes.try_into().unwrap_or_else(|_| unreachable!("there is one node per operand"));
    let y = step.forward(operands.clone());
    match Recorded::<S>(PhantomData).prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(record) => record.finish((operands, step), y),
        OpsKind::UnTracked(record) => record.finish(y),
    }
}
