//! Weights from the same formula as in `make_ranking_golden.py`, and PyTorch's results for them.

use std::collections::BTreeMap;
use std::path::Path;

use residua_core::random::uniform;
use residua_weights::Dtype;
use residua_weights::write::{Described, write_safetensors};
use serde_json::Value;

use super::desk::given;

/// Tensors by name: shape and values.
pub struct MadeUp(pub BTreeMap<String, (Vec<usize>, Vec<f32>)>);

/// A file of `tests/fixtures/ranking`.
pub fn golden(name: &str) -> Value {
    let path = given(&format!("fixtures/ranking/{name}"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Concatenates rows of numbers.
pub fn numbers(rows: &Value) -> Vec<f32> {
    let rows: Vec<Vec<f32>> = serde_json::from_value(rows.clone()).unwrap();
    rows.concat()
}

impl MadeUp {
    /// The tensors that `golden` lists.
    pub fn of(golden: &Value) -> Self {
        let tensor = |tensor: &Value| {
            let name = tensor["name"].as_str().unwrap();
            let shape: Vec<usize> = serde_json::from_value(tensor["shape"].clone()).unwrap();
            let [scale, offset] = ["scale", "offset"].map(|key| tensor[key].as_f64().unwrap() as f32);
            let stream = name
                .bytes()
                .fold(2_166_136_261, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619));
            let value = |place| offset + scale * (2.0 * uniform([stream, place, 0, 0]) - 1.0);
            let count = shape.iter().product::<usize>() as u32;
            (name.to_string(), (shape, (0..count).map(value).collect()))
        };
        Self(golden["tensors"].as_array().unwrap().iter().map(tensor).collect())
    }

    /// Saves them as safetensors.
    pub fn write(&self, path: &Path) {
        let described: Vec<Described> =
            self.0.iter().map(|(name, (shape, _))| (name.clone(), Dtype::F32, shape.clone())).collect();
        write_safetensors(path, &described, &BTreeMap::new(), |name| {
            Ok(self.0[name].1.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())
        })
        .unwrap();
    }
}
