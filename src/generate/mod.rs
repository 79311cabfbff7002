//! New stacks from the RQ-Transformer: sampling rules, and the resumable session that applies them cell by cell.

mod forced;
pub mod sampling;
#[cfg(feature = "models")]
pub mod session;

pub use forced::Forced;
pub use sampling::{Filter, Sampling};
#[cfg(feature = "models")]
pub use session::{Request, Session};
