//! Records how an image was made, in compressed `iTXt` chunks of its PNG file.
//!
//! * `residua:recipe`: how it was made, as JSON.
//! * `residua:codes`: its code stack, as JSON `{"shape": [h, w, depth], "codes": [..]}`. Compressed decimal
//!   numbers are no larger than base64 (8x8x4 codes take about 0.8 KB), and they are readable.
//! * `residua:pixels`: a checksum of the pixels that belong to these codes, as `WIDTHxHEIGHT CRC-32` of the
//!   8-bit RGB rows, with PNG's CRC. It detects programs that change pixels but keep the chunks, so that the
//!   codes no longer match.
//! * `residua:sheet`: marks several pictures in one, which is not a picture to learn from or to measure.
//!
//! Other programs keep or drop these chunks, and show the image either way.

use std::io::Cursor;

use image::RgbImage;
use png::text_metadata::ITXtChunk;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use residua_core::codes::CodeStack;
use residua_core::error::{Error, Result};

const RECIPE: &str = "residua:recipe";
const CODES: &str = "residua:codes";
const PIXELS: &str = "residua:pixels";
const SHEET: &str = "residua:sheet";
/// The most text that a chunk may decompress to, so that a small file cannot fill the memory: 64x64x32 codes.
const MAX_TEXT_BYTES: usize = 1 << 20;

/// Records how an image was made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// How the image was made (model, seed, sampling rules), as JSON text. It is valid JSON, but its content
    /// is not checked.
    pub recipe: Option<String>,
    /// The codes that the image was decoded from.
    pub codes: Option<CodeStack>,
}

impl Provenance {
    /// Reads the provenance in the bytes of an image file: empty for formats other than PNG, or a PNG without
    /// such chunks.
    ///
    /// # Errors
    /// The PNG is damaged, or a chunk is too large or invalid.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        if !bytes.starts_with(START) {
            return Ok(Self::default());
        }
        let chunks = text_chunks(bytes)?;
        // The decoder skips a chunk with a wrong checksum.
        let is_lost =
            |name: &&&str| is_named(bytes, name) && chunks.iter().all(|chunk| chunk.keyword != **name);
        if let Some(name) = [RECIPE, CODES].iter().find(is_lost) {
            return Err(unreadable(name, "wrong checksum"));
        }
        let recipe = text(&chunks, RECIPE)?;
        if let Some(recipe) = &recipe {
            parse::<IgnoredAny>(RECIPE, recipe)?;
        }
        let codes = text(&chunks, CODES)?.map(|codes| parse(CODES, &codes)).transpose()?;
        Ok(Self { recipe, codes })
    }

    /// The chunks to write for an image with these pixels.
    fn chunks(&self, image: &RgbImage) -> Result<Vec<ITXtChunk>> {
        let mut chunks = Vec::new();
        if let Some(recipe) = &self.recipe {
            chunks.push(chunk(RECIPE, recipe.clone())?);
        }
        if let Some(codes) = &self.codes {
            let codes =
                serde_json::to_string(codes).map_err(|error| Error::invalid(format!("{CODES}: {error}")))?;
            chunks.push(chunk(CODES, codes)?);
            chunks.push(chunk(PIXELS, checksum(image))?);
        }
        Ok(chunks)
    }
}

/// An 8-bit RGB PNG file that carries `provenance`.
///
/// # Errors
/// A part of the provenance is more than 1 MB of text.
pub fn encode_png(image: &RgbImage, provenance: &Provenance) -> Result<Vec<u8>> {
    let chunks = provenance.chunks(image)?;
    write_png(image, &chunks).map_err(|error| Error::invalid(format!("cannot encode a PNG picture: {error}")))
}

fn write_png(image: &RgbImage, chunks: &[ITXtChunk]) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, image.width(), image.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    for chunk in chunks {
        writer.write_text_chunk(chunk)?;
    }
    writer.write_image_data(image.as_raw())?;
    writer.finish()?;
    Ok(bytes)
}

