//! Resize and crop, bit-identical to torchvision's `Resize`, `CenterCrop` and `RandomCrop` on Pillow images.
//!
//! Pillow's filters widen their support when shrinking. Pillow works in fixed point and rounds to 8 bits
//! after the horizontal pass and again after the vertical one (Pillow, `Resample.c`). Models were trained on
//! these pixels, with Pillow before 13. Pillow 13 swaps the passes for tall images, where it differs by up to
//! one level of 255. (Older versions also swapped them if the height was over a hundred times the width; that
//! exception is not implemented.)

use std::ops::Range;

use image::RgbImage;

use super::check_size;
use residua_core::error::Result;

/// Weights are integers, with 1 as `1 << PRECISION_BITS`: 32 bits less 8 for the pixel and 2 for the sum.
const PRECISION_BITS: u32 = 32 - 8 - 2;

/// The weight of source pixels by their distance from the output pixel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Interpolation {
    /// Decreases linearly with distance: the models' filter.
    Bilinear,
    /// Keys' cubic with `a = -0.5`, which sharpens edges.
    Bicubic,
}

/// How an image becomes a square.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// The length to resize the shorter side to, at least `resolution`.
    pub shorter: usize,
    /// The centre `resolution x resolution` pixels are kept.
    pub resolution: usize,
    /// How pixels between those of the source are computed.
    pub interpolation: Interpolation,
}

/// Refuses a `resolution` to which no picture can be resized.
///
/// # Errors
/// It is zero, or its square is more than [`super::MAX_PIXELS`].
pub fn check_resolution(resolution: usize) -> Result<()> {
    check_size(resolution as u64, resolution as u64)
}

/// Resizes so that the shorter side is `resolution`, and keeps the centre `resolution x resolution`. Only the
/// pixels that are kept are computed.
///
/// # Errors
/// `resolution` is zero, or its square is more than [`super::MAX_PIXELS`].
pub fn fit(image: &RgbImage, resolution: usize) -> Result<RgbImage> {
    fit_as(image, Fit { shorter: resolution, resolution, interpolation: Interpolation::Bilinear })
}

/// Like [`fit()`], with any interpolation or crop.
///
/// # Errors
/// Those of [`fit()`], for either size.
pub fn fit_as(image: &RgbImage, fit: Fit) -> Result<RgbImage> {
    square(image, [shorter(image); 2], fit, half_to_even)
}

/// Like [`fit()`], but the square is anywhere along the longer side: `before` maps the number of pixels that
/// are left over there to how many of them come before the square. This is torchvision's `Resize` and
/// `RandomCrop`.
///
/// # Errors
/// Those of [`fit()`].
pub fn fit_along(image: &RgbImage, resolution: usize, before: impl Fn(u64) -> u64) -> Result<RgbImage> {
    let fit = Fit { shorter: resolution, resolution, interpolation: Interpolation::Bilinear };
    square(image, [shorter(image); 2], fit, before)
}

/// Resizes the whole image to `resolution x resolution`, whatever its aspect ratio.
///
/// # Errors
/// Those of [`fit()`].
pub fn squeeze(image: &RgbImage, resolution: usize) -> Result<RgbImage> {
    let fit = Fit { shorter: resolution, resolution, interpolation: Interpolation::Bilinear };
    square(image, [image.width() as usize, image.height() as usize], fit, half_to_even)
}

fn shorter(image: &RgbImage) -> usize {
    image.width().min(image.height()) as usize
}

/// Resizes so that `kept` columns and rows become `fit.shorter` each, and keeps a square, before which
/// `before` leaves out some of the pixels left over.
fn square(image: &RgbImage, kept: [usize; 2], fit: Fit, before: impl Fn(u64) -> u64) -> Result<RgbImage> {
    let resolution = fit.resolution;
    check_resolution(resolution)?;
    check_resolution(fit.shorter)?;
    let (width, height) = (image.width() as usize, image.height() as usize);
    let columns: Vec<Tap> = Axis::new(width, kept[0], fit, &before).taps().collect();
    let mut narrow = Narrow { image, columns, rows: 0..0, values: Vec::new() };
    let stride = resolution * 3;
    let mut fitted = Vec::with_capacity(resolution * stride);
    for tap in Axis::new(height, kept[1], fit, &before).taps() {
        narrow.move_to(tap.source());
        fitted.extend((0..stride).map(|at| tap.apply(&narrow.values, at, stride, tap.first)));
    }
    Ok(RgbImage::from_raw(resolution as u32, resolution as u32, fitted)
        .expect("one value per channel and pixel"))
}

