//! Files that end too early: those that still have all pixels are read.

use image::{DynamicImage, ImageFormat};

use super::super::png_text;
use super::whole;

/// The end marker of a JPEG.
const JPEG_END: &[u8] = b"\xff\xd9";
/// Data appended to a JPEG without an end marker, to detect pixels that depend on it.
const STRANGE_DATA: [[u8; 1024]; 2] = [[0x00; 1024], [0x55; 1024]];

/// The image in the `bytes` of a file without its end, if all its pixels are there.
pub fn without_end(bytes: &[u8], format: ImageFormat, name: &str) -> Option<DynamicImage> {
    match format {
        ImageFormat::Png => whole(&[bytes, png_text::END].concat(), format, name).ok(),
        ImageFormat::Jpeg if !jpeg_is_whole(bytes) => {
            // The first half of the marker may be there.
            let bytes = bytes.strip_suffix(&JPEG_END[..1]).unwrap_or(bytes);
            let decoded = |more: &[u8]| whole(&[bytes, more, JPEG_END].concat(), format, name).ok();
            let image = decoded(&[])?;
            let is_complete = STRANGE_DATA.iter().all(|more| decoded(more).as_ref() == Some(&image));
            is_complete.then_some(image)
        }
        _ => None,
    }
}

/// Whether a JPEG's scans are followed by an end marker. The decoder fills missing parts of a truncated file
/// with grey.
pub fn jpeg_is_whole(bytes: &[u8]) -> bool {
    const END: u8 = 0xd9;
    const START_OF_SCAN: u8 = 0xda;
    // The start marker is followed by segments, each with a marker and a length. A start-of-scan segment is
    // followed by its data, in which 0xff is either escaped by a zero or begins a restart marker (0xd0 to
    // 0xd7).
    let mut at = 2;
    let mut in_scan = false;
    loop {
        match (in_scan, &bytes[at.min(bytes.len())..]) {
            (_, [0xff, END, ..]) => return true,
            (_, [0xff, 0xff, ..]) => at += 1,
            (true, [0xff, 0 | 0xd0..=0xd7, ..]) => at += 2,
            (_, [0xff, marker, high, low, ..]) => {
                in_scan = *marker == START_OF_SCAN;
                at += 2 + usize::from(u16::from_be_bytes([*high, *low]));
            }
            (_, [_, _, ..]) => at += 1,
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::super::super::testing::fixture;
    use super::super::tests::{colours, encode, message};
    use super::super::{FORMATS, decode};
    use super::*;

    #[test]
    fn truncated_files_are_refused() {
        let mut whole = vec![fixture("cmyk.jpg"), fixture("turned.jpg"), fixture("animated.webp")];
        whole.extend(FORMATS.map(|(format, _)| encode(colours(), format)));
        for bytes in &whole {
            decode(bytes).unwrap();
            for length in [bytes.len() / 4, bytes.len() / 2, bytes.len() * 3 / 4] {
                let message = message(&bytes[..length]);
                assert!(message.contains(" picture cannot be decoded: "), "{message}");
            }
        }
        let jpeg = fixture("turned.jpg");
        assert!(message(&jpeg[..jpeg.len() - 12]).ends_with("the file ends before the picture does"));
    }

    #[test]
    fn files_with_all_pixels_but_no_end_are_read() {
        let noise = RgbImage::from_fn(50, 41, |x, y| {
            Rgb([0, 1, 2]
                .map(|c| (x * 7919 + y * 104_729 + c * 31).wrapping_mul(2_654_435_761).to_be_bytes()[0]))
        });
        let jpegs = [fixture("cmyk.jpg"), fixture("turned.jpg"), encode(noise.clone(), ImageFormat::Jpeg)];
        for jpeg in jpegs {
            let cut = |by: usize| decode(&jpeg[..jpeg.len() - by]);
            for by in [1, 2] {
                assert_eq!(cut(by).unwrap(), decode(&jpeg).unwrap());
            }
            for by in [10, 20, 40, 100] {
                assert!(cut(by).is_err(), "{by}");
            }
        }
        let png = encode(noise.clone(), ImageFormat::Png);
        assert_eq!(decode(&png[..png.len() - 12]).unwrap(), noise);
        assert!(decode(&png[..png.len() - 40]).is_err());
    }
}