/// Whether `image`, decoded from the image file in `bytes`, has the pixels that belong to the file's codes;
/// `None` if the file has no checksum, like those of older versions.
pub fn has_its_pixels(bytes: &[u8], image: &RgbImage) -> Option<bool> {
    Some(pixels(bytes)? == checksum(image))
}

/// The checksum of the pixels that belong to the file's codes, if it has one.
pub(super) fn pixels(bytes: &[u8]) -> Option<String> {
    text_chunks(bytes).and_then(|chunks| text(&chunks, PIXELS)).ok()?
}

pub(super) fn checksum(image: &RgbImage) -> String {
    let mut crc = flate2::Crc::new();
    crc.update(image.as_raw());
    format!("{}x{} {:08x}", image.width(), image.height(), crc.sum())
}

fn chunk(keyword: &str, text: String) -> Result<ITXtChunk> {
    check_length(keyword, &text)?;
    let mut chunk = ITXtChunk::new(keyword, text);
    chunk.compressed = true;
    Ok(chunk)
}

/// An 8-bit RGB PNG file of several pictures in one.
///
/// # Errors
/// PNG does not allow the size.
pub(super) fn encode_sheet(image: &RgbImage) -> Result<Vec<u8>> {
    let chunks = [chunk(SHEET, String::new())?];
    write_png(image, &chunks).map_err(|error| Error::invalid(format!("cannot encode a PNG picture: {error}")))
}

/// Whether the image file in `bytes` has several pictures in one: it is marked, or its recipe is for several
/// samples.
pub(super) fn is_sheet(bytes: &[u8]) -> bool {
    let Some(chunks) = bytes.starts_with(START).then(|| text_chunks(bytes).ok()).flatten() else {
        return false;
    };
    let recipe = text(&chunks, RECIPE).ok().flatten();
    let recipe = recipe.and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
    chunks.iter().any(|chunk| chunk.keyword == SHEET)
        || recipe.is_some_and(|recipe| recipe["sampling"]["count"].as_u64() > Some(1))
}

/// How a PNG begins.
const START: &[u8] = b"\x89PNG\r\n\x1a\n";

/// The end of a PNG: an empty chunk.
pub(super) const END: &[u8] = b"\0\0\0\0IEND\xae\x42\x60\x82";

/// Whether the PNG in `bytes` has an `iTXt` chunk named `keyword`, intact or not.
fn is_named(bytes: &[u8], keyword: &str) -> bool {
    let mut rest = &bytes[START.len()..];
    while let Some((&[a, b, c, d, kind @ ..], data)) = rest.split_first_chunk::<8>() {
        let is_it = &kind == b"iTXt"
            && data.strip_prefix(keyword.as_bytes()).is_some_and(|text| text.first() == Some(&0));
        if is_it {
            return true;
        }
        // A checksum follows the data.
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        rest = length.checked_add(4).and_then(|end| data.get(end..)).unwrap_or_default();
    }
    false
}

/// All `iTXt` chunks, including those that another program put after the pixels. The pixels are not decoded.
/// The file's end may be missing.
fn text_chunks(bytes: &[u8]) -> Result<Vec<ITXtChunk>> {
    let chunks = chunks_of_whole(bytes);
    let chunks = chunks.or_else(|error| chunks_of_whole(&[bytes, END].concat()).map_err(|_| error));
    chunks.map_err(|error| Error::invalid(format!("the PNG picture cannot be decoded: {error}")))
}

fn chunks_of_whole(bytes: &[u8]) -> Result<Vec<ITXtChunk>, png::DecodingError> {
    let limits = png::Limits { bytes: 16 * MAX_TEXT_BYTES };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info()?;
    reader.finish()?;
    Ok(reader.info().utf8_text.clone())
}

