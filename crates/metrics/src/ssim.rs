//! Structural similarity (Wang et al., "Image Quality Assessment: From Error Visibility to Structural
//! Similarity", 2004).

use super::{check_same_size, unit};
use residua_core::error::{Error, Result};
use residua_io::image_io::Picture;

/// The window: a Gaussian with this standard deviation, cut off at 3.5 standard deviations.
const SIGMA: f64 = 1.5;
const RADIUS: usize = 5;
const WINDOW: usize = 2 * RADIUS + 1;
/// The paper's constants `(0.01 L)^2` and `(0.03 L)^2`, for values in `[0, 1]`.
const C1: f64 = 0.01 * 0.01;
const C2: f64 = 0.03 * 0.03;

/// Structural similarity of two pictures, clamped, over `[0, 1]`; 1 if they are equal. The mean over all
/// positions of the 11x11 window inside the picture, and over the channels. Equals scikit-image's
/// `structural_similarity` with `gaussian_weights=True, sigma=1.5, use_sample_covariance=False`, the paper's
/// setting.
///
/// # Errors
/// The pictures differ in size, or are smaller than the window.
pub fn ssim(a: &Picture, b: &Picture) -> Result<f64> {
    check_same_size(a, b)?;
    let (width, height) = (a.width(), a.height());
    if width < WINDOW || height < WINDOW {
        return Err(Error::invalid(format!(
            "structural similarity needs pictures of at least {WINDOW}x{WINDOW}, found {width}x{height}"
        )));
    }
    let planes = |picture: &Picture| picture.data().iter().copied().map(unit).collect::<Vec<f64>>();
    let (a, b) = (planes(a), planes(b));
    let channels = a.chunks_exact(width * height).zip(b.chunks_exact(width * height));
    Ok(channels.map(|(a, b)| channel_ssim(a, b, width)).sum::<f64>() / 3.0)
}

/// The similarity of two planes of `width` columns.
fn channel_ssim(a: &[f64], b: &[f64], width: usize) -> f64 {
    let weights = gaussian();
    let mean_of = |value: fn(f64, f64) -> f64| {
        let plane: Vec<f64> = a.iter().zip(b).map(|(&a, &b)| value(a, b)).collect();
        blur(&plane, width, &weights)
    };
    let mean_a = mean_of(|a, _| a);
    let mean_b = mean_of(|_, b| b);
    let mean_aa = mean_of(|a, _| a * a);
    let mean_bb = mean_of(|_, b| b * b);
    let mean_ab = mean_of(|a, b| a * b);
    let similarity = |at: usize| {
        let (a, b) = (mean_a[at], mean_b[at]);
        let (variance_a, variance_b) = (mean_aa[at] - a * a, mean_bb[at] - b * b);
        let covariance = mean_ab[at] - a * b;
        (2.0 * a * b + C1) * (2.0 * covariance + C2) / ((a * a + b * b + C1) * (variance_a + variance_b + C2))
    };
    (0..mean_a.len()).map(similarity).sum::<f64>() / mean_a.len() as f64
}

fn gaussian() -> [f64; WINDOW] {
    let weights: [f64; WINDOW] = std::array::from_fn(|at| {
        let distance = at as f64 - RADIUS as f64;
        (-0.5 * (distance / SIGMA).powi(2)).exp()
    });
    let total: f64 = weights.iter().sum();
    weights.map(|weight| weight / total)
}

/// Weighted means over all windows inside the plane.
fn blur(plane: &[f64], width: usize, weights: &[f64; WINDOW]) -> Vec<f64> {
    let along = |values: &[f64], start: usize, stride: usize| -> f64 {
        weights.iter().enumerate().map(|(at, weight)| weight * values[start + at * stride]).sum()
    };
    let narrow_width = width - WINDOW + 1;
    let rows = plane.chunks_exact(width);
    let narrow: Vec<f64> = rows.flat_map(|row| (0..narrow_width).map(|x| along(row, x, 1))).collect();
    let starts = 0..narrow.len() - (WINDOW - 1) * narrow_width;
    starts.map(|start| along(&narrow, start, narrow_width)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    #[test]
    fn equals_scikit_image() {
        testing::compare("ssim", ssim);
    }

    #[test]
    fn equal_pictures_have_similarity_1() {
        let picture = testing::picture("square.png");
        assert!((ssim(&picture, &picture).unwrap() - 1.0).abs() < 1e-12);
        testing::refuses_other_sizes(ssim);
    }

    #[test]
    fn small_pictures_are_refused() {
        let picture = |width, height| Picture::new(width, height, vec![0.0; 3 * width * height]).unwrap();
        assert_eq!(ssim(&picture(11, 11), &picture(11, 11)).unwrap(), 1.0);
        let message = ssim(&picture(10, 30), &picture(10, 30)).unwrap_err().to_string();
        assert_eq!(message, "structural similarity needs pictures of at least 11x11, found 10x30");
    }
}
