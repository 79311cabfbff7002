//! Invalid configurations are rejected before anything of their size is allocated; unknown keys are ignored
//! with a warning.

use super::desk::{Desk, given};

/// A folder `model` with the weights of `case` and its configuration, with `from` replaced by `to`.
fn changed(desk: &Desk, case: &str, from: &str, to: &str) {
    let config = std::fs::read_to_string(given(&format!("fixtures/{case}/config.yaml"))).unwrap();
    assert!(config.contains(from), "{from}");
    desk.write("model/config.yaml", config.replace(from, to));
    desk.copy(&format!("fixtures/{case}/model.pt"), "model/model.pt");
}

#[test]
fn impossible_sizes_are_rejected() {
    let desk = Desk::new();
    for (case, from, to, message) in [
        ("rqvae-shared", "resolution: 32", "resolution: 1000000000000", "resolution: expected 1 to 4096"),
        ("rqvae-shared", "resolution: 32", "resolution: 30", "resolution: expected a multiple of 4"),
        ("rqvae-shared", "ch: 32", "ch: 0", "ch: expected 1 to 4096, found 0"),
        ("rqvae-shared", "n_embed: 64", "n_embed: 18446744073709551615", "n_embed: expected 1 to"),
        ("rqvae-shared", "n_embed: 64", "n_embed: 18446744073709551616", "model/config.yaml"),
        (
            "rqvae-shared",
            "n_embed: 64",
            "n_embed: [64, 64]",
            "n_embed: expected one value, or 4 for 4 depths, found 2",
        ),
        ("rqvae-shared", "n_embed: 64", "n_embed: .nan", "model/config.yaml"),
        ("rqvae-shared", "num_res_blocks: 1", "num_res_blocks: 99999", "num_res_blocks: expected 1 to 16"),
        (
            "rqvae-shared",
            "in_channels: 3",
            "in_channels: 1",
            "in_channels: expected 3, for red, green and blue",
        ),
        ("rqvae-shared", "out_ch: 3", "out_ch: 2", "out_ch: expected 3, for red, green and blue, found 2"),
        ("rqvae-shared", "z_channels: 24", "z_channels: -24", "model/config.yaml"),
        (
            "rqvae-shared",
            "type: rq-vae",
            "type: vae",
            "expected arch.type rq-vae, rq-transformer or contextual-rq-transformer, found vae",
        ),
        (
            "rqt-class",
            "embed_dim: 48\n  input",
            "embed_dim: 999999999\n  input",
            "embed_dim: expected 1 to 16384",
        ),
        ("rqt-class", "n_layer: 2", "n_layer: 4000000000", "body.n_layer: expected 1 to 512"),
        (
            "rqt-class",
            "n_head: 3",
            "n_head: 0",
            "body.block.n_head: expected to divide embed_dim 48, found 0",
        ),
        ("rqt-class", "vocab_size: 64", "vocab_size: 0", "vocab_size: expected 1 to"),
        ("rqt-class", "- 8\n  - 8\n", "- 1024\n  - 1024\n", "cells: expected 1 to 65536"),
        ("rqt-class", "block_size_cond: 1", "block_size_cond: 99999", "block_size_cond: expected 1 to 4096"),
    ] {
        changed(&desk, case, from, to);
        for line in ["info model", "convert model out.safetensors"] {
            desk.refuses(line, 1, message);
        }
    }
}

#[test]
fn text_that_is_not_a_configuration_is_rejected() {
    let desk = Desk::new();
    let laughs: String =
        (1..12).map(|n| format!("a{n}: &a{n} [{}]\n", format!("*a{},", n - 1).repeat(9))).collect();
    let texts: [(&str, Vec<u8>); 9] = [
        ("unclosed", b"arch: [".to_vec()),
        ("tabs", b"arch:\n\ttype: rq-vae".to_vec()),
        ("empty", Vec::new()),
        ("a number", b"7".to_vec()),
        ("no UTF-8", b"arch: \xff\xfe".to_vec()),
        ("deep", "[".repeat(100_000).into_bytes()),
        ("deep mappings", "{a: ".repeat(100_000).into_bytes()),
        ("a billion laughs", format!("a0: &a0 lol\n{laughs}").into_bytes()),
        ("large", vec![b'#'; 2 << 20]),
    ];
    desk.copy("fixtures/rqvae-shared/model.pt", "model/model.pt");
    for (name, text) in texts {
        desk.write("model/config.yaml", text);
        eprintln!("{name}");
        desk.refuses("info model", 1, "model/config.yaml: ");
    }
}

#[test]
fn unknown_keys_give_a_warning() {
    let desk = Desk::new();
    for (case, from, to, key) in [
        ("rqvae-shared", "  code_hier: 1", "  code_hier: 1\n  colour: red", "arch.colour"),
        ("rqvae-shared", "    ch: 32", "    ch: 32\n    swish: 3", "arch.ddconfig.swish"),
        ("rqt-unconditional", "dataset:", "extra: [1, 2]\ndataset:", "extra"),
    ] {
        changed(&desk, case, from, to);
        desk.does("info model").warns(&format!("unknown key {key} is ignored"));
    }
    for (from, to, key, nearest) in [
        ("experiment:", "experiment:\n  totalbatchsize: 8", "experiment.totalbatchsize", "total_batch_size"),
        ("    top_k: 64", "    topk: 64", "experiment.sample.topk", "top_k"),
        ("loss:", "loss:\n  stochastic_code: true", "loss.stochastic_code", "stochastic_codes"),
        ("loss:", "sampling: {tmp: 0.5}\nloss:", "sampling.tmp", "temp"),
    ] {
        changed(&desk, "rqt-class", from, to);
        let told = format!("unknown key {key} is ignored; the nearest known key is {nearest}");
        desk.does("info model").warns(&told);
    }
}

/// A configuration embedded in a safetensors file is as untrusted as a separate one.
#[test]
fn an_embedded_configuration_is_checked_too() {
    let desk = Desk::new();
    desk.does("convert fixtures/rqvae-shared model.safetensors");
    let bytes = std::fs::read(desk.path("model.safetensors")).unwrap();
    let at = bytes.windows(15).position(|text| text == br#"resolution\":32"#).unwrap();
    let mut changed = bytes.clone();
    changed[at + 13..at + 15].copy_from_slice(b"31");
    desk.write("model.safetensors", changed);
    desk.refuses("info model.safetensors", 1, "resolution: expected a multiple of 4");
}

#[test]
fn mismatched_class_names_are_ignored() {
    let desk = Desk::new();
    changed(&desk, "rqt-class", "../rqvae-shared/model.pt", "elsewhere");
    desk.write("model/classes.txt", "cat\ndog\n");
    let line = "sample --model model --rqvae fixtures/rqvae-shared --out out --class";
    desk.does(&format!("{line} 1")).warns("expected 10 class names, found 2; they are not used");
    desk.refuses(
        "sample --model model --rqvae fixtures/rqvae-shared --class dog",
        2,
        "class dog does not exist",
    );
    desk.write("model/classes.txt", "a b c d e f g h i dog".replace(' ', "\n"));
    desk.does(&format!("{line} dog"));
}
