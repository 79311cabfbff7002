//! New stacks from the RQ-Transformer: sampling rules, and the resumable session that applies them cell by cell.

mod forced;
#[cfg(feature = "models")]
mod guidance;
pub mod sampling;
#[cfg(feature = "models")]
pub mod session;

pub use forced::Forced;
#[cfg(feature = "models")]
pub use guidance::Guidance;
pub use sampling::{Filter, Sampling};
#[cfg(feature = "models")]
pub use session::{Request, Session};
