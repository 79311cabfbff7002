//! The readers of codes and of what a picture carries.

use residua_core::codes::{CodeStack, npy};
use residua_io::image_io::png_text::{self, Provenance};

/// What a chunk of a picture may unpack to, whatever the file's own size.
const UNPACKED: usize = 1 << 20;

/// Reads stacks from a `.npy` file; what was read is written and read again.
pub fn read_npy(bytes: &[u8]) {
    let stacks = crate::within_bounds(bytes.len(), || npy::decode(bytes)).unwrap_or_default();
    for stack in stacks {
        check_shape(&stack);
        let again = npy::decode(&npy::encode(&stack)).expect("what was written can be read");
        assert_eq!(again, [stack]);
    }
}

/// Reads what a PNG file carries; what was read is written and read again.
pub fn read_png_text(bytes: &[u8]) {
    let found = crate::within_bounds(bytes.len() + UNPACKED, || Provenance::read(bytes));
    let Ok(provenance) = found else { return };
    if let Some(codes) = &provenance.codes {
        check_shape(codes);
    }
    let image = image::RgbImage::new(1, 1);
    let written = png_text::encode_png(&image, &provenance).expect("what was read is no larger when written");
    assert_eq!(Provenance::read(&written).expect("what was written can be read"), provenance);
}

fn check_shape(stack: &CodeStack) {
    let [h, w, depth] = stack.shape();
    assert_eq!(stack.codes().len(), h * w * depth);
}
