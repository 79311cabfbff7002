//! Unreadable images are rejected with one line; unusual but valid ones are read.

use image::{DynamicImage, GenericImageView, ImageBuffer, Rgb, Rgba};
use residua_io::image_io::folder;

use super::desk::{Desk, given};

/// A PNG that ends after a header with this size.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut chunk = b"IHDR".to_vec();
    chunk.extend([width.to_be_bytes(), height.to_be_bytes()].concat());
    chunk.extend([8, 2, 0, 0, 0]);
    let mut crc = flate2::Crc::new();
    crc.update(&chunk);
    [b"\x89PNG\r\n\x1a\n\0\0\0\r", &chunk[..], &crc.sum().to_be_bytes()].concat()
}

#[test]
fn files_that_are_not_images_are_rejected() {
    let whole = std::fs::read(given("samples/red-cat.png")).unwrap();
    let files: [(&str, Vec<u8>, &str); 7] = [
        ("empty.png", Vec::new(), "an empty file"),
        ("truncated.png", whole[..whole.len() / 2].to_vec(), "cannot be decoded"),
        (
            "text.png",
            b"a shopping list".to_vec(),
            "expected a picture (PNG, JPEG, WebP, GIF, BMP), found something else",
        ),
        ("zero.png", png_header(0, 9), "cannot be decoded"),
        ("enormous.png", png_header(1 << 30, 1 << 30), "more than the 256 megapixels allowed"),
        (
            "cut.jpg",
            std::fs::read(given("fixtures/imageio/turned.jpg")).unwrap()[..500].to_vec(),
            "cannot be decoded",
        ),
        ("archive.png", b"PK\x03\x04".to_vec(), "expected a picture"),
    ];
    let desk = Desk::new();
    for (name, bytes, message) in files {
        desk.write(name, bytes);
        desk.refuses(&format!("encode {name}"), 1, message);
        desk.refuses(&format!("reconstruct {name} --out out"), 1, message);
    }
    for command in ["encode", "reconstruct", "decode"] {
        desk.refuses(&format!("{command} missing.png"), 1, "cannot read missing.png: No such file");
        desk.refuses(&format!("{command} ."), 1, "expected a file, found a folder: .");
    }
    for command in [
        "complete --model fixtures/rqt-class text.png --rows 1 --class 0",
        "explain --model fixtures/rqt-class text.png --row 0 --col 0 --class 0",
    ] {
        desk.refuses(command, 1, "text.png: expected a picture");
    }
    desk.refuses(
        "complete --model fixtures/rqt-class samples/red-cat.png --mask text.png --class 0",
        1,
        "text.png: expected a picture",
    );
}

#[test]
fn our_own_strips_are_not_data() {
    let desk = Desk::new();
    desk.does("reconstruct samples/red-cat.png --out out");
    assert!(folder::read(&desk.path("out/red-cat-reconstruction.png")).is_ok());
    let error = folder::read(&desk.path("out/red-cat-strip.png")).unwrap_err().to_string();
    assert!(error.contains("a sheet of several pictures in one"), "{error}");
}

#[test]
fn unusual_images_are_read() {
    let desk = Desk::new();
    let cat = image::open(given("samples/red-cat.png")).unwrap();
    let (width, height) = cat.dimensions();
    let odd: [(&str, DynamicImage); 5] = [
        ("deep.png", cat.to_rgb16().into()),
        ("grey.png", cat.to_luma8().into()),
        ("opaque.bmp", cat.to_rgb8().into()),
        ("dot.png", ImageBuffer::from_pixel(1, 1, Rgb([1u8, 2, 3])).into()),
        ("clear.webp", ImageBuffer::from_pixel(width, height, Rgba([9u8, 9, 9, 0])).into()),
    ];
    for (name, picture) in odd {
        picture.save(desk.path(name)).unwrap();
        desk.does(&format!("encode {name}"));
    }
    for name in ["cmyk.jpg", "turned.jpg", "alpha.png", "palette.png", "thin.png", "tall.png"] {
        desk.does(&format!("encode fixtures/imageio/{name}"));
    }
    // The content decides, whatever the name says.
    for (name, other) in [("cmyk.jpg", "photo.PNG"), ("alpha.png", "scan.jpeg"), ("palette.png", "drawing")] {
        desk.copy(&format!("fixtures/imageio/{name}"), other);
        let [as_named, renamed] = [format!("fixtures/imageio/{name}"), other.to_string()]
            .map(|file| desk.json(&format!("encode {file}"))["codes"].clone());
        assert_eq!(as_named, renamed, "{other}");
    }
    for name in ["animated.gif", "animated.png", "animated.webp"] {
        desk.does(&format!("encode fixtures/imageio/{name}")).warns("only its first frame is used");
    }
}

/// The models see the image composited on white.
#[test]
fn transparency_becomes_white() {
    let desk = Desk::new();
    let clear: DynamicImage = ImageBuffer::from_pixel(64, 64, Rgba([0u8, 0, 0, 0])).into();
    let white: DynamicImage = ImageBuffer::from_pixel(64, 64, Rgb([255u8; 3])).into();
    let [clear, white] = [("clear.png", clear), ("white.png", white)].map(|(name, picture)| {
        picture.save(desk.path(name)).unwrap();
        desk.json(&format!("encode {name}"))["codes"].clone()
    });
    assert_eq!(clear, white);
}
