//! `reconstruct`, `encode` and `decode`: from images to codes and back.

use super::desk::Desk;
use super::evaluation::SAMPLES;

#[test]
fn every_sample_is_reconstructed_with_metrics() {
    let desk = Desk::new();
    for name in SAMPLES.map(|file| file.strip_suffix(".png").unwrap()) {
        let result = desk.json(&format!("reconstruct samples/{name}.png --out out"));
        let figure = |key: &str| result[key].as_f64().unwrap();
        assert!((28.0..45.0).contains(&figure("psnr")), "{name}: {result}");
        assert!((0.5..1.0).contains(&figure("ssim")), "{name}: {result}");
        // 8x8x4 codes of 10 bits.
        assert_eq!(figure("bits_per_pixel"), 2560.0 / (128.0 * 128.0));
        let norms: Vec<f64> = serde_json::from_value(result["residual_norms"].clone()).unwrap();
        assert_eq!(norms.len(), 4);
        assert!(norms.is_sorted_by(|a, b| a > b) && figure("latent_norm") > norms[0], "{name}: {result}");

        assert_eq!(desk.pixels(&format!("out/{name}-reconstruction.png")).dimensions(), (128, 128));
        // The original and four depths, with gaps.
        let (width, height) = desk.pixels(&format!("out/{name}-strip.png")).dimensions();
        assert!(width >= 5 * 128 && height >= 128, "{width}x{height}");
    }
    assert_eq!(desk.files().len(), 2 * SAMPLES.len());
}

#[test]
fn metrics_are_printed_as_text() {
    let run = Desk::new().does("reconstruct samples/red-cat.png");
    for figure in ["PSNR ", "SSIM ", "bits per pixel ", "code stack ", "residual by depth "] {
        assert!(run.stdout.contains(figure), "{run:?}");
    }
}

#[test]
fn codes_give_the_same_pixels_from_any_file_format() {
    let desk = Desk::new();
    desk.does("reconstruct samples/red-cat.png");
    desk.does("encode samples/red-cat.png --out codes.npy");
    desk.does("decode codes.npy --out of-npy.png");
    desk.does("decode of-npy.png");
    desk.does("decode red-cat-reconstruction.png --out of-png.png");
    let expected = desk.pixels("red-cat-reconstruction.png");
    for name in ["of-npy.png", "of-npy-decoded.png", "of-png.png"] {
        assert_eq!(desk.pixels(name), expected, "{name}");
        assert_eq!(desk.codes(name), desk.codes("red-cat-reconstruction.png"), "{name}");
    }
}

#[test]
fn several_stacks_are_decoded_into_numbered_images() {
    let desk = Desk::new();
    desk.does("reconstruct samples/red-cat.png");
    let stack = desk.codes("red-cat-reconstruction.png");
    let mut bytes = b"\x93NUMPY\x01\0".to_vec();
    let header = format!("{:<117}\n", "{'descr': '<u2', 'fortran_order': False, 'shape': (2, 8, 8, 4), }");
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    let codes: Vec<u8> = stack.codes().iter().flat_map(|&code| (code as u16).to_le_bytes()).collect();
    bytes.extend([codes.clone(), codes].concat());
    desk.write("two.npy", bytes);
    desk.does("decode two.npy --out two.png");
    for name in ["two-000.png", "two-001.png"] {
        assert_eq!(desk.pixels(name), desk.pixels("red-cat-reconstruction.png"), "{name}");
    }
}

/// Each folder, the shape of its codes, and the largest possible code.
#[test]
fn published_checkpoints_encode_and_decode() {
    let desk = Desk::new();
    for (model, shape, codebook) in [
        ("rqvae-shared", [8, 8, 4], 64),
        ("rqvae-per-depth", [4, 4, 3], 64),
        ("vqgan-depth1", [4, 4, 1], 100),
        ("taming-vqgan", [8, 8, 1], 64),
    ] {
        let model_option = format!("--model fixtures/{model}");
        let line = format!("encode samples/green-cat.png --out codes.npy --force {model_option}");
        let result = desk.json(&line);
        assert_eq!(result["code_shape"], serde_json::json!(shape), "{model}");
        let codes: Vec<u32> = serde_json::from_value(result["codes"].clone()).unwrap();
        assert!(codes.iter().all(|&code| code < codebook), "{model}: {codes:?}");
        desk.does(&format!("decode codes.npy --out {model}.png {model_option}"));
        assert_eq!(desk.codes(&format!("{model}.png")).codes(), codes, "{model}");
    }
    // A different model than the image's own is allowed if it fits, with a warning.
    let other = desk.run("decode vqgan-depth1.png --model fixtures/rqvae-shared");
    other.is_refusal("decode", 1, "expected codes of shape [8, 8, 4] for this model, found [4, 4, 1]");
    desk.does("encode samples/green-cat.png --out codes.npy --force --model fixtures/rqvae-shared");
    desk.does("decode codes.npy --out a.png --model fixtures/rqvae-shared");
    desk.does("decode a.png --out b.png");
    assert_eq!(desk.pixels("a.png"), desk.pixels("b.png"), "an image's recipe names its model");
    desk.does("decode a.png --out b.png --force --model characters-128")
        .warns("was made with another RQ-VAE");
}
