//! Drives the real studio without a window, by the names that accessibility tools see, with the real engine and model.

mod desk;
mod first_steps;
mod gallery;
mod generate;
mod sampled;
