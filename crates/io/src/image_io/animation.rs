//! Animated PNG files. A frame is stored as its changes from the one before.

use image::{DynamicImage, RgbImage, Rgba, RgbaImage};

use super::Picture;
use residua_core::error::{Error, Result};

/// A frame of an animation.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// What it shows.
    pub pixels: RgbImage,
    /// How long it is shown.
    pub milliseconds: u16,
}

/// An animated PNG of `frames`, each shown for `milliseconds`; see [`encode_frames`].
///
/// # Errors
/// There is no frame, or they differ in size.
pub fn encode_apng(frames: &[Picture], milliseconds: u16) -> Result<Vec<u8>> {
    let frames = frames.iter().map(|frame| Frame { pixels: frame.to_rgb8(), milliseconds });
    encode_frames(&frames.collect::<Vec<_>>())
}

/// An animated PNG of `frames`, which repeats without end. A program that does not know animations shows the first frame.
///
/// # Errors
/// There is no frame, or they differ in size.
pub fn encode_frames(frames: &[Frame]) -> Result<Vec<u8>> {
    let Some(first) = frames.first() else {
        return Err(Error::invalid("expected frames to animate, found none"));
    };
    let expected = first.pixels.dimensions();
    if let Some(found) = frames.iter().map(|frame| frame.pixels.dimensions()).find(|size| *size != expected) {
        return Err(Error::invalid(format!(
            "expected frames of {expected:?} pixels, found one of {found:?}"
        )));
    }
    encode(first, frames).map_err(|error| Error::invalid(format!("cannot encode an animated PNG: {error}")))
}

fn encode(first: &Frame, frames: &[Frame]) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, first.pixels.width(), first.pixels.height());
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    if frames.len() > 1 {
        encoder.set_animated(frames.len() as u32, 0)?;
        encoder.set_frame_delay(first.milliseconds, 1000)?;
        encoder.set_blend_op(png::BlendOp::Over)?;
    }
    let mut writer = encoder.write_header()?;
    writer.write_image_data(DynamicImage::from(first.pixels.clone()).into_rgba8().as_raw())?;
    for pair in frames.windows(2) {
        let Change { left, top, pixels } = Change::between(&pair[0].pixels, &pair[1].pixels);
        // Position plus size must stay within the canvas after each call.
        writer.set_frame_position(0, 0)?;
        writer.set_frame_dimension(pixels.width(), pixels.height())?;
        writer.set_frame_position(left, top)?;
        writer.set_frame_delay(pair[1].milliseconds, 1000)?;
        writer.write_image_data(pixels.as_raw())?;
    }
    writer.finish()?;
    Ok(bytes)
}

/// The smallest part of a frame that has all its changes from the frame before. Pixels that stay are transparent.
struct Change {
    left: u32,
    top: u32,
    pixels: RgbaImage,
}

