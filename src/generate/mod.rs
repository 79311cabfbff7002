//! Sampling new stacks with the RQ-Transformer: the sampling rules, and resumable sessions that apply them
//! cell by cell or part by part.

#[cfg(feature = "models")]
mod draft_and_revise;
mod forced;
#[cfg(feature = "models")]
mod guidance;
pub mod morph;
mod partition;
pub mod sampling;
mod schedule;
#[cfg(feature = "models")]
pub mod session;
#[cfg(feature = "models")]
mod steps;

#[cfg(feature = "models")]
pub use draft_and_revise::DraftAndRevise;
pub use forced::Forced;
#[cfg(feature = "models")]
pub use guidance::Guidance;
pub use sampling::{Filter, Sampling};
pub use schedule::{Rounds, Schedule};
#[cfg(feature = "models")]
pub use session::{Request, Session};
#[cfg(feature = "models")]
pub use steps::Steps;
