//! Images: from files to the models' pixels and back.

pub mod animation;
pub mod decode;
pub mod folder;
pub mod framing;
mod levels;
pub mod mask;
mod names;
mod places;
pub mod png_text;
pub mod present;
pub mod resize;
pub mod sheet;
mod wire;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use image::RgbImage;

use levels::{to_u8, values};
pub use places::run_of;
use png_text::Provenance;
use residua_core::error::{Error, Result};
use residua_core::files;
pub use wire::Bytes;

/// The largest image to read or create, in pixels. Checked before allocating anything of that size. In a
/// browser, memory is limited to 4 GB and a pixel takes up to 20 bytes.
pub const MAX_PIXELS: u64 = if cfg!(target_family = "wasm") { 64_000_000 } else { 256_000_000 };

/// An RGB image in the models' layout: planar (channel, row, column), f32. The range is `[-1, 1]`; a model's
/// output may exceed it, and is clamped only for display. An image from a file is kept in 8 bits, a quarter of the memory,
/// until its values are asked for.
#[derive(Clone)]
pub struct Picture {
    width: usize,
    height: usize,
    pixels: Pixels,
}

/// The pixels of an image.
#[derive(Clone, Debug)]
enum Pixels {
    /// Values, in (channel, row, column) order.
    Values(Vec<f32>),
    /// 8 bits, and their values if they were asked for.
    Levels(RgbImage, OnceLock<Vec<f32>>),
}

/// Equal pictures look equal, however their pixels are kept.
impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Picture")
            .field("width", &self.width)
            .field("height", &self.height)
            .field("data", &self.data())
            .finish()
    }
}

impl PartialEq for Picture {
    fn eq(&self, other: &Self) -> bool {
        let alike = (self.width, self.height) == (other.width, other.height);
        alike
            && match (&self.pixels, &other.pixels) {
                (Pixels::Levels(one, _), Pixels::Levels(other, _)) => one == other,
                _ => self.data() == other.data(),
            }
    }
}

/// Takes the pixels as they are; see [`Picture::from_rgb8`] for their values.
impl From<RgbImage> for Picture {
    fn from(image: RgbImage) -> Self {
        let (width, height) = (image.width() as usize, image.height() as usize);
        Self { width, height, pixels: Pixels::Levels(image, OnceLock::new()) }
    }
}

impl Picture {
    /// An image from `data`, `3 * height * width` values in (channel, row, column) order.
    ///
    /// # Errors
    /// A size is zero, there are more than [`MAX_PIXELS`], or `data` has the wrong length.
    pub fn new(width: usize, height: usize, data: Vec<f32>) -> Result<Self> {
        check_values(width, height, data.len())?;
        Ok(Self { width, height, pixels: Pixels::Values(data) })
    }

    /// Reads the file at `path` at full size; see [`decode`] for the accepted formats.
    ///
    /// # Errors
    /// The file is missing, not an image, damaged or too large.
    pub fn read(path: &Path) -> Result<Self> {
        decode::read(path).map(Self::from)
    }

