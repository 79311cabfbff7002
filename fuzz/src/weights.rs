//! The readers of weight files.

use residua_core::config::StateKind;
use residua_weights::WeightFile;

/// Opens a weight file and reads every tensor of it, as both types.
pub fn read_all(bytes: &[u8]) {
    crate::within_bounds(bytes.len(), || {
        let Ok(file) = WeightFile::from_bytes("input", bytes.into(), StateKind::Auto) else { return };
        for tensor in file.tensors() {
            let whole = |len| assert_eq!(len, tensor.elements());
            let _ = file.read_f32(&tensor.name).map(|values| whole(values.len()));
            let _ = file.read_f16(&tensor.name).map(|values| whole(values.len()));
        }
    });
}
