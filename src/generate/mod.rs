//! New stacks from the RQ-Transformer: sampling rules, and the resumable session that applies them cell by cell.

pub mod sampling;
pub mod session;

pub use sampling::{Filter, Sampling};
pub use session::{Forced, Request, Session};
