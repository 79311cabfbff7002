//! Training of both stages: data, one step of each, and runs that go on where they were broken off.
//!
//! A step makes its model of tensors that gradients reach (see [`crate::checkpoint::Loader::from_given`]); what it changes
//! lies in [`parameters`] by its published name, so that a checkpoint of a run is a checkpoint like any other.

pub mod average;
mod blank;
pub mod codebooks;
pub mod conditions;
pub mod config;
#[cfg(test)]
mod context_tests;
pub mod data;
pub mod discriminator;
pub mod judges;
pub mod latents;
pub mod lock;
pub mod masks;
pub mod optimizer;
pub mod parameters;
#[cfg(test)]
mod parts_tests;
#[cfg(test)]
mod published_tests;
pub mod record;
pub mod rqtransformer;
pub mod rqvae;
pub mod run;
pub mod schedule;
pub mod stage1;
pub mod stage2;
pub mod trainee;
pub mod validation;

/// A number for a name (FNV-1a), so that the first values of a tensor do not depend on the others.
fn stream(name: &str) -> u32 {
    name.bytes().fold(2_166_136_261, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619))
}
