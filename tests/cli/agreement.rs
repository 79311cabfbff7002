//! `verify`: the program matches the published implementation, and any mismatch is reported.

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::desk::{Desk, given};

/// Every fixture case, with one output that must be compared.
const CASES: [(&str, &str); 13] = [
    ("rqt-class", "logits"),
    ("rqt-no-cumsum-gelu2", "logits"),
    ("rqt-text", "cond_logits"),
    ("rqt-token-embedding", "greedy"),
    ("rqt-tuple-embedding", "greedy_keep_row0"),
    ("rqt-unconditional", "greedy"),
    ("rqt-vqgan-flat", "logits"),
    ("rqvae-per-depth", "codes"),
    ("rqvae-shared", "soft_codes_t0.5"),
    ("sampling-filter", "probs_t1.0_k0_p0.0"),
    ("taming-vqgan", "recon"),
    ("tokenizers", "simple"),
    ("vqgan-depth1", "recon"),
];

fn all_agree(device: &str) {
    let result = Desk::new().json(&format!("verify fixtures/ --device {device}"));
    let cases = result["cases"].as_array().unwrap();
    assert_eq!(cases.len(), CASES.len());
    for (case, (name, output)) in cases.iter().zip(CASES) {
        assert!(case["folder"].as_str().unwrap().ends_with(name), "{name}: {case}");
        let compared = case["comparisons"].as_array().unwrap();
        assert!(compared.iter().any(|comparison| comparison["name"] == output), "{name}: no {output}");
        assert!(compared.iter().all(|comparison| comparison["ok"] == true), "{case}");
    }
    assert_eq!(result["ok"], true);
}

#[test]
fn the_cpu_agrees_on_all_cases() {
    all_agree("cpu");
}

/// A software rasterizer is enough.
#[test]
fn a_gpu_agrees_on_all_cases() {
    all_agree("gpu");
}

/// With the hand-written kernels (each checked first) and without them.
#[test]
fn a_gpu_agrees_with_and_without_our_kernels() {
    let desk = Desk::new();
    for kernels in ["on", "off"] {
        let line = format!("verify fixtures/rqt-vqgan-flat --device gpu --gpu-kernels {kernels}");
        assert_eq!(desk.json(&line)["ok"], true, "{kernels}");
    }
    for nonsense in ["verify fixtures/rqt-vqgan-flat --gpu-kernels some", "bench --kernels --gpu-kernels off"]
    {
        assert_eq!(desk.run(nonsense).code, Some(2), "{nonsense}");
    }
}

/// Rewrites the golden values of `case`, with the last value of `output` changed.
fn change(desk: &Desk, case: &str, output: &str) {
    let bytes = std::fs::read(given(&format!("fixtures/{case}/golden.safetensors"))).unwrap();
    let golden = SafeTensors::deserialize(&bytes).unwrap();
    let mut changed = golden.tensor(output).unwrap().data().to_vec();
    let view = golden.tensor(output).unwrap();
    match view.dtype() {
        Dtype::F32 => {
            let last = changed.last_chunk_mut().unwrap();
            *last = (f32::from_le_bytes(*last) + 0.5).to_le_bytes();
        }
        Dtype::I64 => {
            let last = changed.last_chunk_mut().unwrap();
            *last = ((i64::from_le_bytes(*last) + 1) % 32).to_le_bytes();
        }
        other => panic!("unexpected type of golden values: {other}"),
    }
    let changed = TensorView::new(view.dtype(), view.shape().to_vec(), &changed).unwrap();
    let tensors: Vec<_> = golden
        .tensors()
        .into_iter()
        .map(|(name, view)| if name == output { (name, changed.clone()) } else { (name, view) })
        .collect();
    desk.write(&format!("{case}/golden.safetensors"), safetensors::serialize(tensors, None).unwrap());
}

