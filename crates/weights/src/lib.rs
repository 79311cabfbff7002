//! Weight files: the published `.pt` with its `config.yaml`, archives of them, and our safetensors.

#[cfg(not(target_family = "wasm"))]
pub mod archive;
mod available;
mod chosen;
mod extent;
pub mod file;
pub mod folder;
mod globals;
mod input;
mod legacy;
mod machine;
mod opcode;
pub mod pickle;
mod pt;
mod shards;
pub mod st;
mod tensor;
mod wrappers;
#[cfg(not(target_family = "wasm"))]
pub mod write;
mod zipped;

pub use file::{Dtype, TensorInfo, WeightFile};

/// The metadata key for the configuration in our safetensors.
pub const CONFIG_KEY: &str = "config";