    /// Decodes a file's bytes at full size; see [`decode`] for the accepted formats.
    ///
    /// # Errors
    /// The bytes are not an image, damaged or too large.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        decode::decode(bytes).map(Self::from)
    }

    /// The image at a model's resolution, `resolution x resolution`: the shorter side resized, the centre
    /// kept. Resizing works on 8-bit pixels, as in the published pipeline; see [`resize::fit`]. An image that
    /// already has the resolution is returned unchanged.
    ///
    /// # Errors
    /// `resolution` is zero, or its square is more than [`MAX_PIXELS`].
    pub fn fit(&self, resolution: usize) -> Result<Self> {
        if (self.width, self.height) == (resolution, resolution) {
            return Ok(self.clone());
        }
        resize::fit(&self.levels(to_u8), resolution).map(Self::from)
    }

    /// The part of `width x height` pixels whose top left corner is at (`left`, `top`).
    ///
    /// # Errors
    /// The part is empty, or not within the image.
    pub fn crop(&self, left: usize, top: usize, width: usize, height: usize) -> Result<Self> {
        let within =
            |from: usize, size: usize, all: usize| from.checked_add(size).is_some_and(|end| end <= all);
        if !within(left, width, self.width) || !within(top, height, self.height) {
            return Err(Error::usage(format!(
                "{width}x{height} pixels at ({left}, {top}) are not within a picture of {}x{}",
                self.width, self.height
            )));
        }
        check_size(width as u64, height as u64)?;
        let data = match &self.pixels {
            Pixels::Levels(image, _) => {
                let [left, top, width, height] = [left, top, width, height].map(|size| size as u32);
                return Ok(image::imageops::crop_imm(image, left, top, width, height).to_image().into());
            }
            Pixels::Values(data) => data,
        };
        let row = |channel: usize, y: usize| (channel * self.height + top + y) * self.width + left;
        let rows = (0..3).flat_map(|channel| (0..height).map(move |y| row(channel, y)));
        let data = rows.flat_map(|start| data[start..start + width].iter().copied()).collect();
        Self::new(width, height, data)
    }

    /// Every n-th pixel of every n-th row, with the smallest n for which no side is longer than `longest`: a
    /// quick preview of an image that is too large for a screen.
    ///
    /// # Panics
    /// If `longest` is zero.
    pub fn thinned(&self, longest: usize) -> Self {
        let step = self.width.max(self.height).div_ceil(longest);
        let [width, height] = [self.width, self.height].map(|size| size.div_ceil(step));
        let data = match &self.pixels {
            Pixels::Levels(image, _) => {
                let pixel = |x: u32, y: u32| *image.get_pixel(x * step as u32, y * step as u32);
                return RgbImage::from_fn(width as u32, height as u32, pixel).into();
            }
            Pixels::Values(data) => data,
        };
        let rows = (0..3).flat_map(|channel| {
            let row = move |y: usize| (channel * self.height + y) * self.width;
            (0..self.height).step_by(step).map(row)
        });
        let data = rows.flat_map(|start| data[start..start + self.width].iter().step_by(step));
        Self { width, height, pixels: Pixels::Values(data.copied().collect()) }
    }

    /// This picture if no side is longer than `longest`, else a smaller copy; see [`Self::thinned`].
    ///
    /// # Panics
    /// If `longest` is zero.
    pub fn showable(self: Arc<Self>, longest: usize) -> Arc<Self> {
        if self.width.max(self.height) <= longest { self } else { Arc::new(self.thinned(longest)) }
    }

    /// Writes an 8-bit PNG that carries `provenance`, with models named relative to its folder, completely or
    /// not at all.
    ///
    /// # Errors
    /// The file cannot be written, or the provenance is too large.
    pub fn save_png(&self, path: &Path, provenance: &Provenance) -> Result<()> {
        files::save(path, &self.to_png(provenance, path)?)
    }

    /// The bytes of an 8-bit PNG for `path` that carries `provenance`: models are named relative to its
    /// folder.
    ///
    /// # Errors
    /// The provenance is too large.
    pub fn to_png(&self, provenance: &Provenance, path: &Path) -> Result<Vec<u8>> {
        png_text::encode_png(&self.levels(to_u8), &provenance.seen_from(path))
    }

    /// The bytes of an 8-bit PNG that is marked as several pictures in one, so that it is never taken for data.
    ///
    /// # Errors
    /// The picture cannot be encoded.
    pub fn to_sheet(&self) -> Result<Vec<u8>> {
        png_text::encode_sheet(&self.levels(to_u8))
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The values, in (channel, row, column) order.
    pub fn data(&self) -> &[f32] {
        match &self.pixels {
            Pixels::Values(data) => data,
            Pixels::Levels(image, data) => data.get_or_init(|| values(image)),
        }
    }

    /// Returns the values, in (channel, row, column) order.
    pub fn into_data(self) -> Vec<f32> {
        match self.pixels {
            Pixels::Values(data) => data,
            Pixels::Levels(image, data) => data.into_inner().unwrap_or_else(|| values(&image)),
        }
    }
}

/// The image in the file with these `bytes`, if it was changed after Residua wrote it, so that the codes in it no
/// longer match its pixels. Pixels are decoded only if the file has a checksum to compare them with.
pub fn edited(bytes: &[u8]) -> Option<RgbImage> {
    let expected = png_text::pixels(bytes)?;
    decode::decode(bytes).ok().filter(|image| png_text::checksum(image) != expected)
}

