//! Training both stages on images: runs are interrupted and resumed, evaluated, and used by other commands.

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use super::desk::Desk;

pub const STAGE1: &str = "
dataset: {transforms: {type: shift16x16}}
arch:
  type: rq-vae
  ema: 0.9
  hparams:
    bottleneck_type: rq
    embed_dim: 8
    n_embed: 16
    latent_shape: [8, 8, 8]
    code_shape: [4, 4, 2]
    shared_codebook: true
    restart_unused_codes: true
    loss_type: mse
  ddconfig: {z_channels: 8, resolution: 16, in_channels: 3, out_ch: 3, ch: 32, ch_mult: [1, 1], num_res_blocks: 1}
optimizer: {type: adam, init_lr: 0.002, max_gn: 1.0, warmup: {epoch: 1, min_lr: 0.0001}}
experiment: {batch_size: 4}
";

/// LPIPS and the discriminator for stage 1, from the first step.
pub const JUDGES: &str = "
gan:
  disc: {arch: {in_channels: 3, num_layers: 1, ndf: 8}, optimizer: {init_lr: 0.001, betas: [0.5, 0.9]}}
  loss: {disc_loss: hinge, gen_loss: vanilla, disc_weight: 0.1, perceptual_weight: 0.2, disc_start: 0}
";

/// A small LPIPS network.
pub const LPIPS: &str = "--lpips fixtures/lpips/vgg16.pth --lpips fixtures/lpips/lin.pth";

pub const STAGE2: &str = "
dataset: {vocab_size: 16, transforms: {type: shift16x16}}
arch:
  type: rq-transformer
  ema: 0.9
  block_size: [4, 4, 2]
  embed_dim: 16
  input_embed_dim: 32
  input_emb_vqvae: true
  head_emb_vqvae: true
  shared_cls_emb: true
  cumsum_depth_ctx: true
  vocab_size_cond: 2
  embd_pdrop: 0.1
  block_size_cond: 1
  body: {n_layer: 1, block: {n_head: 2, attn_pdrop: 0.1, resid_pdrop: 0.1}}
  head: {n_layer: 1, block: {n_head: 2}}
optimizer: {type: adamW, init_lr: 0.002, weight_decay: 0.01, betas: [0.9, 0.95], max_gn: 4.0}
experiment: {batch_size: 2, accu_step: 2}
loss: {type: soft_target_cross_entropy, temp: 0.5, stochastic_codes: true}
";

/// Two classes of pictures, and configurations of both stages.
pub fn desk() -> Desk {
    let desk = Desk::with_pictures();
    desk.write("stage1.yaml", STAGE1);
    desk.write("judged.yaml", format!("{STAGE1}{JUDGES}"));
    desk.write("stage2.yaml", STAGE2);
    desk
}

