//! Drives the real studio without a window, by the names that accessibility tools see, with the real engine and model.

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
