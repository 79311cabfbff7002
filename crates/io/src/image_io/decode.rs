//! Decodes image files (PNG, JPEG, WebP, GIF and BMP of any colour type) to upright 8-bit RGB.
//!
//! Alpha is composited on white at full size, and the EXIF orientation is applied: what people see. (The
//! published loader drops alpha, which shows colours that were never visible, and ignores the orientation.)
//! 16 bits are rounded to 8; animations give their first frame, with a warning.

mod truncated;

use std::io::Cursor;
use std::path::Path;

use image::codecs::{png::PngDecoder, webp::WebPDecoder};
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};

use super::{MAX_PIXELS, check_size};
use residua_core::error::{Error, Result};
use residua_core::files::{self, kinds};
use residua_core::memory;
use truncated::{jpeg_is_whole, without_end};

/// The supported formats, by their names in messages.
const FORMATS: [(ImageFormat, &str); 5] = [
    (ImageFormat::Png, "PNG"),
    (ImageFormat::Jpeg, "JPEG"),
    (ImageFormat::WebP, "WebP"),
    (ImageFormat::Gif, "GIF"),
    (ImageFormat::Bmp, "BMP"),
];

/// The size limit for an image file, in bytes.
pub(super) const MAX_FILE_BYTES: u64 = 1 << 30;

/// Reads the image at `path`, at full size.
///
/// # Errors
/// The file is missing, empty, not an image, damaged, or has more than [`MAX_PIXELS`]; the message names
/// `path`.
pub fn read(path: &Path) -> Result<RgbImage> {
    files::read_with(path, MAX_FILE_BYTES, decode)
}

/// Decodes the bytes of an image file, at full size.
///
/// # Errors
/// The bytes are empty, not an image, damaged, or have more than [`MAX_PIXELS`].
pub fn decode(bytes: &[u8]) -> Result<RgbImage> {
    let image = upright(bytes)?;
    Ok(if image.color().has_alpha() { on_white(image) } else { image.into_rgb8() })
}

/// The image in `bytes`, upright, with its alpha.
///
/// # Errors
/// Those of [`decode`].
pub(super) fn upright(bytes: &[u8]) -> Result<DynamicImage> {
    let (format, name) = recognise(bytes)?;
    let image = match whole(bytes, format, name) {
        Ok(image) => image,
        Err(error) => without_end(bytes, format, name).ok_or(error)?,
    };
    if is_animated(bytes, format) {
        tracing::warn!("an animated {name} picture: only its first frame is used");
    }
    Ok(image)
}

/// The image in the `bytes` of a complete file.
fn whole(bytes: &[u8], format: ImageFormat, name: &str) -> Result<DynamicImage> {
    let damaged =
        |error| Error::invalid(format!("the {name} picture cannot be decoded: {}", one_line(&error)));

    if format == ImageFormat::Png {
        check_png_header(bytes)?;
    }
    let is_cut = format == ImageFormat::Jpeg && !jpeg_is_whole(bytes);
    let cut = || Error::invalid("the JPEG picture cannot be decoded: the file ends before the picture does");
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits());
    let mut decoder = reader.into_decoder().map_err(|error| if is_cut { cut() } else { damaged(error) })?;
    let (width, height) = decoder.dimensions();
    check_size(width.into(), height.into())?;
    // Unreadable EXIF data is no reason to refuse the pixels.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    check_memory(&decoder, orientation)?;
    if is_cut {
        return Err(cut());
    }
    let mut image = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    image.apply_orientation(orientation);
    Ok(image)
}

/// The decoders' own limits, as a fallback behind [`check_size`]: memory for four 16-bit channels.
fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_PIXELS * 8 + (1 << 20));
    limits
}

/// Detects the format by the file's first bytes; its name does not matter.
fn recognise(bytes: &[u8]) -> Result<(ImageFormat, &'static str)> {
    if bytes.is_empty() {
        return Err(Error::invalid("an empty file: expected a picture"));
    }
    let format = image::guess_format(bytes).ok();
    FORMATS.into_iter().find(|&(known, _)| Some(known) == format).ok_or_else(|| {
        let found = match (kinds::known(bytes), format) {
            (None, Some(other)) => format!("{other:?}"),
            _ => kinds::found(bytes).to_owned(),
        };
        let names = FORMATS.map(|(_, name)| name).join(", ");
        Error::invalid(format!("expected a picture ({names}), found {found}"))
    })
}

