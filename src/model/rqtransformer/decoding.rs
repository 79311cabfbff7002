//! Autoregressive decoding: the caches of one batch, and one step over cells or depths at a time.

use burn::tensor::{Int, Tensor};

use super::RqTransformer;
use super::stack::StackCache;

/// The state of a batch of stacks under way. Each step computes only what is new.
#[derive(Debug)]
pub struct Decoding {
    body: StackCache,
    head: StackCache,
    batch: usize,
    /// The body's output for the cell under way, `[B, width]`.
    cell_output: Option<Tensor<2>>,
    /// The head's context so far in the cell under way, `[B, C']`.
    context: Option<Tensor<2>>,
}

impl RqTransformer {
    /// Begins a batch with its condition `[B, length]`, and reads the first cells `[B, n, D]` if they are known, all at
    /// once. The next cell to come is then the `n`-th.
    pub fn begin(&self, condition: Tensor<2, Int>, known: Option<Tensor<3, Int>>) -> Decoding {
        let [batch, length] = condition.dims();
        let device = self.device();
        let mut decoding = Decoding {
            body: self.body.cache(batch, length + self.config.cells(), device),
            head: self.head.cache(batch, self.config.depth(), device),
            batch,
            cell_output: None,
            context: None,
        };
        let mut inputs = self.embed_condition(condition);
        if let Some(known) = known {
            inputs = Tensor::cat(vec![inputs, self.embed_cells(known, 0)], 1);
        }
        self.advance_body(&mut decoding, inputs);
        decoding
    }

    /// Reads the cell `[B, D]` at index `cell`; the next one can then be decoded.
    pub fn read_cell(&self, decoding: &mut Decoding, codes: Tensor<2, Int>, cell: usize) {
        let inputs = self.embed_cells(codes.unsqueeze_dim(1), cell);
        self.advance_body(decoding, inputs);
    }

    /// Logits `[B, V]` of the code at `depth` of the cell to come, given the code `above` `[B]` it (`None` at depth 0).
    pub fn code_logits(
        &self,
        decoding: &mut Decoding,
        above: Option<Tensor<1, Int>>,
        depth: usize,
    ) -> Tensor<2> {
        let input = match above {
            None => {
                decoding.head.clear();
                decoding.context = None;
                let body = decoding.cell_output.clone().expect("begin has run the body once");
                self.at_depth(body, 0)
            }
            Some(above) => {
                let (input, context) = self.depth_input(decoding.context.take(), above, depth);
                decoding.context = Some(context);
                input
            }
        };
        let head = self.head.forward(input.unsqueeze_dim(1), Some(&mut decoding.head));
        self.classifier.forward(head.reshape([decoding.batch, self.config.embed_dim]), depth)
    }

    /// Cells `[B, n, D]` as inputs of the body `[B, n, width]`, the first of them at index `first`.
    fn embed_cells(&self, cells: Tensor<3, Int>, first: usize) -> Tensor<3> {
        let [batch, count, depth] = cells.dims();
        let width = self.config.embed_dim;
        let embedded = self.input.cell(cells.reshape([batch * count, depth])).reshape([batch, count, width]);
        embedded + self.pos_emb_hw.clone().slice([0..1, first..first + count, 0..width])
    }

    fn advance_body(&self, decoding: &mut Decoding, inputs: Tensor<3>) {
        let [batch, length, width] = inputs.dims();
        let output = self.body.forward(inputs, Some(&mut decoding.body));
        let last = output.slice([0..batch, length - 1..length, 0..width]);
        decoding.cell_output = Some(last.reshape([batch, width]));
    }
}
