//! Weights as other programs arrange and name them.

use serde_json::Value;

use super::conversion::encoded;
use super::desk::Desk;

/// The header and the data of a safetensors file.
fn parts(bytes: &[u8]) -> (serde_json::Map<String, Value>, &[u8]) {
    let start = 8 + u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    (serde_json::from_slice(&bytes[8..start]).unwrap(), &bytes[start..])
}

/// A safetensors file with this header and data.
fn joined(header: &Value, data: &[u8]) -> Vec<u8> {
    let header = header.to_string();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}

/// The safetensors file in `bytes` with each tensor once under each of `prefixes`, and one tensor more.
fn wrapped(bytes: &[u8], prefixes: &[&str]) -> Vec<u8> {
    let (mut header, data) = parts(bytes);
    let metadata = header.shift_remove("__metadata__").unwrap();
    let mut entries = serde_json::json!({ "__metadata__": metadata });
    for (copy, prefix) in prefixes.iter().enumerate() {
        for (name, entry) in &header {
            let mut entry = entry.clone();
            for offset in entry["data_offsets"].as_array_mut().unwrap() {
                *offset = (offset.as_u64().unwrap() + (copy * data.len()) as u64).into();
            }
            entries[format!("{prefix}{name}")] = entry;
        }
    }
    let end = prefixes.len() * data.len();
    entries["lr_weights"] =
        serde_json::json!({ "dtype": "F32", "shape": [1], "data_offsets": [end, end + 4] });
    joined(&entries, &[&data.repeat(prefixes.len())[..], &[0; 4]].concat())
}

/// The safetensors file in `bytes` with every second tensor, from the first or the second on, and their names.
fn half(bytes: &[u8], first: usize) -> (Vec<u8>, Vec<String>) {
    let (mut header, data) = parts(bytes);
    header.shift_remove("__metadata__");
    let (mut entries, mut kept, mut names) = (serde_json::json!({}), Vec::new(), Vec::new());
    for (name, entry) in header.iter().skip(first).step_by(2) {
        let [start, end] = [0, 1].map(|i| entry["data_offsets"][i].as_u64().unwrap() as usize);
        entries[name] = entry.clone();
        entries[name]["data_offsets"] = serde_json::json!([kept.len(), kept.len() + end - start]);
        kept.extend_from_slice(&data[start..end]);
        names.push(name.clone());
    }
    (joined(&entries, &kept), names)
}

#[test]
fn split_weights_are_read_by_their_index() {
    let desk = Desk::new();
    desk.does("convert fixtures/rqvae-shared plain.safetensors");
    let plain = std::fs::read(desk.path("plain.safetensors")).unwrap();
    desk.copy("fixtures/rqvae-shared/config.yaml", "split/config.yaml");
    let mut places = serde_json::Map::new();
    for first in 0..2 {
        let file = format!("model-0000{}-of-00002.safetensors", first + 1);
        let (bytes, names) = half(&plain, first);
        desk.write(&format!("split/{file}"), bytes);
        places.extend(names.into_iter().map(|name| (name, Value::from(file.clone()))));
    }
    let index = serde_json::json!({ "metadata": {}, "weight_map": places });
    desk.write("split/model.safetensors.index.json", index.to_string());
    let expected = encoded(&desk, "fixtures/rqvae-shared");
    assert_eq!(encoded(&desk, "split"), expected);
    assert_eq!(encoded(&desk, "split/model.safetensors.index.json"), expected);
    std::fs::remove_file(desk.path("split/model-00002-of-00002.safetensors")).unwrap();
    desk.refuses("info split", 1, "model-00002-of-00002.safetensors");
}

#[test]
fn a_lightning_run_is_a_model() {
    let desk = Desk::new();
    desk.copy("fixtures/rqvae-shared/config.yaml", "version_0/config.yaml");
    desk.copy("fixtures/rqvae-shared/model.pt", "version_0/checkpoints/epoch=1-step=2.ckpt");
    let expected = encoded(&desk, "fixtures/rqvae-shared");
    for model in ["version_0", "version_0/checkpoints", "version_0/checkpoints/epoch=1-step=2.ckpt"] {
        assert_eq!(encoded(&desk, model), expected, "{model}");
    }
}

#[test]
fn weights_are_found_below_any_prefix() {
    let desk = Desk::new();
    let expected = encoded(&desk, "fixtures/rqvae-shared");
    desk.does("convert fixtures/rqvae-shared plain.safetensors");
    let plain = std::fs::read(desk.path("plain.safetensors")).unwrap();
    for prefix in ["net.", "generator.", "rqvae.", "vae.", "model.", "state_dict.model."] {
        desk.write("wrapped.safetensors", wrapped(&plain, &[prefix]));
        assert_eq!(encoded(&desk, "wrapped.safetensors"), expected, "{prefix}");
    }
    desk.write("wrapped.safetensors", wrapped(&plain, &["state_dict_ema.", "state_dict."]));
    assert_eq!(encoded(&desk, "wrapped.safetensors"), expected);
    let kinds = desk.json("info wrapped.safetensors")[0].clone();
    assert_eq!([&kinds["has_state"], &kinds["has_ema"]], [&Value::Bool(true); 2]);
    desk.does("convert wrapped.safetensors average.safetensors --weights ema");
    assert_eq!(encoded(&desk, "average.safetensors"), expected);
}

/// Other programs also write metadata, perhaps of the same name.
#[test]
fn metadata_of_other_programs_is_not_a_configuration() {
    let desk = Desk::new();
    let expected = encoded(&desk, "fixtures/rqvae-shared");
    desk.does("convert fixtures/rqvae-shared plain.safetensors");
    let plain = std::fs::read(desk.path("plain.safetensors")).unwrap();
    let (mut header, data) = parts(&plain);
    header["__metadata__"] = serde_json::json!({ "config": "{\"width\": 1}", "format": "pt" });
    desk.write("other/model.safetensors", joined(&Value::Object(header), data));
    desk.refuses("info other", 1, "expected config.yaml beside the weights");
    desk.copy("fixtures/rqvae-shared/config.yaml", "other/config.yaml");
    for model in ["other", "other/model.safetensors"] {
        assert_eq!(encoded(&desk, model), expected, "{model}");
    }
}

#[test]
fn wrappers_of_single_layers_are_ignored() {
    let desk = Desk::new();
    let expected = encoded(&desk, "fixtures/rqvae-shared");
    desk.does("convert fixtures/rqvae-shared plain.safetensors");
    let (header, data) = {
        let plain = std::fs::read(desk.path("plain.safetensors")).unwrap();
        let (header, data) = parts(&plain);
        (header, data.to_vec())
    };
    // As after `torch.compile(model.encoder)`, and with every layer of the decoder wrapped.
    let wrapped = |name: &str| match name.split_once('.') {
        Some(("encoder", rest)) => format!("encoder._orig_mod.{rest}"),
        Some(("decoder", rest)) => format!("decoder._checkpoint_wrapped_module.{rest}"),
        _ => name.to_string(),
    };
    let entries: serde_json::Map<String, Value> =
        header.into_iter().map(|(name, entry)| (wrapped(&name), entry)).collect();
    desk.write("wrapped.safetensors", joined(&Value::Object(entries), &data));
    assert_eq!(encoded(&desk, "wrapped.safetensors"), expected);
}
