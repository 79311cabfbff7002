//! Training of both stages: data, single steps, and resumable runs.
//!
//! A step builds its model from tensors that track gradients (see [`residua_model::Loader::from_given`]).
//! The trained values live in [`parameters`] under their published names, so a run's checkpoint is a
//! checkpoint like any other.

pub mod average;
mod blank;
pub mod codebooks;
pub mod conditions;
pub mod config;
#[cfg(test)]
mod context_tests;
pub mod data;
pub mod discriminator;
mod finish;
pub mod judges;
pub mod latents;
pub mod lock;
pub mod masks;
pub mod optimizer;
mod pace;
pub mod parameters;
#[cfg(test)]
mod parts_tests;
#[cfg(test)]
mod published_tests;
pub mod rank_share;
#[cfg(test)]
mod rank_share_tests;
mod reconstruction;
pub mod record;
pub mod rqtransformer;
pub mod rqvae;
pub mod run;
pub mod schedule;
pub mod stage1;
pub mod stage2;
pub mod trainee;
pub mod validation;

/// Hashes `name` (FNV-1a), so that a tensor's initial values do not depend on the other tensors.
fn stream(name: &str) -> u32 {
    name.bytes().fold(2_166_136_261, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619))
}