/// Checks the size in a PNG's header. The decoder allocates rows of the image's width before it reports the
/// width.
fn check_png_header(bytes: &[u8]) -> Result<()> {
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    // The decoder itself reports a damaged header.
    decoder.read_header_info().map_or(Ok(()), |info| check_size(info.width.into(), info.height.into()))
}

/// Refuses an image that does not fit in memory. Otherwise the decoder would end the program.
fn check_memory(decoder: &impl ImageDecoder, orientation: Orientation) -> Result<()> {
    let needed = memory_needed(decoder, orientation);
    if memory::can_hold(needed) {
        return Ok(());
    }
    let ((width, height), megabytes) = (decoder.dimensions(), needed / 1_000_000);
    Err(Error::invalid(format!(
        "a picture of {width}x{height} needs {megabytes} MB of memory, more than is free: make it smaller or close other programs"
    )))
}

/// The most bytes that the image takes while it is decoded, turned upright and converted, one after the other.
fn memory_needed(decoder: &impl ImageDecoder, orientation: Orientation) -> u64 {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    let (width, height) = decoder.dimensions();
    let decoded = decoder.total_bytes();
    // Rows become columns of a copy. Other orientations are reached in place.
    let is_turned = matches!(orientation, Rotate90 | Rotate90FlipH | Rotate270 | Rotate270FlipH);
    let turned = if is_turned { decoded } else { 0 };
    // Other colours are converted: to four channels if there is transparency, then to three.
    let channels = if decoder.color_type() == ColorType::Rgb8 { 0 } else { 4 };
    decoded + turned.max(channels * u64::from(width) * u64::from(height))
}

