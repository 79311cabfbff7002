//! Between 8-bit levels, `[0, 255]`, and the models' values, `[-1, 1]`.

use std::borrow::Cow;

use image::RgbImage;

use super::{Picture, Pixels, check_values};
use residua_core::error::Result;

impl Picture {
    /// Converts pixels to `[-1, 1]` with the published code's arithmetic: `(v / 255 - 0.5) / 0.5`.
    pub fn from_rgb8(image: &RgbImage) -> Self {
        image.clone().into()
    }

    /// Converts 8-bit RGBA pixels, row-major, as [`Self::from_rgb8`] does. Alpha is ignored.
    ///
    /// # Errors
    /// Those of [`Self::new`].
    pub fn from_rgba8(width: usize, height: usize, rgba: &[u8]) -> Result<Self> {
        let (pixels, _) = rgba.as_chunks::<4>();
        Self::from_levels(width, height, pixels.iter().flat_map(|&[r, g, b, _]| [r, g, b]).collect())
    }

    /// An image from `levels`, `3 * height * width` of them in (row, column, channel) order.
    ///
    /// # Errors
    /// Those of [`Self::new`].
    pub(super) fn from_levels(width: usize, height: usize, levels: Vec<u8>) -> Result<Self> {
        check_values(width, height, levels.len())?;
        let image = RgbImage::from_raw(width as u32, height as u32, levels);
        Ok(image.expect("three values per pixel").into())
    }

    /// Converts to 8-bit pixels: clamped to `[-1, 1]`, mapped to `[0, 255]`, and rounded as in torchvision's
    /// `save_image`.
    pub fn to_rgb8(&self) -> RgbImage {
        self.levels(to_u8).into_owned()
    }

    /// Converts to 8-bit pixels by truncation, as the published code does when it passes samples to CLIP.
    /// Pixels that came from 8 bits keep their values.
    pub fn to_rgb8_downwards(&self) -> RgbImage {
        self.levels(to_u8_downwards).into_owned()
    }

    /// The 8-bit pixels: those of the file, or else the values converted by `to_u8`.
    pub(super) fn levels(&self, to_u8: fn(f32) -> u8) -> Cow<'_, RgbImage> {
        let data = match &self.pixels {
            Pixels::Levels(image, _) => return Cow::Borrowed(image),
            Pixels::Values(data) => data,
        };
        let plane = self.width * self.height;
        Cow::Owned(RgbImage::from_fn(self.width as u32, self.height as u32, |x, y| {
            let pixel = y as usize * self.width + x as usize;
            image::Rgb([0, 1, 2].map(|channel| to_u8(data[channel * plane + pixel])))
        }))
    }
}

/// `[0, 255]` to `[-1, 1]`, in the order of the published code's operations.
pub fn from_u8(level: u8) -> f32 {
    (f32::from(level) / 255.0 - 0.5) / 0.5
}

/// `[-1, 1]` to `[0, 255]`, rounded half up; NaN becomes 0.
pub fn to_u8(value: f32) -> u8 {
    ((value * 0.5 + 0.5).clamp(0.0, 1.0) * 255.0 + 0.5) as u8
}

/// The same truncated, with a margin so that an f32 rounding error does not drop a whole number to the next
/// lower one.
pub fn to_u8_downwards(value: f32) -> u8 {
    ((value * 0.5 + 0.5).clamp(0.0, 1.0) * 255.0 + 1e-3) as u8
}

/// The values of 8-bit pixels, in (channel, row, column) order.
pub fn values(image: &RgbImage) -> Vec<f32> {
    let levels = image.as_raw();
    let mut values = Vec::with_capacity(levels.len());
    for channel in 0..3 {
        values.extend(levels.iter().skip(channel).step_by(3).map(|&level| from_u8(level)));
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_bit_values_survive() {
        let image = RgbImage::from_fn(256, 2, |x, y| image::Rgb([x as u8, 255 - x as u8, y as u8]));
        let picture = Picture::from_rgb8(&image);
        assert_eq!(picture.to_rgb8(), image);
        assert_eq!((picture.width(), picture.height()), (256, 2));
        let at = |channel: usize, row: usize, col: usize| picture.data()[(channel * 2 + row) * 256 + col];
        assert_eq!([at(0, 0, 0), at(0, 1, 255), at(1, 0, 0)], [-1.0, 1.0, 1.0]);
        assert_eq!(at(2, 1, 7), (1.0f32 / 255.0 - 0.5) / 0.5);
    }

    #[test]
    fn values_are_clamped_and_rounded_for_display() {
        let cases =
            [(-3.0, 0), (-1.0, 0), (0.0, 128), (1.0, 255), (9.0, 255), (f32::NAN, 0), (f32::INFINITY, 255)];
        for (value, shown) in cases {
            assert_eq!(to_u8(value), shown, "{value}");
        }
    }

    #[test]
    fn values_are_truncated_and_whole_ones_kept() {
        let image = RgbImage::from_fn(256, 1, |x, _| image::Rgb([x as u8, 255 - x as u8, x as u8]));
        assert_eq!(Picture::from_rgb8(&image).to_rgb8_downwards(), image);
        for (level, cut) in [(7.9, 7), (7.1, 7), (254.99, 254), (300.0, 255), (-3.0, 0)] {
            assert_eq!(to_u8_downwards(level / 127.5 - 1.0), cut, "{level}");
        }
    }
}
