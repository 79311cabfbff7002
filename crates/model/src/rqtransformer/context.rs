//! Reading all cells at once, some of them masked (Draft-and-Revise, arXiv 2206.04452, section 3.2.2,
//! equations 6 to 9).

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use super::RqTransformer;
use super::decoding::CellDecoding;

/// The masked cells of a batch, and those of them for which outputs are requested.
#[derive(Clone, Debug)]
pub struct Masked {
    /// True where a cell is masked, `[B, cells, 1]`.
    hidden: Tensor<3, Bool>,
    /// The requested cells, `[N]`, as row indices into all cells of the batch.
    asked: Tensor<1, Int>,
}

impl Masked {
    /// Masks the cells for which `hidden` is true, with one flag for each of the `cells` of each image in
    /// turn. Requests the cells at the rows `asked` (`image * cells + cell`), which must be masked too.
    ///
    /// # Panics
    /// A requested cell is not masked: the body would see the codes it has to predict.
    pub fn new(hidden: Vec<bool>, asked: &[usize], cells: usize, device: &Device) -> Self {
        assert!(asked.iter().all(|&row| hidden[row]), "requested cells must be masked");
        let batch = hidden.len() / cells;
        let rows: Vec<i32> = asked.iter().map(|&row| row as i32).collect();
        Self {
            asked: Tensor::from_data(TensorData::new(rows, [asked.len()]), device),
            hidden: Tensor::from_data(TensorData::new(hidden, [batch, cells, 1]), device),
        }
    }

    /// Masks and requests the cells at the rows `asked`; the batch has `images` with `cells` each.
    pub fn all_of(asked: &[usize], images: usize, cells: usize, device: &Device) -> Self {
        let mut hidden = vec![false; images * cells];
        asked.iter().for_each(|&row| hidden[row] = true);
        Self::new(hidden, asked, cells, device)
    }

    /// Selects from `rows` `[B * cells, n]` those of the requested cells, `[N, n]`.
    pub fn rows_of(&self, rows: Tensor<2, Int>) -> Tensor<2, Int> {
        rows.select(0, self.asked.clone())
    }

    /// The requested cells, as row indices into all cells of the batch.
    pub fn asked(&self) -> Tensor<1, Int> {
        self.asked.clone()
    }

    /// The same on an autodiff device.
    pub fn autodiff(self) -> Self {
        Self { hidden: self.hidden.autodiff(), asked: self.asked.autodiff() }
    }
}

impl RqTransformer {
    /// Logits `[N, D, V]` for the codes of the requested cells, given all unmasked cells and, within a cell,
    /// the codes above. The codes are `[B, h, w, D]`; the codes of masked cells that are not requested do not
    /// matter. The conditions are `[B, length]`.
    ///
    /// # Panics
    /// The model is not contextual.
    pub fn masked_logits(
        &self,
        codes: Tensor<4, Int>,
        condition: Tensor<2, Int>,
        masked: &Masked,
    ) -> Tensor<3> {
        let [batch, h, w, depth] = codes.dims();
        let codes = codes.reshape([batch * h * w, depth]);
        let outputs = self.masked_outputs(codes.clone(), condition, masked);
        self.head_logits(outputs, masked.rows_of(codes))
    }

    /// Reads the unmasked cells of `codes` `[B * cells, D]`, and begins decoding the requested ones.
    ///
    /// # Panics
    /// The model is not contextual.
    pub fn begin_masked(
        &self,
        codes: Tensor<2, Int>,
        condition: Tensor<2, Int>,
        masked: &Masked,
    ) -> CellDecoding {
        let outputs = self.masked_outputs(codes, condition, masked);
        self.begin_cells(outputs + self.position_of_first_depth().unsqueeze())
    }