/// The decoder's message in one line, as some have several, without the names of its own parts.
fn one_line(error: &image::ImageError) -> String {
    let text = error.to_string();
    let of_format = text.split_once(": ").filter(|(start, _)| start.starts_with("Format error decoding"));
    let reason = of_format.map_or(text.as_str(), |(_, reason)| reason);
    let reason = reason.split_once(" while decoding ChunkType").map_or(reason, |(reason, _)| reason);
    reason.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether there is a second frame. Errors in later frames do not matter here.
fn is_animated(bytes: &[u8], format: ImageFormat) -> bool {
    let source = Cursor::new(bytes);
    match format {
        ImageFormat::Png => {
            PngDecoder::with_limits(source, limits()).and_then(|png| png.is_apng()).unwrap_or(false)
        }
        ImageFormat::WebP => WebPDecoder::new(source).is_ok_and(|webp| webp.has_animation()),
        // The end of a file without its last byte is an error, not a frame.
        ImageFormat::Gif => has_second_frame(source),
        _ => false,
    }
}

/// Whether a GIF has a second frame. No frame is decoded: each would need as much memory as the picture.
fn has_second_frame(source: Cursor<&[u8]>) -> bool {
    let mut options = gif::DecodeOptions::new();
    options.skip_frame_decoding(true);
    options.read_info(source).is_ok_and(|mut frames| {
        let mut has_next = || matches!(frames.next_frame_info(), Ok(Some(_)));
        has_next() && has_next()
    })
}

/// Composites on white, with Pillow's rounding to nearest: `(s * a + 255 * (255 - a)) / 255`.
fn on_white(image: DynamicImage) -> RgbImage {
    let image = image.into_rgba8();
    let (width, height) = image.dimensions();
    let over = |[r, g, b, a]: [u8; 4]| {
        [r, g, b].map(|value| {
            let sum = u32::from(value) * u32::from(a) + 255 * (255 - u32::from(a));
            ((sum + 127) / 255) as u8
        })
    };
    let pixels = image.pixels().flat_map(|pixel| over(pixel.0)).collect();
    RgbImage::from_raw(width, height, pixels).expect("three values per pixel")
}

#[cfg(test)]
mod tests {
    use image::codecs::gif::GifEncoder;
    use image::{Frame, ImageBuffer, Luma, Rgb, Rgba, RgbaImage};
    use proptest::prelude::*;

    use super::super::testing::{fixture, pixels};
    use super::*;

    pub fn encode(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.into().write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    pub fn message(bytes: &[u8]) -> String {
        let message = decode(bytes).unwrap_err().to_string();
        assert!(!message.contains('\n'), "{message}");
        message
    }

    pub fn colours() -> RgbImage {
        RgbImage::from_fn(20, 10, |x, y| Rgb([x as u8 * 12, y as u8 * 25, 77]))
    }

    fn largest_difference(a: &RgbImage, b: &RgbImage) -> u8 {
        assert_eq!(a.dimensions(), b.dimensions());
        a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
    }

    #[test]
    fn every_format_and_colour_type_is_read() {
        for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp] {
            assert_eq!(decode(&encode(colours(), format)).unwrap(), colours(), "{format:?}");
        }
        assert!(largest_difference(&decode(&encode(colours(), ImageFormat::Jpeg)).unwrap(), &colours()) < 16);
        let grey = ImageBuffer::<Luma<u8>, _>::from_fn(3, 1, |x, _| Luma([x as u8 * 9]));
        assert_eq!(
            decode(&encode(grey, ImageFormat::Png)).unwrap().as_raw(),
            &[0, 0, 0, 9, 9, 9, 18, 18, 18]
        );
        let deep = ImageBuffer::<Rgb<u16>, _>::from_pixel(1, 1, Rgb([0, 0x8080, 0xffff]));
        assert_eq!(decode(&encode(deep, ImageFormat::Png)).unwrap().as_raw(), &[0, 128, 255]);
        let deep_grey = ImageBuffer::<Luma<u16>, _>::from_pixel(1, 1, Luma([0x0202u16]));
        assert_eq!(decode(&encode(deep_grey, ImageFormat::Png)).unwrap().as_raw(), &[2; 3]);
        let deep_alpha = ImageBuffer::<Rgba<u16>, _>::from_pixel(1, 1, Rgba([0, 0, 0, 0]));
        assert_eq!(decode(&encode(deep_alpha, ImageFormat::Png)).unwrap().as_raw(), &[255; 3]);
    }

    #[test]
    fn palettes_cmyk_and_orientation_match_pillow() {
        assert_eq!(pixels("palette.png"), pixels("palette_expected.png"));
        assert!(largest_difference(&pixels("cmyk.jpg"), &pixels("cmyk_expected.png")) <= 4);
        assert!(largest_difference(&pixels("turned.jpg"), &pixels("turned_expected.png")) <= 3);
    }

    #[test]
    fn alpha_is_composited_on_white() {
        for (value, alpha, expected) in
            [(0, 0, 255), (0, 255, 0), (0, 128, 127), (200, 51, 244), (255, 7, 255)]
        {
            let image = RgbaImage::from_pixel(1, 1, Rgba([value, value, value, alpha]));
            assert_eq!(decode(&encode(image, ImageFormat::Png)).unwrap().as_raw(), &[expected; 3]);
        }
    }

    #[test]
    fn the_first_frame_of_an_animation_is_read() {
        for name in ["animated.png", "animated.webp", "animated.gif"] {
            let (format, _) = recognise(&fixture(name)).unwrap();
            assert!(is_animated(&fixture(name), format), "{name}");
            let image = pixels(name);
            assert_eq!(image.dimensions(), (8, 6));
            assert!(image.pixels().all(|pixel| pixel.0 == [255, 0, 0]), "{name}");
        }
        let mut still = Vec::new();
        let transparent = RgbaImage::from_pixel(4, 4, Rgba([9, 9, 9, 0]));
        GifEncoder::new(&mut still).encode_frame(Frame::new(transparent)).unwrap();
        assert!(decode(&still).unwrap().pixels().all(|pixel| pixel.0 == [255; 3]));
        assert!(!is_animated(&still, ImageFormat::Gif));
        // Without its last byte, the trailer.
        let cut = &still[..still.len() - 1];
        assert_eq!(decode(cut).unwrap(), decode(&still).unwrap());
        assert!(!is_animated(cut, ImageFormat::Gif));
        for (format, _) in FORMATS {
            assert!(!is_animated(&encode(colours(), format), format), "{format:?}");
        }
    }

    #[test]
    fn missing_empty_and_foreign_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let message_of = |path: &Path| read(path).unwrap_err().to_string();
        assert!(message_of(&path).starts_with("cannot read "), "{}", message_of(&path));
        let folder = message_of(folder.path());
        assert!(folder.starts_with("expected a file, found a folder"), "{folder}");
        std::fs::write(&path, "").unwrap();
        assert!(
            message_of(&path).ends_with("a.png: an empty file: expected a picture"),
            "{}",
            message_of(&path)
        );
        assert_eq!(message(b"hello"), "expected a picture (PNG, JPEG, WebP, GIF, BMP), found something else");
        assert!(message(b"\xef\xbb\xbf\x89PNG\r\n\x1a\n").ends_with("found something else"));
        let found = |bytes: &[u8]| {
            message(bytes).replace("expected a picture (PNG, JPEG, WebP, GIF, BMP), found ", "")
        };
        assert_eq!(found(b"II*\0...."), "a TIFF picture, or a camera's raw one: save it as PNG or JPEG");
        assert_eq!(found(b"P6 1 1 255 abc"), "Pnm");
    }

    #[test]
    fn messages_do_not_mention_the_decoders_parts() {
        let mut damaged = encode(colours(), ImageFormat::Png);
        let at = damaged.windows(4).position(|name| name == b"IDAT").unwrap();
        let length = u32::from_be_bytes(damaged[at - 4..at].try_into().unwrap()) as usize;
        damaged[at + 4 + length] ^= 1;
        let message = message(&damaged);
        assert!(message.starts_with("the PNG picture cannot be decoded: CRC error: "), "{message}");
        assert!(!message.contains(['{', '`']), "{message}");
    }

    /// A PNG that ends after its header.
    fn png_header(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        png::Encoder::new(&mut bytes, 1, 1).write_header().unwrap();
        let mut chunk = b"IHDR".to_vec();
        chunk.extend([width.to_be_bytes(), height.to_be_bytes()].concat());
        chunk.extend([8, 2, 0, 0, 0]);
        let mut crc = flate2::Crc::new();
        crc.update(&chunk);
        chunk.extend(crc.sum().to_be_bytes());
        chunk.extend(b"\0\0\0\x0bIDAT\x78\x9c\x63\x00\x00\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00");
        [&bytes[..12], &chunk].concat()
    }

    #[test]
    fn enormous_and_empty_pictures_are_refused_by_their_header() {
        let mut bmp = encode(colours(), ImageFormat::Bmp);
        bmp[18..26].copy_from_slice(&[60_000u32.to_le_bytes(); 2].concat());
        let mut gif = fixture("animated.gif");
        gif[6..10].fill(0xff);
        let mut jpeg = fixture("turned.jpg");
        let frame = jpeg.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
        jpeg[frame + 5..frame + 9].fill(0xff);
        for bytes in [png_header(100_000, 100_000), png_header(1 << 30, 1 << 30), bmp, gif, jpeg] {
            let message = message(&bytes);
            assert!(message.contains("is more than the 256 megapixels allowed"), "{message}");
        }
        assert!(message(&png_header(0, 5)).contains("the PNG picture cannot be decoded"));
        let mut gif = fixture("animated.gif");
        gif[6..10].fill(0);
        message(&gif);
    }

    #[test]
    fn copies_that_turn_or_convert_count_as_memory() {
        let opaque = encode(colours(), ImageFormat::Png);
        let transparent = encode(DynamicImage::from(colours()).into_rgba8(), ImageFormat::Png);
        for (bytes, bytes_per_pixel) in [(opaque, 3), (transparent, 4 + 4), (fixture("turned.jpg"), 3 + 3)] {
            let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().unwrap();
            let mut decoder = reader.into_decoder().unwrap();
            let orientation = decoder.orientation().unwrap();
            let (width, height) = decoder.dimensions();
            let expected = bytes_per_pixel * u64::from(width) * u64::from(height);
            assert_eq!(memory_needed(&decoder, orientation), expected);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn flipped_bytes_never_panic(flips in prop::collection::vec((0usize..4096, any::<u8>()), 1..6)) {
            for name in ["alpha.png", "cmyk.jpg", "animated.webp", "animated.gif"] {
                let mut bytes = fixture(name);
                for &(at, value) in &flips {
                    let at = at % bytes.len();
                    bytes[at] = value;
                }
                let _ = decode(&bytes);
            }
        }
    }
}