/// Refuses sizes that are empty or too large, and another number of values than three for each pixel.
fn check_values(width: usize, height: usize, found: usize) -> Result<()> {
    check_size(width as u64, height as u64)?;
    if found != 3 * width * height {
        return Err(Error::invalid(format!(
            "a picture of {width}x{height} needs 3 values per pixel, found {found}"
        )));
    }
    Ok(())
}

/// Refuses sizes that are empty or too large.
fn check_size(width: u64, height: u64) -> Result<()> {
    if width == 0 || height == 0 {
        return Err(Error::invalid(format!(
            "a picture of {width}x{height} has no pixels: expected at least one"
        )));
    }
    if width.checked_mul(height).is_none_or(|pixels| pixels > MAX_PIXELS) {
        let limit = MAX_PIXELS / 1_000_000;
        return Err(Error::invalid(format!(
            "a picture of {width}x{height} is more than the {limit} megapixels allowed: make it smaller first"
        )));
    }
    Ok(())
}

/// Helpers shared by the tests of this folder.
#[cfg(test)]
mod testing {
    use super::*;

    /// The bytes of a fixture.
    pub fn fixture(name: &str) -> Vec<u8> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/imageio/");
        std::fs::read(format!("{folder}{name}")).unwrap()
    }

    /// The pixels of a fixture.
    pub fn pixels(name: &str) -> RgbImage {
        decode::decode(&fixture(name)).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::levels::from_u8;
    use super::*;

    #[test]
    fn sizes_are_checked() {
        for (width, height, found) in [
            (0, 5, "0x5 has no pixels: expected at least one"),
            (100_000, 100_000, "more than the 256 megapixels allowed"),
            (usize::MAX, 2, "more than the 256 megapixels allowed"),
            (2, 2, "needs 3 values per pixel, found 5"),
        ] {
            let message = Picture::new(width, height, vec![0.0; 5]).unwrap_err().to_string();
            assert!(message.contains(found), "{message}");
        }
    }

    #[test]
    fn a_large_picture_is_thinned() {
        let picture = Picture::new(5, 2, (0..30).map(|i| i as f32).collect()).unwrap();
        assert_eq!(picture.thinned(5), picture);
        let expected = Picture::new(3, 1, [0, 2, 4, 10, 12, 14, 20, 22, 24].map(|i| i as f32).to_vec());
        assert_eq!(picture.thinned(3), expected.unwrap());
        assert_eq!(picture.thinned(4).width(), 3);
    }

    /// Pixels of a file, kept in 8 bits, and the same values as floats.
    #[test]
    fn a_file_and_its_values_are_one_picture() {
        for name in ["landscape.png", "portrait.png"] {
            let image = testing::pixels(name);
            let file = Picture::from(image.clone());
            let (width, height) = (file.width(), file.height());
            let channels =
                (0..3usize).flat_map(|channel| image.pixels().map(move |pixel| from_u8(pixel.0[channel])));
            let floats = Picture::new(width, height, channels.collect()).unwrap();
            assert_eq!(file.clone(), file);
            assert_eq!(file, floats);
            assert_ne!(file, Picture::from(testing::pixels("square.png")));
            assert_eq!(file.clone().into_data(), floats.data());
            assert_eq!(file.to_rgb8_downwards(), floats.to_rgb8_downwards());
            assert_eq!(file.thinned(9), floats.thinned(9));
            assert_eq!(file.crop(3, 2, 7, 5).unwrap(), floats.crop(3, 2, 7, 5).unwrap());
            assert!(file.crop(0, 0, 0, 1).is_err() && file.crop(width - 1, 0, 2, 1).is_err());
            assert_eq!(file.fit(17).unwrap(), floats.fit(17).unwrap());
        }
    }

    #[test]
    fn a_fitting_picture_keeps_its_floats() {
        let picture = Picture::new(1, 1, vec![0.123, 5.0, -7.0]).unwrap();
        assert_eq!(picture.fit(1).unwrap(), picture);
        assert_eq!(picture.fit(3).unwrap().height(), 3);
    }

    #[test]
    fn a_saved_picture_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let picture = Picture::from_rgb8(&testing::pixels("square.png"));
        picture.save_png(&path, &Provenance::default()).unwrap();
        assert_eq!(Picture::read(&path).unwrap(), picture);
        assert_eq!(Picture::from_bytes(&std::fs::read(&path).unwrap()).unwrap(), picture);
    }
}