    /// The body's outputs `[N, width]` at the positions of the requested cells.
    fn masked_outputs(&self, codes: Tensor<2, Int>, condition: Tensor<2, Int>, masked: &Masked) -> Tensor<2> {
        let mask = self.mask_emb.clone().expect("a contextual model has an embedding of masked cells");
        let ([batch, length], cells) = (condition.dims(), self.config.cells());
        let (width, depth) = (self.config.embed_dim, self.config.depth());
        let seen = self.embed_cells(codes.reshape([batch, cells, depth]), 0);
        let unseen = (self.pos_emb_hw.clone() + mask).expand([batch, cells, width]);
        let hidden = masked.hidden.clone().expand([batch, cells, width]);
        let inputs = Tensor::cat(vec![self.embed_condition(condition), seen.mask_where(hidden, unseen)], 1);
        let outputs = self.body.forward(self.dropout.apply(inputs), None);
        let outputs = outputs.slice([0..batch, length..length + cells, 0..width]);
        outputs.reshape([batch * cells, width]).select(0, masked.asked.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::Loader;
    use residua_core::config::{Config, ModelConfig, RqTransformerConfig};
    use residua_kernels::device::{DeviceChoice, open};
    use residua_kernels::quantize::{Codebook, Codebooks};
    use residua_kernels::values;
    use residua_testing::assert_close;
    use safetensors::SafeTensors;
    use serde_json::json;

    /// Created by `make_contextual_golden.py`.
    const GOLDEN: &str =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/contextual/logits.safetensors");

    /// The masked cells in each of two images.
    const MASKS: [(&str, &[usize]); 2] = [("one", &[2, 4 + 1]), ("many", &[0, 1, 3, 4, 5, 6, 7])];
    const CODES: [i32; 24] = [0, 1, 2, 6, 4, 5, 3, 0, 1, 2, 3, 4, 5, 2, 0, 1, 1, 1, 4, 4, 3, 0, 0, 5];

    fn golden(name: &str) -> Vec<f32> {
        let bytes = std::fs::read(GOLDEN).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let words = file.tensor(name).unwrap().data().as_chunks().0;
        words.iter().map(|&word| f32::from_le_bytes(word)).collect()
    }

    /// The slice of the pool used for a tensor of this name.
    fn weight(pool: &[f32], name: &str, count: usize) -> Vec<f32> {
        let begin = name.bytes().zip(1..).map(|(byte, i)| usize::from(byte) * i).sum::<usize>() % 1024;
        pool[begin..begin + count].to_vec()
    }

    fn config(bits: u32, sizes: &[usize]) -> RqTransformerConfig {
        let on = |bit: u32| bits >> bit & 1 == 1;
        let (kinds, length) = [(1, 1), (3, 1), (3, 2)][bits as usize % 3];
        let gelu = if on(6) { "v2" } else { "v1" };
        let block = json!({"n_head": 2, "mlp_bias": on(4), "attn_bias": on(4), "gelu": gelu});
        let stack = |layers: u32| json!({"n_layer": layers, "block": block});
        let document = json!({
            "dataset": {"vocab_size": sizes},
            "arch": {
                "type": "contextual-rq-transformer", "block_size": [2, 2, 3], "embed_dim": 8, "input_embed_dim": 4,
                "input_emb_vqvae": on(0), "head_emb_vqvae": on(1), "shared_tok_emb": on(2), "shared_cls_emb": on(3),
                "cumsum_depth_ctx": on(5), "vocab_size_cond": kinds, "block_size_cond": length,
                "body": stack(1), "head": stack(bits / 3 % 2),
            },
        });
        match Config::from_document("test", document).unwrap().model {
            ModelConfig::RqTransformer(config) => *config,
            ModelConfig::RqVae(_) => panic!("expected a transformer"),
        }
    }

    fn model(config: &RqTransformerConfig, sizes: &[usize], device: &Device) -> RqTransformer {
        let pool = golden("pool");
        let tensor = |name: &str, count: usize| {
            Tensor::<1>::from_data(TensorData::new(weight(&pool, name, count), [count]), device)
        };
        let of = |(d, &size): (usize, &usize)| {
            Codebook::new(tensor(&format!("codebook.{d}"), size * 4).reshape([size, 4]))
        };
        let codebooks = Codebooks::per_depth(sizes.iter().enumerate().map(of).collect());
        let mut plan = Loader::plan(device);
        RqTransformer::load(&mut plan, config, None).unwrap();
        let given: BTreeMap<String, Tensor<1>> = plan
            .finish()
            .unwrap()
            .into_iter()
            .map(|parameter| {
                let count = parameter.shape.iter().product();
                let values = tensor(&parameter.name, count);
                (parameter.name, values)
            })
            .collect();
        let mut loader = Loader::from_given(&given, device);
        let model = RqTransformer::load(&mut loader, config, Some(&codebooks)).unwrap();
        loader.finish().unwrap();
        model
    }

    fn compare(bits: u32, device: &Device) {
        let sizes = if bits >> 2 & 3 > 0 { [7; 3] } else { [7, 5, 6] };
        let config = config(bits, &sizes);
        let model = model(&config, &sizes, device);
        let codes = CODES.iter().enumerate().map(|(i, &code)| code.min(sizes[i % 3] as i32 - 1));
        let codes = TensorData::new(codes.collect::<Vec<_>>(), [2, 2, 2, 3]);
        let tokens = if config.block_size_cond == 2 { vec![2, 1, 0, 2] } else { vec![2, 0] };
        let tokens: Vec<i32> =
            tokens.into_iter().map(|t: i32| t.min(config.vocab_size_cond as i32 - 1)).collect();
        let condition = TensorData::new(tokens, [2, config.block_size_cond]);
        for (name, asked) in MASKS {
            let (codes, condition) = (
                Tensor::<4, Int>::from_data(codes.clone(), device),
                Tensor::<2, Int>::from_data(condition.clone(), device),
            );
            let masked = Masked::all_of(asked, 2, 4, device);
            let found = values(model.masked_logits(codes.clone(), condition.clone(), &masked));
            let expected = golden(&format!("{bits}.{name}"));
            let is_drawn: Vec<bool> = expected.iter().map(|x| x.is_finite()).collect();
            assert_eq!(found.iter().map(|x| x.is_finite()).collect::<Vec<_>>(), is_drawn, "case {bits}");
            let finite = |x: &[f32]| x.iter().copied().filter(|x| x.is_finite()).collect::<Vec<_>>();
            assert_close(&finite(&found), &finite(&expected), 2e-4);
            // Decoding depth by depth gives the same logits.
            let codes = codes.reshape([8, 3]);
            let mut cells = model.begin_masked(codes.clone(), condition, &masked);
            let above = masked.rows_of(codes);
            let by_depth = (0..3).map(|d| {
                let above = (d > 0).then(|| above.clone());
                model.cell_logits(&mut cells, above, d).unsqueeze_dim::<3>(1)
            });
            let by_depth = values(Tensor::cat(by_depth.collect(), 1));
            assert_close(&finite(&by_depth), &finite(&expected), 2e-4);
        }
    }

    #[test]
    fn all_options_equal_the_plain_reference() {
        (0..128).for_each(|bits| compare(bits, &Device::flex()));
    }

    #[test]
    fn a_gpu_equals_the_plain_reference() {
        let gpu = open(DeviceChoice::Gpu).unwrap();
        (0..128).step_by(29).for_each(|bits| compare(bits, &gpu));
    }

    /// Masked codes are invisible, both to their own cell and to the others.
    #[test]
    fn codes_of_masked_cells_do_not_matter_to_other_cells() {
        let device = Device::flex();
        let config = config(0b1100, &[7; 3]);
        let model = model(&config, &[7; 3], &device);
        let logits = |changed: i32| {
            let mut codes = CODES[..12].to_vec();
            codes[3] = changed;
            let codes = Tensor::from_data(TensorData::new(codes, [1, 2, 2, 3]), &device);
            let condition = Tensor::zeros([1, 1], &device);
            let masked = Masked::new(vec![true, true, false, false], &[0], 4, &device);
            values(model.masked_logits(codes, condition, &masked))
        };
        assert_eq!(logits(6), logits(0));
    }
}
