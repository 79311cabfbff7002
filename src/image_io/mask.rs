//! Masks: pictures that say which part of another is meant.

use image::{DynamicImage, RgbImage};

use super::{Picture, decode};
use crate::error::Result;

/// Of 255: from where on a pixel counts as opaque, and each channel of one as white.
const OPAQUE: u8 = 128;
const WHITE: u8 = 240;

/// Reads a mask from a picture file's bytes: white where it means, black elsewhere. A mask without transparent parts means its
/// white part. One that is painted in white on a transparent ground means what is painted; any other, such as a picture with
/// a part rubbed out, means its transparent part.
///
/// # Errors
/// The bytes are no picture, damaged or too large.
pub fn from_bytes(bytes: &[u8]) -> Result<Picture> {
    decode::upright(bytes).map(|image| Picture::from_rgb8(&meant(image)))
}

fn meant(image: DynamicImage) -> RgbImage {
    let image = image.into_rgba8();
    let is_opaque = |pixel: &image::Rgba<u8>| pixel.0[3] >= OPAQUE;
    let is_white = |pixel: &image::Rgba<u8>| pixel.0[..3].iter().all(|&channel| channel >= WHITE);
    let has_alpha = image.pixels().any(|pixel| !is_opaque(pixel));
    let is_painted =
        image.pixels().any(is_opaque) && image.pixels().filter(|pixel| is_opaque(pixel)).all(is_white);
    let value = |&image::Rgba([r, g, b, a]): &image::Rgba<u8>| match (has_alpha, is_painted) {
        (false, _) => [r, g, b],
        (true, true) => [a; 3],
        (true, false) => [255 - a; 3],
    };
    let pixels = image.pixels().flat_map(value).collect();
    RgbImage::from_raw(image.width(), image.height(), pixels).expect("three values a pixel")
}

#[cfg(test)]
mod tests {
    use image::{Rgba, RgbaImage};

    use super::*;

    #[test]
    fn brightness_or_alpha_says_what_is_meant() {
        const WHITE: [u8; 4] = [255; 4];
        const BLACK: [u8; 4] = [0, 0, 0, 255];
        const BEIGE: [u8; 4] = [250, 240, 220, 255];
        const CLEAR: [u8; 4] = [0; 4];
        const CLEAR_WHITE: [u8; 4] = [255, 255, 255, 0];
        for (left, middle, right, expected) in [
            // Brightness.
            (WHITE, BLACK, BLACK, [255, 0, 0]),
            // White on nothing.
            (WHITE, CLEAR, CLEAR, [255, 0, 0]),
            (CLEAR_WHITE, WHITE, CLEAR_WHITE, [0, 255, 0]),
            // A picture with a part rubbed out, whatever was there.
            (CLEAR, BLACK, BEIGE, [255, 0, 0]),
            (BEIGE, CLEAR_WHITE, BLACK, [0, 255, 0]),
        ] {
            let image = RgbaImage::from_fn(3, 1, |x, _| Rgba([left, middle, right][x as usize]));
            let found: Vec<u8> = meant(image.into()).pixels().map(|pixel| pixel.0[0]).collect();
            assert_eq!(found, expected, "{left:?} {middle:?} {right:?}");
        }
    }
}
