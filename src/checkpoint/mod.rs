//! Checkpoints: the published `.pt` with its `config.yaml`, archives of them, and our safetensors.

#[cfg(not(target_family = "wasm"))]
pub mod archive;
pub mod bundled;
pub mod bytes;
#[cfg(not(target_family = "wasm"))]
pub mod convert;
pub mod folder;
mod globals;
mod loader;
mod machine;
mod opcode;
pub mod open;
pub mod pickle;
pub mod pt;
mod st;
mod tensor;
pub mod weights;
#[cfg(not(target_family = "wasm"))]
pub mod write;

pub use loader::{Loader, Parameter, Precision};
pub use open::{Checkpoint, Stage};
pub use weights::{Dtype, StateKind, TensorInfo, WeightFile};
