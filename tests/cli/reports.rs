//! `info`, `devices`, `bench`, help: what the program says about models, hardware and itself.

use serde_json::Value;

use residua_kernels::GpuKernel;

use super::desk::{Desk, Run};

#[test]
fn every_subcommand_prints_one_json_document() {
    let desk = Desk::new();
    desk.does("encode samples/red-cat.png");
    for line in [
        "reconstruct samples/red-cat.png",
        "encode samples/red-cat.png",
        "decode red-cat.npy",
        "sample",
        "complete red-cat.npy --rows 7",
        "revise red-cat.npy --revise 1x2",
        "explain red-cat.npy --row 0 --col 0",
        "info",
        "convert fixtures/rqvae-shared shared.safetensors",
        "devices",
        "devices --check",
        "verify fixtures/tokenizers",
        "bench --preset tiny --runs 1",
        "bench --preset tiny --runs 1 --compare --batch 1,2",
        "bench --plan --preset tiny",
        "bench --list",
    ] {
        let result = desk.json(line);
        assert!(result.is_object() || result.is_array(), "{line}: {result}");
    }
}

#[test]
fn info_counts_the_parameters_of_both_stages_and_names_their_licence() {
    let desk = Desk::new();
    let models = desk.json("info");
    let models = models.as_array().unwrap();
    let kinds: Vec<&Value> = models.iter().map(|model| &model["config"]["arch"]["type"]).collect();
    assert_eq!(kinds, ["rq-vae", "contextual-rq-transformer"]);
    for model in models {
        assert_eq!(model["licence"], "CC BY 4.0, Johan Melin and David Revoy");
        let parts = model["by_part"].as_object().unwrap();
        let sum: u64 = parts.values().map(|count| count.as_u64().unwrap()).sum();
        assert_eq!(model["parameters"], sum);
        let elements = |tensor: &Value| -> u64 {
            tensor["shape"].as_array().unwrap().iter().map(|size| size.as_u64().unwrap()).product()
        };
        let stored: u64 = model["tensors"].as_array().unwrap().iter().map(elements).sum();
        assert_eq!(sum, stored, "a converted model holds exactly the tensors that are read");
    }
}

#[test]
fn info_lists_tensors_and_kinds_of_weights() {
    let desk = Desk::new();
    let text = desk.does("info fixtures/rqt-class --tensors").stdout;
    for part in ["pos_emb_hw", "f32", "[1, 64, 48]", "moving average yes", "n_head: 3", "parameters "] {
        assert!(text.contains(part), "{part}: {text}");
    }
    for (weights, kind) in [("auto", "state"), ("state", "state"), ("ema", "ema")] {
        let models = desk.json(&format!("info fixtures/rqt-class --weights {weights}"));
        assert_eq!(models[0]["weights"], kind);
        assert_eq!((&models[0]["has_state"], &models[0]["has_ema"]), (&true.into(), &true.into()));
    }
}

#[test]
fn devices_names_the_cpu_and_the_choice_of_auto() {
    let result = Desk::new().json("devices");
    assert!(result["cpu_threads"].as_u64().unwrap() > 0);
    let hardware = result["gpus"].as_array().unwrap().iter().any(|gpu| gpu["hardware"] == true);
    if hardware {
        let why = result["why"].as_str().unwrap();
        assert!(why.starts_with("a trial took "), "{why}");
    } else {
        assert_eq!(
            (&result["auto"], &result["why"]),
            (&"cpu".into(), &"no hardware GPU can run the models".into())
        );
    }
}

#[test]
fn an_environment_variable_limits_simd_width() {
    let desk = Desk::new();
    let run = |vectors: &str| {
        let mut command = desk.command("--json devices");
        Run::of(command.env("RESIDUA_VECTORS", vectors).output().unwrap())
    };
    let taken = |vectors| -> Value {
        let run = run(vectors);
        serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"))
    };
    let plain = if cfg!(target_arch = "aarch64") { "NEON" } else { "baseline vectors" };
    assert_eq!(taken("none")["cpu_vectors"], plain);
    assert_ne!(taken("avx2")["cpu_vectors"], "AVX-512");
    run("sse").is_refusal("devices", 2, "RESIDUA_VECTORS: expected avx512, avx2 or none, found sse");
}

#[test]
fn an_environment_variable_limits_gpu_memory() {
    let desk = Desk::new();
    for (share, is_valid) in [("all", false), ("0", false), ("101", false), ("", true), ("50", true)] {
        let mut command = desk.command("info");
        let run = Run::of(command.env("RESIDUA_GPU_MEMORY", share).output().unwrap());
        if is_valid {
            assert_eq!(run.code, Some(0), "{run:?}");
        } else {
            run.is_refusal("info", 2, "RESIDUA_GPU_MEMORY: expected 1 to 100, a percentage, found");
        }
    }
}

#[test]
fn devices_checks_every_gpu_kernel() {
    let desk = Desk::new();
    let result = desk.json("devices --check");
    assert_eq!(result["ok"], true, "{result}");
    let checks = result["kernels"].as_array().unwrap();
    let text = desk.does("devices --check").stdout;
    for kernel in GpuKernel::ALL {
        let name = serde_json::to_value(kernel).unwrap();
        assert!(
            checks.iter().any(|check| check["kernel"] == name && check["ok"] == true),
            "{name}: {result}"
        );
        assert!(
            text.lines().any(|line| line.contains(&format!("{kernel:?} ")) && line.ends_with("ok")),
            "{text}"
        );
    }
}

