//! What users do with the models, independent of any user interface: one file per task. [`api`] is for other programs.

pub mod api;
#[cfg(not(target_family = "wasm"))]
pub mod bench;
#[cfg(not(target_family = "wasm"))]
pub mod bulk;
#[cfg(not(target_family = "wasm"))]
pub mod eval;
pub mod explain;
pub mod fetch;
#[cfg(not(target_family = "wasm"))]
pub mod fit;
#[cfg(not(target_family = "wasm"))]
pub mod judge;
pub mod models;
pub mod morph;
pub mod reconstruct;
pub mod sample;
#[cfg(not(target_family = "wasm"))]
pub mod start;
pub mod studio;
#[cfg(not(target_family = "wasm"))]
pub mod train;
#[cfg(not(target_family = "wasm"))]
pub mod verify;

pub use api::Model;
pub use models::{Stage1, Stage2};
