//! Resize and centre crop, equal to the bit to torchvision's `Resize` and `CenterCrop` on Pillow images.
//!
//! Pillow's bilinear filter widens its support when it shrinks, works in fixed point, and rounds to 8 bits after the
//! horizontal pass and again after the vertical one (Pillow, `Resample.c`). Models were trained on those pixels, with
//! Pillow before 13, which later swapped the passes for tall pictures: there it differs by up to one level of 255. (So
//! did older ones where the height is over a hundred times the width; that exception is left out.)

use std::ops::Range;

use image::RgbImage;

use super::check_size;
use crate::error::Result;

/// Weights are integers, a weight of one being `1 << PRECISION_BITS`: 32 bits less 8 for the pixel and 2 for the sum.
const PRECISION_BITS: u32 = 32 - 8 - 2;

/// Resizes so that the shorter side is `resolution`, and keeps the middle `resolution x resolution`. Only the pixels
/// that are kept are computed.
///
/// # Errors
/// `resolution` is zero, or its square more than [`super::MAX_PIXELS`].
pub fn fit(image: &RgbImage, resolution: usize) -> Result<RgbImage> {
    let shorter = image.width().min(image.height()) as usize;
    square(image, [shorter; 2], resolution)
}

/// Resizes all of the picture to `resolution x resolution`, whatever its proportions.
///
/// # Errors
/// Those of [`fit`].
pub fn squeeze(image: &RgbImage, resolution: usize) -> Result<RgbImage> {
    square(image, [image.width() as usize, image.height() as usize], resolution)
}

/// Resizes so that `kept` columns and rows become `resolution` of each, and keeps the middle ones.
fn square(image: &RgbImage, kept: [usize; 2], resolution: usize) -> Result<RgbImage> {
    check_size(resolution as u64, resolution as u64)?;
    let (width, height) = (image.width() as usize, image.height() as usize);
    let columns = Axis::new(width, kept[0], resolution);
    let rows = Axis::new(height, kept[1], resolution);

    let needed = rows.source();
    let rows_from = needed.start;
    let narrow: Vec<u8> = image
        .as_raw()
        .chunks_exact(width * 3)
        .skip(rows_from)
        .take(needed.len())
        .flat_map(|row| {
            columns.taps.iter().flat_map(|tap| [0, 1, 2].map(|channel| tap.apply(row, channel, 3, 0)))
        })
        .collect();
    let stride = resolution * 3;
    let fitted = rows
        .taps
        .iter()
        .flat_map(|tap| {
            let narrow = &narrow;
            (0..stride).map(move |at| tap.apply(narrow, at, stride, rows_from))
        })
        .collect();
    Ok(RgbImage::from_raw(resolution as u32, resolution as u32, fitted)
        .expect("one value a channel and pixel"))
}

/// How the kept pixels of one axis come from the source's.
struct Axis {
    taps: Vec<Tap>,
}

/// The pixels of the source that one output pixel is made of.
struct Tap {
    first: usize,
    weights: Vec<i32>,
}

impl Axis {
    /// `source` pixels resized by `resolution / kept`, of which the middle `resolution` are kept.
    fn new(source: usize, kept: usize, resolution: usize) -> Self {
        // A side of up to 64 million pixels times a resolution of up to 8,000 needs 64 bits, also in a browser.
        let resized = resolution as u64 * source as u64 / kept as u64;
        let first = half_to_even(resized - resolution as u64);
        let scale = source as f64 / resized as f64;
        Self { taps: (first..first + resolution as u64).map(|at| Tap::new(at, scale, source)).collect() }
    }

    /// The range of source pixels that any output pixel is made of.
    fn source(&self) -> Range<usize> {
        let end = |tap: &Tap| tap.first + tap.weights.len();
        self.taps.first().map_or(0, |tap| tap.first)..self.taps.last().map_or(0, end)
    }
}

