//! What users do with the models, independent of any user interface: one file per task.

#[cfg(not(target_family = "wasm"))]
pub mod bench;
#[cfg(not(target_family = "wasm"))]
pub mod bulk;
pub mod condition;
#[cfg(not(target_family = "wasm"))]
pub mod eval;
#[cfg(feature = "models")]
pub mod explain;
pub mod explanation;
pub mod fetch;
#[cfg(not(target_family = "wasm"))]
pub mod fit;
#[cfg(not(target_family = "wasm"))]
pub mod judge;
pub mod memory;
#[cfg(feature = "models")]
pub mod models;
#[cfg(feature = "models")]
pub mod morph;
pub mod options;
pub mod recipe;
#[cfg(feature = "models")]
pub mod reconstruct;
#[cfg(feature = "models")]
pub mod sample;
#[cfg(feature = "models")]
pub mod start;
pub mod studio;
#[cfg(not(target_family = "wasm"))]
pub mod train;
#[cfg(not(target_family = "wasm"))]
pub mod verify;

pub use condition::Condition;
#[cfg(feature = "models")]
pub use models::{Stage1, Stage2};
pub use options::Options;
pub use recipe::{ModelId, Recipe};