/// The table has one chosen variant for each layer.
#[test]
fn devices_tunes_the_kernels_for_a_preset() {
    let desk = Desk::new();
    let result = desk.json("devices --tune tiny");
    let table = result["kernels"].as_array().unwrap();
    let (mut layers, mut chosen): (Vec<&Value>, usize) = (Vec::new(), 0);
    for row in table {
        assert!(row["microseconds"].as_f64().unwrap() > 0.0, "{row}");
        layers.push(&row["layer"]);
        chosen += usize::from(row["chosen"] == true);
    }
    layers.dedup();
    assert!(!layers.is_empty());
    assert_eq!(layers.len(), chosen, "{result}");
}

/// Without a driver, the Vulkan loader finds no GPU.
#[test]
#[cfg(target_os = "linux")]
fn devices_has_nothing_to_check_without_a_gpu() {
    let run =
        Run::of(Desk::new().command("devices --check").env("VK_DRIVER_FILES", "/none").output().unwrap());
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.contains("none found: there are no GPU kernels to check"), "{run:?}");
}

#[test]
fn bench_times_every_stage() {
    let result = Desk::new().json("bench --preset tiny --runs 1 --batch 1,3");
    let benches = result.as_array().unwrap();
    assert_eq!(benches.iter().map(|bench| bench["batch"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 3]);
    for bench in benches {
        let stages = bench["stages"].as_array().unwrap();
        for name in ["encode", "quantize", "sample", "body", "head", "sampling", "decode"] {
            let stage = stages.iter().find(|stage| stage["stage"] == name);
            assert!(stage.is_some_and(|stage| stage["ms"].as_f64().unwrap() >= 0.0), "{name}: {bench}");
        }
    }
}

#[test]
fn bench_times_the_brush() {
    let result = Desk::new().json("bench --brush --runs 1");
    let regions = result.as_array().unwrap();
    assert_eq!(
        regions.iter().map(|region| region["cells"].as_u64().unwrap()).collect::<Vec<_>>(),
        [1, 4, 16, 64]
    );
    assert!(regions.iter().all(|region| region["ms"].as_f64().unwrap() > 0.0), "{result}");
}

#[test]
fn bench_times_drafts_beside_sampling_cell_by_cell() {
    let run = Desk::new().does("bench --drafting --preset tiny --runs 1");
    let rows: Vec<&str> = run.stdout.lines().collect();
    assert!(rows[0].ends_with("batch  passes  s/picture"), "{rows:?}");
    let passes = [
        ("cell by cell", "64"),
        ("--draft 8 --revise 2x2", "12"),
        ("--draft 32 --revise 2x2", "36"),
        ("--draft 64 --revise 2x2", "68"),
    ];
    for (row, (way, passes)) in rows[1..].iter().zip(passes) {
        let [seconds, found, batch] = {
            let mut words = row.split_whitespace().rev();
            std::array::from_fn(|_| words.next().expect("three numbers"))
        };
        assert!(row.starts_with(way) && (found, batch) == (passes, "1"), "{row}");
        assert!(seconds.parse::<f64>().is_ok(), "{row}");
    }
    assert_eq!(rows.len(), 1 + passes.len());
}

/// The floor of an adapter is the time that its memory takes for all weights of the table.
#[test]
fn bench_plans_a_cell_of_presets_and_models() {
    let lines = [
        ("bench --plan --preset tiny --batch 1,3", vec![1, 3]),
        ("bench --plan --model characters-128-ar", vec![1]),
    ];
    for (line, batches) in lines {
        let plans = Desk::new().json(line);
        let plans = plans.as_array().unwrap();
        let found: Vec<u64> = plans.iter().map(|plan| plan["batch"].as_u64().unwrap()).collect();
        assert_eq!(found, batches, "{line}");
        for plan in plans {
            let kernels = plan["kernels"].as_array().unwrap();
            let sum = |key: &str| kernels.iter().map(|kernel| kernel[key].as_u64().unwrap()).sum::<u64>();
            for key in ["launches", "weights", "values"] {
                assert_eq!(plan[key], sum(key), "{key}: {plan}");
            }
            for floor in plan["floors"].as_array().unwrap() {
                let rate = floor["gigabytes_per_second"].as_f64().unwrap();
                let expected = sum("weights") as f64 / (rate * 1e9) * 1e3;
                assert!((floor["ms"].as_f64().unwrap() / expected - 1.0).abs() < 1e-9, "{floor}");
            }
        }
    }
}

/// A batch of 1 is not mistaken for none given.
#[test]
fn bench_trains_with_the_batch_that_is_given() {
    let trained = Desk::new().json("bench --train --runs 1 --batch 1");
    let batches: Vec<_> = trained.as_array().unwrap().iter().map(|stage| &stage["batch"]).collect();
    assert_eq!(batches, [1, 1]);
}

#[test]
fn help_names_every_subcommand() {
    let desk = Desk::new();
    let help = desk.does("help").stdout;
    for name in [
        "reconstruct",
        "encode",
        "decode",
        "sample",
        "complete",
        "revise",
        "explain",
        "info",
        "convert",
        "devices",
        "verify",
        "bench",
    ] {
        assert!(help.contains(&format!("\n  {name} ")), "{name}");
        assert!(desk.does(&format!("{name} --help")).stdout.contains("Usage: residua"), "{name}");
    }
    assert_eq!(desk.does("--version").stdout, format!("residua {}\n", env!("CARGO_PKG_VERSION")));
}