/// The text of the first chunk named `keyword`.
fn text(chunks: &[ITXtChunk], keyword: &str) -> Result<Option<String>> {
    let Some(chunk) = chunks.iter().find(|chunk| chunk.keyword == keyword) else {
        return Ok(None);
    };
    let mut chunk = chunk.clone();
    chunk.decompress_text_with_limit(MAX_TEXT_BYTES).map_err(|error| unreadable(keyword, error))?;
    let text = chunk.get_text().map_err(|error| unreadable(keyword, error))?;
    check_length(keyword, &text)?;
    Ok(Some(text))
}

fn parse<T: DeserializeOwned>(keyword: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| unreadable(keyword, error))
}

fn unreadable(keyword: &str, error: impl std::fmt::Display) -> Error {
    Error::invalid(format!(
        "the picture's text chunk {keyword} cannot be read: {error}; use an undamaged copy of the file"
    ))
}

fn check_length(keyword: &str, text: &str) -> Result<()> {
    if text.len() > MAX_TEXT_BYTES {
        let limit = MAX_TEXT_BYTES >> 20;
        return Err(Error::invalid(format!(
            "{keyword}: more than the {limit} MB of text allowed in a picture"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::testing::fixture;
    use super::*;

    fn example() -> Provenance {
        let codes = CodeStack::new(8, 8, 4, (0..256).map(|at| at * 7919 % 16_384).collect()).unwrap();
        let recipe = json!({"seed": u64::MAX, "caption": "a café\n\u{1f600}"}).to_string();
        Provenance { recipe: Some(recipe), codes: Some(codes) }
    }

    fn image() -> RgbImage {
        RgbImage::from_pixel(4, 3, image::Rgb([1, 2, 3]))
    }

    /// A PNG with one text chunk, before or after the pixels.
    fn png_with(keyword: &str, text: &str, after: bool) -> Vec<u8> {
        let mut chunk = ITXtChunk::new(keyword, text);
        chunk.compressed = true;
        let mut bytes = Vec::new();
        let mut writer = png::Encoder::new(&mut bytes, 1, 1).write_header().unwrap();
        if !after {
            writer.write_text_chunk(&chunk).unwrap();
        }
        writer.write_image_data(&[0]).unwrap();
        if after {
            writer.write_text_chunk(&chunk).unwrap();
        }
        writer.finish().unwrap();
        bytes
    }

    #[test]
    fn provenance_round_trips_and_pixels_stay() {
        let bytes = encode_png(&image(), &example()).unwrap();
        assert_eq!(Provenance::read(&bytes).unwrap(), example());
        assert_eq!(super::super::decode::decode(&bytes).unwrap(), image());
        let plain = encode_png(&image(), &Provenance::default()).unwrap();
        assert!(bytes.len() - plain.len() < 1_200, "{} bytes", bytes.len() - plain.len());
    }

    #[test]
    fn what_pillow_writes_is_read() {
        let expected = Provenance {
            recipe: Some(r#"{"caption": "un café", "seed": 7}"#.into()),
            codes: Some(CodeStack::new(2, 1, 3, vec![5, 0, 16_383, 1, 2, 3]).unwrap()),
        };
        assert_eq!(Provenance::read(&fixture("provenance.png")).unwrap(), expected);
    }

    #[test]
    fn changed_pixels_are_detected() {
        let bytes = encode_png(&image(), &example()).unwrap();
        assert_eq!(has_its_pixels(&bytes, &image()), Some(true));
        let mut edited = image();
        edited.put_pixel(3, 2, image::Rgb([1, 2, 4]));
        assert_eq!(has_its_pixels(&bytes, &edited), Some(false));
        let turned = RgbImage::from_pixel(3, 4, image::Rgb([1, 2, 3]));
        assert_eq!(has_its_pixels(&bytes, &turned), Some(false));
        // Files of older versions and of other programs have no checksum.
        for bytes in [encode_png(&image(), &Provenance::default()).unwrap(), fixture("provenance.png")] {
            assert_eq!(has_its_pixels(&bytes, &edited), None);
        }
    }

    #[test]
    fn pictures_without_provenance_give_none() {
        for bytes in [
            encode_png(&image(), &Provenance::default()).unwrap(),
            fixture("palette.png"),
            fixture("animated.png"),
            fixture("cmyk.jpg"),
            Vec::new(),
        ] {
            assert_eq!(Provenance::read(&bytes).unwrap(), Provenance::default());
        }
    }

    #[test]
    fn chunks_are_found_before_and_after_the_pixels() {
        for after in [false, true] {
            let found = Provenance::read(&png_with(RECIPE, "[1]", after)).unwrap();
            assert_eq!(found, Provenance { recipe: Some("[1]".into()), codes: None }, "after: {after}");
        }
    }

    #[test]
    fn invalid_chunks_are_named() {
        for (keyword, text) in [
            (RECIPE, "not JSON"),
            (CODES, "{}"),
            (CODES, r#"{"shape":[8,8,4],"codes":[1]}"#),
            (CODES, r#"{"shape":[1,1,1],"codes":[0.5]}"#),
        ] {
            let message = Provenance::read(&png_with(keyword, text, false)).unwrap_err().to_string();
            assert!(
                message.starts_with(&format!("the picture's text chunk {keyword} cannot be read")),
                "{message}"
            );
            assert!(!message.contains('\n'), "{message}");
        }
    }

    #[test]
    fn damaged_chunks_are_named() {
        let bytes = encode_png(&image(), &example()).unwrap();
        for keyword in [RECIPE, CODES] {
            let mut damaged = bytes.clone();
            let at = bytes.windows(keyword.len()).position(|part| part == keyword.as_bytes()).unwrap();
            damaged[at + keyword.len() + 20] ^= 1;
            let message = Provenance::read(&damaged).unwrap_err().to_string();
            assert!(
                message.starts_with(&format!("the picture's text chunk {keyword} cannot be read")),
                "{message}"
            );
            // Its pixels are intact.
            assert_eq!(super::super::decode::decode(&damaged).unwrap(), image());
        }
    }

    #[test]
    fn a_text_that_decompresses_to_too_much_is_refused() {
        let bomb = png_with(CODES, &" ".repeat(MAX_TEXT_BYTES + 1), false);
        assert!(bomb.len() < MAX_TEXT_BYTES / 50, "{} bytes", bomb.len());
        let message = Provenance::read(&bomb).unwrap_err().to_string();
        assert!(message.starts_with("the picture's text chunk residua:codes cannot be read"), "{message}");

        let recipe = Some("1".repeat(MAX_TEXT_BYTES + 1));
        let message = encode_png(&image(), &Provenance { recipe, codes: None }).unwrap_err().to_string();
        assert_eq!(message, "residua:recipe: more than the 1 MB of text allowed in a picture");
    }

    #[test]
    fn a_truncated_file_is_refused() {
        let bytes = encode_png(&image(), &example()).unwrap();
        for length in 8..bytes.len() - 12 {
            let message = Provenance::read(&bytes[..length]).unwrap_err().to_string();
            assert!(
                message.starts_with("the PNG picture cannot be decoded: ") && !message.contains('\n'),
                "{message}"
            );
        }
    }

    proptest! {
        #[test]
        fn codes_round_trip((h, w, depth) in (1usize..5, 1usize..5, 1usize..5), codes: [u32; 64], caption: String) {
            let stack = CodeStack::new(h, w, depth, codes[..h * w * depth].to_vec()).unwrap();
            let provenance = Provenance { recipe: Some(json!({ "caption": caption }).to_string()), codes: Some(stack) };
            prop_assert_eq!(Provenance::read(&encode_png(&image(), &provenance).unwrap()).unwrap(), provenance);
        }

        #[test]
        fn flipped_bytes_never_panic(flips in prop::collection::vec((8usize..900, any::<u8>()), 1..6)) {
            let mut bytes = encode_png(&image(), &example()).unwrap();
            for (at, value) in flips {
                bytes[at] = value;
            }
            let _ = Provenance::read(&bytes);
        }
    }
}