/// Rows of the source that are already resized: those for one row of the result. A tall image can have so many
/// rows that all of them together would not fit in memory.
struct Narrow<'a> {
    image: &'a RgbImage,
    columns: Vec<Tap>,
    rows: Range<usize>,
    values: Vec<u8>,
}

impl Narrow<'_> {
    /// Resizes the source's `rows`, neither end of which is before the last one's.
    fn move_to(&mut self, rows: Range<usize>) {
        let passed = self.rows.len().min(rows.start - self.rows.start);
        self.values.drain(..passed * self.columns.len() * 3);
        let width = self.image.width() as usize * 3;
        for row in self.rows.end.max(rows.start)..rows.end {
            let row = &self.image.as_raw()[row * width..][..width];
            let pixel = |tap: &Tap| [0, 1, 2].map(|channel| tap.apply(row, channel, 3, 0));
            self.values.extend(self.columns.iter().flat_map(pixel));
        }
        self.rows = rows;
    }
}

/// How the kept pixels of one axis are computed from the source.
struct Axis {
    source: usize,
    /// Source pixels per resized one.
    scale: f64,
    kept: Range<u64>,
    interpolation: Interpolation,
}

impl Interpolation {
    /// The support radius in pixels when not shrinking.
    fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
        }
    }

    fn weight(self, distance: f64) -> f64 {
        const A: f64 = -0.5;
        let x = distance.abs();
        match self {
            Self::Bilinear => (1.0 - x).max(0.0),
            Self::Bicubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
            Self::Bicubic => 0.0,
        }
    }
}

/// The source pixels that contribute to one output pixel.
struct Tap {
    first: usize,
    weights: Vec<i32>,
}

impl Axis {
    /// `source` pixels resized by `fit.shorter / kept`, of which `fit.resolution` are kept: those after
    /// `before` of the pixels left over.
    fn new(source: usize, kept: usize, fit: Fit, before: &impl Fn(u64) -> u64) -> Self {
        // A side of up to 256 million pixels times a resolution of up to 16,000 needs 64 bits, even in a
        // browser.
        let resized = fit.shorter as u64 * source as u64 / kept as u64;
        let left_over = resized - fit.resolution as u64;
        let first = before(left_over).min(left_over);
        let scale = source as f64 / resized as f64;
        let kept = first..first + fit.resolution as u64;
        Self { source, scale, kept, interpolation: fit.interpolation }
    }

    /// One for each kept pixel. Those of millions of pixels are large, so they are made one by one.
    fn taps(self) -> impl Iterator<Item = Tap> {
        let Self { source, scale, kept, interpolation } = self;
        kept.map(move |at| Tap::new(at, scale, source, interpolation))
    }
}

impl Tap {
    /// Pillow's `precompute_coeffs` for the output pixel `at`, and `normalize_coeffs_8bpc`.
    fn new(at: u64, scale: f64, source: usize, interpolation: Interpolation) -> Self {
        // When enlarging, the filter covers its own support; when shrinking, the support is scaled by the
        // size of the output pixel.
        let stretch = scale.max(1.0);
        let support = interpolation.support() * stretch;
        let center = (at as f64 + 0.5) * scale;
        let first = (center - support + 0.5).max(0.0) as usize;
        let end = ((center + support + 0.5) as usize).min(source);
        let weight = |pixel: usize| interpolation.weight((pixel as f64 - center + 0.5) * (1.0 / stretch));
        let weights: Vec<f64> = (first..end).map(weight).collect();
        let total: f64 = weights.iter().sum();
        let fixed = |weight: f64| {
            let scaled = weight / total * f64::from(1 << PRECISION_BITS);
            (scaled + 0.5f64.copysign(scaled)) as i32
        };
        Self { first, weights: weights.into_iter().map(fixed).collect() }
    }

    /// The range of source pixels.
    fn source(&self) -> Range<usize> {
        self.first..self.first + self.weights.len()
    }

    /// The weighted sum of values `stride` apart. `start` is the index in `values` of the axis's pixel
    /// `origin`.
    fn apply(&self, values: &[u8], start: usize, stride: usize, origin: usize) -> u8 {
        let pixels = values[start + (self.first - origin) * stride..].iter().step_by(stride);
        let products = pixels.zip(&self.weights).map(|(&pixel, &weight)| i32::from(pixel) * weight);
        let rounded = (1 << (PRECISION_BITS - 1)) + products.sum::<i32>();
        (rounded >> PRECISION_BITS).clamp(0, 255) as u8
    }
}

/// Half of `margin`, rounded like Python's `round`: ties go to the even neighbour.
fn half_to_even(margin: u64) -> u64 {
    let half = margin / 2;
    if margin % 2 == 1 { half + half % 2 } else { half }
}

