//! Sampling new stacks with the RQ-Transformer: resumable sessions that apply the sampling rules cell by cell or
//! part by part.

mod draft_and_revise;
mod guidance;
pub mod session;
mod steps;

pub use draft_and_revise::DraftAndRevise;
pub use guidance::Guidance;
pub use session::{Request, Session};
pub use steps::Steps;
