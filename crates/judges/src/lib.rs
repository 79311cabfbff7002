//! Networks that judge images: Inception (FID, IS), CLIP, LPIPS, and the ResNet of rejection sampling.

pub mod clip;
pub mod inception;
pub mod lpips;
mod prepare;
pub mod resnet;

pub use lpips::Lpips;
