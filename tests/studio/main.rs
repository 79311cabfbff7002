//! Drives the real studio, engine and model without a window, by the names that accessibility tools see.

mod accessible;
mod codebook;
mod desk;
mod dialogs;
mod explain;
mod first_steps;
mod gallery;
mod generate;
mod image;
mod log;
mod models;
mod sampled;
mod snapshots;
mod stack;
mod touch;
mod train;
mod typing;
