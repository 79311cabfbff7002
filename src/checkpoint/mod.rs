//! Checkpoints: the published `.pt` with its `config.yaml`, archives of them, and our safetensors.

#[cfg(not(target_family = "wasm"))]
pub mod archive;
mod average;
#[cfg(not(target_family = "wasm"))]
pub mod convert;
#[cfg(not(target_family = "wasm"))]
mod describe;
pub mod folder;
mod globals;
mod legacy;
mod loader;
mod machine;
mod opcode;
pub mod open;
mod pair;
pub mod pickle;
pub mod pt;
mod shards;
mod st;
mod tensor;
pub mod weights;
mod wrappers;
#[cfg(not(target_family = "wasm"))]
pub mod write;
mod zipped;

pub use crate::assets::bundled;
pub use crate::files::bytes;
pub use crate::model::Precision;
pub use loader::{Loader, Parameter};
pub use open::{Checkpoint, Stage};
pub use weights::{Dtype, StateKind, TensorInfo, WeightFile};
