//! Training on several ranks takes the steps of one process.

use serde_json::Value;

use super::desk::Desk;
use super::ranks::{does, json};

/// Moving codebooks with restarts, dropout, LPIPS and a discriminator, for parts of four pictures.
const STAGE1: &str = "
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
  ddconfig:
    {z_channels: 8, resolution: 16, in_channels: 3, out_ch: 3, ch: 32, ch_mult: [1, 1], num_res_blocks: 1, dropout: 0.1}
optimizer: {type: adam, init_lr: 0.0001, max_gn: 1.0}
experiment: {batch_size: 4, total_batch_size: 8, test_freq: 1}
gan:
  disc: {arch: {in_channels: 3, num_layers: 1, ndf: 8}, optimizer: {init_lr: 0.001, betas: [0.5, 0.9]}}
  loss: {disc_loss: hinge, gen_loss: vanilla, disc_weight: 0.1, perceptual_weight: 0.2, disc_start: 0}
";

/// Sampled codes, dropout and classes, for two parts of two pictures.
const STAGE2: &str = "
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
  cond_dropout: 0.2
  embd_pdrop: 0.1
  block_size_cond: 1
  body: {n_layer: 1, block: {n_head: 2, attn_pdrop: 0.1, resid_pdrop: 0.1}}
  head: {n_layer: 1, block: {n_head: 2, resid_pdrop: 0.1}}
optimizer: {type: adamW, init_lr: 0.002, weight_decay: 0.01, betas: [0.9, 0.95], max_gn: 4.0}
experiment: {batch_size: 2, total_batch_size: 4, test_freq: 1}
loss: {type: soft_target_cross_entropy, temp: 0.5, stochastic_codes: true}
";

/// A small LPIPS network.
const LPIPS: &str = "--lpips fixtures/lpips/vgg16.pth --lpips fixtures/lpips/lin.pth";

/// Two classes of pictures, and configurations of both stages.
pub fn desk() -> Desk {
    let desk = Desk::with_pictures();
    desk.write("stage1.yaml", STAGE1);
    desk.write("stage2.yaml", STAGE2);
    desk
}

/// The lines of a run's metrics.
pub fn metrics(desk: &Desk, run: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(desk.path(&format!("{run}/metrics.jsonl"))).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Asserts that all metrics are the same up to rounding, which Adam's first steps amplify. Where rounding changes the
/// sign of an input of a leaky ReLU, gradients jump, but losses don't.
fn assert_same(found: &[Value], expected: &[Value]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        for (name, value) in expected.as_object().unwrap() {
            let (a, b) = (found[name].as_f64().unwrap(), value.as_f64().unwrap());
            let tolerance = match name.as_str() {
                "loss" | "held_out_loss" => 1e-5,
                "adaptive_weight" | "gradient" => 1e-2,
                _ => 1e-4,
            };
            assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{name}: {found}, not {expected}");
        }
    }
}

/// Ranks share the pictures of a part in stage 1, three of them unevenly. In stage 2, two take different parts, and four
/// do both. All share the measurements on held-out pictures.
#[test]
fn ranks_take_the_steps_of_one_process() {
    let desk = desk();
    let rqvae = format!("train rqvae stage1.yaml {LPIPS}");
    for (stage, name, counts) in [
        (rqvae.as_str(), "one", &[2, 3][..]),
        ("train rqtransformer stage2.yaml --rqvae one", "two", &[2, 4][..]),
    ] {
        let line = |out: &str| format!("{stage} --data data --out {out} --steps 3 --test-every 2");
        desk.does(&line(name));
        let whole = metrics(&desk, name);
        assert!(whole[1]["held_out_loss"].is_number(), "{whole:?}");
        for &count in counts {
            let out = format!("{name}-{count}");
            let report = json(&desk, count, &line(&out));
            assert_eq!(report["steps"], 3);
            assert_same(&metrics(&desk, &out), &whole);
            let files = |run: &str| {
                let root = desk.path(run);
                let below = desk
                    .files()
                    .into_iter()
                    .filter_map(|path| path.strip_prefix(&root).ok().map(|path| path.display().to_string()));
                below.collect::<Vec<_>>()
            };
            assert_eq!(files(&out), files(name));
        }
    }
}

/// A run remembers no number of ranks.
#[test]
fn a_run_goes_on_with_any_number_of_ranks() {
    let desk = desk();
    let line = |out: &str, steps: usize| {
        format!(
            "train rqvae stage1.yaml --data data --out {out} --steps {steps} --save-every 1 --test-every 9"
        )
    };
    // The number of steps determines no learning rate here, as there is no warm-up.
    desk.does(&line("whole", 4));
    does(&desk, 2, &line("parts", 2));
    desk.does(&format!("{} --resume", line("parts", 3)));
    does(&desk, 3, &format!("{} --resume", line("parts", 4)));
    let (found, expected) = (metrics(&desk, "parts"), metrics(&desk, "whole"));
    let losses =
        |lines: &[Value]| lines.iter().map(|line| line["loss"].as_f64().unwrap()).collect::<Vec<_>>();
    for (found, expected) in losses(&found).into_iter().zip(losses(&expected)) {
        assert!((found - expected).abs() <= 1e-5 * expected.abs().max(1.0), "{found}, not {expected}");
    }
    assert_eq!(found.len(), 4);
}

#[test]
fn a_bench_of_training_prints_each_rank() {
    let desk = Desk::new();
    let measured = json(&desk, 2, "bench --train --batch 1 --runs 1");
    for stage in measured.as_array().unwrap() {
        let ranks = stage["ranks"].as_array().unwrap();
        assert_eq!((ranks.len(), &stage["batch"]), (2, &Value::from(2)));
        for rank in ranks {
            assert!(rank["images_per_second"].as_f64().unwrap() > 0.0, "{stage}");
            assert!((0.0..1.0).contains(&rank["waiting"].as_f64().unwrap()), "{stage}");
        }
    }
}