#[cfg(test)]
mod tests {
    use super::super::testing::pixels;
    use super::*;

    #[test]
    fn results_are_bit_identical_to_torchvision() {
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

    /// The preprocessing of CLIP, and that of a classifier.
    #[test]
    fn other_fits_are_bit_identical_to_torchvision() {
        let cubic =
            |resolution| Fit { shorter: resolution, resolution, interpolation: Interpolation::Bicubic };
        let cropped = Fit { shorter: 80, resolution: 61, interpolation: Interpolation::Bilinear };
        for (name, fit, expected) in [
            ("landscape", cubic(32), "landscape_cubic32"),
            ("landscape", cubic(80), "landscape_cubic80"),
            ("square", cubic(64), "square_cubic64"),
            ("portrait", cubic(24), "portrait_cubic24"),
            ("landscape", cropped, "landscape_crop61"),
        ] {
            let found = fit_as(&pixels(&format!("{name}.png")), fit).unwrap();
            assert_eq!(found, pixels(&format!("{expected}.png")), "{expected}");
        }
        let image = pixels("square.png");
        let endless = Fit { shorter: 16_001, ..cropped };
        assert!(fit_as(&image, endless).unwrap_err().to_string().contains("a picture of"));
    }

    /// The published augmentation for ImageNet: the last square is as far to the right as possible.
    #[test]
    fn squares_beside_the_centre_are_bit_identical_to_torchvision() {
        for (name, resolution, before) in [("landscape", 32, 5), ("landscape", 80, 47), ("portrait", 24, 3)] {
            let seen = std::cell::Cell::new(0);
            let place = |left_over: u64| {
                seen.set(left_over.max(seen.get()));
                left_over.min(before)
            };
            let found = fit_along(&pixels(&format!("{name}.png")), resolution, place).unwrap();
            assert_eq!(found, pixels(&format!("{name}_along{resolution}.png")), "{name} to {resolution}");
            // The longer side is shortened by rounding down: 80 * 97 / 61 is 127.2.
            assert!(resolution != 80 || seen.get() == 47, "{}", seen.get());
        }
    }

    /// The two passes are separable: an image with equal rows is resized as its columns alone are.
    #[test]
    fn a_squeezed_picture_is_resized_along_each_side_independently() {
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
        for (name, resolution) in [("landscape", 40), ("portrait", 80)] {
            let expected = pixels(&format!("{name}_squeeze{resolution}.png"));
            assert_eq!(squeeze(&pixels(&format!("{name}.png")), resolution).unwrap(), expected, "{name}");
        }
    }

    #[test]
    fn halves_round_to_even() {
        assert_eq!([0, 1, 2, 3, 4, 5, 7].map(half_to_even), [0, 0, 1, 2, 2, 2, 4]);
    }

    #[test]
    fn only_the_centre_of_a_line_of_pixels_is_computed() {
        let line =
            RgbImage::from_fn(1, 2_000_000, |_, y| image::Rgb([if y == 1_000_000 { 255 } else { 0 }; 3]));
        let square = fit(&line, 256).unwrap();
        assert_eq!(square.dimensions(), (256, 256));
        assert!(square.pixels().any(|pixel| pixel.0 == [255; 3]));
    }

    /// As if all rows were resized first, which this test can afford.
    #[test]
    fn few_rows_of_a_tall_picture_are_resized_at_a_time() {
        let tall = RgbImage::from_fn(5, 4000, |x, y| image::Rgb([x, y, x * y].map(|value| value as u8)));
        let fit = Fit { shorter: 16, resolution: 16, interpolation: Interpolation::Bilinear };
        let narrow = || {
            let columns = Axis::new(5, 5, fit, &half_to_even).taps().collect();
            Narrow { image: &tall, columns, rows: 0..0, values: Vec::new() }
        };
        let (mut all, mut some) = (narrow(), narrow());
        all.move_to(0..4000);
        let mut expected = Vec::new();
        for tap in Axis::new(4000, 4000, fit, &half_to_even).taps() {
            expected.extend((0..48).map(|at| tap.apply(&all.values, at, 48, 0)));
            some.move_to(tap.source());
            // Those of two rows of the result, between which it interpolates.
            assert!(some.values.len() <= 2 * 4000 / 16 * 48, "{}", some.values.len());
        }
        assert_eq!(squeeze(&tall, 16).unwrap().into_raw(), expected);
    }

    #[test]
    fn impossible_resolutions_are_refused() {
        let image = RgbImage::new(2, 2);
        for resolution in [0, 16_001, usize::MAX] {
            assert!(fit(&image, resolution).unwrap_err().to_string().contains("a picture of"));
        }
    }
}
