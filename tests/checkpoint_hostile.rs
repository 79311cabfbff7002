//! Damaged and malicious weight files never cause a panic, or use more memory than the file size justifies.

use std::path::Path;

use proptest::prelude::*;
use residua_core::config::StateKind;
use residua_weights::file::WeightFile;

#[path = "../fuzz/src/meter.rs"]
mod meter;

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

/// Opens the file and reads every tensor. Returns true if all could be read; an error is fine too.
fn read_all(bytes: &[u8]) -> bool {
    meter::within_bounds(bytes.len(), || {
        let bytes = bytes.into();
        WeightFile::from_bytes("file", bytes, StateKind::Auto).is_ok_and(|file| {
            file.tensors().iter().all(|tensor| {
                file.read_f16(&tensor.name).is_ok()
                    && file.read_f32(&tensor.name).is_ok_and(|values| values.len() == tensor.elements())
            })
        })
    })
}

const SMALL: [&str; 5] = [
    "checkpoint/odd-2.pt",
    "checkpoint/odd-4.pt",
    "checkpoint/bare.pt",
    "lpips/vgg16.pth",
    "rqt-class/golden.safetensors",
];

#[test]
fn complete_files_are_read_and_truncated_ones_rejected() {
    for name in SMALL.into_iter().chain(["rqt-class/model.pt"]) {
        let bytes = fixture(name);
        assert!(read_all(&bytes), "{name}");
        for sixteenth in 0..16 {
            assert!(!read_all(&bytes[..bytes.len() * sixteenth / 16]), "{name} cut at {sixteenth}/16");
        }
        assert!(!read_all(&bytes[..bytes.len() - 1]), "{name} without its last byte");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn flipped_bytes_are_harmless(
        file in 0..SMALL.len(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..8),
    ) {
        let mut bytes = fixture(SMALL[file]);
        for (index, mask, near_start) in flips {
            // Half of the damage goes to the start of the file, which holds sizes and names.
            let range = if near_start { bytes.len().min(9000) } else { bytes.len() };
            bytes[index.index(range)] ^= mask;
        }
        read_all(&bytes);
    }
}
