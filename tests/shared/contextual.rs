//! A contextual model of random weights.

use std::collections::HashMap;
use std::path::Path;

use residua_core::config::{Config, ModelConfig};
use residua_core::random::normal;
use residua_kernels::device::cpu;
use residua_model::{Loader, RqTransformer};
use safetensors::tensor::{Dtype, TensorView};

/// The configuration of one with three classes, for stacks of 8x8x4 codes, each one of `codes`.
pub fn config(codes: usize) -> String {
    format!(
        "
dataset: {{vocab_size: {codes}}}
arch:
  type: contextual-rq-transformer
  block_size: [8, 8, 4]
  embed_dim: 24
  shared_tok_emb: true
  vocab_size_cond: 3
  body: {{n_layer: 1, block: {{n_head: 2}}}}
  head: {{n_layer: 1, block: {{n_head: 2}}}}
sampling: {{temp: 0.9}}
"
    )
}

/// Writes the model of the configuration `text` into `folder`.
pub fn write(folder: &Path, text: &str) {
    let ModelConfig::RqTransformer(config) = Config::parse("config.yaml", text).unwrap().model else {
        panic!("expected a transformer")
    };
    let mut plan = Loader::plan(&cpu());
    RqTransformer::load(&mut plan, &config, None).unwrap();
    let tensors = plan.finish().unwrap().into_iter().zip(0..).map(|(parameter, stream)| {
        let count = parameter.shape.iter().product::<usize>() as u32;
        let bytes = (0..count).flat_map(|i| (0.8 * normal([stream, i, 0, 0])).to_le_bytes());
        (parameter.name, parameter.shape, bytes.collect::<Vec<u8>>())
    });
    let tensors: Vec<_> = tensors.collect();
    let views: HashMap<&str, TensorView<'_>> = tensors
        .iter()
        .map(|(name, shape, bytes)| {
            (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
        })
        .collect();
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("config.yaml"), text).unwrap();
    std::fs::write(folder.join("model.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
}
