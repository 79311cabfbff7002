//! What configurations say of sampling, without the sessions that need a model.

#[path = "../../src/generate/sampling.rs"]
pub mod sampling;

pub use sampling::{Filter, Sampling};
