//! The readers of weight files, without the parts that need Burn.

#[path = "../../src/checkpoint/globals.rs"]
pub mod globals;
#[path = "../../src/checkpoint/legacy.rs"]
pub mod legacy;
#[path = "../../src/checkpoint/machine.rs"]
pub mod machine;
#[path = "../../src/checkpoint/opcode.rs"]
pub mod opcode;
#[path = "../../src/checkpoint/pickle.rs"]
pub mod pickle;
#[path = "../../src/checkpoint/pt.rs"]
pub mod pt;
#[path = "../../src/checkpoint/shards.rs"]
mod shards;
#[path = "../../src/checkpoint/st.rs"]
pub mod st;
#[path = "../../src/checkpoint/tensor.rs"]
pub mod tensor;
#[path = "../../src/checkpoint/weights.rs"]
pub mod weights;
#[path = "../../src/checkpoint/wrappers.rs"]
mod wrappers;
#[path = "../../src/checkpoint/zipped.rs"]
mod zipped;

pub use crate::files::bytes;
use weights::{StateKind, WeightFile};

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
