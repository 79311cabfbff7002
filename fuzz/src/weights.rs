//! The readers of weight files, without the parts that need Burn.

#[path = "../../src/weights/file.rs"]
pub mod file;
#[path = "../../src/weights/globals.rs"]
pub mod globals;
#[path = "../../src/weights/legacy.rs"]
pub mod legacy;
#[path = "../../src/weights/machine.rs"]
pub mod machine;
#[path = "../../src/weights/opcode.rs"]
pub mod opcode;
#[path = "../../src/weights/pickle.rs"]
pub mod pickle;
#[path = "../../src/weights/pt.rs"]
pub mod pt;
#[path = "../../src/weights/shards.rs"]
mod shards;
#[path = "../../src/weights/st.rs"]
pub mod st;
#[path = "../../src/weights/tensor.rs"]
pub mod tensor;
#[path = "../../src/weights/wrappers.rs"]
mod wrappers;
#[path = "../../src/weights/zipped.rs"]
mod zipped;

use crate::config::StateKind;
use file::WeightFile;

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
