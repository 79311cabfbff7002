//! A file of made-up Inception weights.

use std::collections::BTreeMap;

use burn::tensor::Device;
use residua_core::random::pcg4d;
use residua_judges::inception::Inception;
use residua_model::Parameter;

/// The bytes of the file, in the format of safetensors.
pub fn weights() -> Vec<u8> {
    let value = |stream: u32, index: u32, shape: &[usize]| {
        let signed = (pcg4d([1, stream, index, 0])[0] >> 8) as f32 / (1 << 23) as f32 - 1.0;
        let fan_in: usize = shape[1..].iter().product();
        if shape.len() == 1 { 1.0 + 0.2 * signed } else { signed * (6.0 / fan_in as f32).sqrt() }
    };
    let mut header = BTreeMap::new();
    let mut data: Vec<u8> = Vec::new();
    let parameters = Inception::parameters(&Device::flex()).unwrap();
    for (stream, Parameter { name, shape }) in parameters.iter().enumerate() {
        let start = data.len();
        let count = shape.iter().product::<usize>() as u32;
        data.extend((0..count).flat_map(|index| value(stream as u32, index, shape).to_le_bytes()));
        let entry =
            serde_json::json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, data.len()] });
        header.insert(name.clone(), entry);
    }
    let header = serde_json::to_string(&header).unwrap();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}
