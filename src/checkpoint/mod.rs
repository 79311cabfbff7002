//! Checkpoints: the published `.pt` with its `config.yaml`, archives of them, and our safetensors.

pub mod archive;
pub mod bundled;
pub mod bytes;
pub mod convert;
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
pub mod write;

pub use loader::{Loader, Parameter, Precision};
pub use open::{Checkpoint, Stage};
pub use weights::{Dtype, StateKind, TensorInfo, WeightFile};
