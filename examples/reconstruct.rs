//! Encodes an image and decodes it from its codes: `cargo run --release --example reconstruct [IMAGE]`.

use residua::{Coded, Model, image};
use residua_assets::SAMPLE;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let image = match std::env::args().nth(1) {
        Some(path) => image::open(path)?,
        None => image::load_from_memory(SAMPLE.bytes)?,
    };
    let model = Model::load("characters-128")?;
    let made = model.reconstruct(&image.to_rgb8())?;
    println!("on the {}: PSNR {:.2} dB, SSIM {:.4}", model.device(), made.psnr, made.ssim);
    for (depth, norm) in made.residual_norms.iter().enumerate() {
        println!("residual after depth {depth}: {norm:.3} of {:.3}", made.latent_norm);
    }
    let path = std::env::temp_dir().join("residua-reconstruction.png");
    Coded { image: made.image(), codes: made.codes, recipe: None }.save(&path)?;
    println!("{}", path.display());
    Ok(())
}
