//! Autoregressive decoding: the caches of one batch, and one step over cells or depths at a time.

use burn::tensor::{Int, Tensor};

use super::RqTransformer;
use super::embedding::Placed;
use super::layers::Linear;
use super::stack::StackCache;
use residua_kernels::embed::{Lookup, Reading};

/// The state of a batch of stacks in progress. Each step computes only what is new.
#[derive(Debug)]
pub struct Decoding {
    body: StackCache,
    /// Embeds a cell that has been decoded.
    input: Placed,
    /// The last layer of the body, which adds the position of the head's first depth too.
    last: Linear,
    /// The next cell of each image.
    cells: CellDecoding,
}

/// Cells in progress, whose codes are decoded depth by depth.
#[derive(Debug)]
pub struct CellDecoding {
    head: StackCache,
    /// The head's inputs at depth 0, `[N, width]`, until they are used.
    inputs: Option<Tensor<2>>,
    /// Embeds the codes above a depth.
    above: Placed,
}

impl RqTransformer {
    /// Begins a batch with its condition `[B, length]`, and reads the known first cells `[B, n, D]`, if any,
    /// in one pass. The next cell is then the `n`-th.
    pub fn begin(&self, condition: Tensor<2, Int>, known: Option<Tensor<3, Int>>) -> Decoding {
        let [batch, length] = condition.dims();
        let mut body = self.body.cache(batch, length + self.config.cells(), self.device());
        let mut inputs = self.embed_condition(condition);
        if let Some(known) = known {
            inputs = Tensor::cat(vec![inputs, self.embed_cells(known, 0)], 1);
        }
        let last = self.body.last_plus(self.position_of_first_depth());
        let inputs = self.advance_body(&mut body, inputs, &last);
        let (cells, width) = (self.config.cells(), self.config.embed_dim);
        let input = self.input.cells_at(self.pos_emb_hw.clone().reshape([cells, width]));
        Decoding { body, input, last, cells: self.begin_cells(inputs) }
    }

    /// Reads the cell at index `cell` of the stacks `codes` `[B, cells D]`; then the next one can be decoded.
    pub fn read_cell(&self, decoding: &mut Decoding, codes: Tensor<2, Int>, cell: usize) {
        let depth = self.config.depth();
        let lookup = Lookup { first_column: cell * depth, ..Lookup::first(depth, Reading::Sum) };
        let inputs = decoding.input.embed(codes, lookup, cell).unsqueeze_dim(1);
        decoding.cells.inputs = Some(self.advance_body(&mut decoding.body, inputs, &decoding.last));
    }

    /// Logits `[B, V]` for the code at `depth` of the next cell, which is at index `cell` of the stacks `codes`
    /// `[B, cells D]` with the codes above (`None` at depth 0).
    ///
    /// # Panics
    /// Depth 0 is not the first depth of the cell, or comes twice.
    pub fn code_logits(
        &self,
        decoding: &mut Decoding,
        codes: Option<Tensor<2, Int>>,
        cell: usize,
        depth: usize,
    ) -> Tensor<2> {
        self.logits_at(&mut decoding.cells, codes, cell * self.config.depth(), depth)
    }

    /// Begins cells with the head's inputs `[N, width]` at depth 0.
    pub(super) fn begin_cells(&self, inputs: Tensor<2>) -> CellDecoding {
        let (depth, width) = (self.config.depth(), self.config.embed_dim);
        let head = self.head.cache(inputs.dims()[0], depth, self.device());
        let above = self.context.codes_at(self.pos_emb_d.clone().reshape([depth, width]));
        CellDecoding { head, inputs: Some(inputs), above }
    }

    /// Logits `[N, V]` for the codes at `depth` of the cells in progress, given `codes` `[N, D]` with those above
    /// (`None` at depth 0).
    ///
    /// # Panics
    /// Depth 0 is not the first depth of the cells, or comes twice.
    pub fn cell_logits(
        &self,
        cells: &mut CellDecoding,
        codes: Option<Tensor<2, Int>>,
        depth: usize,
    ) -> Tensor<2> {
        self.logits_at(cells, codes, 0, depth)
    }

    /// [`Self::cell_logits`] with the first codes of the cells in column `first`.
    fn logits_at(
        &self,
        cells: &mut CellDecoding,
        codes: Option<Tensor<2, Int>>,
        first: usize,
        depth: usize,
    ) -> Tensor<2> {
        let input = match codes {
            None => {
                cells.head.clear();
                // Taken, so that the head may write to it.
                cells.inputs.take().expect("depth 0 comes once for each cell")
            }
            Some(codes) => cells.above.embed(codes, self.above(first, depth), depth),
        };
        let [rows, width] = input.dims();
        let head = self.head.forward(input.unsqueeze_dim(1), Some(&mut cells.head));
        self.classifier.forward(head.reshape([rows, width]), depth)
    }

    /// The codes that the head sees at `depth` of a cell whose first code is in column `first`.
    fn above(&self, first: usize, depth: usize) -> Lookup {
        let top = if self.config.sums_depth_context() { 0 } else { depth - 1 };
        Lookup { first_column: first + top, first_depth: top, depths: depth - top, reading: Reading::Sum }
    }

    /// Embeds cells `[B, n, D]` as inputs of the body `[B, n, width]`; the first cell is at index `first`.
    pub(super) fn embed_cells(&self, cells: Tensor<3, Int>, first: usize) -> Tensor<3> {
        let [batch, count, depth] = cells.dims();
        let width = self.config.embed_dim;
        let positions = self.pos_emb_hw.clone().slice([0..1, first..first + count, 0..width]);
        let cells = cells.reshape([batch * count, depth]);
        self.input.cells(cells, positions.reshape([count, width])).reshape([batch, count, width])
    }