#[test]
fn a_single_changed_value_or_code_fails() {
    let cases = [
        ("rqvae-shared", "z_e"),
        ("rqvae-shared", "recon"),
        ("rqvae-shared", "partial_add_1"),
        ("rqvae-shared", "soft_codes_t0.5"),
        ("rqvae-shared", "codes"),
        ("rqvae-shared", "commitment_loss"),
        ("rqt-unconditional", "logits"),
        ("rqt-unconditional", "greedy"),
        ("rqt-unconditional", "greedy_keep_row0"),
        ("rqt-text", "cond_logits"),
        ("sampling-filter", "probs_t1.0_k0_p0.0"),
    ];
    let desk = Desk::new();
    for (case, output) in cases {
        for file in ["config.yaml", "model.pt"] {
            let from = format!("fixtures/{case}/{file}");
            if given(&from).exists() {
                desk.copy(&from, &format!("{case}/{file}"));
            }
        }
        change(&desk, case, output);
        let rqvae = if case.starts_with("rqt") { "--rqvae fixtures/rqvae-shared" } else { "" };
        let run = desk.run(&format!("verify {case} {rqvae}"));
        assert_eq!(run.code, Some(1), "{case} {output}: {run:?}");
        let is_told = |line: &str| line.contains(output) && line.contains("FAILED");
        assert!(run.stdout.lines().any(is_told), "{case} {output}: {run:?}");
        assert!(run.stderr.ends_with("residua: 1 of 1 cases FAILED\n"), "{run:?}");
    }
}

/// Writes the golden tensors of `case` with `name` replaced by zeros of another shape.
fn reshape(desk: &Desk, case: &str, name: &str, shape: &[usize]) {
    let bytes = std::fs::read(given(&format!("fixtures/{case}/golden.safetensors"))).unwrap();
    let golden = SafeTensors::deserialize(&bytes).unwrap();
    let zeros = vec![0; 4 * shape.iter().product::<usize>()];
    let zeros = TensorView::new(Dtype::F32, shape.to_vec(), &zeros).unwrap();
    let others = golden.tensors().into_iter().filter(|(other, _)| other != name);
    let tensors: Vec<_> = others.chain([(name.to_string(), zeros)]).collect();
    desk.write("case/golden.safetensors", safetensors::serialize(tensors, None).unwrap());
    for file in ["config.yaml", "model.pt"] {
        let from = format!("fixtures/{case}/{file}");
        if given(&from).exists() {
            desk.copy(&from, &format!("case/{file}"));
        }
    }
}

/// A comparison of fewer values than there are could not fail.
#[test]
fn outputs_of_another_shape_are_rejected() {
    for (case, name, shape, message) in [
        (
            "sampling-filter",
            "logits",
            &[1, 0][..],
            "expected values in logits, found none: its shape is [1, 0]",
        ),
        (
            "sampling-filter",
            "probs_t1.0_k1_p1.0",
            &[0, 96],
            "expected values in probs_t1.0_k1_p1.0, found none",
        ),
        ("sampling-filter", "probs_t1.0_k1_p1.0", &[1, 96], "of shape [6, 96], found [1, 96]"),
        ("rqvae-shared", "codes", &[3, 8, 0, 4], "expected values in codes, found none"),
        ("rqvae-shared", "codes", &[1, 8, 8, 4], "expected codes of shape [3, 8, 8, 4], found [1, 8, 8, 4]"),
        (
            "rqvae-shared",
            "soft_codes_argmax",
            &[3, 8, 4, 4],
            "expected soft_codes_argmax of shape [3, 8, 8, 4]",
        ),
        (
            "rqvae-shared",
            "image",
            &[3, 3, 16, 16],
            "expected image of shape [3, 3, 32, 32], found [3, 3, 16, 16]",
        ),
        (
            "rqt-unconditional",
            "codes",
            &[2, 8, 8, 3],
            "expected codes of shape [2, 8, 8, 4], found [2, 8, 8, 3]",
        ),
        (
            "rqt-unconditional",
            "greedy",
            &[3, 8, 8, 4],
            "expected greedy of shape [2, 8, 8, 4], found [3, 8, 8, 4]",
        ),
    ] {
        let desk = Desk::new();
        reshape(&desk, case, name, shape);
        let rqvae = if case.starts_with("rqt") { "--rqvae fixtures/rqvae-shared" } else { "" };
        desk.refuses(&format!("verify case {rqvae}"), 1, message);
    }
    let desk = Desk::new();
    desk.write("case/golden.json", r#"{"captions": [], "tokenizers": {"simple": {"ids": []}}}"#);
    desk.refuses("verify case", 1, "case/golden.json: expected captions, found none");
}

#[test]
fn a_folder_without_cases_is_rejected() {
    let desk = Desk::new();
    desk.write("empty/readme.txt", "nothing");
    desk.refuses("verify empty", 1, "empty: expected golden.safetensors");
    desk.refuses("verify nowhere", 1, "cannot read nowhere");
}
