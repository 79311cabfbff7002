//! What a person does with the models, free of any user interface: each file is one thing.

#[cfg(not(target_family = "wasm"))]
pub mod bench;
pub mod condition;
pub mod explain;
pub mod fetch;
pub mod memory;
pub mod models;
pub mod pictures;
pub mod recipe;
pub mod reconstruct;
pub mod sample;
pub mod start;
pub mod studio;
pub mod task;
#[cfg(not(target_family = "wasm"))]
pub mod verify;

pub use condition::Condition;
pub use models::{Options, Stage1, Stage2};
pub use recipe::{ModelId, Recipe};
pub use task::Task;