    /// The body's output `[B, width]` at the last of the inputs `[B, n, width]`, with `last` as its last layer.
    fn advance_body(&self, cache: &mut StackCache, inputs: Tensor<3>, last: &Linear) -> Tensor<2> {
        let [batch, length, width] = inputs.dims();
        let outputs = self.body.forward_ending(inputs, cache, last);
        outputs.slice([0..batch, length - 1..length, 0..width]).reshape([batch, width])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Loader;
    use burn::tensor::{Device, TensorData};
    use residua_core::config::{Config, ModelConfig, Precision};
    use residua_kernels::quantize::{Codebook, Codebooks};
    use residua_kernels::values;
    use residua_testing::{assert_close, tensor};
    use serde_json::json;

    const SIZES: [usize; 3] = [7, 5, 6];

    /// A model with random weights and the options of `bits`, one bit each.
    fn model(bits: u32, device: &Device) -> RqTransformer {
        let on = |bit: u32| bits >> bit & 1 == 1;
        let (shared, sizes) = if on(2) || on(3) { (true, [7; 3]) } else { (false, SIZES) };
        let stack = |layers: u32| json!({"n_layer": layers, "block": {"n_head": 2, "mlp_bias": on(4)}});
        let document = json!({
            "dataset": {"vocab_size": if shared { json!(7) } else { json!(sizes) }},
            "arch": {
                "type": "rq-transformer", "block_size": [2, 2, 3], "embed_dim": 8, "input_embed_dim": 4,
                "input_emb_vqvae": on(0), "head_emb_vqvae": on(1), "shared_tok_emb": on(2), "shared_cls_emb": on(3),
                "cumsum_depth_ctx": on(5), "vocab_size_cond": 3, "block_size_cond": 1 + (bits & 1),
                "body": stack(1), "head": stack(bits % 3),
            },
        });
        let ModelConfig::RqTransformer(config) =
            Config::from_document("test", document).expect("valid").model
        else {
            panic!("expected a transformer")
        };
        let codebooks = sizes.map(|size| Codebook::new(tensor([size, 4], size as u32, device)));
        let codebooks = Codebooks::per_depth(codebooks.to_vec());
        let mut loader = Loader::random(bits, device, Precision::Stored);
        RqTransformer::load(&mut loader, &config, Some(&codebooks)).expect("the codebooks fit")
    }

    fn ints<const D: usize>(values: &[i32], shape: [usize; D], device: &Device) -> Tensor<D, Int> {
        Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
    }

    /// With every combination of options, decoding code by code gives the logits of the teacher-forced pass.
    #[test]
    fn decoding_equals_the_teacher_forced_pass() {
        let device = Device::flex();
        let codes = [0, 1, 2, 6, 4, 5, 3, 0, 1, 2, 3, 4];
        for bits in 0..64 {
            let model = model(bits, &device);
            let length = model.config.block_size_cond;
            let condition = ints(&[2, 1][..length], [1, length], &device);
            let logits = model.logits(ints(&codes, [1, 2, 2, 3], &device), condition.clone()).codes;
            let classes = logits.dims()[2];
            let expected = values(logits);
            let mut decoding = model.begin(condition, None);
            for cell in 0..4 {
                let mut found = Vec::new();
                for depth in 0..3 {
                    // The codes from this depth on are unknown, and must not matter.
                    let mut known = codes;
                    known[cell * 3 + depth..].fill(-1);
                    let known = (depth > 0).then(|| ints(&known, [1, 12], &device));
                    found.extend(values(model.code_logits(&mut decoding, known, cell, depth)));
                }
                let expected = &expected[cell * 3 * classes..][..3 * classes];
                let pairs = found.iter().zip(expected).filter(|(_, expected)| expected.is_finite());
                let (found, finite): (Vec<f32>, Vec<f32>) = pairs.map(|(a, b)| (*a, *b)).unzip();
                assert_close(&found, &finite, 1e-5);
                if cell < 3 {
                    model.read_cell(&mut decoding, ints(&codes, [1, 12], &device), cell);
                }
            }
        }
    }

    /// A depth with a smaller codebook never gets a code that only other depths have.
    #[test]
    fn codes_beyond_a_codebook_have_zero_probability() {
        let device = Device::flex();
        let model = model(0, &device);
        let codes = ints(&[0; 12], [1, 2, 2, 3], &device);
        let logits = values(model.logits(codes, ints(&[0], [1, 1], &device)).codes);
        for (place, row) in logits.chunks(7).enumerate() {
            let size = SIZES[place % 3];
            assert!(row[..size].iter().all(|x| x.is_finite()), "{row:?}");
            assert!(row[size..].iter().all(|&x| x == f32::NEG_INFINITY), "{row:?}");
        }
    }

    /// The published models sum only stage 1's embeddings: with its own table, the head sees only the last
    /// code.
    #[test]
    fn own_embeddings_are_not_summed_over_depth() {
        let device = Device::flex();
        let codes = ints(&[0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4], [1, 2, 2, 3], &device);
        let logits = |bits: u32| {
            let mut model = model(0b1100, &device);
            model.config.cumsum_depth_ctx = bits == 1;
            values(model.logits(codes.clone(), ints(&[0], [1, 1], &device)).codes)
        };
        assert_eq!(logits(0), logits(1));
    }
}
