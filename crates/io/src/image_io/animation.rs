//! Animated PNG files.

use image::RgbImage;

use super::Picture;
use residua_core::error::{Error, Result};

/// An animated PNG of `frames`, each shown for `milliseconds`, which repeats without end. A program that does not know
/// animations shows the first frame.
///
/// # Errors
/// There is no frame, or they differ in size.
pub fn encode_apng(frames: &[Picture], milliseconds: u16) -> Result<Vec<u8>> {
    let frames: Vec<RgbImage> = frames.iter().map(Picture::to_rgb8).collect();
    let Some(first) = frames.first() else {
        return Err(Error::invalid("expected frames to animate, found none"));
    };
    if let Some(other) = frames.iter().find(|frame| frame.dimensions() != first.dimensions()) {
        let (expected, found) = (first.dimensions(), other.dimensions());
        return Err(Error::invalid(format!(
            "expected frames of {expected:?} pixels, found one of {found:?}"
        )));
    }
    encode(first, &frames, milliseconds)
        .map_err(|error| Error::invalid(format!("cannot encode an animated PNG: {error}")))
}

fn encode(first: &RgbImage, frames: &[RgbImage], milliseconds: u16) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, first.width(), first.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    if frames.len() > 1 {
        encoder.set_animated(frames.len() as u32, 0)?;
        encoder.set_frame_delay(milliseconds, 1000)?;
    }
    let mut writer = encoder.write_header()?;
    frames.iter().try_for_each(|frame| writer.write_image_data(frame.as_raw()))?;
    writer.finish()?;
    Ok(bytes)
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
            let found = image::DynamicImage::from(found.buffer().clone()).into_rgb8();
            assert_eq!(found, expected.to_rgb8());
        }
        assert_eq!(image::load_from_memory(&bytes).unwrap().into_rgb8(), frames[0].to_rgb8());
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
