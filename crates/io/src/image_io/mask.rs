//! Masks: images that select a part of another image.

use image::{DynamicImage, RgbImage};

use super::{Picture, decode};
use residua_core::error::Result;

/// Thresholds out of 255: the alpha of an opaque pixel, and each channel of a white one.
const OPAQUE: u8 = 128;
const WHITE: u8 = 240;

/// Reads a mask from the bytes of an image file: white where selected, black elsewhere. A mask without
/// transparency selects its white part. A mask painted in white on a transparent background selects the
/// painted part; any other mask with transparency, such as an image with a part erased, selects the
/// transparent part.
///
/// # Errors
/// The bytes are not an image, damaged or too large.
pub fn from_bytes(bytes: &[u8]) -> Result<Picture> {
    decode::upright(bytes).map(|image| meant(image).into())
}

/// Which cells of `h` rows and `w` columns, row-major, a mask at a model's resolution selects: those of at least middle
/// grey on average.
pub fn cells(mask: &Picture, h: usize, w: usize) -> Vec<bool> {
    let (rows, columns, width) = (mask.height() / h, mask.width() / w, mask.width());
    let brightness = |row: usize, column: usize| -> f32 {
        let pixels = (row * rows..(row + 1) * rows)
            .flat_map(|y| (column * columns..(column + 1) * columns).map(move |x| y * width + x));
        pixels.map(|pixel| mask.data()[pixel]).sum()
    };
    (0..h * w).map(|cell| brightness(cell / w, cell % w) >= 0.0).collect()
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
    RgbImage::from_raw(image.width(), image.height(), pixels).expect("three values per pixel")
}

#[cfg(test)]
mod tests {
    use image::{Rgb, Rgba, RgbaImage};

    use super::*;

    #[test]
    fn brightness_or_alpha_selects_the_part() {
        const WHITE: [u8; 4] = [255; 4];
        const BLACK: [u8; 4] = [0, 0, 0, 255];
        const BEIGE: [u8; 4] = [250, 240, 220, 255];
        const CLEAR: [u8; 4] = [0; 4];
        const CLEAR_WHITE: [u8; 4] = [255, 255, 255, 0];
        for (left, middle, right, expected) in [
            // Brightness.
            (WHITE, BLACK, BLACK, [255, 0, 0]),
            // White on transparent.
            (WHITE, CLEAR, CLEAR, [255, 0, 0]),
            (CLEAR_WHITE, WHITE, CLEAR_WHITE, [0, 255, 0]),
            // An image with a part erased, whatever was there.
            (CLEAR, BLACK, BEIGE, [255, 0, 0]),
            (BEIGE, CLEAR_WHITE, BLACK, [0, 255, 0]),
        ] {
            let image = RgbaImage::from_fn(3, 1, |x, _| Rgba([left, middle, right][x as usize]));
            let found: Vec<u8> = meant(image.into()).pixels().map(|pixel| pixel.0[0]).collect();
            assert_eq!(found, expected, "{left:?} {middle:?} {right:?}");
        }
    }

    #[test]
    fn a_cell_is_selected_if_most_of_it_is() {
        let mask = RgbImage::from_fn(6, 4, |x, y| Rgb([if x < 3 && y < 3 { 255 } else { 0 }; 3]));
        let found = cells(&Picture::from_rgb8(&mask), 2, 3);
        // Of the four pixels of each cell, these are white: 4, 2, 0 and 2, 1, 0.
        assert_eq!(found, [true, true, false, true, false, false]);
    }
}
