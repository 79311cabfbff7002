//! Metrics without networks: the quality of a reconstruction, the bits that codes take, and the statistics behind FID
//! and IS.

#[cfg(not(target_family = "wasm"))]
pub mod frechet;
#[cfg(not(target_family = "wasm"))]
pub mod inception_score;
pub mod merge;
mod mse;
pub mod psnr;
pub mod ssim;
#[cfg(not(target_family = "wasm"))]
mod statistics_file;
#[cfg(not(target_family = "wasm"))]
pub mod symmetric;
mod usage;

pub use mse::mse;
pub use psnr::psnr;
pub use ssim::ssim;
pub use usage::Usage;

use residua_core::error::{Error, Result};
use residua_io::image_io::Picture;

/// Bits per pixel of a picture's codes: `h * w * sum(log2(K_d)) / pixels`, where the codebook of depth `d`
/// has `codebook_sizes[d]` equally likely codes. 8x8x4 codes out of 16,384 for 256x256 pixels take 0.0547.
pub fn bits_per_pixel(h: usize, w: usize, codebook_sizes: &[usize], pixels: usize) -> f64 {
    let bits_per_cell: f64 = codebook_sizes.iter().map(|&size| (size as f64).log2()).sum();
    (h * w) as f64 * bits_per_cell / pixels as f64
}

/// Maps a pixel value from `[-1, 1]` to `[0, 1]` and clamps it, as for display.
fn unit(value: f32) -> f64 {
    (f64::from(value) * 0.5 + 0.5).clamp(0.0, 1.0)
}

/// Refuses to compare pictures of different sizes.
fn check_same_size(a: &Picture, b: &Picture) -> Result<()> {
    let size = |picture: &Picture| (picture.width(), picture.height());
    if size(a) == size(b) {
        return Ok(());
    }
    let ((width, height), (other_width, other_height)) = (size(a), size(b));
    Err(Error::invalid(format!(
        "cannot compare pictures of different sizes: expected {width}x{height}, found {other_width}x{other_height}"
    )))
}

/// Helpers for the tests in this folder.
#[cfg(test)]
mod testing {
    use super::*;

    /// Golden values written by `tests/fixtures/metrics/make_metrics_golden.py`.
    pub fn golden(name: &str) -> serde_json::Value {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/metrics/").to_string() + name;
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    fn fixture(name: &str) -> Vec<u8> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/imageio/");
        std::fs::read(format!("{folder}{name}")).unwrap()
    }

    pub fn picture(name: &str) -> Picture {
        Picture::from_bytes(&fixture(name)).unwrap()
    }

    /// Compares `metric` with scikit-image's value, stored under `key`, for all pairs of fixtures.
    pub fn compare(key: &str, metric: fn(&Picture, &Picture) -> Result<f64>) {
        let cases: Vec<serde_json::Value> = serde_json::from_slice(&fixture("metrics.json")).unwrap();
        assert!(!cases.is_empty());
        for case in cases {
            let other = picture(case["other"].as_str().unwrap());
            let found = metric(&picture("landscape.png"), &other).unwrap();
            let expected = case[key].as_f64().unwrap();
            assert!(
                (found - expected).abs() < 1e-6,
                "{}: {found}, scikit-image has {expected}",
                case["other"]
            );
        }
    }

    /// Checks that a metric refuses pictures of different sizes.
    pub fn refuses_other_sizes(metric: fn(&Picture, &Picture) -> Result<f64>) {
        let message = metric(&picture("landscape.png"), &picture("square.png")).unwrap_err().to_string();
        assert!(message.ends_with("expected 97x61, found 40x40"), "{message}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_per_pixel_of_the_published_models() {
        assert_eq!(bits_per_pixel(8, 8, &[16_384; 4], 256 * 256), 64.0 * 56.0 / 65_536.0);
        assert_eq!(bits_per_pixel(2, 2, &[4, 8], 20), 1.0);
    }
}