impl Change {
    /// The change between frames of one size. It has at least one pixel, as PNG demands.
    fn between(before: &RgbImage, now: &RgbImage) -> Self {
        let changes = |x: u32, y: u32| before.get_pixel(x, y) != now.get_pixel(x, y);
        let places = now.enumerate_pixels().map(|(x, y, _)| (x, y));
        let changed: Vec<(u32, u32)> = places.filter(|&(x, y)| changes(x, y)).collect();
        let span = |along: fn(&(u32, u32)) -> u32| {
            let first = changed.iter().map(along).min().unwrap_or(0);
            (first, changed.iter().map(along).max().unwrap_or(0) - first + 1)
        };
        let ((left, width), (top, height)) = (span(|place| place.0), span(|place| place.1));
        // A few holes would only make it harder to compress.
        let is_dense = 2 * changed.len() > width as usize * height as usize;
        let pixels = RgbaImage::from_fn(width, height, |x, y| {
            let (x, y) = (left + x, top + y);
            let [r, g, b] = now.get_pixel(x, y).0;
            Rgba(if is_dense || changes(x, y) { [r, g, b, 255] } else { [0; 4] })
        });
        Self { left, top, pixels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::codecs::png::PngDecoder;
    use image::{AnimationDecoder, ImageDecoder};
    use std::io::Cursor;
    use std::time::Duration;

    fn flat(width: usize, value: f32) -> Picture {
        Picture::new(width, 2, vec![value; 6 * width]).unwrap()
    }

    /// As another crate decodes it.
    #[test]
    fn frames_come_back_with_their_time() {
        let frames = [flat(3, -1.0), flat(3, 0.5), flat(3, 1.0)];
        let bytes = encode_apng(&frames, 80).unwrap();
        let decoder = PngDecoder::new(Cursor::new(&bytes)).unwrap();
        assert_eq!(decoder.dimensions(), (3, 2));
        let found = decoder.apng().unwrap().into_frames().collect_frames().unwrap();
        assert_eq!(found.len(), 3);
        for (found, expected) in found.iter().zip(&frames) {
            assert_eq!(Duration::from(found.delay()), Duration::from_millis(80));
            let found = DynamicImage::from(found.buffer().clone()).into_rgb8();
            assert_eq!(found, expected.to_rgb8());
        }
        assert_eq!(image::load_from_memory(&bytes).unwrap().into_rgb8(), frames[0].to_rgb8());
    }

    /// A pixel that changes, a frame like the one before, two corners that change, and a whole new picture.
    #[test]
    fn frames_that_change_in_part_come_back_with_their_own_times() {
        let noise = |seed: u32| RgbImage::from_fn(40, 30, |x, y| image::Rgb(mixed(x, y, seed)));
        let mut pixels = noise(1);
        let mut frames = vec![Frame { pixels: pixels.clone(), milliseconds: 1200 }];
        pixels.put_pixel(17, 9, image::Rgb([0; 3]));
        frames.push(Frame { pixels: pixels.clone(), milliseconds: 80 });
        frames.push(Frame { pixels: pixels.clone(), milliseconds: 500 });
        pixels.put_pixel(0, 0, image::Rgb([255; 3]));
        pixels.put_pixel(39, 29, image::Rgb([0; 3]));
        frames.push(Frame { pixels, milliseconds: 40 });
        let small = encode_frames(&frames).unwrap();
        frames.push(Frame { pixels: noise(2), milliseconds: 3000 });
        let bytes = encode_frames(&frames).unwrap();
        let decoder = PngDecoder::new(Cursor::new(&bytes)).unwrap();
        let found = decoder.apng().unwrap().into_frames().collect_frames().unwrap();
        assert_eq!(found.len(), frames.len());
        for (found, Frame { pixels, milliseconds }) in found.iter().zip(&frames) {
            assert_eq!(Duration::from(found.delay()), Duration::from_millis(u64::from(*milliseconds)));
            let found = DynamicImage::from(found.buffer().clone()).into_rgb8();
            assert!(found == *pixels);
        }
        let alone = encode_frames(&frames[..1]).unwrap();
        assert!(
            small.len() < alone.len() + 600,
            "{} bytes, the first frame has {}",
            small.len(),
            alone.len()
        );
        assert!(bytes.len() > small.len() + 3000, "a new picture takes its space");
    }

    /// Colours without a pattern.
    fn mixed(x: u32, y: u32, seed: u32) -> [u8; 3] {
        let [r, g, b, _] = residua_core::random::pcg4d([x, y, seed, 0]);
        [r as u8, g as u8, b as u8]
    }

    #[test]
    fn frames_of_two_sizes_are_refused() {
        assert!(encode_apng(&[], 80).is_err());
        assert!(encode_apng(&[flat(3, 0.0), flat(2, 0.0)], 80).is_err());
        assert!(
            !PngDecoder::new(Cursor::new(encode_apng(&[flat(3, 0.0)], 80).unwrap()))
                .unwrap()
                .is_apng()
                .unwrap()
        );
    }
}