pub fn metrics(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Runs `line` and kills it after some steps in the folder `out`.
pub fn kill_after(desk: &Desk, line: &str, out: &str, steps: usize) {
    let mut child = desk.command(line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while metrics(&desk.path(out)).len() < steps {
        assert_eq!(child.try_wait().unwrap(), None, "{line} ended before it was killed");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// All metrics of two runs are the same, step by step.
pub fn assert_same(found: &[Value], expected: &[Value]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        for (name, value) in expected.as_object().unwrap() {
            let (a, b) = (found[name].as_f64().unwrap(), value.as_f64().unwrap());
            assert!((a - b).abs() <= 1e-5 * b.abs().max(1.0), "{name}: {found} {expected}");
        }
    }
}

pub fn mean_loss(lines: &[Value]) -> f64 {
    lines.iter().map(|line| line["loss"].as_f64().unwrap()).sum::<f64>() / lines.len() as f64
}

#[test]
fn both_stages_are_trained_killed_resumed_and_used() {
    let desk = desk();
    let stages = [
        ("rqvae judged.yaml", LPIPS, "one", 24, 0.5),
        ("rqtransformer stage2.yaml --rqvae one", "", "two", 24, 0.95),
    ];
    for (stage, judges, name, steps, fallen) in stages {
        let line = |out: &str| {
            format!("train {stage} --data data --out {out} --steps {steps} --save-every 5 --sheet-every 12")
        };
        let report = desk.json(&format!("{} {judges}", line(name)));
        let whole = metrics(&desk.path(name));
        assert_eq!((whole.len(), &report["steps"]), (steps, &Value::from(steps)));
        assert!(mean_loss(&whole[steps - 4..]) < fallen * mean_loss(&whole[..4]), "{whole:?}");

        let broken = format!("{name}-broken");
        kill_after(&desk, &format!("{} {judges}", line(&broken)), &broken, 8);
        // A resumed run knows where the LPIPS weights are.
        desk.does(&format!("{} --resume", line(&broken)));
        assert_same(&metrics(&desk.path(&broken)), &whole);

        let kept: Vec<String> = std::fs::read_dir(desk.path(name).join("checkpoints"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(kept.len(), 2, "{kept:?}");
        let sheet = image::open(desk.path(&format!("{name}/sheets/00000024.png"))).unwrap();
        assert!(sheet.width() >= 16 && sheet.height() >= 34);
        // The next stage, and users, find the checkpoint by the run's name.
        let latest = desk.path(&format!("{name}/checkpoints/00000024"));
        std::fs::copy(latest.join("model.safetensors"), desk.path(&format!("{name}.safetensors"))).unwrap();
        let info = desk.json(&format!("info {name}.safetensors"));
        assert!(info[0]["parameters"].as_u64().unwrap() > 1000, "{info}");
    }
    for measure in ["perceptual", "generator", "discriminator", "adaptive_weight"] {
        let lines = metrics(&desk.path("one"));
        assert!(lines.iter().all(|line| line[measure].is_number()), "{measure}: {lines:?}");
    }
    let made = desk.json("reconstruct data/rows/0.png --model one.safetensors --out made");
    assert!(made["psnr"].as_f64().unwrap() > 5.0, "{made}");
    let sampled = desk.json("sample --model two/checkpoints/00000024 --class rows -n 2 --out samples");
    assert_eq!(sampled["files"].as_array().unwrap().len(), 2, "{sampled}");
}

/// Held-out images are evaluated after the first epoch, every `test_freq` epochs and at the end, which makes
/// overfitting visible.
#[test]
fn both_stages_are_evaluated_on_held_out_images() {
    let desk = desk();
    let often = |config: &str| config.replace("experiment: {", "experiment: {test_freq: 2, ");
    desk.write("judged.yaml", often(&format!("{STAGE1}{JUDGES}")));
    desk.write("stage2.yaml", often(STAGE2));
    let stages = [
        (
            "rqvae judged.yaml",
            LPIPS,
            "one",
            &["reconstruction", "commitment", "perceptual", "generator", "psnr"][..],
        ),
        ("rqtransformer stage2.yaml --rqvae one", "", "two", &["image"][..]),
    ];
    for (stage, judges, name, measures) in stages {
        let line = format!("train {stage} --data data --out {name} --steps 45 --sheet-every 100 {judges}");
        let run = desk.does(&format!("--json {line}"));
        let report: Value = serde_json::from_str(&run.stdout).unwrap();
        let lines = metrics(&desk.path(name));
        let per_epoch = 38usize.div_ceil(4);
        let measured: Vec<usize> =
            (1..=45).filter(|step| lines[step - 1]["held_out_loss"].is_number()).collect();
        assert_eq!(measured, [per_epoch, 2 * per_epoch, 4 * per_epoch, 45], "{name}");
        let last = lines.last().unwrap();
        assert_eq!(report["held_out_loss"], last["held_out_loss"]);
        for measure in measures {
            assert!(last[format!("held_out_{measure}")].is_number(), "{measure}: {last}");
        }
        for depth in [1, 2] {
            let perplexity = last[format!("held_out_perplexity_at_depth_{depth}")].as_f64().unwrap();
            assert!((1.0..=20.0).contains(&perplexity), "{last}");
        }
        // The progress line after the last step says how well the model does on them.
        let said = |name: &str| last[format!("held_out_{name}")].as_f64().unwrap();
        let psnr = if name == "one" { format!(", PSNR {:.2} dB", said("psnr")) } else { String::new() };
        let (loss, perplexity) = (said("loss"), said("perplexity_at_depth_1"));
        let told = format!("(held out {loss:.4}{psnr}, perplexity {perplexity:.1} at depth 1)");
        assert!(run.stderr.contains(&told), "{told}: {}", run.stderr);
    }
    // Metrics during training match those of the checkpoint.
    let last = metrics(&desk.path("one")).pop().unwrap();
    let again = desk.json("eval reconstruction --data data --model one --split held-out");
    for (told, measured) in [
        (&last["held_out_psnr"], &again["psnr"]),
        (&last["held_out_used_at_depth_2"], &again["depths"][1]["codes_used"]),
        (&last["held_out_perplexity_at_depth_1"], &again["depths"][0]["perplexity"]),
    ] {
        let (told, measured) = (told.as_f64().unwrap(), measured.as_f64().unwrap());
        assert!((told - measured).abs() < 1e-3 * measured, "{told} {measured}");
    }
    let last = metrics(&desk.path("two")).pop().unwrap();
    let again = desk.json("eval likelihood --data data --model two --split held-out");
    let (told, nats) = (&last["held_out_perplexity_at_depth_1"], &again["depths"][0]["nats_per_code"]);
    assert!((told.as_f64().unwrap().ln() - nats.as_f64().unwrap()).abs() < 1e-3, "{told} {nats}");
    // With --all, nothing is held out.
    desk.does("train rqvae stage1.yaml --data data --out whole --steps 1 --all");
    assert!(metrics(&desk.path("whole"))[0].get("held_out_loss").is_none());
}

#[test]
fn a_run_resumes_only_with_its_own_lpips_weights() {
    let desk = desk();
    let line = |out: &str, rest: &str| format!("train rqvae judged.yaml --data data --out {out} {rest}");
    desk.does(&line("one", &format!("--steps 1 {LPIPS}")));
    desk.does(&line("two", "--steps 1"));
    let resumed = |out: &str, lpips: &str| line(out, &format!("--steps 2 --resume {lpips}"));
    let message = "expected the LPIPS weights that one was trained with so far, found others";
    desk.refuses(&resumed("one", "--lpips fixtures/lpips/vgg16.pth"), 2, message);
    desk.refuses(&resumed("two", LPIPS), 2, "expected no LPIPS weights, as two was trained with so far");
    let swapped = "--lpips fixtures/lpips/lin.pth --lpips fixtures/lpips/vgg16.pth";
    desk.does(&resumed("one", swapped));
}

/// Training with cached codes takes the same steps as encoding images each time, until the cached variations
/// are used up.
#[test]
fn a_cache_does_not_change_training() {
    let desk = desk();
    desk.does("train rqvae stage1.yaml --data data --out one --steps 12");
    let line =
        |rest: &str| format!("train rqtransformer stage2.yaml --data data --rqvae one --steps 16 {rest}");
    desk.does(&line("--out plain"));
    // About 38 images, four per step: 16 steps are less than two epochs.
    desk.does(&line("--out first --cache latents.safetensors --variations 2"));
    let made = std::fs::read(desk.path("latents.safetensors")).unwrap();
    desk.does(&line("--out second --cache latents.safetensors --variations 2"));
    assert_eq!(std::fs::read(desk.path("latents.safetensors")).unwrap(), made, "it is written once");
    let expected = metrics(&desk.path("plain"));
    for out in ["first", "second"] {
        assert_same(&metrics(&desk.path(out)), &expected);
    }
    desk.refuses(&line("--out other --cache latents.safetensors --variations 3"), 2, "choose another file");
    desk.refuses(&line("--out other --cache latents.png"), 2, "expected a name that ends in .safetensors");
}

#[test]
#[cfg(unix)]
fn an_interrupted_run_writes_a_checkpoint() {
    use super::desk::Run;
    let desk = desk();
    let line = "train rqvae stage1.yaml --data data --out run --steps 100000 --save-every 100000";
    let mut child = desk.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while metrics(&desk.path("run")).len() < 3 {
        assert_eq!(child.try_wait().unwrap(), None, "the run ended before it was interrupted");
        std::thread::yield_now();
    }
    assert!(
        std::process::Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    let run = Run::of(child.wait_with_output().unwrap());
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.ends_with("residua: stopped\n"), "{run:?}");
    let steps = metrics(&desk.path("run")).len();
    assert!(desk.path(&format!("run/checkpoints/{steps:08}/model.safetensors")).is_file());
}

/// The configuration's type decides what is trained. The model can be evaluated and sampled like any other.
#[test]
fn a_contextual_model_is_trained_resumed_evaluated_and_used() {
    let desk = desk();
    desk.does("train rqvae stage1.yaml --data data --out vae --steps 10");
    let config = STAGE2.replace("type: rq-transformer", "type: contextual-rq-transformer");
    desk.write("contextual.yaml", config);
    let train = "train rqtransformer contextual.yaml --data data --rqvae vae";
    desk.does(&format!("{train} --out whole --steps 24 --test-every 12"));
    desk.does(&format!("{train} --out parts --steps 12 --test-every 12"));
    desk.does(&format!("{train} --out parts --steps 24 --test-every 12 --resume"));
    let whole = metrics(&desk.path("whole"));
    assert_same(&metrics(&desk.path("parts")), &whole);
    let loss = |lines: &[Value]| {
        lines.iter().filter_map(|line| line["loss"].as_f64()).sum::<f64>() / lines.len() as f64
    };
    assert!(loss(&whole[16..]) < loss(&whole[..8]), "{whole:?}");
    let found = desk.json("eval likelihood --data data --model whole");
    let ratios = found["ratios"].as_array().unwrap();
    let cells: Vec<u64> = ratios.iter().map(|at| at["cells"].as_u64().unwrap()).collect();
    assert_eq!(cells, [1, 4, 8, 12, 16]);
    assert!(ratios.iter().all(|at| at["nats_below_uniform"].as_f64().unwrap() > 0.0), "{found}");
    assert!(desk.does("eval likelihood --data data --model whole").stdout.contains("   16 cells  100 %"));
    desk.does("sample --model whole --class rows --draft 3 --revise 1x2 --out sampled");
    desk.does("revise sampled/000.png --model whole --out revised");
}