impl Tap {
    /// Pillow's `precompute_coeffs` for the output pixel `at`, and `normalize_coeffs_8bpc`.
    fn new(at: u64, scale: f64, source: usize) -> Self {
        // When enlarging, neighbours two pixels apart; when shrinking, all that the output pixel covers, and as many
        // again around.
        let support = scale.max(1.0);
        let center = (at as f64 + 0.5) * scale;
        let first = (center - support + 0.5).max(0.0) as usize;
        let end = ((center + support + 0.5) as usize).min(source);
        let triangle = |pixel: usize| {
            let distance = ((pixel as f64 - center + 0.5) * (1.0 / support)).abs();
            (1.0 - distance).max(0.0)
        };
        let weights: Vec<f64> = (first..end).map(triangle).collect();
        let total: f64 = weights.iter().sum();
        let fixed = |weight: f64| (0.5 + weight / total * f64::from(1 << PRECISION_BITS)) as i32;
        Self { first, weights: weights.into_iter().map(fixed).collect() }
    }

    /// The weighted sum of values `stride` apart. `start` is where pixel `origin` of the axis stands in `values`.
    fn apply(&self, values: &[u8], start: usize, stride: usize, origin: usize) -> u8 {
        let pixels = values[start + (self.first - origin) * stride..].iter().step_by(stride);
        let products = pixels.zip(&self.weights).map(|(&pixel, &weight)| i32::from(pixel) * weight);
        let rounded = (1 << (PRECISION_BITS - 1)) + products.sum::<i32>();
        (rounded >> PRECISION_BITS).clamp(0, 255) as u8
    }
}

/// Half of `margin`, rounded as Python's `round` does: a half goes to the even neighbour.
fn half_to_even(margin: u64) -> u64 {
    let half = margin / 2;
    if margin % 2 == 1 { half + half % 2 } else { half }
}

#[cfg(test)]
mod tests {
    use super::super::testing::pixels;
    use super::*;

    #[test]
    fn equals_torchvision_to_the_bit() {
        for (name, resolutions) in [
            ("landscape", &[1, 32, 61, 80][..]),
            ("portrait", &[24, 61]),
            ("tall", &[16]),
            ("square", &[17, 40, 64]),
            ("thin", &[2, 8]),
            ("alpha", &[16]),
        ] {
            let source = pixels(&format!("{name}.png"));
            for &resolution in resolutions {
                let expected = pixels(&format!("{name}_fit{resolution}.png"));
                assert_eq!(fit(&source, resolution).unwrap(), expected, "{name} to {resolution}");
            }
        }
    }

    /// The two passes are apart: what is the same in all rows is resized as columns alone are.
    #[test]
    fn a_squeezed_picture_is_resized_along_each_side_by_itself() {
        let source = pixels("landscape.png");
        let (width, height) = source.dimensions();
        let stripes = |size: [u32; 2], along: usize| {
            RgbImage::from_fn(size[0], size[1], |x, y| *source.get_pixel([x, y][along].min(height - 1), 3))
        };
        for (size, along) in [([height, width], 0), ([width, height], 1)] {
            let equal = [height; 2];
            let expected = fit(&stripes(equal, along), 40).unwrap();
            assert_eq!(squeeze(&stripes(size, along), 40).unwrap(), expected);
        }
        let square = pixels("square.png");
        assert_eq!(squeeze(&square, 17).unwrap(), fit(&square, 17).unwrap());
        assert_ne!(squeeze(&source, 40).unwrap(), fit(&source, 40).unwrap());
    }

    #[test]
    fn halves_round_to_even() {
        assert_eq!([0, 1, 2, 3, 4, 5, 7].map(half_to_even), [0, 0, 1, 2, 2, 2, 4]);
    }

    #[test]
    fn a_line_of_pixels_costs_no_more_than_its_middle() {
        let line =
            RgbImage::from_fn(1, 2_000_000, |_, y| image::Rgb([if y == 1_000_000 { 255 } else { 0 }; 3]));
        let square = fit(&line, 256).unwrap();
        assert_eq!(square.dimensions(), (256, 256));
        assert!(square.pixels().any(|pixel| pixel.0 == [255; 3]));
    }

    #[test]
    fn impossible_resolutions_are_refused() {
        let image = RgbImage::new(2, 2);
        for resolution in [0, 8_001, usize::MAX] {
            assert!(fit(&image, resolution).unwrap_err().to_string().contains("a picture of"));
        }
    }
}
