//! Drives the real studio, engine and model without a window, by the names that accessibility tools see.

mod accessible;
mod animation;
mod awaited;
mod brought;
mod captions;
mod codebook;
mod codes;
#[path = "../shared/contextual.rs"]
mod contextual;
mod desk;
mod dialogs;
mod drafting;
mod explain;
mod first_steps;
mod gallery;
mod generate;
mod given_up;
mod log;
mod mask;
mod models;
#[path = "../shared/named.rs"]
mod named;
mod narrow;
mod picture;
mod revise;
mod sampled;
#[cfg(unix)]
mod slow;
mod snapshots;
mod strokes;
mod touch;
mod train;
mod typing;
