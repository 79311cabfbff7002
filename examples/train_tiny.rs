//! Trains a tiny RQ-VAE on generated images and reconstructs one: `cargo run --release --example train_tiny`.

use residua::image::{Rgb, RgbImage};
use residua::train::{Begun, TrainOptions, train};
use residua::{Model, Task, device};

/// The keys of the published configurations.
const CONFIG: &str = "
dataset: {transforms: {type: shift16x16}}
arch:
  type: rq-vae
  hparams: {bottleneck_type: rq, embed_dim: 8, n_embed: 16, latent_shape: [8, 8, 8], code_shape: [4, 4, 2],
            shared_codebook: true, restart_unused_codes: true, loss_type: mse}
  ddconfig: {z_channels: 8, resolution: 16, in_channels: 3, out_ch: 3, ch: 32, ch_mult: [1, 1], num_res_blocks: 1}
optimizer: {type: adam, init_lr: 0.002}
experiment: {batch_size: 4}
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let [config, data, out] = ["stage1.yaml", "data", "run"].map(|name| folder.path().join(name));
    std::fs::write(&config, CONFIG)?;
    std::fs::create_dir(&data)?;
    let image =
        |i: u32| RgbImage::from_fn(16, 16, |x, y| Rgb([(x * 16) as u8, (y * 16) as u8, (i * 7) as u8]));
    for i in 0..32 {
        image(i).save(data.join(format!("{i}.png")))?;
    }
    let options = TrainOptions { config, data, out, steps: Some(20), ..TrainOptions::default() };
    let begin = |begun: &Begun| println!("{begun:?}");
    let checkpoint = train(&options, &device::cpu(), &mut Task::unwatched(), begin, |told| {
        println!("step {}: loss {:.4}", told.steps, told.measured.get("loss").unwrap_or(f64::NAN));
    })?;
    let model = Model::load(checkpoint.display().to_string())?;
    println!("PSNR {:.2} dB", model.reconstruct(&image(0))?.psnr);
    Ok(())
}
