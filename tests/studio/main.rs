//! Drives the real studio without a window, by the names that accessibility tools see, with the real engine and model.

mod accessible;
mod codebook;
mod codes;
mod desk;
mod dialogs;
mod explain;
mod first_steps;
mod gallery;
mod generate;
mod log;
mod models;
mod narrow;
mod picture;
mod revise;
mod sampled;
mod snapshots;
mod touch;
mod train;
mod typing;
