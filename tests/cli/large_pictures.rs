//! Large pictures are read if memory allows.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::process::Command;

use super::desk::{Desk, Run};

/// Width and height of the picture.
const SIZE: [u32; 2] = [20_000, 10_000];
/// Kilobytes of its 8-bit pixels.
const PIXELS: usize = 600_000_000 / 1024;

/// Writes a picture whose rows have one colour each, row by row.
fn write_large(desk: &Desk) {
    let file = BufWriter::new(File::create(desk.path("large.png")).unwrap());
    let mut encoder = png::Encoder::new(file, SIZE[0], SIZE[1]);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::Fastest);
    let mut writer = encoder.write_header().unwrap().into_stream_writer().unwrap();
    for row in 0..SIZE[1] {
        writer.write_all(&vec![(row / 40) as u8; 3 * SIZE[0] as usize]).unwrap();
    }
    writer.finish().unwrap();
}

/// Runs the program with this many kilobytes of memory for its data.
pub fn limited(desk: &Desk, kilobytes: usize, line: &str) -> Run {
    let program = desk.command(line);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -d {kilobytes}; exec \"$@\""), "sh"]);
    command.arg(program.get_program()).args(program.get_args()).current_dir(desk.path(""));
    // Each thread takes some of it for its stack.
    command.env("RAYON_NUM_THREADS", "1");
    Run::of(command.output().unwrap())
}

#[test]
fn a_picture_of_200_megapixels_needs_memory_for_its_pixels_once() {
    let desk = Desk::new();
    write_large(&desk);
    let line = "encode large.png";
    limited(&desk, PIXELS, line).is_refusal(
        line,
        1,
        "large.png: a picture of 20000x10000 needs 600 MB of memory",
    );
    let run = limited(&desk, 2 * PIXELS, line);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(desk.path("large.npy").is_file());
}

/// A GIF of one pixel on a canvas of 10,000x10,000.
fn large_gif() -> Vec<u8> {
    let side = 10_000u16.to_le_bytes();
    let header = [&b"GIF89a"[..], &side, &side, b"\x80\0\0", &[0, 0, 0, 255, 255, 255]].concat();
    [&header[..], b"\x2c\0\0\0\0\x01\0\x01\0\0", b"\x02\x02\x44\x01\0", b"\x3b"].concat()
}

/// Its frames are counted without a second canvas.
#[test]
fn a_gif_needs_memory_for_its_pixels_and_a_copy() {
    let desk = Desk::new();
    desk.write("large.gif", large_gif());
    let line = "encode large.gif";
    let message = "large.gif: a picture of 10000x10000 needs 800 MB of memory";
    limited(&desk, 500_000, line).is_refusal(line, 1, message);
    let run = limited(&desk, 1_050_000, line);
    assert_eq!(run.code, Some(0), "{run:?}");
}
